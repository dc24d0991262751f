"""The real Prometheus and Alertmanager, with the files of deploy/, watching a real service."""

import re
import subprocess

import pytest
import yaml

from tests.integration.test_service import customers
from tests.support.serving import PROJECT
from tests.system.watching import CONFIGURATION, KUBERNETES, Watched, eventually

pytestmark = pytest.mark.system


@pytest.mark.parametrize("tests", ["rules_test.yml", "log_rules_test.yml", "report_rules_test.yml"])
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


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("severity=page", "on-call"),
        ("severity=ticket", "morning"),
        ("severity=page source=report", "on-call"),
        ("severity=ticket source=report", "morning"),
    ],
)
def test_a_page_reaches_who_is_on_call_and_a_ticket_waits(labels: str, receiver: str) -> None:
    command = ("amtool", "config", "routes", "test", f"--config.file={CONFIGURATION / 'alertmanager.yml'}")
    told = subprocess.run((*command, *labels.split()), capture_output=True, text=True, check=True)
    assert told.stdout.strip() == receiver


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

    eventually(lambda: counted() == answered, counted)
    assert watched.total('up{job="churn-service"}') == 1


def test_the_adapter_asks_for_the_requests_in_flight_of_each_replica(watched: Watched) -> None:
    values = yaml.safe_load((PROJECT / "deploy" / "kubernetes" / "prometheus-adapter" / "values.yaml").read_text())
    (rule,) = values["rules"]["custom"]
    series, matchers = re.split(r"(?=\{)", rule["seriesQuery"])
    expression = (
        rule["metricsQuery"]
        .replace("<<.Series>>", series)
        .replace("<<.LabelMatchers>>", f'namespace="{KUBERNETES["namespace"]}"')
        .replace("<<.GroupBy>>", "pod")
    )
    eventually(lambda: watched.values(f"{series}{matchers}") != [], lambda: watched.values("up"))
    (found,) = watched.values(expression)
    assert found["metric"] == {"pod": KUBERNETES["pod"]}
    assert float(found["value"][1]) >= 0


def test_a_service_that_dies_is_told_to_alertmanager(watched: Watched) -> None:
    eventually(lambda: watched.total('up{job="churn-service"}') == 1, watched.messages)
    assert watched.messages() == []
    # SIGTERM: a worker outlives a SIGKILL of its supervisor, and goes on answering.
    watched.service.stop()
    eventually(lambda: watched.messages() != [], lambda: [watched.values("up"), watched.values("ALERTS")])
    (message,) = watched.messages()
    assert message["labels"]["alertname"] == "ChurnInstanceDown"
    assert message["labels"]["instance"] == watched.instance
    assert message["annotations"]["summary"] == f"{watched.instance} does not answer"
    assert [receiver["name"] for receiver in message["receivers"]] == ["on-call"]
