"""A real `bentoml serve` on a free port, for the tests."""

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

PROJECT: Final = Path(__file__).parent.parent.parent
PATIENCE: Final = 120.0
"""Seconds to wait for a start on a busy machine before the test fails."""


@dataclass
class Served:
    """A running service."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    output: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        listed = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(line) for line in listed.stdout.split()]

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """SIGKILL to the service and to every worker: BentoML gives each a process group of its own."""
        for process in (*self.workers(), self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        self.process.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(
    environment: Mapping[str, str], folder: Path, target: str = "service:Churn", cwd: Path = PROJECT
) -> subprocess.Popen[bytes]:
    """Start the service; its output goes to `folder/output.txt`."""
    command = [sys.executable, "-m", "bentoml", "serve", target, "--host", "127.0.0.1", "--port", environment["PORT"]]
    with (folder / "output.txt").open("ab") as output:
        return subprocess.Popen(
            command, cwd=cwd, env=os.environ | dict(environment), stdout=output, stderr=output, start_new_session=True
        )


@contextlib.contextmanager
def serving(
    environment: Mapping[str, str], folder: Path, target: str = "service:Churn", cwd: Path = PROJECT
) -> Iterator[Served]:
    """Serve until the end of the block; the prediction log goes to `folder/predictions`."""
    port, log = str(free_port()), folder / "predictions"
    complete = {"CHURN_LOG_DIR": str(log), "PORT": port} | dict(environment)
    process = start(complete, folder, target, cwd)
    served = Served(process, f"http://127.0.0.1:{port}", log, folder / "output.txt")
    try:
        _wait(served)
        yield served
    finally:
        served.kill()


def _wait(served: Served) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{served.url}/readyz").status_code == httpx.codes.OK:
                return
        if served.process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"the service did not start:\n{served.output.read_text()}")


def refused_start(environment: Mapping[str, str], folder: Path) -> str:
    """Start what must not start; returns what it said."""
    complete = {"CHURN_LOG_DIR": str(folder / "predictions"), "PORT": str(free_port())} | dict(environment)
    process = start(complete, folder)
    try:
        status = process.wait(PATIENCE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    said = (folder / "output.txt").read_text()
    assert status != 0, said
    return said
