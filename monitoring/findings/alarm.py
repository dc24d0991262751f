"""The level of a week's report, and the conditions that brought it."""

from typing import Final, Literal

from monitoring.findings.stored import Number, Stored

Level = Literal["page", "ticket", "shown"]
LEVELS: Final[tuple[Level, ...]] = ("page", "ticket", "shown")
"""The most urgent first: somebody is woken, it waits for the morning, it stands in the report."""

ConditionKind = Literal[
    "broken data",
    "other unit",
    "flagged share",
    "probability",
    "estimated performance",
    "realised performance",
    "weight moved",
    "sudden change",
    "critical feature",
    "drift",
]


class Condition(Stored):
    """One reason for a level: `found` is past `limit`."""

    level: Level
    """The level that it brings."""
    kind: ConditionKind
    """The rule that was met."""
    subjects: tuple[str, ...]
    """The features that it is about, or the measure of performance."""
    found: Number = None
    """The figure that the rule looks at."""
    limit: Number = None
    """From here on the rule is met."""
    sentence: str = ""
    """All of it in one sentence."""


def level_of(conditions: tuple[Condition, ...]) -> Level:
    """The most urgent level of any condition; without one the week is shown.

    >>> level_of(())
    'shown'
    """
    return min((condition.level for condition in conditions), key=LEVELS.index, default="shown")
