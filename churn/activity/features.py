"""Events and a moment to one row of features per customer at risk, from events before the moment only.

Written as Ibis expressions, so that every engine gives the same numbers. Durations are
summed as integer milliseconds: a sum of doubles depends on the number of threads.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import ibis
from ibis import Table
from ibis import Value as Expression

from churn.activity.behaviour import behaviour
from churn.activity.pages import CANCELLATION, PAGES, SONG
from churn.contract import (
    AT_RISK_DAYS,
    BY_NAME,
    FEATURES,
    LOOKBACK_DAYS,
    MEASURES,
    NAMES,
    NEEDS_HISTORY,
    TREND_DAYS,
    WINDOWS,
    Feature,
)
from churn.moments import DAY_MS as DAY_MS  # noqa: PLC0414  # the unit of what this module defines
from churn.moments import MINUTE_MS


@dataclass(frozen=True)
class Moment:
    """A moment that features describe.

    Attributes:
        as_of: UTC epoch milliseconds, exclusive end of what may be known.
        history_days: how far the log reaches back from it, without a gap that makes it another log.
    """

    as_of: int
    history_days: float


def features_at(events: Table, moments: Iterable[Moment]) -> Iterator[Table]:
    """The features at each moment, in the order of the moments: the one way from events to tables.

    Args:
        events: typed events (`churn.activity.reading`), any span.
        moments: of which features are wanted.
    """
    for moment in moments:
        yield features(events, moment)


def features(events: Table, moment: Moment) -> Table:
    """The features of every customer at risk at a moment.

    A customer is at risk with an event in the `AT_RISK_DAYS` before `as_of` and no
    cancellation since the newest song (`is_at_risk`).

    Args:
        events: typed events (`churn.activity.reading`), any span.
        moment: when, and how much history the log holds before it.

    Returns:
        A table with `customer_id` and the contract's features, in its order and types.
        Values above a feature's bound are capped at it; a feature whose group looks back
        further than the log reaches is null (`churn.contract.NEEDS_HISTORY`).
    """
    as_of = moment.as_of
    past = events.filter(events.ts < as_of)  # nothing below this line may see `events`
    everyone = at_risk(past, as_of)
    wide = past.filter(past.ts >= as_of - LOOKBACK_DAYS * DAY_MS).semi_join(everyone, "customer_id")
    recent = _ordered(wide.filter(wide.ts >= as_of - AT_RISK_DAYS * DAY_MS))
    profile = _profile(recent, everyone, as_of)
    counts = recent.group_by("customer_id").aggregate(**dict(_counts(recent, as_of)))
    sessions = _sessions(recent, as_of)
    joined = profile.left_join(counts, "customer_id").drop("customer_id_right")
    joined = joined.left_join(sessions, "customer_id").drop("customer_id_right")
    joined = joined.mutate(**dict(_derived(joined)))
    added = behaviour(wide, as_of)
    added = added.select("customer_id", *(name for name in added.columns if name in NEEDS_HISTORY))
    return _shaped(joined.left_join(added, "customer_id"), moment.history_days)


def at_risk(past: Table, as_of: int) -> Table:
    """Customers at risk at `as_of`, by their events before it: `customer_id`, `last_ts`."""
    customers = past.group_by("customer_id").aggregate(
        last_ts=past.ts.max(), last_song=newest(past, SONG), last_cancellation=newest(past, CANCELLATION)
    )
    here = is_at_risk(customers.last_ts, customers.last_song, customers.last_cancellation, as_of)
    return customers.filter(here).select("customer_id", "last_ts")


def is_at_risk(last_ts: Expression, last_song: Expression, last_cancellation: Expression, as_of: Any) -> Expression:
    """By a customer's newest event, song and cancellation before `as_of`; null where there is none.

    Whoever left cannot be kept; whoever came back can.
    """
    stayed = last_cancellation.isnull()
    return (last_ts >= as_of - AT_RISK_DAYS * DAY_MS) & (stayed | has_come_back(last_song, last_cancellation))


def has_come_back(last_song: Expression, last_cancellation: Expression) -> Expression:
    """The newest song came after the newest cancellation. Other events do not count: cancelling itself has some."""
    return (last_song > last_cancellation).fill_null(False)


def come_back(past: Table) -> Table:
    """The customers who came back after they had cancelled: `customer_id`."""
    customers = past.group_by("customer_id").aggregate(
        last_song=newest(past, SONG), last_cancellation=newest(past, CANCELLATION)
    )
    return customers.filter(has_come_back(customers.last_song, customers.last_cancellation)).select("customer_id")


def newest(events: Table, page: str, within: Any = True) -> Expression:
    """When a customer last opened a page, among the events that are `within`; null for never."""
    return events.ts.max(where=(events.page == page) & within)


def _ordered(recent: Table) -> Table:
    """Number each customer's events in time, ties broken by everything that can differ."""
    order = ibis.row_number().over(
        group_by=recent.customer_id,
        order_by=[recent[name] for name in ("ts", "item", "session_id", "page", "level", "os", "browser", "gender")],
    )
    return recent.mutate(event_order=order)


def _profile(recent: Table, everyone: Table, as_of: int) -> Table:
    def last(column: str) -> Expression:
        return recent[column].argmax(recent.event_order, where=recent[column].notnull())

    known = recent.group_by("customer_id").aggregate(
        level=last("level"),
        gender=last("gender"),
        os=last("os"),
        browser=last("browser"),
        registration=last("registration"),
    )
    profile = everyone.inner_join(known, "customer_id")
    age_ms = as_of - profile.registration
    return profile.mutate(
        tenure_days=(age_ms >= 0).ifelse(age_ms / DAY_MS, ibis.null("float64")),
        days_since_last_event=(as_of - profile.last_ts) / DAY_MS,
    ).drop("registration", "last_ts")


def _counts(recent: Table, as_of: int) -> Iterator[tuple[str, Any]]:
    days_back = (as_of - 1 - recent.ts) // DAY_MS
    is_song = recent.page == SONG
    for days in WINDOWS:
        within = recent.ts >= as_of - days * DAY_MS
        yield f"events_{days}d", within.sum()
        yield f"listening_ms_{days}d", recent.length_ms.sum(where=within & is_song).fill_null(0)
        yield f"artists_{days}d", recent.artist.nunique(where=within & is_song)
        yield f"active_days_{days}d", days_back.nunique(where=within)
        for measure, page in PAGES.items():
            yield f"{measure}_{days}d", (within & (recent.page == page)).sum()


def _sessions(recent: Table, as_of: int) -> Table:
    """Sessions by window. Their key is (customer, session): session numbers repeat between customers."""
    bounds = {}
    for days in WINDOWS:
        within = recent.ts >= as_of - days * DAY_MS
        bounds[f"first_{days}d"] = recent.ts.min(where=within)
        bounds[f"last_{days}d"] = recent.ts.max(where=within)
    sessions = recent.group_by(["customer_id", "session_id"]).aggregate(**bounds)
    totals = {}
    for days in WINDOWS:
        totals[f"sessions_{days}d"] = sessions[f"first_{days}d"].count()
        totals[f"session_ms_{days}d"] = (sessions[f"last_{days}d"] - sessions[f"first_{days}d"]).sum()
    return sessions.group_by("customer_id").aggregate(**totals)


def _derived(joined: Table) -> Iterator[tuple[str, Any]]:
    for days in WINDOWS:
        sessions = joined[f"sessions_{days}d"].nullif(0)
        yield f"listening_minutes_{days}d", joined[f"listening_ms_{days}d"] / MINUTE_MS
        yield f"songs_per_session_{days}d", joined[f"songs_{days}d"] / sessions
        yield f"session_minutes_{days}d", joined[f"session_ms_{days}d"] / sessions / MINUTE_MS
    for measure in MEASURES:
        if measure.trend:
            yield f"{measure.name}_trend", _pace(joined, measure.name)


def _pace(joined: Table, measure: str) -> Expression:
    """The last week's daily pace as a multiple of the whole look-back's: `(x_7d / 7) / (x_28d / 28)`."""
    # Listening time as the integers it was summed in: the same ratio, without rounding twice.
    stem = "listening_ms" if measure == "listening_minutes" else measure
    week, whole = joined[f"{stem}_{min(WINDOWS)}d"], joined[f"{stem}_{TREND_DAYS}d"]
    return week * (TREND_DAYS // min(WINDOWS)) / whole.nullif(0)


def _shaped(table: Table, history_days: float) -> Table:
    typed = {feature.name: _typed(table[feature.name], feature, history_days) for feature in FEATURES}
    return table.select("customer_id", **typed).select("customer_id", *NAMES)


def _typed(value: Expression, feature: Feature, history_days: float) -> Expression:
    if feature.is_category:
        return value.cast("string")
    kind = "int64" if feature.kind == "count" else "float64"
    if history_days < NEEDS_HISTORY.get(feature.name, 0):
        return ibis.null(kind)
    number = value.cast(kind)
    if not feature.nullable:
        number = number.fill_null(0)
    cap = ibis.literal(BY_NAME[feature.name].maximum, type="float64").cast(number.type())
    return ibis.ifelse(number > cap, cap, number)
