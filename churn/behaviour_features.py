"""Features of contract version 2: how a customer's actions are spread over the last four or eight weeks.

Every feature of these groups is null where the log reaches back less far than its group
(`FeatureGroup.lookback_days`): a total over part of a window is no total. All of them are
made of integers per day of 24 hours back from `as_of` and of one division at the end, so
that every engine gives the same digits. `docs/features.md` states the formulas.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from churn.feature import EVENTS_PER_DAY, LOOKBACK_DAYS, MINUTES_PER_DAY, TREND_DAYS, WINDOWS, Feature
from churn.window_features import MEASURES, TREND_MAXIMUM

_WHAT: Final = {measure.name: measure.what for measure in MEASURES}

FRICTION: Final = ("thumbs_down", "adverts", "downgrade_visits", "settings_visits")
"""The visits that a cancellation can follow; counted together they are `friction`."""

FRICTION_WINDOWS: Final = (min(WINDOWS), TREND_DAYS, LOOKBACK_DAYS)
_FRICTION_WORDS: Final = "thumbs down, adverts and visits to the downgrade and settings pages"

HALF_LIVES: Final = {10: TREND_DAYS, 30: LOOKBACK_DAYS}
"""Days in which a day's weight halves, and the days that are looked at."""

DECAYED: Final = ("songs", "thumbs_up", "thumbs_down", "adverts", "downgrade_visits")
_UNIT: Final = 65_536

DECAY_WEIGHTS: Final = {
    half_life: tuple(round(_UNIT * 2 ** (-day / half_life)) for day in range(days))
    for half_life, days in HALF_LIVES.items()
}
"""The weight of each day, the newest first: integers, so that weighted sums do not depend on their order."""

RATE_PER_10000_SONGS: Final = {"thumbs_up": 552, "thumbs_down": 115, "adverts": 185, "downgrade_visits": 88}
"""In the public log of 22,277 customers; supposed of someone who has hardly listened."""

PRIOR_SONGS: Final = 200
"""For how many songs that supposition counts."""

PAGE_RECENCY: Final = ("thumbs_down", "adverts", "downgrade_visits")
LOOKBACKS: Final = (TREND_DAYS, LOOKBACK_DAYS)
FEWEST_SESSIONS: Final = 3
"""Gaps between fewer sessions than this are no habit."""

GAP_RATIO_MAXIMUM: Final = 1_000

FILLED_LATER: Final = "the log does not reach back {days} days"


@dataclass(frozen=True)
class GroupDefinition:
    """A group of the contract with its features; `churn.contract.GROUPS` is made from these."""

    name: str
    summary: str
    lookback_days: int
    features: tuple[Feature, ...]


def _nullable(
    name: str, description: str, phrase: str, example: float, maximum: float, measure: str, days: int, why: str = ""
) -> Feature:
    short = FILLED_LATER.format(days=days)
    return Feature(
        name,
        "real",
        f"{description}; null {f'with {why}, or ' if why else ''}when {short}.",
        phrase,
        example,
        maximum=maximum,
        nullable=True,
        measure=measure,
        missing=f"{why}, or history not known" if why else f"the last {days} days not known",
    )


def _as_count(feature: Feature) -> Feature:
    return replace(feature, kind="count")


def _friction(days: int) -> Feature:
    counted = _nullable(
        f"friction_{days}d",
        f"{_FRICTION_WORDS.capitalize()} in the last {days} days, together",
        f"{{value}} {_FRICTION_WORDS} in the last {days} days",
        6 * days // min(WINDOWS),
        EVENTS_PER_DAY * days,
        "friction",
        max(days, TREND_DAYS),
    )
    return replace(_as_count(counted), window=days, actionable=True)


def _friction_trend() -> Feature:
    return _nullable(
        "friction_trend",
        f"{_FRICTION_WORDS.capitalize()} per day in the last {min(WINDOWS)} days, as a multiple of the last "
        f"{TREND_DAYS} days' pace: 1 is steady, 0 is stopped",
        f"{_FRICTION_WORDS} this week at {{value}} times the usual pace",
        1.0,
        TREND_MAXIMUM,
        "friction",
        TREND_DAYS,
        f"no {_FRICTION_WORDS} in the last {TREND_DAYS} days",
    )


def _decayed(half_life: int) -> Iterator[Feature]:
    days = HALF_LIVES[half_life]
    for measure in DECAYED:
        yield _nullable(
            f"{measure}_half_life_{half_life}d",
            f"{_WHAT[measure].capitalize()} per day, over the last {days} days, where a day counts half as much as one "
            f"{half_life} days later",
            f"{{value}} {_WHAT[measure]} per day of late",
            8.0 if measure == "songs" else 0.25,
            EVENTS_PER_DAY,
            measure,
            days,
        )


def _shrunk(days: int) -> Iterator[Feature]:
    for measure, rate in RATE_PER_10000_SONGS.items():
        yield _nullable(
            f"{measure}_per_1000_songs_{days}d",
            f"{_WHAT[measure].capitalize()} per 1,000 songs in the last {days} days, drawn towards {rate / 10:g}, "
            f"the rate of all customers, by {PRIOR_SONGS} songs",
            f"{{value}} {_WHAT[measure]} per 1,000 songs in the last {days} days",
            rate / 10,
            1_000 * EVENTS_PER_DAY * days / PRIOR_SONGS,
            measure,
            days,
        )


def _page_recency(days: int) -> Iterator[Feature]:
    for measure in PAGE_RECENCY:
        recency = _nullable(
            f"days_since_{measure}_{days}d",
            f"Days since the last of the {_WHAT[measure]}; {days + 1} when there are none in the last {days} days",
            f"last of the {_WHAT[measure]} {{value}} days ago (at most {days + 1} are counted)",
            1.5,
            days + 1,
            measure,
            days,
        )
        yield replace(recency, ages_days=1)  # follows the day of the week, as `days_since_last_event` does


def _habit(days: int) -> Iterator[Feature]:
    few = f"fewer than {FEWEST_SESSIONS} listening sessions in the last {days} days"
    yield _nullable(
        f"session_gap_days_{days}d",
        f"Mean days between the beginnings of a customer's listening sessions in the last {days} days",
        f"a session every {{value}} days in the last {days} days",
        7.0,
        days,
        "session_gap",
        days,
        few,
    )
    yield _nullable(
        f"session_gap_ratio_{days}d",
        f"Time since the last listening session began, as a multiple of the mean gap of the last {days} days: over 1 "
        "is later than usual",
        "the last session is {value} times the usual gap ago",
        0.2,
        GAP_RATIO_MAXIMUM,
        "session_gap",
        days,
        few,
    )


def _last_session() -> Iterator[Feature]:
    nobody = f"no listening session in the last {TREND_DAYS} days"
    for name, what, example, per_day, kind in (
        ("songs", "songs", 56, EVENTS_PER_DAY, "count"),
        ("minutes", "minutes", 240.0, MINUTES_PER_DAY, "real"),
        ("friction", _FRICTION_WORDS, 1, EVENTS_PER_DAY, "count"),
    ):
        feature = _nullable(
            f"last_session_{name}",
            f"{what.capitalize()} in the last listening session, as far as it lies in the last {TREND_DAYS} days",
            f"{{value}} {what} in the last session",
            example,
            per_day * TREND_DAYS,
            f"last_session_{name}",
            TREND_DAYS,
            nobody,
        )
        yield _as_count(feature) if kind == "count" else feature


def _seen(days: int) -> Iterator[Feature]:
    seen = _nullable(
        f"days_seen_{days}d",
        f"Days from a customer's first action in the last {days} days until now, the first one included",
        f"{{value}} days since the first action in the last {days} days",
        min(WINDOWS) if days == TREND_DAYS else 2 * min(WINDOWS),
        days,
        "days_seen",
        days,
    )
    yield replace(_as_count(seen), ages_days=math.inf)
    for name, what, example in (("songs", "songs", 8.0), ("friction", _FRICTION_WORDS, 0.5)):
        yield _nullable(
            f"{name}_per_day_seen_{days}d",
            f"{what.capitalize()} per day since a customer's first action in the last {days} days",
            f"{{value}} {what} per day in the last {days} days",
            example,
            EVENTS_PER_DAY,
            name,
            days,
            f"no action in the last {days} days",
        )


_OF_LAST_SESSION: Final = tuple(_last_session())
LAST_SESSION: Final = tuple(feature.name for feature in _OF_LAST_SESSION)


def _both_spans(days: int, suffix: str = "") -> tuple[GroupDefinition, ...]:
    """The groups that have one form for each look-back: rates, recency, habits, days seen."""
    return (
        GroupDefinition(
            f"shrunk_rates{suffix}",
            f"Visits per 1,000 songs of the last {days} days, shrunk towards constants of the contract.",
            days,
            tuple(_shrunk(days)),
        ),
        GroupDefinition(
            f"page_recency{suffix}",
            f"Days since the last thumbs down, advert and visit to the Downgrade page, within {days} days.",
            days,
            tuple(_page_recency(days)),
        ),
        GroupDefinition(
            f"habit_gaps{suffix}",
            f"The mean gap between sessions of {days} days, and the time since the last one against it.",
            days,
            tuple(_habit(days)),
        ),
        GroupDefinition(
            f"days_seen{suffix}",
            f"Days since the first action within {days} days, and actions per such day.",
            days,
            tuple(_seen(days)),
        ),
    )


*_SHORT_SPAN, _SHORT_DAYS_SEEN = _both_spans(TREND_DAYS)
BEHAVIOUR_GROUPS: Final = (
    GroupDefinition(
        "friction",
        "Thumbs down, adverts and visits to the Downgrade and Settings pages, counted together.",
        TREND_DAYS,
        (_friction(min(WINDOWS)), _friction(TREND_DAYS), _friction_trend()),
    ),
    GroupDefinition(
        "decayed_rates", "Counts per day in which a day's weight halves in 10 days.", TREND_DAYS, tuple(_decayed(10))
    ),
    *_SHORT_SPAN,
    GroupDefinition("last_session", "The newest session within 28 days.", TREND_DAYS, _OF_LAST_SESSION),
    _SHORT_DAYS_SEEN,
    GroupDefinition("friction_56d", "The friction of the last 56 days.", LOOKBACK_DAYS, (_friction(LOOKBACK_DAYS),)),
    GroupDefinition(
        "decayed_rates_30d",
        "Counts per day in which a day's weight halves in 30 days.",
        LOOKBACK_DAYS,
        tuple(_decayed(30)),
    ),
    *_both_spans(LOOKBACK_DAYS, "_56d"),
)
