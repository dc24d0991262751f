"""When the report is due, and which week it is about."""

import socket

import pytest

from churn.errors import SettingError
from monitoring.report_schedule import Plan, _check_free, _server, plan


@pytest.mark.parametrize(
    ("environment", "planned"),
    [
        ({}, Plan("0 6 * * 1", "last")),
        ({"CHURN_REPORT_SCHEDULE": ""}, Plan("0 6 * * 1", "last")),
        ({"CHURN_REPORT_SCHEDULE": "daily"}, Plan("0 6 * * *", "running")),
        ({"CHURN_REPORT_SCHEDULE": "30 4 * * 2"}, Plan("30 4 * * 2", "last")),
        ({"CHURN_REPORT_SCHEDULE": "daily", "WEEK": "2018-W44"}, Plan("0 6 * * *", "2018-W44")),
    ],
)
def test_the_plan(environment: dict[str, str], planned: Plan) -> None:
    assert plan(environment) == planned


def test_what_is_no_schedule_is_refused() -> None:
    with pytest.raises(SettingError, match="CHURN_REPORT_SCHEDULE='hourly'"):
        plan({"CHURN_REPORT_SCHEDULE": "hourly"})


def test_a_server_that_is_not_ours_is_not_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(SettingError, match="PREFECT_API_URL"):
        _check_free(other.getsockname()[1])


def test_a_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", "many")
    with pytest.raises(SettingError, match="PREFECT_SERVER_API_PORT='many'"), _server():
        pass
