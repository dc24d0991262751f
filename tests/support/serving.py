"""A real `bentoml serve` on a free port, for the tests."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx

from churn.server_process import ROOT, START_SECONDS, ServerProcess, free_port, start

__all__ = ["PATIENCE", "PROJECT", "Served", "free_port", "refused_start", "serving"]

PROJECT: Final = ROOT
PATIENCE: Final = START_SECONDS
"""Seconds to wait for a start on a busy machine before the test fails."""


class Served(ServerProcess):
    """A running service."""

    @property
    def log(self) -> Path:
        """The folder of its prediction log."""
        assert self.output is not None
        return self.output.parent / "predictions"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)


def _start(environment: Mapping[str, str], folder: Path, target: str, cwd: Path, port: int | None = None) -> Served:
    """Start the service; its output goes to `folder/output.txt`."""
    log = {"CHURN_LOG_DIR": str(folder / "predictions")}
    command, output = ("bentoml", "serve", target), folder / "output.txt"
    server = start(command, port or free_port(), log | dict(environment), output=output, folder=cwd)
    return Served(**vars(server))


@contextlib.contextmanager
def serving(
    environment: Mapping[str, str],
    folder: Path,
    target: str = "service:Churn",
    cwd: Path = PROJECT,
    port: int | None = None,
) -> Iterator[Served]:
    """Serve until the end of the block; the prediction log goes to `folder/predictions`."""
    served = _start(environment, folder, target, cwd, port)
    try:
        served.wait_until_ready()
        yield served
    finally:
        served.kill()


def refused_start(environment: Mapping[str, str], folder: Path) -> str:
    """Start what must not start; returns what it said."""
    served = _start(environment, folder, "service:Churn", PROJECT)
    try:
        status = served.process.wait(PATIENCE)
    finally:
        served.kill()
    assert status != 0, served.said()
    return served.said()
