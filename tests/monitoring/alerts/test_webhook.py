"""Messages to a webhook, against real listeners: taken, refused, failing for a while, silent, absent."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ChannelError
from monitoring.alerts import webhook
from monitoring.alerts.alert_message import Message
from monitoring.alerts.channel_settings import Webhook
from tests.support.listeners import closed_port, http_sink, silent

MESSAGE = Message("Churn, week 1: drift", ("os <!channel> & <https://evil|x>", "- second"))
SECRET = "/services/T0/hush"


def quick(url: str) -> Webhook:
    return Webhook(url + SECRET, timeout=0.3, pauses=(0.0, 0.0))


def test_slack_gets_title_and_lines_with_markup_shown_as_text() -> None:
    with http_sink() as sink:
        webhook.send(quick(sink.url), MESSAGE)
    (request,) = sink.requests
    assert (request.method, request.path) == ("POST", SECRET)
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {
        "text": "Churn, week 1: drift",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "Churn, week 1: drift"}},
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": "os &lt;!channel&gt; &amp; &lt;https://evil|x&gt;\n- second",
                    "verbatim": True,
                },
            },
        ],
    }


@given(st.text("<>&;a", max_size=9000))
def test_no_text_is_longer_than_slack_takes_or_cut_within_an_entity(text: str) -> None:
    header, section = (block["text"]["text"] for block in webhook.body(Message(text, (text,)))["blocks"])
    for shown, longest in ((header, 150), (section, 3_000)):
        assert len(shown) <= longest
        assert "<" not in shown
        assert ">" not in shown
        for part in shown.split("&")[1:]:
            assert part.startswith(("amp;", "lt;", "gt;"))


@pytest.mark.parametrize("hiccups", [[500], [429, 503]])
def test_a_hiccup_is_tried_again(hiccups: list[int]) -> None:
    with http_sink([*hiccups, 200]) as sink:
        webhook.send(quick(sink.url), MESSAGE)
    assert len(sink.requests) == len(hiccups) + 1


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (404, 1), (302, 1)])
def test_what_does_not_pass_is_told_without_the_secret(
    status: int, tries: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with http_sink([status]) as sink, pytest.raises(ChannelError, match=f"127.0.0.1: answered {status}") as caught:
        webhook.send(quick(sink.url), MESSAGE)
    assert len(sink.requests) == tries
    assert SECRET not in str(caught.value) + caplog.text


def test_nobody_there() -> None:
    with pytest.raises(ChannelError, match=r"cannot be reached \(ConnectError\)"):
        webhook.send(quick(f"http://127.0.0.1:{closed_port()}"), MESSAGE)


def test_one_that_never_answers_is_given_up() -> None:
    with silent() as port, pytest.raises(ChannelError, match="no answer in time"):
        webhook.send(quick(f"http://127.0.0.1:{port}"), MESSAGE)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "HTTPS_PROXY"])
def test_a_broken_environment_is_a_failed_channel(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "/nowhere")
    with pytest.raises(ChannelError, match="cannot be reached"):
        webhook.send(quick(f"https://127.0.0.1:{closed_port()}"), MESSAGE)
