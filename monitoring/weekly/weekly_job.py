"""The weekly job: make a report and notify the channels, also when it fails. For the command and the flow."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from churn.errors import ChurnError
from churn.moments import epoch_ms
from monitoring.alerts import alert_message, report_metrics
from monitoring.alerts.channel_settings import Channels
from monitoring.alerts.channels import deliver, warn_of_settings
from monitoring.alerts.report_metrics import Families
from monitoring.findings.summary import Summary
from monitoring.reports.report_folder import DRIFT, ReportFolder
from monitoring.reports.week import Week

OK_STATUS: Final = 0
PAGE_STATUS: Final = 2
CHANNEL_STATUS: Final = 3

LAST: Final = "last"
RUNNING: Final = "running"


@dataclass(frozen=True)
class JobResult:
    """A report that was made. `failed` are the channels that did not take what there was to tell."""

    summary: Summary
    failed: tuple[str, ...]

    @property
    def status(self) -> int:
        """The exit status. A page comes first: with a channel down, the status may be all that tells of it."""
        if self.summary.urgency == "page":
            return PAGE_STATUS
        return CHANNEL_STATUS if self.failed else OK_STATUS


def run_job(
    make: Callable[[], Summary],
    reports: ReportFolder,
    channels: Channels,
    week: Week | None,
    clock: Callable[[], float] = time.time,
) -> JobResult:
    """Make a report and tell of it.

    Args:
        make: makes it and returns its summary.
        reports: where it and the earlier ones lie.
        channels: whom to tell.
        week: the one asked for, if any.
        clock: seconds since 1970.

    Raises:
        ChurnError: there is no report; whoever is to know has been told.
    """
    warn_of_settings(channels)
    about = "the newest week" if week is None else f"week {week}"
    try:
        summary = make()
    except ChurnError as error:
        _tell_of_failure(about, str(error), channels, clock)
        raise
    except Exception as error:  # told and raised again; its text may quote a line of the log, its kind does not
        _tell_of_failure(about, f"an unexpected {type(error).__name__}; see the job's output", channels, clock)
        raise
    failures = _tell_of_report(summary, reports, channels, clock)
    return JobResult(summary, tuple(channel for channel, failed in failures.items() if failed))


def _tell_of_failure(about: str, sentence: str, channels: Channels, clock: Callable[[], float]) -> None:
    def measured(failures: Mapping[str, bool]) -> Families:
        return report_metrics.of_failure(failures, clock())

    deliver(channels, alert_message.of_failure(about, sentence), measured, keep=True)


def _tell_of_report(
    summary: Summary, reports: ReportFolder, channels: Channels, clock: Callable[[], float]
) -> dict[str, bool]:
    summaries = reports.summaries()
    due = alert_message.is_due(summary, channels.alert_on)
    message = alert_message.of_report(summary, place(summary, reports, channels)) if due else None

    def measured(failures: Mapping[str, bool]) -> Families:
        return report_metrics.of_reports(summaries, failures, clock())

    return deliver(channels, message, measured)


def place(summary: Summary, reports: ReportFolder, channels: Channels) -> str:
    """Where a reader of a message finds the report: its address when the reports are published, else its path."""
    if channels.reports_url:
        return f"{channels.reports_url}/{summary.week}/{DRIFT}"
    return str((reports.week(Week.parse(summary.week)) / DRIFT).resolve())


def week_named(name: str, now: datetime) -> Week:
    """`last`: the newest week that is over; `running`: that of yesterday; else an ISO week.

    On a Monday the two are the same. The clock has a say in nothing else.

    Raises:
        SettingError: there is no such week.
    """
    if name == LAST:
        return Week.of(epoch_ms(now)).previous
    if name == RUNNING:
        return Week.of(epoch_ms(now - timedelta(days=1)))
    return Week.parse(name)
