"""A server in a process of its own: started, awaited, stopped. No other module starts one.

The command takes `--host` and `--port`, as `bentoml serve` does. What it prints goes where ours goes, or to a file.
"""

import contextlib
import http
import http.client
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from churn.errors import ServerNotStartedError
from churn.settings import changed_environment

ROOT: Final = Path(__file__).parent.parent
HOST: Final = "127.0.0.1"
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02

_DIRECTLY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class ServerProcess:
    """A server that was started.

    Attributes:
        command: what was started, without its address.
        output: the file with what it printed; None when that went where ours goes.
        ready_seconds: from its start to its first 200; NaN before.
    """

    command: tuple[str, ...]
    process: "subprocess.Popen[bytes]"
    url: str
    output: Path | None
    started: float = field(default_factory=time.monotonic)
    ready_seconds: float = math.nan

    def wait_until_ready(self, path: str = "/readyz") -> None:
        """Wait for the first 200 at `path`.

        Raises:
            ServerNotStartedError: it ended, or was not ready in time.
        """
        while self.process.poll() is None and time.monotonic() - self.started < START_SECONDS:
            if self._answers(path):
                self.ready_seconds = time.monotonic() - self.started
                return
            time.sleep(POLL_SECONDS)
        raise ServerNotStartedError(self.command, self.said())

    def _answers(self, path: str) -> bool:
        try:
            with _DIRECTLY.open(self.url + path, timeout=5) as answer:
                return bool(answer.status == http.HTTPStatus.OK)
        except (OSError, http.client.HTTPException):  # not there yet, or there and not ready
            return False

    def said(self) -> str:
        """The output so far, where it goes to a file."""
        return "" if self.output is None else self.output.read_text(errors="replace")

    def workers(self) -> list[int]:
        """Process ids of its children."""
        pgrep = shutil.which("pgrep")
        if pgrep is None:
            return []
        command = [pgrep, "-P", str(self.process.pid)]
        listed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # found on the path
        return [int(line) for line in listed.stdout.split()]

    def stop(self) -> int:
        """End it by SIGTERM, or by SIGKILL when that takes too long; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """SIGKILL to it and to every worker: BentoML gives each a process group of its own."""
        for process in (*self.workers(), self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                leads_its_group = os.getpgid(process) == process
                (os.killpg if leads_its_group else os.kill)(process, signal.SIGKILL)
        return self.process.wait()


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def start(
    command: Sequence[str],
    port: int,
    environment: Mapping[str, str | None],
    *,
    output: Path | None = None,
    quiet: bool = False,
    in_our_group: bool = False,
    folder: Path = ROOT,
) -> ServerProcess:
    """Start `python -m COMMAND --host 127.0.0.1 --port PORT`.

    Args:
        command: module and its arguments, such as `bentoml serve service:Churn`.
        port: must be free.
        environment: what differs from ours; None takes a variable away.
        output: file that what it prints is appended to.
        quiet: only its errors are shown, where there is no `output`.
        in_our_group: what ends our process group ends the server too; else it has a session of its own, and is
            still there to be stopped in order when Ctrl-C ends us.
        folder: its working folder.
    """
    with contextlib.ExitStack() as stack:
        said = stack.enter_context(output.open("ab")) if output else None
        process = subprocess.Popen(  # noqa: S603  # our own Python
            [sys.executable, "-m", *command, "--host", HOST, "--port", str(port)],
            cwd=folder,
            env=changed_environment(environment),
            stdout=subprocess.DEVNULL if quiet and not said else said,
            stderr=said,
            start_new_session=not in_our_group,
        )
    return ServerProcess(tuple(command), process, f"http://{HOST}:{port}", output)


@contextlib.contextmanager
def stopped_at_the_end(server: ServerProcess, ready: str = "/readyz") -> Iterator[ServerProcess]:
    """Wait until it answers at `ready`; stop it when the block ends.

    Raises:
        ServerNotStartedError: it ended, or was not ready in time.
    """
    try:
        server.wait_until_ready(ready)
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
