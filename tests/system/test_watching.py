"""The real Prometheus and Alertmanager, with the files of deploy/, watching a real service."""

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
import pytest

from tests.conftest import ChampionModel
from tests.integration.serving import PATIENCE, PROJECT, Served, free_port, serving
from tests.integration.test_service import customers

pytestmark = pytest.mark.system

CONFIGURATION = PROJECT / "deploy" / "prometheus"
PACKAGES = {"prometheus": "prometheus", "promtool": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
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
        _eventually(lambda: httpx.get(ready).status_code == httpx.codes.OK, output.read_text)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _eventually(happened: Callable[[], bool], told: Callable[[], object]) -> None:
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


@pytest.fixture(scope="module")
def watched(champion: ChampionModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watching")
    files = folder / "prometheus"
    shutil.copytree(CONFIGURATION, files)
    alertmanager, prometheus = (f"127.0.0.1:{free_port()}" for _ in range(2))
    with serving(champion.environment, folder) as service:
        instance = service.url.removeprefix("http://")
        for name, address in (("churn-service", instance), ("alertmanager", alertmanager)):
            (files / "targets" / f"{name}.json").write_text(json.dumps([{"targets": [address]}]))
        with (
            running(
                [
                    "prometheus-alertmanager",
                    f"--config.file={files / 'alertmanager.yml'}",
                    f"--web.listen-address={alertmanager}",
                    f"--storage.path={folder / 'alertmanager'}",
                    "--cluster.listen-address=",
                ],
                folder,
                f"http://{alertmanager}/-/ready",
            ),
            running(
                [
                    "prometheus",
                    f"--config.file={files / 'prometheus.yml'}",
                    f"--web.listen-address={prometheus}",
                    f"--storage.tsdb.path={folder / 'series'}",
                ],
                folder,
                f"http://{prometheus}/-/ready",
            ),
        ):
            yield Watched(service, instance, f"http://{prometheus}", f"http://{alertmanager}")
        if service.process.poll() is None:
            service.stop()


@pytest.mark.parametrize("tests", ["rules_test.yml", "report_rules_test.yml"])
def test_the_rules_fire_when_they_should_and_only_then(tests: str) -> None:
    rules = PROJECT / "tests" / "system" / tests
    told = subprocess.run(("promtool", "test", "rules", str(rules)), capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_files_are_valid() -> None:
    told = subprocess.run(
        ("promtool", "check", "config", str(CONFIGURATION / "prometheus.yml")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_prometheus_counts_what_the_service_answered(watched: Watched) -> None:
    with watched.service.client() as client:
        for _ in range(3):
            assert client.post("/predict", json={"customers": customers(2)}).status_code == 200
        assert client.post("/explain", json={"customers": customers(1)}).status_code == 200
        assert client.post("/predict", json={"customers": [{}]}).status_code == 400
    answered = {("/predict", "200"): 3.0, ("/predict", "400"): 1.0, ("/explain", "200"): 1.0}

    def counted() -> dict[tuple[str, str], float]:
        found = watched.values('churn_requests_total{job="churn-service", path=~"/predict|/explain"} > 0')
        return {(one["metric"]["path"], one["metric"]["status"]): float(one["value"][1]) for one in found}

    _eventually(lambda: counted() == answered, counted)
    assert watched.total('up{job="churn-service"}') == 1


def test_every_panel_of_the_dashboard_asks_what_prometheus_understands(watched: Watched) -> None:
    dashboard = json.loads((PROJECT / "deploy" / "grafana" / "dashboards" / "churn-service.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(asked) >= len(dashboard["panels"])
    for expression in asked:
        watched.values(expression)
    # What is not a rate of rare things has values now.
    for metric in ("churn_requests_in_flight", "churn_request_seconds_bucket", "churn_model_created_timestamp_seconds"):
        assert any(metric in expression for expression in asked)
        assert watched.values(metric)


def test_a_service_that_dies_is_told_to_alertmanager(watched: Watched) -> None:
    _eventually(lambda: watched.total('up{job="churn-service"}') == 1, watched.messages)
    assert watched.messages() == []
    # SIGTERM: a worker outlives a SIGKILL of its supervisor, and goes on answering.
    watched.service.stop()
    _eventually(lambda: watched.messages() != [], lambda: [watched.values("up"), watched.values("ALERTS")])
    (message,) = watched.messages()
    assert message["labels"]["alertname"] == "ChurnInstanceDown"
    assert message["labels"]["instance"] == watched.instance
    assert message["annotations"]["summary"] == f"{watched.instance} does not answer"
    assert [receiver["name"] for receiver in message["receivers"]] == ["on-call"]
