"""What is said of a weekly report, in words that every channel can carry: no customer ids, no traceback."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from monitoring.alerts.channel_settings import AlertOn

MAXIMUM_REASONS: Final = 5
MAXIMUM_LINE: Final = 600
"""Characters of a line; what is longer was logged by somebody, or is an error over many files."""


@dataclass(frozen=True)
class Message:
    """One line of title, and lines below it; none holds a line break or a control character."""

    title: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join((self.title, *self.lines))


def of_report(content: Mapping[str, Any], place: str) -> Message:
    """The content of a `summary.json`; `place` is the address or path of the page."""
    reasons = [f"- {reason}" for reason in content["reasons"][:MAXIMUM_REASONS]]
    return _message(
        f"Churn model, week {content['week']}: {content['verdict']}",
        content["sentence"],
        *reasons,
        *_gaps(content),
        f"Model: {content['model']}, {content['customers']:,} customers",
        f"Report: {place}",
    )


def _gaps(content: Mapping[str, Any]) -> list[str]:
    """What the verdict does not cover."""
    gaps = [f"Not compared: {model['refused']}" for model in content["models"] if model.get("refused")]
    unusable = content["log"]["unusable"]
    if unusable:
        gaps.append(f"Log files with lines that cannot be used: {len(unusable):,}")
    return gaps


def of_failure(week: str, sentence: str) -> Message:
    """There is no report; `sentence` says why."""
    return _message(
        f"Churn model, {week}: no report",
        sentence,
        "The last good report is still there; until this is put right, nobody watches the model.",
    )


def _message(title: str, *lines: str) -> Message:
    return Message(_one_line(title), tuple(_one_line(line) for line in lines))


def _one_line(text: str) -> str:
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown if len(shown) <= MAXIMUM_LINE else f"{shown[: MAXIMUM_LINE - 1]}…"


def is_due(content: Mapping[str, Any], alert_on: AlertOn) -> bool:
    """Whether a report is to be sent. Too few customers for a verdict is worth a page: nobody watches the model."""
    levels = {"page": {"page"}, "warning": {"page", "warning"}}
    if alert_on == "always" or content["verdict"] != "ok":
        return True
    return content["severity"] in levels[alert_on]
