"""The messages about a weekly report, for every channel: no customer ids, no traceback."""

from dataclasses import dataclass
from typing import Final

from monitoring.alerts.channel_settings import AlertOn
from monitoring.findings.summary import Summary

MAXIMUM_REASONS: Final = 5
MAXIMUM_LINE: Final = 600
"""Characters of a line; what is longer was logged by somebody, or is an error over many files."""

_LEVEL_WORDS: Final = {
    "page": "This is a page, for now:",
    "ticket": "This is a ticket, for the morning: customers have changed, without a consequence so far:",
}


@dataclass(frozen=True)
class Message:
    """One line of title, and lines below it; none holds a line break or a control character."""

    title: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join((self.title, *self.lines))


def of_report(summary: Summary, place: str) -> Message:
    """A report in a few lines; `place` is the address or path of the page."""
    reasons = [f"- {reason}" for reason in summary.reasons[:MAXIMUM_REASONS]]
    return _message(
        f"Churn model, week {summary.week}: {_level(summary) or summary.verdict}",
        *_first_sentences(summary),
        summary.sentence,
        *reasons,
        *_gaps(summary),
        f"Model: {summary.model}, {summary.customers:,} customers",
        f"Report: {place}",
    )


def _level(summary: Summary) -> str | None:
    """The level where there is one to act on."""
    return summary.level if summary.level in ("page", "ticket") else None


def _first_sentences(summary: Summary) -> list[str]:
    """The level, and what brought it."""
    level = _level(summary)
    if level is None:
        return []
    why = [condition.sentence for condition in summary.conditions if condition.level == level]
    return [_LEVEL_WORDS[level], *(f"- {sentence}" for sentence in why[:MAXIMUM_REASONS])]


def _gaps(summary: Summary) -> list[str]:
    """The predictions that the verdict does not cover."""
    gaps = [f"Not compared: {model.refused}" for model in summary.models if model.refused]
    if summary.log.unusable:
        gaps.append(f"Log files with unusable lines: {len(summary.log.unusable):,}")
    return gaps


def of_failure(week: str, sentence: str) -> Message:
    """There is no report; `sentence` says why."""
    return _message(
        f"Churn model, {week}: no report",
        sentence,
        "The last good report is still there; nobody watches the model until this is fixed.",
    )


def _message(title: str, *lines: str) -> Message:
    return Message(_one_line(title), tuple(_one_line(line) for line in lines))


def _one_line(text: str) -> str:
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown if len(shown) <= MAXIMUM_LINE else f"{shown[: MAXIMUM_LINE - 1]}…"


def is_due(summary: Summary, alert_on: AlertOn) -> bool:
    """Say if a report is sent. Too few customers for a verdict is worth a page: nobody watches the model then."""
    if alert_on == "always" or summary.urgency == "page" or summary.verdict not in ("ok", "drift"):
        return True
    if summary.urgency == "ticket":
        return alert_on != "page"
    return alert_on == "warning" and summary.severity == "warning"
