"""The real Prometheus, Alertmanager and Pushgateway, with the files of deploy/, around a real service."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.serving import PATIENCE, PROJECT, Served, free_port

CONFIGURATION = PROJECT / "deploy" / "prometheus"
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-pushgateway": "prometheus-pushgateway",
}
KUBERNETES = {"namespace": "churn", "pod": "churn-service-1"}
"""What the Prometheus operator adds to a replica's series."""


def install() -> None:
    """Debian's packages, where they are missing."""
    missing = sorted({package for program, package in PACKAGES.items() if shutil.which(program) is None})
    if missing:
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(("apt-get", "update", "-qq"), check=True, env=quiet)
        subprocess.run(("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing), check=True, env=quiet)


@contextlib.contextmanager
def running(command: list[str], folder: Path, ready: str) -> Iterator[None]:
    """A server until the end of the block."""
    output = folder / f"{Path(command[0]).name}.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=folder)
    try:
        eventually(lambda: httpx.get(ready).status_code == httpx.codes.OK, output.read_text)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def eventually(happened: Callable[[], bool], told: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if happened():
                return
        time.sleep(0.5)
    raise AssertionError(f"it did not happen:\n{told()}")


@dataclass(frozen=True)
class Watched:
    """A service, and what watches it."""

    service: Served
    instance: str
    prometheus: str
    alertmanager: str
    pushgateway: str

    def values(self, expression: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def total(self, expression: str) -> float:
        return sum(float(found["value"][1]) for found in self.values(expression))

    def messages(self) -> list[dict[str, Any]]:
        """What has reached Alertmanager."""
        found: list[dict[str, Any]] = httpx.get(f"{self.alertmanager}/api/v2/alerts").json()
        return found


@contextlib.contextmanager
def watching(service: Served, folder: Path) -> Iterator[Watched]:
    """Start what watches; only where things run differs from deploy/."""
    files = folder / "prometheus"
    shutil.copytree(CONFIGURATION, files)
    prometheus, alertmanager, pushgateway = (f"127.0.0.1:{free_port()}" for _ in range(3))
    instance = service.url.removeprefix("http://")
    targets = {
        "churn-service": (instance, KUBERNETES),
        "alertmanager": (alertmanager, {}),
        "pushgateway": (pushgateway, {}),
    }
    assert set(targets) == {path.stem for path in (files / "targets").glob("*.json")}
    for name, (address, labels) in targets.items():
        (files / "targets" / f"{name}.json").write_text(json.dumps([{"targets": [address], "labels": labels}]))
    commands = {
        alertmanager: [
            "prometheus-alertmanager",
            f"--config.file={files / 'alertmanager.yml'}",
            f"--web.listen-address={alertmanager}",
            f"--storage.path={folder / 'alertmanager'}",
            "--cluster.listen-address=",
        ],
        pushgateway: [
            "prometheus-pushgateway",
            f"--web.listen-address={pushgateway}",
            # Debian's has a file for the whole machine.
            f"--persistence.file={folder / 'pushed'}",
        ],
        prometheus: [
            "prometheus",
            f"--config.file={files / 'prometheus.yml'}",
            f"--web.listen-address={prometheus}",
            f"--storage.tsdb.path={folder / 'series'}",
        ],
    }
    with contextlib.ExitStack() as stack:
        for address, command in commands.items():
            stack.enter_context(running(command, folder, f"http://{address}/-/ready"))
        yield Watched(service, instance, f"http://{prometheus}", f"http://{alertmanager}", f"http://{pushgateway}")
