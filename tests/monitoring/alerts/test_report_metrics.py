"""The metrics of the weekly reports, as Prometheus reads them."""

import stat
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from churn.errors import ChannelError
from monitoring.alerts import report_metrics
from monitoring.alerts.report_metrics import LAST_FAILURE, LAST_SUCCESS, METRICS, Families, of_failure, of_reports, push
from monitoring.findings.summary import Summary
from monitoring.reports.week import Week
from tests.support.listeners import closed_port, http_sink, silent

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "report-job.md"
WEEK = Week.parse("2018-W44")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def interval(value: float) -> dict[str, float | None]:
    return {"value": value, "low": value - 0.1, "high": None}


def summary(**changed: Any) -> Summary:
    model = {"model": "churn:new", "predictions": 900, "customers": 800}
    week = {
        **model,
        "schema": 1,
        "week": "2018-W44",
        "verdict": "drift",
        "severity": "page",
        "sentence": "a sentence",
        "models": [model],
        "flagged_share": {"reference": 0.05, "current": 0.2},
        "mean_probability": {"reference": 0.1, "current": None},
        "features": [
            {"feature": "adverts_7d", "severity": "page", "effect": 0.2, "gate": 0.05},
            {"feature": "os", "severity": "warning", "effect": 0.03, "gate": 0.06},
            {"feature": "level", "severity": "none", "test": None},
            {"feature": "songs_7d", "severity": "none", "effect": None, "gate": 0.05},
        ],
        "log": {"unusable": [{"file": "a"}], "partial": 1, "foreign": 2, "other_contract": 4, "erased": 8},
    }
    return Summary.model_validate(week | changed)


def read(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def written(metrics: Families) -> Samples:
    return read(generate_latest(metrics).decode())


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_a_week_in_figures() -> None:
    assert written(of_reports({WEEK: summary()}, {"webhook": True, "textfile": False}, 1_541_600_000.5)) == {
        key(LAST_SUCCESS): 1_541_600_000.5,
        key("churn_report_channel_failures", channel="webhook"): 1,
        key("churn_report_channel_failures", channel="textfile"): 0,
        key("churn_report_week_start_timestamp_seconds"): 1_540_771_200,
        key("churn_report_week_end_timestamp_seconds"): 1_541_376_000,
        key("churn_report_model_info", model="churn:new", week="2018-W44"): 1,
        key("churn_report_verdict", verdict="ok"): 0,
        key("churn_report_verdict", verdict="drift"): 1,
        key("churn_report_verdict", verdict="too few"): 0,
        key("churn_report_level", level="page"): 1,
        key("churn_report_level", level="ticket"): 0,
        key("churn_report_level", level="shown"): 0,
        key("churn_report_severity", severity="page"): 1,
        key("churn_report_severity", severity="warning"): 0,
        key("churn_report_severity", severity="none"): 0,
        key("churn_report_features", severity="page"): 1,
        key("churn_report_features", severity="warning"): 1,
        key("churn_report_features", severity="none"): 2,
        key("churn_report_feature_drifted", feature="adverts_7d"): 1,
        key("churn_report_feature_drifted", feature="os"): 1,
        key("churn_report_feature_drifted", feature="level"): 0,
        key("churn_report_feature_drifted", feature="songs_7d"): 0,
        key("churn_report_feature_effect", feature="adverts_7d"): 4,
        key("churn_report_feature_effect", feature="os"): 0.5,
        key("churn_report_predictions"): 900,
        key("churn_report_customers"): 800,
        key("churn_report_flagged_share", population="reference"): 0.05,
        key("churn_report_flagged_share", population="current"): 0.2,
        key("churn_report_mean_probability", population="reference"): 0.1,
        key("churn_report_unusable_files"): 1,
        key("churn_report_unusable_lines"): 3,
    }


def test_performance_is_the_newest_that_is_known_with_the_week_it_is_about() -> None:
    estimated = {"estimated": {"metrics": {"auc": interval(0.8)}}, "realised": None, "pending": None}
    realised = {"estimated": None, "realised": {"metrics": {"brier": interval(0.2)}}}
    weeks = {
        WEEK: summary(performance=realised),
        Week(WEEK.end): summary(
            performance=estimated, stale={"older_than_hours": 48, "predictions": 225, "share": 0.25}
        ),
        WEEK.previous: summary(performance=realised | {"estimated": {"metrics": {"auc": interval(0.1)}}}),
    }
    found = written(of_reports(weeks, {}, 0))
    performance = {name: value for name, value in found.items() if name[0] == "churn_report_performance"}
    assert performance == {
        key("churn_report_performance", kind="estimated", metric="auc", bound="value"): 0.8,
        key("churn_report_performance", kind="estimated", metric="auc", bound="low"): pytest.approx(0.7),
        key("churn_report_performance", kind="realised", metric="brier", bound="value"): 0.2,
        key("churn_report_performance", kind="realised", metric="brier", bound="low"): pytest.approx(0.1),
    }
    ends = "churn_report_performance_week_end_timestamp_seconds"
    assert found[key(ends, kind="estimated")] == Week(WEEK.end).end.timestamp()
    assert found[key(ends, kind="realised")] == WEEK.end.timestamp()
    assert found[key("churn_report_stale_share")] == 0.25


def test_the_volume_is_that_of_all_models() -> None:
    both = {"predictions": 1_500, "customers": 1_200, "previous_predictions": None, "change": None}
    found = written(of_reports({WEEK: summary(volume=both)}, {}, 0))
    assert found[key("churn_report_predictions")] == 1_500
    assert found[key("churn_report_customers")] == 1_200


def test_a_label_is_shown_as_it_is() -> None:
    tag = 'churn:"\\\n<b>'
    found = written(of_reports({WEEK: summary(model=tag)}, {}, 0))
    assert key("churn_report_model_info", model=tag, week="2018-W44") in found


def test_the_textfile_is_replaced_whole_and_readable_by_all(tmp_path: Path) -> None:
    path = tmp_path / "churn.prom"
    path.write_text("churn_report_old 1\n")
    path.chmod(0o600)
    report_metrics.write_textfile(path, of_reports({WEEK: summary()}, {}, 5))
    found = read(path.read_text())
    assert found[key(LAST_SUCCESS)] == 5
    assert key("churn_report_old") not in found
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["churn.prom"]


def test_a_failure_leaves_the_last_success_and_is_gone_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "churn.prom"
    good = of_reports({WEEK: summary()}, {"webhook": False}, 5)
    report_metrics.write_textfile(path, good)
    report_metrics.write_textfile(path, of_failure({"webhook": True}, 9), keep=True)
    failed = read(path.read_text())
    changed = {key(LAST_FAILURE): 9.0, key("churn_report_channel_failures", channel="webhook"): 1.0}
    assert failed == written(good) | changed
    report_metrics.write_textfile(path, of_failure({"webhook": True}, 9), keep=True)
    assert read(path.read_text()) == failed
    report_metrics.write_textfile(path, good)
    assert read(path.read_text()) == written(good)


@pytest.mark.parametrize("earlier", [None, "nonsense {{{", ""])
def test_a_failure_is_written_whatever_was_there(tmp_path: Path, earlier: str | None) -> None:
    path = tmp_path / "churn.prom"
    if earlier is not None:
        path.write_text(earlier)
    report_metrics.write_textfile(path, of_failure({}, 9), keep=True)
    assert read(path.read_text()) == {key(LAST_FAILURE): 9}


def test_a_textfile_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match="its folder does not exist"):
        report_metrics.write_textfile(tmp_path / "no" / "x.prom", of_failure({}, 9))
    (tmp_path / "x.prom").mkdir()
    with pytest.raises(ChannelError, match="directory"):
        report_metrics.write_textfile(tmp_path / "x.prom", of_failure({}, 9))


def test_a_success_replaces_the_group_and_a_failure_adds_to_it() -> None:
    with http_sink() as sink:
        push(sink.url, of_reports({WEEK: summary()}, {}, 5))
        push(f"{sink.url}/prefix", of_failure({}, 9), keep=True)
        push(sink.url, of_failure({}, 9), "churn-staging")
    assert [(request.method, request.path) for request in sink.requests] == [
        ("PUT", "/metrics/job/churn_report"),
        ("POST", "/prefix/metrics/job/churn_report"),
        ("PUT", "/metrics/job/churn_report/namespace/churn-staging"),
    ]
    assert read(sink.requests[0].body.decode())[key(LAST_SUCCESS)] == 5
    assert read(sink.requests[1].body.decode()) == {key(LAST_FAILURE): 9}


def test_a_gateway_that_does_not_take_them_says_so() -> None:
    with http_sink([500]) as sink, pytest.raises(ChannelError, match=f"{sink.url}: .*Internal Server Error"):
        push(sink.url, of_failure({}, 9))
    with pytest.raises(ChannelError, match="Connection refused; check CHURN_PUSHGATEWAY"):
        push(f"http://127.0.0.1:{closed_port()}", of_failure({}, 9))
    with silent() as port, pytest.raises(ChannelError, match="no answer in time"):
        push(f"http://127.0.0.1:{port}", of_failure({}, 9), timeout=0.3)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_documented(name: str) -> None:
    meaning, labels = METRICS[name]
    listed = ", ".join(f"`{label}`" for label in labels) or "none"
    assert f"| `{name}` | {listed} | {meaning} |" in PAGE.read_text().splitlines()
