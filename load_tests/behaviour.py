"""Features of the behaviour groups that agree with given windows: of customers who are drawn, not counted."""

from collections.abc import Iterator, Mapping
from typing import Any

from churn.behaviour_features import (
    DECAYED,
    FRICTION,
    FRICTION_WINDOWS,
    HALF_LIVES,
    LOOKBACKS,
    PAGE_RECENCY,
    PRIOR_SONGS,
    RATE_PER_10000_SONGS,
)
from churn.contract import TREND_DAYS, TREND_MAXIMUM, WINDOWS


def behaviour(row: Mapping[str, Any]) -> dict[str, float | int | None]:
    """Make these features of a customer from the other ones, as if the second month had been like the first."""
    return dict(_friction(row)) | dict(_last_session(row)) | dict(_spread(row))


def _total(row: Mapping[str, Any], measure: str, days: int) -> int:
    parts = FRICTION if measure == "friction" else (measure,)
    known = min(days, TREND_DAYS)
    return int(sum(row[f"{part}_{known}d"] for part in parts)) * (days // known)


def _friction(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    totals = {days: _total(row, "friction", days) for days in FRICTION_WINDOWS}
    yield from ((f"friction_{days}d", total) for days, total in totals.items())
    yield "friction_trend", TREND_MAXIMUM * totals[min(WINDOWS)] / totals[TREND_DAYS] if totals[TREND_DAYS] else None


def _last_session(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    sessions = row[f"sessions_{TREND_DAYS}d"]
    for name in ("songs", "friction"):
        yield f"last_session_{name}", _total(row, name, TREND_DAYS) // sessions if sessions else None
    yield "last_session_minutes", row[f"session_minutes_{TREND_DAYS}d"] if sessions else None


def _spread(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for half_life, days in HALF_LIVES.items():
        yield from ((f"{name}_half_life_{half_life}d", _total(row, name, days) / days) for name in DECAYED)
    for days in LOOKBACKS:
        yield from ((f"{name}_per_1000_songs_{days}d", _rate(row, name, days)) for name in RATE_PER_10000_SONGS)
        yield from ((f"days_since_{name}_{days}d", _since(row, name, days)) for name in PAGE_RECENCY)
        seen = days if row[f"events_{TREND_DAYS}d"] else 0
        yield f"days_seen_{days}d", seen
        for name in ("songs", "friction"):
            yield f"{name}_per_day_seen_{days}d", _total(row, name, days) / seen if seen else None
        sessions = row[f"sessions_{TREND_DAYS}d"]
        gap = TREND_DAYS / sessions if sessions > 2 else None  # two sessions are no habit
        yield f"session_gap_days_{days}d", gap
        yield f"session_gap_ratio_{days}d", None if gap is None else row["days_since_last_event"] / gap


def _rate(row: Mapping[str, Any], measure: str, days: int) -> float:
    visits, songs = _total(row, measure, days), _total(row, "songs", days)
    return (10_000 * visits + RATE_PER_10000_SONGS[measure] * PRIOR_SONGS) / (10 * (songs + PRIOR_SONGS))


def _since(row: Mapping[str, Any], measure: str, days: int) -> float:
    """In the middle of the first window that has some beyond the shorter ones."""
    last: float = row["days_since_last_event"]
    edges = (0, *WINDOWS)
    for start, end in zip(edges, WINDOWS, strict=False):
        if row[f"{measure}_{end}d"]:
            return max((start + end) / 2, last)
    return days + 1
