"""Events of eight weeks to the features of the contract's behaviour groups (`churn.behaviour_features`).

First integers: per customer and day of 24 hours back from `as_of`, and per session. Then sums
of these integers, and one division at the end. `docs/features.md` states the formulas.
"""

from collections.abc import Iterator
from typing import Any, Final

import ibis
from ibis import Table
from ibis import Value as Expression

from churn.activity.pages import PAGES
from churn.behaviour_features import (
    DECAY_WEIGHTS,
    DECAYED,
    FEWEST_SESSIONS,
    FRICTION,
    FRICTION_WINDOWS,
    HALF_LIVES,
    LOOKBACKS,
    PAGE_RECENCY,
    PRIOR_SONGS,
    RATE_PER_10000_SONGS,
)
from churn.contract import TREND_DAYS, WINDOWS
from churn.moments import DAY_MS, MINUTE_MS

_COUNTED: Final = tuple(dict.fromkeys((*DECAYED, *FRICTION)))


def behaviour(wide: Table, as_of: int) -> Table:
    """`customer_id` and the features of every behaviour group, as if the log reached back far enough.

    Args:
        wide: the events of some customers in the `LOOKBACK_DAYS` before `as_of`.
        as_of: UTC epoch milliseconds.
    """
    daily = _daily(wide, as_of)
    totals = daily.group_by("customer_id").aggregate(**dict(_totals(daily)))
    sessions = _sessions(wide, as_of)
    habits = sessions.group_by("customer_id").aggregate(**dict(_starts(sessions)))
    joined = totals.left_join(habits, "customer_id").drop("customer_id_right")
    joined = joined.left_join(_last_session(sessions), "customer_id").drop("customer_id_right")
    return joined.mutate(**dict(_combined(joined, as_of)))


def _daily(wide: Table, as_of: int) -> Table:
    """Visits per customer and day back from `as_of` (0 is the newest), and when some pages were last visited."""
    dated = wide.mutate(day=(as_of - 1 - wide.ts) // DAY_MS)
    visits = {measure: (dated.page == PAGES[measure]).sum() for measure in _COUNTED}
    newest = {f"last_{measure}": dated.ts.max(where=dated.page == PAGES[measure]) for measure in PAGE_RECENCY}
    return dated.group_by(["customer_id", "day"]).aggregate(**visits, **newest)


def _friction(table: Table) -> Expression:
    first, *others = (table[measure] for measure in FRICTION)
    return sum(others, first)


def _totals(daily: Table) -> Iterator[tuple[str, Any]]:
    for days in FRICTION_WINDOWS:
        yield f"friction_{days}d", _friction(daily).sum(where=daily.day < days).fill_null(0)
    for half_life, days in HALF_LIVES.items():
        weight = ibis.array(DECAY_WEIGHTS[half_life])[daily.day]
        for measure in DECAYED:
            weighted = (daily[measure] * weight).sum(where=daily.day < days)
            yield f"{measure}_weighted_{half_life}d", weighted.fill_null(0)
    for days in LOOKBACKS:
        within = daily.day < days
        yield f"days_seen_{days}d", (daily.day.max(where=within) + 1).fill_null(0)
        for measure in ("songs", *RATE_PER_10000_SONGS):
            yield f"{measure}_{days}d", daily[measure].sum(where=within).fill_null(0)
        for measure in PAGE_RECENCY:
            yield f"last_{measure}_{days}d", daily[f"last_{measure}"].max(where=within)


def _sessions(wide: Table, as_of: int) -> Table:
    """Sessions cut by the look-backs, as windows cut them: a session begins with its first event in the window."""
    bounds: dict[str, Any] = {}
    for days in LOOKBACKS:
        bounds[f"first_{days}d"] = wide.ts.min(where=wide.ts >= as_of - days * DAY_MS)
    within = wide.ts >= as_of - TREND_DAYS * DAY_MS
    return wide.group_by(["customer_id", "session_id"]).aggregate(
        **bounds,
        last=wide.ts.max(where=within),
        songs=(within & (wide.page == PAGES["songs"])).sum(),
        friction=(within & wide.page.isin([PAGES[measure] for measure in FRICTION])).sum(),
    )


def _starts(sessions: Table) -> Iterator[tuple[str, Any]]:
    for days in LOOKBACKS:
        first = sessions[f"first_{days}d"]
        yield f"session_count_{days}d", first.count()
        yield f"session_oldest_{days}d", first.min()
        yield f"session_newest_{days}d", first.max()


def _last_session(sessions: Table) -> Table:
    """The session with the newest event; of two that end at one moment, the one with the higher number."""
    recent = sessions.filter(sessions["last"].notnull())
    rank = ibis.row_number().over(
        group_by=recent.customer_id, order_by=[ibis.desc(recent["last"]), ibis.desc(recent.session_id)]
    )
    newest = recent.mutate(rank=rank)
    return newest.filter(newest["rank"] == 0).select(
        "customer_id",
        last_session_songs=recent.songs,
        last_session_friction=recent.friction,
        last_session_minutes=(recent["last"] - recent[f"first_{TREND_DAYS}d"]) / MINUTE_MS,
    )


def _combined(joined: Table, as_of: int) -> Iterator[tuple[str, Any]]:
    pace = joined[f"friction_{TREND_DAYS}d"].nullif(0)
    yield "friction_trend", joined[f"friction_{min(WINDOWS)}d"] * (TREND_DAYS // min(WINDOWS)) / pace
    for half_life, weights in DECAY_WEIGHTS.items():
        for measure in DECAYED:
            yield f"{measure}_half_life_{half_life}d", joined[f"{measure}_weighted_{half_life}d"] / sum(weights)
    for days in LOOKBACKS:
        yield from _of_lookback(joined, as_of, days)


def _of_lookback(joined: Table, as_of: int, days: int) -> Iterator[tuple[str, Any]]:
    for measure, rate in RATE_PER_10000_SONGS.items():
        visits, songs = joined[f"{measure}_{days}d"], joined[f"songs_{days}d"]
        shrunk = (10_000 * visits + rate * PRIOR_SONGS) / (10 * (songs + PRIOR_SONGS))
        yield f"{measure}_per_1000_songs_{days}d", shrunk
    for measure in PAGE_RECENCY:
        yield (
            f"days_since_{measure}_{days}d",
            ((as_of - joined[f"last_{measure}_{days}d"]) / DAY_MS).fill_null(days + 1),
        )
    yield from _gaps(joined, as_of, days)
    for measure in ("songs", "friction"):
        per_day = joined[f"{measure}_{days}d"] / joined[f"days_seen_{days}d"].nullif(0)
        yield f"{measure}_per_day_seen_{days}d", per_day


def _gaps(joined: Table, as_of: int, days: int) -> Iterator[tuple[str, Any]]:
    count, newest = joined[f"session_count_{days}d"], joined[f"session_newest_{days}d"]
    span = newest - joined[f"session_oldest_{days}d"]
    habit = ibis.ifelse(count >= FEWEST_SESSIONS, span, ibis.null("int64"))
    yield f"session_gap_days_{days}d", habit / ((count - 1).nullif(0) * DAY_MS)
    yield f"session_gap_ratio_{days}d", (as_of - newest) * (count - 1) / habit.nullif(0)
