"""The weekly job as a Prefect flow: the command's report and messages, with Prefect's record and retries.

Reading is tried again when a disk or a network share did not answer; nothing else gets
better by waiting. The channels are notified once, after the last try.
"""

# mypy: disable-error-code="untyped-decorator"
# Prefect's types do not fit mypy's strict mode.

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import duckdb
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Completed, State

from churn.settings import ENVIRONMENT
from monitoring.alerts.channel_settings import Channels
from monitoring.findings.summary import Summary
from monitoring.report import Request, requested
from monitoring.weekly.weekly_job import LAST, run_job

RETRIES: Final = 2
RETRY_SECONDS: Final = 60.0


def may_pass(error: object) -> bool:
    """Whether another try may better it: a file or a share could not be read or written."""
    causes = (error, getattr(error, "__cause__", None))
    return any(isinstance(cause, (OSError, duckdb.IOException)) for cause in causes)


def _try_again(_task: object, _run: object, state: State) -> bool:
    return may_pass(state.result(raise_on_failure=False))


@task(
    name="make-report",
    retries=RETRIES,
    retry_delay_seconds=RETRY_SECONDS,
    retry_condition_fn=_try_again,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def make_report(request: Request) -> Summary:
    """Make it again from nothing: a week's folder is replaced as a whole."""
    return request.make()


@flow(name="weekly-report", persist_result=False)
def weekly_report(week: str = LAST, options: Sequence[str] = ()) -> State:
    """Make a week's report and notify the channels; drift is a completed run of that name.

    A run that begins late reports on the week it was scheduled for.

    Args:
        week: an ISO week, `last` or `running`.
        options: further options of `python -m monitoring.report`.
    """
    request = requested([*options, "--week", week], _scheduled())
    result = run_job(lambda: make_report(request), request.reports, Channels.read(ENVIRONMENT), request.settings.week)
    for channel in result.failed:
        get_run_logger().warning("channel failed: %s", channel)
    summary = result.summary
    return Completed(name=str(summary.verdict).capitalize(), message=f"week {summary.week}: {summary.sentence}")


def _scheduled() -> datetime:
    """When the run should have begun; now for one that nobody scheduled."""
    moment = flow_run.scheduled_start_time
    return datetime.fromtimestamp(moment.timestamp(), UTC)
