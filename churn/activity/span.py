"""The span of a log: its first and last moment, and the few rows that lie far from all others."""

# ruff: noqa: S608 - this SQL is put together from constants

import itertools
from dataclasses import dataclass
from typing import Final

from churn.activity.staged import StagedLog

GAP_DAYS: Final = 30
_DAY_MS: Final = 24 * 60 * 60 * 1000
_FEW: Final = 0.001

Days = list[tuple[int, int]]
"""The days with events, since 1970, with their numbers of rows, in order or backwards."""


@dataclass(frozen=True)
class Span:
    """From when to when a log goes.

    `log_end` is the newest valid `ts` of any row, `first_ts` the oldest that does not lie
    far before all others: snapshots begin with it, and one clock that was reset must not
    make hundreds in which nobody is. `before_gap` and `after_gap` count the rows at either
    end, if they are few, that have more than `GAP_DAYS` between them and all others.
    """

    first_ts: int
    log_end: int
    before_gap: int
    after_gap: int


def span_of(log: StagedLog) -> Span:
    """The span of a log with at least one valid `ts`."""
    days = log.rows(
        f"SELECT ts // {_DAY_MS} AS day, count(*), min(ts), max(ts) FROM {log.catalog}.staged WHERE ts IS NOT NULL "
        "GROUP BY day ORDER BY day"
    )
    counts = [(day, rows) for day, rows, _, _ in days]
    early, late = lonely(counts), lonely(counts[::-1])
    ahead = itertools.accumulate(rows for _, rows in counts)
    first = next(start for (_, _, start, _), seen in zip(days, ahead, strict=True) if seen > early)
    return Span(first, days[-1][3], early, late)


def lonely(days: Days) -> int:
    """Rows of the first days that a gap parts from all others, when they are at most `_FEW` of all; else 0."""
    total = sum(rows for _, rows in days)
    few = min(max(1, _FEW * total), (total - 1) // 2)
    found = seen = 0
    for (day, rows), (next_day, _) in itertools.pairwise(days):
        seen += rows
        if seen > few:
            break
        if abs(next_day - day) > GAP_DAYS:
            found = seen
    return found
