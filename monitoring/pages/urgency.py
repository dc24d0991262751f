"""How urgent a week is, and why: the level of its alarm in plain words."""

from collections.abc import Mapping
from typing import Final

from monitoring.findings.alarm import Condition, ConditionKind
from monitoring.findings.summary import Summary
from monitoring.pages.web_page import Badge, verdict_badge
from monitoring.pages.words import counted, described

MOST_REASONS: Final = 5

_WORDS: Final[Mapping[ConditionKind, str]] = {
    "broken data": "Data that the model uses is broken",
    "other unit": "A figure that the model uses is ten times as large or small: its unit may have changed",
    "flagged share": "The model flags many more or many fewer customers than before, which changes this week's work",
    "probability": "The chances that the model states are no longer those of before",
    "estimated performance": "The model is probably worse than when it was made",
    "realised performance": "The model has proved worse than when it was made",
    "weight moved": "Most of what the model looks at has changed",
    "sudden change": "Something that matters to the model changed within a week",
    "critical feature": "A figure that you watch specially has changed",
    "drift": "Customers have changed, without a consequence so far",
}


def week_badge(summary: Summary) -> Badge:
    """The badge of a week: its level where there is one to tell, else its verdict."""
    if summary.level == "page":
        return Badge("drift", "page")
    if summary.level == "ticket":
        return Badge("warning", "drift, a ticket")
    return verdict_badge(summary.verdict, summary.severity)


def urgency(summary: Summary) -> list[str]:
    """Say how urgent the report is, with every condition that makes it so."""
    if summary.level is None:
        return ["We do not know: this report was made before reports said how urgent they are."]
    if summary.level == "shown":
        return ["Not urgent: nobody needs to act on this week's report."]
    if summary.level == "ticket":
        return ["Not urgent: look into it on a working day.", *_why(summary.conditions)]
    return [
        "Urgent: somebody must look into it now.",
        *_why(tuple(condition for condition in summary.conditions if condition.level == "page")),
    ]


def _why(conditions: tuple[Condition, ...]) -> list[str]:
    """One sentence for each kind of condition."""
    subjects: dict[ConditionKind, list[str]] = {}
    for condition in conditions:
        subjects.setdefault(condition.kind, []).extend(condition.subjects)
    return [f"{_WORDS[kind]}{_named(kind, names)}." for kind, names in list(subjects.items())[:MOST_REASONS]]


def _named(kind: ConditionKind, names: list[str]) -> str:
    """The features, where they say more than the condition does."""
    if kind in ("flagged share", "probability", "estimated performance", "realised performance"):
        return ""
    shown = "; ".join(dict.fromkeys(described(name) for name in names[:3]))
    more = f"; and {counted(len(names) - 3, 'other figure')}" if len(names) > 3 else ""
    return f": {shown}{more}"
