"""`make report-schedule`: the weekly report by Prefect's clock, every Monday at 06:00 UTC, until interrupted.

`CHURN_REPORT_SCHEDULE` is `weekly`, `daily` or a cron expression (UTC). Without
`PREFECT_API_URL` a Prefect server is started for as long as this runs, on this machine only:
schedules need one. What was due while nothing ran is made up for at the next start.
All options are those of `python -m monitoring.report`, for every run.
"""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from churn.command import run, say
from churn.errors import SettingError
from churn.server_process import HOST, start, stopped_at_the_end
from churn.settings import LAST_PORT, Setting, whole_number
from monitoring.report import requested
from monitoring.weekly.weekly_job import LAST, RUNNING

SCHEDULE: Final = "CHURN_REPORT_SCHEDULE"
CRONS: Final = {"weekly": "0 6 * * 1", "daily": "0 6 * * *"}
PORT: Final = Setting("PREFECT_SERVER_API_PORT", "4200", "Port of the server that is started; Prefect's own default.")


@dataclass(frozen=True)
class Plan:
    """When a run is due, as a cron expression in UTC, and which week it reports."""

    cron: str
    week: str


def plan(environment: Mapping[str, str]) -> Plan:
    """`CHURN_REPORT_SCHEDULE`, and `WEEK` where it is set.

    A daily report is about the week that yesterday belongs to, as far as it goes; every other
    about the last one that is over.

    Raises:
        SettingError: it is no schedule.
    """
    named = environment.get(SCHEDULE) or "weekly"
    cron = CRONS.get(named, named)
    if len(cron.split()) != 5:
        raise SettingError(SCHEDULE, named, "weekly, daily, or a cron expression such as '0 6 * * 1'")
    return Plan(cron, environment.get("WEEK") or (RUNNING if named == "daily" else LAST))


def main() -> None:
    options = sys.argv[1:]
    planned = plan(os.environ)
    requested([*options, "--week", planned.week], datetime.now(UTC))  # a wrong option is told now, not on Monday
    with _server() as url:
        os.environ["PREFECT_API_URL"] = url
        _serve(planned, options)


def _serve(planned: Plan, options: list[str]) -> None:
    # Prefect takes seconds to import, and reads its settings when it is.
    from prefect.schedules import Cron  # noqa: PLC0415  # Prefect reads the environment when it is imported

    from monitoring.flow import weekly_report  # noqa: PLC0415  # Prefect reads the environment when it is imported

    try:
        schedule = Cron(planned.cron, timezone="UTC")
    except ValueError as error:
        raise SettingError(SCHEDULE, planned.cron, "a cron expression such as '0 6 * * 1'") from error
    weekly_report.serve(
        name="scheduled",
        schedule=schedule,
        parameters={"week": planned.week, "options": options},
        limit=1,
        pause_on_shutdown=False,
    )


@contextlib.contextmanager
def _server() -> Iterator[str]:
    """The address of the server in use: the one that is set, or one of our own until the end of the block."""
    given = os.environ.get("PREFECT_API_URL")
    if given:
        yield given
        return
    port = whole_number(PORT, 1, LAST_PORT)
    _check_free(port)
    say(f"starting Prefect's server: http://{HOST}:{port}")
    server = start(("prefect", "server", "start"), port, {}, quiet=True, in_our_group=True)
    with stopped_at_the_end(server, "/api/health"):
        yield f"{server.url}/api"


def _check_free(port: int) -> None:
    """Another server that answers there is not ours to use unasked."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise SettingError(
            PORT.name, port, "a free port; for a server that runs already, set PREFECT_API_URL"
        ) from error


if __name__ == "__main__":
    run(main)
