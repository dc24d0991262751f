"""The Grafana dashboards: complete, legible, and about figures that exist."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import get_args

import pytest
import yaml

from monitoring.alerts import report_metrics
from monitoring.findings.drift import SEVERITIES, Verdict
from serving import metrics as service_metrics
from tests.support.dashboards import DASHBOARDS, EXPRESSIONS, Dashboard

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
COLUMNS = 24
"""Width of Grafana's grid."""

EACH = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)


def by_uid(uid: str) -> Dashboard:
    (found,) = [dashboard for dashboard in DASHBOARDS if dashboard.uid == uid]
    return found


def test_there_is_one_for_the_service_its_predictions_drift_and_performance() -> None:
    assert {dashboard.uid for dashboard in DASHBOARDS} == {
        "churn-service",
        "churn-predictions",
        "churn-drift",
        "churn-performance",
    }


def test_in_kubernetes_they_are_the_same() -> None:
    made = yaml.safe_load((DEPLOY / "grafana" / "kustomization.yaml").read_text())
    (generated,) = made["configMapGenerator"]
    assert set(generated["files"]) == {f"dashboards/{dashboard.uid}.json" for dashboard in DASHBOARDS}
    assert made["generatorOptions"]["labels"] == {"grafana_dashboard": "1"}


@EACH
def test_the_file_is_written_in_one_way(dashboard: Dashboard) -> None:
    """So that a change made in Grafana and exported shows as that change alone."""
    assert dashboard.path.read_text() == json.dumps(dashboard.content, sort_keys=True, indent=1) + "\n"


@EACH
def test_the_address_is_the_name_of_the_file_and_times_are_utc(dashboard: Dashboard) -> None:
    assert dashboard.content["uid"] == dashboard.uid
    assert dashboard.content["timezone"] == "utc"
    assert dashboard.content["editable"] is False
    assert dashboard.content["tags"] == ["churn"]


@EACH
def test_every_panel_says_what_it_shows_in_which_unit_and_from_where_on_it_is_bad(dashboard: Dashboard) -> None:
    for panel in dashboard.charts:
        assert panel["title"]
        assert panel["description"].endswith(".")
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"]
        steps = defaults["thresholds"]["steps"]
        assert steps[0]["value"] is None
        assert {step["color"] for step in steps} <= {"green", "red"}
        assert panel["targets"]


@EACH
def test_a_course_asks_for_a_range_and_a_figure_for_the_newest_value(dashboard: Dashboard) -> None:
    for panel, target in dashboard.targets:
        course = panel["type"] == "timeseries"
        assert (target.get("range", False), target.get("instant", False)) == (course, not course), panel["title"]


@EACH
def test_whoever_has_another_prometheus_chooses_it_once(dashboard: Dashboard) -> None:
    variable, _ = dashboard.content["templating"]["list"]
    assert (variable["type"], variable["name"], variable["query"]) == ("datasource", "datasource", "prometheus")
    for panel, target in dashboard.targets:
        for asked in (panel, target):
            assert asked["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@EACH
def test_a_dashboard_shows_one_deployment_and_never_several_as_one(dashboard: Dashboard) -> None:
    _, variable = dashboard.content["templating"]["list"]
    assert (variable["type"], variable["name"]) == ("query", "namespace")
    assert variable["query"]["query"] == 'label_values(up{job="churn-service"}, namespace)'
    assert (variable["multi"], variable["includeAll"]) == (False, False)
    assert all(link["includeVars"] for link in dashboard.content["links"])
    for expression in dashboard.expressions:
        asked = re.findall(r"\b(?:churn_[a-z_]+|up|ALERTS)\b(?!\")(.)([^}]*)", expression)
        assert asked, expression
        for opening, selector in asked:
            assert opening == "{", expression
            assert 'namespace=~"$namespace"' in selector, expression


@EACH
def test_panels_are_numbered_and_lie_beside_each_other(dashboard: Dashboard) -> None:
    assert [panel["id"] for panel in dashboard.panels] == list(range(1, len(dashboard.panels) + 1))
    places = [panel["gridPos"] for panel in dashboard.panels]
    for place in places:
        assert 0 <= place["x"] < place["x"] + place["w"] <= COLUMNS
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


@EACH
def test_the_targets_of_a_panel_are_told_apart(dashboard: Dashboard) -> None:
    for panel in dashboard.charts:
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
        assert len({target["legendFormat"] for target in panel["targets"]}) == len(references)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_that_is_asked_for_is_written_by_the_service_or_the_report(expression: str) -> None:
    exported = {found.name for metric in service_metrics.METRICS for found in metric.describe()}
    samples = {f"{name}{suffix}" for name in exported for suffix in ("", "_total", "_bucket", "_sum", "_count")}
    assert set(re.findall(r"\bchurn_[a-z_]+", expression)) <= samples | set(report_metrics.METRICS)


def test_every_metric_of_the_service_and_what_matters_of_the_report_is_shown() -> None:
    shown = "\n".join(EXPRESSIONS)
    for metric in service_metrics.METRICS:
        (found,) = metric.describe()
        assert found.name in shown
    untold = {name for name in report_metrics.METRICS if name not in shown}
    assert untold == {
        report_metrics.LAST_FAILURE,  # alerts
        report_metrics.CHANNEL_FAILURES,
        "churn_report_week_start_timestamp_seconds",  # seven days before its end
        "churn_report_unusable_files",
    }


def test_a_verdict_that_is_not_fine_is_red() -> None:
    red = {
        panel["title"]: {
            override["matcher"]["options"]: [change["value"] for change in override["properties"]]
            for override in panel["fieldConfig"]["overrides"]
        }
        for panel in by_uid("churn-drift").charts
    }
    colour = [{"mode": "fixed", "fixedColor": "red"}]
    assert red["Verdict"] == dict.fromkeys(set(get_args(Verdict)) - {"ok"}, colour)
    assert red["Worst severity"] == dict.fromkeys(set(SEVERITIES) - {"none"}, colour)


def test_limits_are_those_of_the_alerts() -> None:
    rules = (DEPLOY / "prometheus" / "rules.yml").read_text()
    limits = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        for dashboard in DASHBOARDS
        for panel in dashboard.charts
    }
    assert "> 0.01\n" in rules
    assert limits["Errors"] == 0.01
    assert limits["Slowest 1 % of predict"] == 0.5
    assert "> 120 * 86400\n" in rules
    assert limits["Age of the model"] == 120 * 86_400
    assert "> 8 * 86400\n" in rules
    assert limits["Age of the report"] == 8 * 86_400
    assert "max by (namespace) (churn_report_stale_share) > 0.2\n" in rules
    assert limits["Stale features"] == 0.2
