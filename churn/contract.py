"""The feature contract: names, types, bounds, meaning. Everything else derives from this file.

The training table, the fitted model, the OpenAPI schema, the prediction log, the drift
definition, the load test and the feature table of the documentation are all made from
`FEATURES`; a test compares them.
"""

import hashlib
import json
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from churn.behaviour_features import BEHAVIOUR_GROUPS, GroupDefinition
from churn.customer_ids import customer_key
from churn.feature import (
    AT_RISK_DAYS,
    EVENTS_PER_DAY,
    LOOKBACK_DAYS,
    MAXIMUM_CATEGORY_LENGTH,
    MINIMUM_HISTORY_DAYS,
    MINUTES_PER_DAY,
    OTHER,
    TREND_DAYS,
    WINDOWS,
    Feature,
    FeatureGroup,
    Kind,
    Measure,
)
from churn.window_features import MEASURES, PROFILE, TREND_MAXIMUM, WINDOW_FEATURES

__all__ = [
    "AT_RISK_DAYS",
    "BY_NAME",
    "CATEGORICAL",
    "CONTRACT_VERSION",
    "EVENTS_PER_DAY",
    "FEATURES",
    "GROUPS",
    "LONGEST_CUSTOMER_ID",
    "LOOKBACK_DAYS",
    "MAXIMUM_CATEGORY_LENGTH",
    "MEASURES",
    "MINIMUM_HISTORY_DAYS",
    "MINUTES_PER_DAY",
    "NAMES",
    "NEEDS_HISTORY",
    "NULLABLE",
    "NUMERIC",
    "OTHER",
    "TREND_DAYS",
    "TREND_MAXIMUM",
    "WINDOWS",
    "Customer",
    "Feature",
    "FeatureGroup",
    "Kind",
    "Measure",
    "customer_key",
    "example_customer",
    "whole",
]

LONGEST_CUSTOMER_ID: Final = 128
"""In characters."""

_DEFINED: Final = (
    GroupDefinition(
        "profile", "Plan, gender, device, time as a customer and time since the last event; always used.", 0, PROFILE
    ),
    GroupDefinition("windows", "Totals, averages and trends over the last 7, 14 and 28 days.", 28, WINDOW_FEATURES),
    *BEHAVIOUR_GROUPS,
)
FEATURES: Final[tuple[Feature, ...]] = tuple(
    replace(feature, group=group.name) for group in _DEFINED for feature in group.features
)
GROUPS: Final[tuple[FeatureGroup, ...]] = tuple(
    FeatureGroup(group.name, group.summary, group.lookback_days, tuple(feature.name for feature in group.features))
    for group in _DEFINED
)
"""In the order of their columns; together they are `FEATURES`. `profile` is part of every model."""

BY_NAME: Final = {feature.name: feature for feature in FEATURES}
NAMES: Final = tuple(BY_NAME)
NEEDS_HISTORY: Final = {
    name: group.lookback_days
    for group, defined in zip(GROUPS, _DEFINED, strict=True)
    if defined in BEHAVIOUR_GROUPS
    for name in group.names
}
"""Days of history without which a feature is null.

Features of version 1 are not among them: they count what there is, in a snapshot marked short.
"""

NUMERIC: Final = tuple(feature.name for feature in FEATURES if not feature.is_category)
CATEGORICAL: Final = tuple(feature.name for feature in FEATURES if feature.is_category)
NULLABLE: Final = tuple(feature.name for feature in FEATURES if feature.nullable)


def _fingerprint() -> str:
    facts = [(f.name, f.kind, f.minimum, f.maximum, f.nullable, f.categories) for f in FEATURES]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]


CONTRACT_VERSION: Final = f"2-{_fingerprint()}"
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
