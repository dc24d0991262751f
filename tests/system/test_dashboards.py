"""Every expression of every dashboard, asked of a real Prometheus with a real service and a report's figures."""

import math
from datetime import UTC, datetime

import httpx
import pytest

from monitoring.alerts import report_metrics
from monitoring.findings.summary import Summary
from monitoring.reports.week import Week
from tests.integration.test_service import customers
from tests.support.dashboards import DASHBOARDS
from tests.system.watching import KUBERNETES, Watched, eventually

pytestmark = pytest.mark.system

# What Grafana puts in their places.
MACROS = {"$__rate_interval": "1m", "$__range": "1h", "$namespace": KUBERNETES["namespace"]}
QUERIES = [
    pytest.param(target["expr"], id=f"{dashboard.uid}-{panel['title']}-{target['legendFormat']}")
    for dashboard in DASHBOARDS
    for panel, target in dashboard.targets
]


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def summary() -> Summary:
    """Of a week that drifts, with performance both estimated and realised."""
    estimated = {name: interval(0.7) for name in ("auc", "f1", "precision", "recall")}
    model = {"model": "churn:one", "predictions": 900, "customers": 800}
    week = {
        **model,
        "schema": 1,
        "week": "2018-W44",
        "models": [model],
        "verdict": "drift",
        "severity": "page",
        "flagged_share": {"reference": 0.05, "current": 0.2},
        "mean_probability": {"reference": 0.1, "current": 0.15},
        "features": [
            {"feature": "adverts_7d", "severity": "page", "effect": 0.2, "gate": 0.05},
            {"feature": "level", "severity": "none", "effect": 0.01, "gate": 0.03},
        ],
        "stale": {"older_than_hours": 48, "predictions": 9, "share": 0.01},
        "performance": {
            "estimated": {"metrics": estimated},
            "realised": {"metrics": estimated | {"brier": interval(0.1), "calibration_error": interval(0.06)}},
        },
        "log": {"unusable": [], "partial": 0, "foreign": 0, "other_contract": 0},
    }
    return Summary.model_validate(week)


@pytest.fixture(scope="module")
def busy(watched: Watched) -> Watched:
    """Asked for a while, right and wrong, with a report told the way the weekly job tells it."""
    now = datetime.now(UTC)
    reported = report_metrics.of_reports({Week.of(int(now.timestamp() * 1000)): summary()}, {}, now.timestamp())
    report_metrics.push(watched.pushgateway, reported, KUBERNETES["namespace"])
    counted = 'count_over_time(churn_requests_total{path="/explain", status="200"}[1m])'

    def asked() -> bool:
        with watched.service.client() as client:
            assert client.post("/predict", json={"customers": customers(20)}).status_code == httpx.codes.OK
            assert client.post("/explain", json={"customers": customers(2)}).status_code == httpx.codes.OK
            assert client.post("/predict", json={"customers": [{}]}).status_code == httpx.codes.BAD_REQUEST
        firing = watched.values('ALERTS{alertname="ChurnDrift", alertstate="firing"}')
        return watched.total(counted) >= 3 and firing != []

    eventually(asked, lambda: [watched.values(counted), watched.values("ALERTS")])
    return watched


@pytest.mark.parametrize("expression", QUERIES)
def test_the_expression_has_an_answer_that_is_a_number(busy: Watched, expression: str) -> None:
    for macro, value in MACROS.items():
        expression = expression.replace(macro, value)
    assert "$" not in expression
    found = busy.values(expression)
    assert found
    assert not any(math.isnan(float(one["value"][1])) for one in found)


def test_the_answers_are_what_was_asked_and_reported(busy: Watched) -> None:
    assert busy.total('sum(up{job="churn-service"})') == 1
    (verdict,) = busy.values("max by (verdict) (churn_report_verdict) == 1")
    assert verdict["metric"] == {"verdict": "drift"}
    effects = {
        one["metric"]["feature"]: float(one["value"][1])
        for one in busy.values("topk(10, max by (feature) (churn_report_feature_effect))")
    }
    assert effects == pytest.approx({"adverts_7d": 4, "level": 1 / 3})
    flagged = {one["metric"]["population"]: one["value"][1] for one in busy.values("churn_report_flagged_share")}
    assert flagged == {"reference": "0.05", "current": "0.2"}
    # As the report names itself, and not after the Pushgateway.
    assert {one["metric"]["job"] for one in busy.values("churn_report_predictions")} == {report_metrics.JOB}


def test_drift_that_pages_reaches_who_is_on_call(busy: Watched) -> None:
    eventually(lambda: busy.messages() != [], lambda: busy.values("ALERTS"))
    told = {message["labels"]["alertname"]: message["receivers"][0]["name"] for message in busy.messages()}
    assert told == {"ChurnDrift": "on-call"}


def test_two_namespaces_share_a_pushgateway_and_keep_their_own_figures(busy: Watched) -> None:
    now = datetime.now(UTC)
    week = Week.of(int(now.timestamp() * 1000))
    for number, namespace in enumerate(("churn", "churn-staging"), 1):
        counted = summary().model_copy(update={"customers": number, "volume": None})
        report_metrics.push(
            busy.pushgateway, report_metrics.of_reports({week: counted}, {}, now.timestamp()), namespace
        )

    def customers_of() -> dict[str, float]:
        found = busy.values('churn_report_customers{namespace!=""}')
        return {one["metric"]["namespace"]: float(one["value"][1]) for one in found}

    eventually(lambda: customers_of() == {"churn": 1, "churn-staging": 2}, customers_of)
