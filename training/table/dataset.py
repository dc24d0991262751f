"""Events to the training table: one row per customer at risk and weekly snapshot, with its label."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from ibis import Table

from churn.activity.features import Moment, features_at
from churn.activity.labels import HORIZON_DAYS, Definition, labels
from churn.contract import AT_RISK_DAYS, FEATURES, MINIMUM_HISTORY_DAYS, NAMES, TREND_DAYS
from churn.errors import NotEnoughDataError
from churn.moments import DAY_MS, iso
from churn.quality.measures import LABEL

STEP_DAYS: Final = 7
STANDARD: Final = Definition()
_NULLABLE_COUNTS: Final = tuple(feature.name for feature in FEATURES if feature.kind == "count" and feature.nullable)


@dataclass(frozen=True)
class Snapshot(Moment):
    """A moment of the table. `short`: the log holds less history than the windows that every model may use."""

    @property
    def short(self) -> bool:
        return self.history_days < TREND_DAYS


def snapshots(first_ts: int, log_end: int, horizon_days: int = HORIZON_DAYS) -> list[Snapshot]:
    """Weekly snapshots with a known label, newest first, anchored at the log's end minus the horizon.

    Raises:
        NotEnoughDataError: the log is too short for one.
    """
    newest = log_end - horizon_days * DAY_MS
    history = (newest - first_ts) / DAY_MS
    if history < MINIMUM_HISTORY_DAYS:
        raise NotEnoughDataError(
            f"the log spans {(log_end - first_ts) / DAY_MS:.1f} days ({iso(first_ts)} to {iso(log_end)}); training "
            f"needs {MINIMUM_HISTORY_DAYS} days of history and a horizon of {horizon_days} days, "
            f"{MINIMUM_HISTORY_DAYS + horizon_days} in all"
        )
    count = int((history - MINIMUM_HISTORY_DAYS) // STEP_DAYS) + 1
    return [Snapshot(newest - back * STEP_DAYS * DAY_MS, history - back * STEP_DAYS) for back in range(count)]


def training_table(
    events: Table,
    first_ts: int,
    log_end: int,
    definition: Definition = STANDARD,
    progress: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """All labelled rows, sorted by snapshot and customer.

    Columns: `customer_id`, `as_of` (UTC epoch milliseconds), `short`, the contract's
    features, `churned` (0 or 1).

    A snapshot is made where the days with events reach back from it without a gap of more
    than 30 days: beyond such a gap nobody is at risk, and one row of a wrong clock would
    ask for a thousand snapshots. History counts from the gap on.

    Raises:
        NotEnoughDataError: the log is too short for a label, or nobody is at risk at any snapshot.
    """
    parts = []
    dates = _with_history(snapshots(first_ts, log_end, definition.horizon_days), _runs(events, first_ts))
    rows = features_at(events, dates)
    for number, snapshot in enumerate(dates, 1):
        progress(f"snapshot {number} of {len(dates)}: {iso(snapshot.as_of)}")
        parts.append(_labelled(next(rows), events, snapshot, log_end, definition))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if table.empty:
        raise NotEnoughDataError(
            f"nobody is at risk at a snapshot with {MINIMUM_HISTORY_DAYS} days of events before it and a known label; "
            "take a longer log, or one without gaps"
        )
    return table.sort_values(["as_of", "customer_id"], ignore_index=True)


def _runs(events: Table, first_ts: int) -> list[tuple[int, int]]:
    """The stretches of the log, oldest first, as their first and last moment: none has a gap of over 30 days."""
    found = events.select(day=events.ts // DAY_MS).distinct().to_pandas()["day"]
    days = np.unique(np.append(found.to_numpy(np.int64), first_ts // DAY_MS))
    breaks = np.flatnonzero(np.diff(days) > AT_RISK_DAYS + 1)
    starts, ends = days[np.append(0, breaks + 1)], days[np.append(breaks, len(days) - 1)]
    return [
        (max(int(start) * DAY_MS, first_ts), (int(end) + 1) * DAY_MS) for start, end in zip(starts, ends, strict=True)
    ]


def _with_history(dates: list[Snapshot], runs: list[tuple[int, int]]) -> list[Snapshot]:
    """The snapshots within reach of a run, each with its history in that run, where it is long enough."""
    kept = []
    for date in dates:
        start, end = max((run for run in runs if run[0] < date.as_of), default=(date.as_of, date.as_of))
        history = (min(date.as_of, end) - start) / DAY_MS
        if history >= MINIMUM_HISTORY_DAYS and end > date.as_of - AT_RISK_DAYS * DAY_MS:
            kept.append(Snapshot(date.as_of, history))
    return kept


def _labelled(rows: Table, events: Table, snapshot: Snapshot, log_end: int, definition: Definition) -> pd.DataFrame:
    outcome = labels(events, snapshot.as_of, log_end, definition.kind, definition.horizon_days)
    frame = as_frame(rows.inner_join(outcome, "customer_id"))
    frame.insert(1, "as_of", np.int64(snapshot.as_of))
    frame.insert(2, "short", snapshot.short)
    return frame[["customer_id", "as_of", "short", *NAMES, LABEL]]


def newest_table(events: Table, first_ts: int, log_end: int) -> pd.DataFrame:
    """The features of everybody at risk right after the log's last event, sorted by customer; no label yet."""
    as_of = log_end + 1
    start, _ = _runs(events, first_ts)[-1]
    newest = Snapshot(as_of, (as_of - start) / DAY_MS)
    (rows,) = features_at(events, [newest])
    frame = as_frame(rows)
    frame.insert(1, "as_of", np.int64(as_of))
    frame.insert(2, "short", newest.short)
    return frame.sort_values("customer_id", ignore_index=True)


def as_frame(rows: Table) -> pd.DataFrame:
    """Features in pandas; counts that may be null as float64, whatever integer the engine summed them in."""
    frame: pd.DataFrame = rows.to_pandas()
    return frame.astype(dict.fromkeys(_NULLABLE_COUNTS, np.float64))


def fingerprint(table: pd.DataFrame) -> str:
    """sha256 of the table's values: the same rows give the same text on every machine."""
    hashed = pd.util.hash_pandas_object(table, index=False)
    return hashlib.sha256(np.ascontiguousarray(hashed.to_numpy()).tobytes()).hexdigest()
