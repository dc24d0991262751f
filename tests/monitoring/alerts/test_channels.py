"""All channels at once: one that fails hides no other, and is told where it can be."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from monitoring.alerts.alert_message import Message
from monitoring.alerts.channel_settings import Channels, Mail, Webhook
from monitoring.alerts.channels import deliver
from monitoring.alerts.report_metrics import CHANNEL_FAILURES, Families, of_failure
from tests.monitoring.alerts.test_report_metrics import key, read
from tests.support.listeners import closed_port, http_sink, smtp_sink

MESSAGE = Message("title", ("line",))
ALL = {"webhook": False, "email": False, "textfile": False, "pushgateway": False}


def measured(failures: Mapping[str, bool]) -> Families:
    return of_failure(failures, 9)


def channels(folder: Path, http: int, smtp: int, gateway: int) -> Channels:
    return Channels(
        webhook=Webhook(f"http://127.0.0.1:{http}/hook", timeout=5, pauses=()),
        mail=Mail("127.0.0.1", smtp, "a@b.c", ("d@e.f",), starttls=False, timeout=5),
        textfile=folder / "churn.prom",
        pushgateway=f"http://127.0.0.1:{gateway}",
    )


def told(text: str) -> dict[str, bool]:
    found = read(text)
    return {name: bool(found[key(CHANNEL_FAILURES, channel=name)]) for name in ALL}


def test_all_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with http_sink() as hook, smtp_sink() as smtp, http_sink() as gateway:
        assert deliver(channels(tmp_path, hook.port, smtp.port, gateway.port), MESSAGE, measured) == ALL
    assert [json.loads(request.body)["text"] for request in hook.requests] == ["title"]
    assert len(smtp.mails) == len(gateway.requests) == 1
    assert told((tmp_path / "churn.prom").read_text()) == told(gateway.requests[0].body.decode()) == ALL
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "failing", [["webhook"], ["email"], ["textfile"], ["pushgateway"], [*ALL], ["webhook", "email"]]
)
def test_each_that_fails_hides_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str], failing: list[str]) -> None:
    if "textfile" in failing:
        (tmp_path / "churn.prom").mkdir()
    with http_sink() as hook, smtp_sink() as smtp, http_sink() as gateway:
        ports = {"webhook": hook.port, "email": smtp.port, "pushgateway": gateway.port}
        ports |= {name: closed_port() for name in failing if name in ports}
        used = channels(tmp_path, ports["webhook"], ports["email"], ports["pushgateway"])
        expected = ALL | dict.fromkeys(failing, True)
        assert deliver(used, MESSAGE, measured) == expected
    assert bool(hook.requests) != ("webhook" in failing)
    assert bool(smtp.mails) != ("email" in failing)
    assert len(capsys.readouterr().err.splitlines()) == len(failing)
    if "textfile" not in failing:
        assert told((tmp_path / "churn.prom").read_text()) == expected
    if "pushgateway" not in failing:
        assert told(gateway.requests[-1].body.decode()) == expected


def test_no_message_is_no_failure_and_metrics_are_written_all_the_same(tmp_path: Path) -> None:
    used = channels(tmp_path, closed_port(), closed_port(), closed_port())
    assert deliver(used, None, measured) == ALL | {"pushgateway": True}
    assert told((tmp_path / "churn.prom").read_text()) == ALL | {"pushgateway": True}


def test_a_channel_with_wrong_settings_has_failed_and_shows_in_the_metrics(tmp_path: Path) -> None:
    path = tmp_path / "churn.prom"
    used = Channels.read({"CHURN_ALERT_WEBHOOK": "nonsense", "CHURN_METRICS_TEXTFILE": str(path)})
    assert deliver(used, MESSAGE, measured) == {"webhook": True, "textfile": False}
    assert read(path.read_text())[key(CHANNEL_FAILURES, channel="webhook")] == 1
