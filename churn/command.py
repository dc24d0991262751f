"""What every command shares: progress on stderr, and errors a user can put right without a traceback."""

import sys
from collections.abc import Callable

from churn.errors import ChurnError


def say(message: str) -> None:
    """One line of progress, on stderr, at once."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def show(text: str) -> None:
    """A result, on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


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
