"""Shared by all commands: progress on stderr, and errors without a traceback that a user can put right."""

import argparse
import sys
from collections.abc import Callable

from churn.errors import ChurnError
from churn.settings import LAST_PORT, parsed_whole_number


def say(message: str) -> None:
    """One line of progress, on stderr, at once."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def show(text: str) -> None:
    """A result, on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def add_address(parser: argparse.ArgumentParser, port: int) -> None:
    """The options `--host` and `--port` of a command that shows pages, to this machine only without them."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=port)


def _port(text: str) -> int:
    return parsed_whole_number("port", text, 1, LAST_PORT)


def run(main: Callable[[], int | None]) -> None:
    """Run a command and exit: 0, what it returned, 1 after a `ChurnError`, 130 when interrupted."""
    try:
        sys.exit(main() or 0)
    except ChurnError as error:
        say(f"error: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted; nothing half-written was left behind")
        sys.exit(130)
