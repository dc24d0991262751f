"""A message to a webhook that takes Slack-compatible JSON."""

import logging
import time
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from churn.errors import ChannelError
from monitoring.alerts.alert_message import Message
from monitoring.alerts.channel_settings import Webhook

MAXIMUM_TITLE: Final = 150
MAXIMUM_SECTION: Final = 3_000
"""Characters, as Slack has them: https://docs.slack.dev/reference/block-kit/blocks/."""

_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that another try may better."""

# At INFO httpx logs the URL of every request, which is the secret.
logging.getLogger("httpx").setLevel(logging.WARNING)


def body(message: Message) -> dict[str, Any]:
    """The JSON of a message; markup and mentions in it are shown as text."""
    section = _cut("\n".join(map(_escaped, message.lines)), MAXIMUM_SECTION)
    return {
        "text": _escaped(message.title),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": _cut(_escaped(message.title), MAXIMUM_TITLE)}},
            {"type": "section", "text": {"type": "mrkdwn", "text": section, "verbatim": True}},
        ],
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, length: int) -> str:
    """Shortened, but not within an entity."""
    if len(text) <= length:
        return text
    kept = text[: length - 1]
    start = kept.rfind("&")
    return f"{kept if start < 0 or ';' in kept[start:] else kept[:start]}…"


def send(webhook: Webhook, message: Message) -> None:
    """Post a message, several times if need be: it may arrive twice, but is not lost to one hiccup.

    Raises:
        ChannelError: it was not taken. Its sentence names the host, not the URL.
    """
    content = body(message)
    for pause in (*webhook.pauses, None):
        problem, passing = _attempt(webhook, content)
        if problem is None:
            return
        if pause is None or not passing:
            break
        time.sleep(pause)
    raise ChannelError(
        f"{urlsplit(webhook.url).hostname}: {problem}; check the URL (CHURN_ALERT_WEBHOOK) and that it can be reached"
    )


def _attempt(webhook: Webhook, content: dict[str, Any]) -> tuple[str | None, bool]:
    """The cause of a failure, and whether it may pass."""
    try:
        # What the answer says beyond its status is not read.
        with httpx.stream("POST", webhook.url, json=content, timeout=webhook.timeout) as response:
            status = response.status_code
    except httpx.TimeoutException:
        return "no answer in time", True
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:  # the last two: proxy, certificates
        return f"cannot be reached ({type(error).__name__})", True
    return (None, False) if httpx.codes.is_success(status) else (f"answered {status}", status in _PASSING)
