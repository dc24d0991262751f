"""Rules between features: what no customer can have done, whoever computed the features.

Null is no contradiction: it says that a value is not known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from churn.behaviour_features import (
    DECAYED,
    FRICTION,
    FRICTION_WINDOWS,
    HALF_LIVES,
    LAST_SESSION,
    LOOKBACKS,
    PAGE_RECENCY,
)
from churn.contract import MEASURES, NUMERIC, TREND_DAYS, WINDOWS

Numbers = NDArray[np.float64]
"""Rows of numeric features in the contract's order; null is NaN."""

_COLUMN: Final = {name: index for index, name in enumerate(NUMERIC)}
_SINCE: Final = "days_since_last_event"

_ROUNDING: Final = 1e-9
"""Sums of fractions may differ in the last digits."""

_DAY_TOLERANCE: Final = 0.01
"""Whoever rounds days to two digits does not contradict himself."""


@dataclass(frozen=True)
class Rule:
    """A rule between two features; `feature` is the one to look at first when it is broken."""

    feature: str
    other: str
    text: str


@dataclass(frozen=True)
class Contradiction:
    """A rule that a row breaks."""

    row: int
    rule: Rule
    message: str


def _nested() -> Iterator[tuple[str, str]]:
    for measure in MEASURES:
        for shorter, longer in pairwise(WINDOWS):
            yield f"{measure.name}_{shorter}d", f"{measure.name}_{longer}d"
    for shorter, longer in pairwise(FRICTION_WINDOWS):
        yield f"friction_{shorter}d", f"friction_{longer}d"
    shorter, longer = LOOKBACKS
    yield f"days_seen_{shorter}d", f"days_seen_{longer}d"
    for page in PAGE_RECENCY:
        yield _SINCE, f"days_since_{page}_{longer}d"


def _parts() -> Iterator[tuple[str, str]]:
    for days in WINDOWS:
        for measure in MEASURES:
            if measure.name not in {"events", "listening_minutes", "artists"}:
                yield f"{measure.name}_{days}d", f"events_{days}d"
        yield f"artists_{days}d", f"songs_{days}d"
    for days in WINDOWS:
        if days in FRICTION_WINDOWS:
            yield from ((f"{part}_{days}d", f"friction_{days}d") for part in FRICTION)
            yield f"friction_{days}d", f"events_{days}d"
    yield f"active_days_{TREND_DAYS}d", f"days_seen_{TREND_DAYS}d"
    yield "last_session_songs", f"songs_{TREND_DAYS}d"
    yield "last_session_friction", f"friction_{TREND_DAYS}d"


def _ratios() -> Iterator[tuple[str, str]]:
    for days in WINDOWS:
        yield f"songs_per_session_{days}d", f"sessions_{days}d"
        yield f"session_minutes_{days}d", f"sessions_{days}d"
    for measure in MEASURES:
        if measure.trend:
            yield f"{measure.name}_trend", f"{measure.name}_{TREND_DAYS}d"
    yield "friction_trend", f"friction_{TREND_DAYS}d"
    for ratio in (f"session_gap_days_{TREND_DAYS}d", f"session_gap_ratio_{TREND_DAYS}d", *LAST_SESSION):
        yield ratio, f"sessions_{TREND_DAYS}d"
    for days in LOOKBACKS:
        yield f"songs_per_day_seen_{days}d", f"days_seen_{days}d"
        yield f"friction_per_day_seen_{days}d", f"days_seen_{days}d"


def _causes() -> Iterator[tuple[str, str]]:
    for days in WINDOWS:
        yield f"sessions_{days}d", f"events_{days}d"
        yield f"active_days_{days}d", f"events_{days}d"
        yield f"songs_{days}d", f"listening_minutes_{days}d"
    alike = [(f"days_seen_{TREND_DAYS}d", f"events_{TREND_DAYS}d")]
    alike += [(f"{name}_half_life_{min(HALF_LIVES)}d", f"{name}_{HALF_LIVES[min(HALF_LIVES)]}d") for name in DECAYED]
    for one, other in alike:
        yield one, other
        yield other, one


AT_MOST: Final = tuple(Rule(less, more, f"{less} <= {more}") for less, more in (*_nested(), *_parts()))
"""A week lies within two; what is counted is an event; an artist has a song."""

NULL_WITHOUT: Final = tuple(Rule(ratio, by, f"{ratio} is null where {by} is 0") for ratio, by in _ratios())
"""There is nothing to divide by."""

NEEDED: Final = tuple(Rule(cause, effect, f"{cause} > 0 where {effect} > 0") for cause, effect in _causes())
"""An action has its session and its day, music has its song."""

_RECENCIES: Final = (
    ("events", _SINCE),
    *((page, f"days_since_{page}_{longest}d") for page in PAGE_RECENCY for longest in LOOKBACKS),
)
RECENT: Final = tuple(
    Rule(f"{measure}_{days}d", since, f"{measure}_{days}d > 0 exactly where {since} <= {days}")
    for measure, since in _RECENCIES
    for days in WINDOWS
)
"""There are events in a window exactly where the last one is no older than the window."""

RULES: Final = (*AT_MOST, *NULL_WITHOUT, *NEEDED, *RECENT)


_LEFT: Final = np.array([_COLUMN[rule.feature] for rule in RULES])
_RIGHT: Final = np.array([_COLUMN[rule.other] for rule in RULES])
_ENDS: Final = np.cumsum([len(AT_MOST), len(NULL_WITHOUT), len(NEEDED)]).tolist()
_WINDOW: Final = np.tile(np.array(WINDOWS, dtype=np.float64), len(_RECENCIES))
_OLDEST: Final = _WINDOW + _DAY_TOLERANCE
_YOUNGEST: Final = _WINDOW - _DAY_TOLERANCE


def broken(numbers: Numbers) -> NDArray[np.bool_]:
    """The broken `RULES` of each row, bool [rows, rules].

    Args:
        numbers: float64 [rows, len(contract.NUMERIC)], each within its bounds.
    """
    left, right = numbers.take(_LEFT, axis=1), numbers.take(_RIGHT, axis=1)
    one, two, three = _ENDS
    found = np.empty(left.shape, dtype=np.bool_)
    found[:, :one] = left[:, :one] > right[:, :one] * (1 + _ROUNDING)
    found[:, one:two] = ~np.isnan(left[:, one:two]) & (right[:, one:two] == 0)
    found[:, two:three] = (left[:, two:three] == 0) & (right[:, two:three] > 0)
    found[:, three:] = np.where(left[:, three:] > 0, right[:, three:] > _OLDEST, right[:, three:] < _YOUNGEST)
    return found


def contradictions(numbers: Numbers) -> Iterator[Contradiction]:
    """Every rule that a row breaks, row by row; none for what can be true. Arguments as for `broken`."""
    where = broken(numbers)
    if not where.any():
        return
    for row, index in np.argwhere(where).tolist():
        rule = RULES[index]
        said = " but ".join(f"{name} is {_plain(numbers[row, _COLUMN[name]])}" for name in (rule.feature, rule.other))
        yield Contradiction(row, rule, f"{said}; the rule is: {rule.text}")


def _plain(number: float) -> str:
    return f"{number:.12g}"
