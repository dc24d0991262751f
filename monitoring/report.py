"""`make report`: a week of logged predictions to a drift report, a summary, and the list of who is at risk.

Exit status: 0 the report is written and its level is no page (a ticket, or nothing; also with
too few rows for a verdict), 2 it is written and pages, 3 it is written, does not page, and a
channel did not take the news, 1 there is no report.
"""

import argparse
import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from churn.activity.labels import KINDS
from churn.command import run, show
from churn.errors import SettingError
from churn.passed_over import MOST_UNREAD
from churn.settings import LOG_DIR, text
from monitoring.alerts.channel_settings import Channels
from monitoring.drift.decision import MONITORED
from monitoring.drift.levels import LevelSettings
from monitoring.findings.summary import Summary
from monitoring.labels.late_labels import LabelSettings
from monitoring.pages import evidently_report
from monitoring.prediction_log.log_reader import MEMORY_GB
from monitoring.reports.report_folder import AT_RISK, DRIFT, INDEX, SUMMARY, ReportFolder
from monitoring.reports.week import Week
from monitoring.weekly.summary import STALE_HOURS
from monitoring.weekly.weekly import ReportSettings, make
from monitoring.weekly.weekly_job import run_job, week_named

DEFAULT_REPORTS: Final = Path("reports")


@dataclass(frozen=True)
class Request:
    """What a run of the job is asked for."""

    log: Path
    reports: ReportFolder
    settings: ReportSettings

    def make(self) -> Summary:
        return make(self.log, self.reports, self.settings)


def requested(options: Sequence[str], now: datetime) -> Request:
    """The options of the command; `now` tells which week is the last.

    Raises:
        SettingError: one is out of its range.
    """
    arguments = _arguments(options)
    settings = ReportSettings(
        week=week_named(arguments.week, now) if arguments.week else None,
        model=arguments.model,
        at_risk=arguments.at_risk,
        sample=arguments.sample,
        stale_hours=arguments.stale_hours,
        memory_gb=arguments.memory,
        most_unread=arguments.unread,
        levels=LevelSettings(critical=_critical(arguments.critical_features)),
        labels=LabelSettings(arguments.events, arguments.treatments, arguments.label, arguments.horizon_days),
    )
    return Request(arguments.log_dir, ReportFolder(arguments.reports), settings)


def _critical(names: str) -> frozenset[str]:
    """The features that page on their own, from a list with commas."""
    critical = frozenset(name.strip() for name in names.split(",") if name.strip())
    if unknown := critical - {feature.name for feature in MONITORED}:
        raise SettingError("CRITICAL_FEATURES", ", ".join(sorted(unknown)), "names of features, separated by commas")
    return critical


def main() -> int:
    request = requested(sys.argv[1:], datetime.now(UTC))
    reports = request.reports
    result = run_job(request.make, reports, Channels.read(os.environ), request.settings.week)
    summary = result.summary
    folder = reports.week(Week.parse(summary.week))
    show(f"week {summary.week}: {summary.verdict}: {summary.sentence}")
    show(f"level: {summary.urgency}")
    for condition in summary.conditions[:5]:
        show(f"  {condition.level}: {condition.sentence}")
    for reason in summary.reasons[:5]:
        show(f"  {reason}")
    show(f"report: {folder / DRIFT}, figures: {folder / SUMMARY}, all weeks: {reports.path / INDEX}")
    if summary.at_risk is not None:
        show(f"at risk: {summary.at_risk.flagged:,} customers, {summary.at_risk.listed:,} in {folder / AT_RISK}")
    for line in performance(summary):
        show(line)
    return result.status


def performance(summary: Summary) -> Iterator[str]:
    """How good the week's predictions are, in two lines at most."""
    found = summary.performance
    for kind, metrics in (("estimated", found.estimated_metrics), ("realised", found.realised_metrics)):
        if metrics.auc is not None and not math.isnan(metrics.auc.value):
            yield f"{kind} AUC: {metrics.auc}"


def _arguments(options: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m monitoring.report", description=__doc__)
    log = Path(text(LOG_DIR))
    parser.add_argument("--log-dir", type=Path, default=log, help="folder of the prediction log")
    parser.add_argument("--reports", type=Path, default=DEFAULT_REPORTS, help="folder to write to")
    parser.add_argument("--week", help="ISO week in UTC such as 2018-W44, last, or running (the newest logged)")
    parser.add_argument("--model", help="exact tag of the model in the headline (the champion, else the busiest)")
    parser.add_argument("--at-risk", type=int, help="list at most this many customers at risk (all that are flagged)")
    parser.add_argument("--sample", type=int, default=evidently_report.SAMPLE_ROWS, help="rows to plot per data set")
    parser.add_argument("--memory", type=float, default=MEMORY_GB, help="GB for reading the log; the rest is on disk")
    parser.add_argument("--unread", type=float, default=MOST_UNREAD, help="share of the log that may be unreadable")
    parser.add_argument("--stale-hours", type=int, default=STALE_HOURS, help="features older than this are stale")
    parser.add_argument("--events", help="a newer log of events, file, folder or glob: judges what was predicted")
    parser.add_argument("--treatments", type=Path, help="CSV or Parquet of customer_id and date: who got an offer")
    parser.add_argument("--critical-features", default="", help="features that page on their own, with commas (none)")
    parser.add_argument("--label", help=f"judge by another definition: {', '.join(KINDS)} (that of the model)")
    parser.add_argument("--horizon-days", type=int, help="judge by another horizon (that of the model)")
    arguments = parser.parse_args(options)
    if arguments.sample < 100:
        raise SettingError("sample", arguments.sample, "at least 100")
    if arguments.at_risk is not None and arguments.at_risk < 0:
        raise SettingError("at-risk", arguments.at_risk, "at least 0")
    return arguments


if __name__ == "__main__":
    run(main)
