"""A service of the benchmarks' own: started on a free port, waited for, stopped."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from churn.errors import ChurnError

ROOT: Final = Path(__file__).parent.parent
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 60.0

BENTOML: Final = ("bentoml", "serve")
SERVICE: Final = (*BENTOML, "service:Churn")


class NotStartedError(ChurnError):
    """A service did not become ready."""

    def __init__(self, command: tuple[str, ...], output: Path) -> None:
        super().__init__(f"`{' '.join(command)}` did not start; it said:\n{output.read_text()[-4000:]}")


@dataclass(frozen=True)
class Served:
    """A running service. `ready_seconds` is how long it took from its start to its first 200."""

    url: str
    process: subprocess.Popen[bytes]
    ready_seconds: float

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        return _children(self.process.pid)


@contextlib.contextmanager
def served(
    environment: Mapping[str, str], folder: Path, command: tuple[str, ...] = SERVICE, ready: str = "/readyz"
) -> Iterator[Served]:
    """Serve until the end of the block; what it says goes to a file in `folder`.

    Raises:
        NotStartedError: it ended, or was not ready in time.
    """
    port, output = _free_port(), folder / f"{'-'.join(command).replace('/', '_')}.txt"
    with output.open("wb") as said:
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=ROOT,
            env=os.environ | dict(environment),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        if not _answers(process, url + ready):
            raise NotStartedError(command, output)
        yield Served(url, process, time.monotonic() - started)
    finally:
        _stop(process)


def _children(process: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == httpx.codes.OK:
                return True
        time.sleep(0.02)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for each in (*_children(process.pid), process.pid):  # BentoML gives each worker a process group of its own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each, signal.SIGKILL)
        process.wait()
