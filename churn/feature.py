"""The vocabulary of the contract: a feature, a measure, a group of features, and the limits that all share."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["count", "real", "category"]

WINDOWS: Final = (7, 14, 28)
"""Look-back windows in days. Fixed: totals that grow with the log look like drift."""

TREND_DAYS: Final = max(WINDOWS)
"""Days that a trend compares the last week with."""

LOOKBACK_DAYS: Final = 56
"""The furthest that any feature looks back."""

MINIMUM_HISTORY_DAYS: Final = 14
"""A snapshot with less history than this is not made; with less than `TREND_DAYS` it is marked short."""

AT_RISK_DAYS: Final = 30
"""A customer is at risk at `as_of` with an event in this many days before it, unless it was to leave."""

OTHER: Final = "other"
"""Stands for an operating system or browser that the model has not seen."""

MAXIMUM_CATEGORY_LENGTH: Final = 64
"""In characters."""

EVENTS_PER_DAY: Final = 10_000
"""More than this in a day is a machine, not a listener; counts are capped at it."""

MINUTES_PER_DAY: Final = 24 * 60


@dataclass(frozen=True)
class Feature:
    """One feature.

    `description` explains it to a retention manager; `phrase` states a customer's value
    in a reason ("{value} thumbs down in the last 14 days"). `minimum` and `maximum` are
    inclusive. `categories` is the closed set of an enumerated category, None for an open
    one. `missing` says in a reason why there is no value. `ages_days` says how far, in days, the values of the same
    customers may move by construction from one date to a later
    one, and never further than the time between the dates.
    `actionable` marks what the service can influence. `group` is the name of its `FeatureGroup`.
    """

    name: str
    kind: Kind
    description: str
    phrase: str
    example: float | str | None
    minimum: float = 0
    maximum: float = 0
    nullable: bool = False
    categories: tuple[str, ...] | None = None
    group: str = ""
    measure: str = ""
    window: int | None = None
    ages_days: float = 0
    missing: str = ""
    actionable: bool = False

    @property
    def is_category(self) -> bool:
        return self.kind == "category"


@dataclass(frozen=True)
class Measure:
    """Something counted or summed over each window. `per_day` bounds it."""

    name: str
    what: str
    per_day: float
    example_per_week: float
    kind: Kind = "count"
    trend: bool = False
    actionable: bool = False


@dataclass(frozen=True)
class FeatureGroup:
    """Features that a model uses together or not at all.

    Attributes:
        name: the name in models and reports.
        summary: one sentence for the data scientist.
        lookback_days: how much history its features need to be filled; 0 where any amount does.
        names: of its features, in the contract's order.
    """

    name: str
    summary: str
    lookback_days: int
    names: tuple[str, ...]
