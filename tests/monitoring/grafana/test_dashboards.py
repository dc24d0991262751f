"""The dashboards as Grafana gets them."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.alerts import report_metrics
from monitoring.grafana.dashboard_panels import COLUMNS, Page, to_json
from monitoring.grafana.dashboards import FOLDER, PAGES, export
from serving import metrics as service_metrics

ROOT = Path(__file__).parent.parent.parent.parent
GRAFANA = ROOT / "deploy" / "grafana"
NUMBERED = [pytest.param(page, id=page.uid) for page in PAGES]


def panels(page: Page) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads(to_json(page))["panels"]
    return made


def charts(page: Page) -> list[dict[str, Any]]:
    return [panel for panel in panels(page) if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    for page in PAGES:
        for panel in charts(page):
            yield from (target["expr"] for target in panel["targets"])


def test_the_files_are_what_make_dashboards_writes(tmp_path: Path) -> None:
    written = export(tmp_path)
    assert {path.name for path in written} == {path.name for path in (ROOT / FOLDER).iterdir()}
    for path in written:
        assert path.read_text() == (ROOT / FOLDER / path.name).read_text(), "run `make dashboards`"


def test_there_is_one_for_the_service_its_predictions_drift_and_performance() -> None:
    assert [page.uid for page in PAGES] == ["churn-service", "churn-predictions", "churn-drift", "churn-performance"]


def test_in_kubernetes_they_are_the_same() -> None:
    made = yaml.safe_load((GRAFANA / "kustomization.yaml").read_text())
    (generated,) = made["configMapGenerator"]
    assert set(generated["files"]) == {f"dashboards/{page.uid}.json" for page in PAGES}
    assert made["generatorOptions"]["labels"] == {"grafana_dashboard": "1"}


@pytest.mark.parametrize("page", NUMBERED)
def test_every_panel_says_what_it_shows_in_which_unit_and_from_where_on_it_is_bad(page: Page) -> None:
    for panel in charts(page):
        assert panel["title"]
        assert panel["description"].endswith(".")
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"]
        steps = defaults["thresholds"]["steps"]
        assert steps[0]["value"] is None
        assert {step["color"] for step in steps} <= {"green", "red"}
        assert panel["targets"]


@pytest.mark.parametrize("page", NUMBERED)
def test_whoever_has_another_prometheus_chooses_it_once(page: Page) -> None:
    board = json.loads(to_json(page))
    (variable,) = board["templating"]["list"]
    assert (variable["type"], variable["name"], variable["query"]) == ("datasource", "datasource", "prometheus")
    for panel in charts(page):
        for asked in (panel, *panel["targets"]):
            assert asked["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("page", NUMBERED)
def test_panels_are_numbered_and_lie_beside_each_other(page: Page) -> None:
    made = panels(page)
    assert [panel["id"] for panel in made] == list(range(1, len(made) + 1))
    places = [panel["gridPos"] for panel in made]
    for place in places:
        assert 0 <= place["x"] < place["x"] + place["w"] <= COLUMNS
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


@pytest.mark.parametrize("page", NUMBERED)
def test_the_targets_of_a_panel_are_told_apart(page: Page) -> None:
    for panel in charts(page):
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
        assert len({target["legendFormat"] for target in panel["targets"]}) == len(references)


def test_every_metric_that_is_asked_for_is_written_by_the_service_or_the_report() -> None:
    exported = {found.name for metric in service_metrics.METRICS for found in metric.describe()}
    samples = {f"{name}{suffix}" for name in exported for suffix in ("", "_total", "_bucket", "_sum", "_count")}
    for expression in expressions():
        named = set(re.findall(r"\bchurn_[a-z_]+", expression))
        assert named <= samples | set(report_metrics.METRICS), expression


def test_every_metric_of_the_service_and_what_matters_of_the_report_is_shown() -> None:
    shown = "\n".join(expressions())
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
    (page,) = [page for page in PAGES if page.uid == "churn-drift"]
    red = {
        panel["title"]: {
            override["matcher"]["options"]: [change["value"] for change in override["properties"]]
            for override in panel["fieldConfig"]["overrides"]
        }
        for panel in charts(page)
    }
    colour = [{"mode": "fixed", "fixedColor": "red"}]
    assert red["Verdict"] == dict.fromkeys(set(report_metrics.VERDICTS) - {"ok"}, colour)
    assert red["Worst severity"] == dict.fromkeys(set(report_metrics.SEVERITIES) - {"none"}, colour)


def test_limits_are_those_of_the_alerts() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text()
    limits = {
        chart.title: chart.limit.value
        for page in PAGES
        for part in page.sections
        for chart in part.charts
        if chart.limit
    }
    assert "> 0.01\n" in rules
    assert limits["Errors"] == 0.01
    assert limits["Slowest 1 % of predict"] == 0.5
    assert "> 120 * 86400\n" in rules
    assert limits["Age of the model"] == 120 * 86_400
    assert "> 8 * 86400\n" in rules
    assert limits["Age of the report"] == 8 * 86_400
    assert "max(churn_report_stale_share) > 0.2\n" in rules
    assert limits["Stale features"] == 0.2
