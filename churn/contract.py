"""The feature contract: names, types, bounds, meaning. Everything else derives from this file.

The training table, the fitted model, the OpenAPI schema, the prediction log, the drift
definition, the load test and the feature table of the documentation are all made from
`FEATURES`; a test compares them.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from churn.customer_ids import customer_key as customer_key  # noqa: PLC0414  # of the contract; erasure cannot have Pydantic

Kind = Literal["count", "real", "category"]

WINDOWS: Final = (7, 14, 28)
"""Look-back windows in days. Fixed: totals that grow with the log look like drift."""

LOOKBACK_DAYS: Final = max(WINDOWS)
MINIMUM_HISTORY_DAYS: Final = 14
"""A snapshot with less history than this is not made; with less than `LOOKBACK_DAYS` it is marked short."""

AT_RISK_DAYS: Final = 30
"""A customer is at risk at `as_of` with an event in this many days before it, unless it was to leave."""

OTHER: Final = "other"
"""What an operating system or browser becomes that the model has not seen."""

MAXIMUM_CATEGORY_LENGTH: Final = 64
LONGEST_CUSTOMER_ID: Final = 128
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
    one. `ages_days` says how far, in days, the values of the same
    customers may move by construction from one date to a later
    one, and never further than the time between the dates.
    `actionable` marks what the service can influence.
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
    measure: str = ""
    window: int | None = None
    ages_days: float = 0
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


# Order matters: it is the order of the columns everywhere.
MEASURES: Final = (
    Measure("events", "actions of any kind", EVENTS_PER_DAY, 70),
    Measure("songs", "songs played", EVENTS_PER_DAY, 56, trend=True),
    Measure("listening_minutes", "minutes of music started", EVENTS_PER_DAY * 60, 232.5, kind="real", trend=True),
    Measure("artists", "different artists heard", EVENTS_PER_DAY, 50),
    Measure("sessions", "listening sessions", EVENTS_PER_DAY, 1, trend=True),
    Measure("active_days", "days with any action", 1, 1, trend=True),
    Measure("thumbs_up", "thumbs up", EVENTS_PER_DAY, 2, trend=True),
    Measure("thumbs_down", "thumbs down", EVENTS_PER_DAY, 1, trend=True, actionable=True),
    Measure("playlist_adds", "songs added to a playlist", EVENTS_PER_DAY, 2, trend=True, actionable=True),
    Measure("friends_added", "friends added", EVENTS_PER_DAY, 1, trend=True, actionable=True),
    Measure("adverts", "adverts heard", EVENTS_PER_DAY, 3, trend=True, actionable=True),
    Measure("downgrade_visits", "visits to the downgrade page", EVENTS_PER_DAY, 1),
    Measure("downgrade_submits", "downgrades to the free plan", EVENTS_PER_DAY, 0),
    Measure("settings_visits", "visits to the settings page", EVENTS_PER_DAY, 1),
    Measure("help_visits", "visits to the help page", EVENTS_PER_DAY, 1, actionable=True),
    Measure("errors", "error pages seen", EVENTS_PER_DAY, 0, actionable=True),
)

_PROFILE: Final = (
    Feature(
        "level",
        "category",
        "Plan of the customer at the last action: free or paid.",
        "on the {value} plan",
        "paid",
        categories=("free", "paid"),
        measure="level",
    ),
    Feature(
        "gender",
        "category",
        "Gender as the customer registered it: F or M; null when not known.",
        "registered as {value}",
        "F",
        nullable=True,
        categories=("F", "M"),
        measure="gender",
    ),
    Feature(
        "os",
        "category",
        "Operating system of the last device, read from its user agent; null when not known.",
        "listens on {value}",
        "Windows",
        nullable=True,
        measure="os",
    ),
    Feature(
        "browser",
        "category",
        "Browser of the last device, read from its user agent; null when not known.",
        "uses {value}",
        "Chrome",
        nullable=True,
        measure="browser",
    ),
    Feature(
        "tenure_days",
        "real",
        "Days since the customer registered; null when the registration is not known.",
        "a customer for {value} days",
        63.5,
        maximum=36_500,
        nullable=True,
        measure="tenure",
        ages_days=math.inf,
    ),
    Feature(
        "days_since_last_event",
        "real",
        "Days since the customer last did anything.",
        "last active {value} days ago",
        1.25,
        maximum=AT_RISK_DAYS,
        measure="recency",
        ages_days=1,  # follows the day of the week: weekends are quiet, so Monday's values are not Friday's
    ),
)


def _windowed(measure: Measure, days: int) -> Feature:
    return Feature(
        f"{measure.name}_{days}d",
        measure.kind,
        f"{measure.what[0].upper()}{measure.what[1:]} in the last {days} days.",
        f"{{value}} {measure.what} in the last {days} days",
        _example(measure, days),
        maximum=measure.per_day * days,
        measure=measure.name,
        window=days,
        actionable=measure.actionable,
    )


def _example(measure: Measure, days: int) -> float:
    total = measure.example_per_week * days / min(WINDOWS)
    return total if measure.kind == "real" else int(total)


def _per_session(days: int) -> tuple[Feature, ...]:
    return (
        Feature(
            f"songs_per_session_{days}d",
            "real",
            f"Songs played per listening session in the last {days} days; null without a session.",
            f"{{value}} songs per session in the last {days} days",
            56.0,
            maximum=EVENTS_PER_DAY * days,
            nullable=True,
            measure="songs_per_session",
            window=days,
        ),
        Feature(
            f"session_minutes_{days}d",
            "real",
            f"Mean length of a listening session in the last {days} days, in minutes; null without a session.",
            f"sessions of {{value}} minutes in the last {days} days",
            240.0,
            maximum=MINUTES_PER_DAY * days,
            nullable=True,
            measure="session_minutes",
            window=days,
        ),
    )


TREND_MAXIMUM: Final = LOOKBACK_DAYS / min(WINDOWS)


def _trend(measure: Measure) -> Feature:
    return Feature(
        f"{measure.name}_trend",
        "real",
        f"{measure.what[0].upper()}{measure.what[1:]} per day in the last {min(WINDOWS)} days, as a multiple of the "
        f"last {LOOKBACK_DAYS} days' pace: 1 is steady, 0 is stopped; null without any in {LOOKBACK_DAYS} days.",
        f"{measure.what} this week at {{value}} times the usual pace",
        1.0,
        maximum=TREND_MAXIMUM,
        nullable=True,
        measure=measure.name,
    )


FEATURES: Final[tuple[Feature, ...]] = (
    *_PROFILE,
    *(_windowed(measure, days) for measure in MEASURES for days in WINDOWS),
    *(feature for days in WINDOWS for feature in _per_session(days)),
    *(_trend(measure) for measure in MEASURES if measure.trend),
)
BY_NAME: Final = {feature.name: feature for feature in FEATURES}
NAMES: Final = tuple(BY_NAME)
NUMERIC: Final = tuple(feature.name for feature in FEATURES if not feature.is_category)
CATEGORICAL: Final = tuple(feature.name for feature in FEATURES if feature.is_category)
NULLABLE: Final = tuple(feature.name for feature in FEATURES if feature.nullable)


def _fingerprint() -> str:
    facts = [(f.name, f.kind, f.minimum, f.maximum, f.nullable, f.categories) for f in FEATURES]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]


CONTRACT_VERSION: Final = f"1-{_fingerprint()}"
"""Changes when any name, type or bound does. Stored in every model and every logged prediction."""


def whole(value: Any) -> Any:
    """A whole number written with a fraction, such as 3.0, as the integer it is (JSON Schema, "integer")."""
    return int(value) if type(value) is float and value.is_integer() else value


def _annotation(feature: Feature) -> Any:
    base: Any
    if feature.categories is not None:
        base = Literal[feature.categories]
    elif feature.is_category:
        base = Annotated[str, Field(strict=True, min_length=1, max_length=MAXIMUM_CATEGORY_LENGTH)]
    else:
        number = int if feature.kind == "count" else float
        bounds = Field(strict=True, ge=feature.minimum, le=feature.maximum, allow_inf_nan=False)
        base = (
            Annotated[number, bounds, BeforeValidator(whole)] if feature.kind == "count" else Annotated[number, bounds]
        )
    return base | None if feature.nullable else base


_NOT_BLANK: Final = r"[^\s\x1c-\x1f]"
"""In an id there is a character that `str.strip` leaves."""


class _Identified(BaseModel):
    model_config = ConfigDict(extra="forbid", title="Customer")

    customer_id: Annotated[
        str, Field(strict=True, min_length=1, max_length=LONGEST_CUSTOMER_ID, pattern=_NOT_BLANK)
    ] = Field(description="Your id of the customer; comes back with the answer.", examples=["30"])
    as_of: AwareDatetime = Field(
        description="The moment the features describe, with its time zone: only what happened before it counts.",
        examples=["2018-11-02T00:00:00Z"],
    )


def _field(feature: Feature) -> Any:
    return Field(description=feature.description, examples=[feature.example])


Customer = create_model(  # type: ignore[call-overload]  # fields come from FEATURES, which mypy cannot follow
    "Customer",
    __base__=_Identified,
    __doc__="One customer at one moment: what `predict` and `explain` take.",
    **{feature.name: (_annotation(feature), _field(feature)) for feature in FEATURES},
)


def example_customer(customer_id: str = "30", as_of: str = "2018-11-02T00:00:00Z") -> dict[str, Any]:
    """A valid customer, as JSON."""
    return {"customer_id": customer_id, "as_of": as_of} | {f.name: f.example for f in FEATURES}
