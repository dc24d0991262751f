"""The job around the report: what it tells in each case, its status, and which week it is about."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from churn.errors import PredictionLogError, SettingError
from monitoring.alerts.channel_settings import Channels, Webhook
from monitoring.alerts.report_metrics import LAST_FAILURE, LAST_SUCCESS
from monitoring.findings.summary import Summary
from monitoring.reports.report_folder import SUMMARY, ReportFolder
from monitoring.reports.week import Week
from monitoring.weekly.weekly_job import JobResult, run_job, week_named
from tests.monitoring.alerts.test_report_metrics import key, read, summary
from tests.support.listeners import HttpSink, http_sink

WEEK = Week.parse("2018-W44")
QUIET: dict[str, Any] = {"verdict": "ok", "severity": "none"}


@pytest.fixture
def hook() -> Iterator[HttpSink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture
def reports(tmp_path: Path) -> ReportFolder:
    return ReportFolder(tmp_path / "reports")


@pytest.fixture
def channels(hook: HttpSink, tmp_path: Path) -> Channels:
    return Channels(webhook=Webhook(f"{hook.url}/x", pauses=()), textfile=tmp_path / "churn.prom")


def found(week: Week = WEEK, **changed: Any) -> Summary:
    return summary(**({"week": str(week)} | changed))


def making(reports: ReportFolder, made: Summary) -> Callable[[], Summary]:
    def make() -> Summary:
        reports.replace_week(Week.parse(made.week), {SUMMARY: made.to_bytes()})
        return made

    return make


def texts(hook: HttpSink) -> list[str]:
    return [json.loads(request.body)["text"] for request in hook.requests]


def test_drift_is_told_measured_and_status_2(channels: Channels, hook: HttpSink, reports: ReportFolder) -> None:
    result = run_job(making(reports, found()), reports, channels, None, clock=lambda: 5)
    assert (result.status, result.failed) == (2, ())
    assert texts(hook) == ["Churn model, week 2018-W44: drift"]
    assert str(reports.path.resolve() / "2018-W44" / "drift.html") in hook.requests[0].body.decode()
    assert channels.textfile is not None
    assert read(channels.textfile.read_text())[key(LAST_SUCCESS)] == 5


def test_a_quiet_week_is_measured_only(channels: Channels, hook: HttpSink, reports: ReportFolder) -> None:
    assert run_job(making(reports, found(**QUIET)), reports, channels, None).status == 0
    assert texts(hook) == []
    assert channels.textfile is not None
    assert key("churn_report_verdict", verdict="ok") in read(channels.textfile.read_text())


@pytest.mark.parametrize(
    ("verdict", "failed", "status"),
    [("ok", (), 0), ("too few", (), 0), ("ok", ("email",), 3), ("drift", (), 2), ("drift", ("email",), 2)],
)
def test_drift_outranks_a_failed_channel(verdict: str, failed: tuple[str, ...], status: int) -> None:
    assert JobResult(found(verdict=verdict), failed).status == status


@pytest.mark.parametrize(
    ("level", "verdict", "failed", "status"),
    [
        ("page", "drift", ("email",), 2),
        ("page", "ok", (), 2),
        ("ticket", "drift", (), 0),
        ("ticket", "drift", ("email",), 3),
        ("shown", "ok", (), 0),
    ],
)
def test_only_a_page_is_status_2(level: str, verdict: str, failed: tuple[str, ...], status: int) -> None:
    assert JobResult(found(level=level, verdict=verdict), failed).status == status


def test_an_old_week_made_again_does_not_turn_the_clock_back(channels: Channels, reports: ReportFolder) -> None:
    run_job(making(reports, found(Week(WEEK.end))), reports, channels, None, clock=lambda: 5)
    run_job(making(reports, found(WEEK)), reports, channels, WEEK, clock=lambda: 9)
    assert channels.textfile is not None
    written = read(channels.textfile.read_text())
    assert written[key("churn_report_week_end_timestamp_seconds")] == Week(WEEK.end).end.timestamp()
    assert written[key(LAST_SUCCESS)] == 9


def test_without_a_report_everybody_hears_why(channels: Channels, hook: HttpSink, reports: ReportFolder) -> None:
    def fail() -> Summary:
        raise PredictionLogError("no predictions for week 2018-W44 in data")

    run_job(making(reports, found(**QUIET)), reports, channels, None, clock=lambda: 5)
    with pytest.raises(PredictionLogError):
        run_job(fail, reports, channels, WEEK, clock=lambda: 9)
    assert texts(hook) == ["Churn model, week 2018-W44: no report"]
    assert "no predictions for week 2018-W44 in data" in hook.requests[0].body.decode()
    assert channels.textfile is not None
    written = read(channels.textfile.read_text())
    assert (written[key(LAST_SUCCESS)], written[key(LAST_FAILURE)]) == (5, 9)


def test_the_unexpected_is_told_by_its_kind_and_raised(
    channels: Channels, hook: HttpSink, reports: ReportFolder
) -> None:
    def fail() -> Summary:
        raise RuntimeError("customer 4711")

    with pytest.raises(RuntimeError, match="4711"):
        run_job(fail, reports, channels, None)
    told = hook.requests[0].body.decode()
    assert "the newest week" in told
    assert "an unexpected RuntimeError" in told
    assert "4711" not in told


def test_a_summary_of_another_schema_is_left_out(channels: Channels, reports: ReportFolder) -> None:
    for week, text in ((Week(WEEK.end), b'{"schema": 99}'), (Week(Week(WEEK.end).end), b"{}")):
        reports.replace_week(week, {SUMMARY: text})
    assert run_job(making(reports, found(**QUIET)), reports, channels, None).status == 0


def test_links_lead_to_where_the_reports_are_published(hook: HttpSink, reports: ReportFolder) -> None:
    used = Channels(webhook=Webhook(hook.url, pauses=()), reports_url="https://reports.example.org/churn")
    run_job(making(reports, found()), reports, used, None)
    assert "Report: https://reports.example.org/churn/2018-W44/drift.html" in hook.requests[0].body.decode()


def test_wrong_settings_are_told_before_the_report_is_made(
    reports: ReportFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []

    def make() -> Summary:
        said.append(capsys.readouterr().err)
        return making(reports, found(**QUIET))()

    result = run_job(make, reports, Channels.read({"CHURN_ALERT_ON": "sometimes"}), None)
    assert (result.status, result.failed) == (3, ("alerts",))
    assert "CHURN_ALERT_ON='sometimes'" in said[0]


@pytest.mark.parametrize(
    ("name", "now", "week"),
    [
        ("last", "2018-11-05T06:00", "2018-W44"),
        ("last", "2018-11-04T23:59", "2018-W43"),
        ("last", "2018-11-11T23:59", "2018-W44"),
        ("last", "2019-01-01T06:00", "2018-W52"),
        ("running", "2018-11-05T06:00", "2018-W44"),
        ("running", "2018-11-06T06:00", "2018-W45"),
        ("running", "2018-11-11T06:00", "2018-W45"),
        ("2017-W03", "2018-11-11T06:00", "2017-W03"),
    ],
)
def test_the_week_of_a_scheduled_run(name: str, now: str, week: str) -> None:
    assert str(week_named(name, datetime.fromisoformat(now).replace(tzinfo=UTC))) == week


def test_a_week_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match="WEEK='next'"):
        week_named("next", datetime(2018, 11, 5, tzinfo=UTC))
