"""The formulas of `docs/features.md` once more, in pandas: what anybody could build from the documentation alone."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

DAY_MS = 86_400_000
FRICTION = ["Thumbs Down", "Roll Advert", "Downgrade", "Settings"]
DECAYED = {
    "songs": "NextSong",
    "thumbs_up": "Thumbs Up",
    "thumbs_down": "Thumbs Down",
    "adverts": "Roll Advert",
    "downgrade_visits": "Downgrade",
}
PER_10000_SONGS = {"thumbs_up": 552, "thumbs_down": 115, "adverts": 185, "downgrade_visits": 88}
SINCE = ["thumbs_down", "adverts", "downgrade_visits"]


def behaviour(events: pd.DataFrame, as_of: int) -> dict[str, float | int | None]:
    """The features of one customer whose events these are (`ts`, `page`, `session_id`); the log reaches back far."""
    past = events[(events.ts < as_of) & (events.ts >= as_of - 56 * DAY_MS)]
    past = past.assign(day=(as_of - 1 - past.ts) // DAY_MS, friction=past.page.isin(FRICTION))
    found = dict(_friction(past)) | dict(_decayed(past)) | dict(_last_session(past[past.day < 28]))
    for days in (28, 56):
        found |= dict(_of_lookback(past[past.day < days], as_of, days))
    return found


def _friction(past: pd.DataFrame) -> Iterator[tuple[str, Any]]:
    week, month = (int(past.friction[past.day < days].sum()) for days in (7, 28))
    yield from {"friction_7d": week, "friction_28d": month, "friction_56d": int(past.friction.sum())}.items()
    yield "friction_trend", 4 * week / month if month else None


def _decayed(past: pd.DataFrame) -> Iterator[tuple[str, float]]:
    for half_life, days in ((10, 28), (30, 56)):
        weights = [round(65_536 * 2 ** (-day / half_life)) for day in range(days)]
        for measure, page in DECAYED.items():
            visits = past.day[(past.page == page) & (past.day < days)]
            yield f"{measure}_half_life_{half_life}d", sum(weights[day] for day in visits) / sum(weights)


def _last_session(month: pd.DataFrame) -> Iterator[tuple[str, Any]]:
    if month.empty:
        yield from dict.fromkeys(["last_session_songs", "last_session_minutes", "last_session_friction"]).items()
        return
    newest = month.session_id[month.ts == month.ts.max()].max()
    session = month[month.session_id == newest]
    yield "last_session_songs", int((session.page == "NextSong").sum())
    yield "last_session_minutes", (session.ts.max() - session.ts.min()) / 60_000
    yield "last_session_friction", int(session.friction.sum())


def _of_lookback(window: pd.DataFrame, as_of: int, days: int) -> Iterator[tuple[str, Any]]:
    songs = int((window.page == "NextSong").sum())
    for measure, rate in PER_10000_SONGS.items():
        visits = int((window.page == DECAYED[measure]).sum())
        yield f"{measure}_per_1000_songs_{days}d", (10_000 * visits + 200 * rate) / (10 * (songs + 200))
    for measure in SINCE:
        newest = window.ts[window.page == DECAYED[measure]].max()
        yield f"days_since_{measure}_{days}d", days + 1 if pd.isna(newest) else (as_of - newest) / DAY_MS
    starts = window.groupby("session_id").ts.min()
    span = starts.max() - starts.min() if len(starts) >= 3 else None
    yield f"session_gap_days_{days}d", None if span is None else span / ((len(starts) - 1) * DAY_MS)
    ratio = (as_of - starts.max()) * (len(starts) - 1) / span if span else None
    yield f"session_gap_ratio_{days}d", None if ratio is None else min(ratio, 1_000)
    seen = 0 if window.empty else int(window.day.max()) + 1
    yield f"days_seen_{days}d", seen
    yield f"songs_per_day_seen_{days}d", songs / seen if seen else None
    yield f"friction_per_day_seen_{days}d", int(window.friction.sum()) / seen if seen else None
