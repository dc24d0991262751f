"""The reader's report: what was read, kept and dropped, for a person and as JSON."""

# ruff: noqa: S608 - this SQL is put together from constants; values are parameters

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import ibis

from churn.activity.features import come_back
from churn.activity.files import LogFile
from churn.activity.listing import PassedOver
from churn.activity.rows import DUPLICATE, NO_CUSTOMER, NULLED, staged
from churn.activity.second_look import line_numbers
from churn.activity.sources import query
from churn.activity.staged import StagedLog
from churn.moments import iso

_DAY_MS: Final = 24 * 60 * 60 * 1000
GAP_DAYS: Final = 30
_FEW: Final = 0.001
_GAP: Final = (
    f"{{rows:,}} rows come more than {GAP_DAYS} days after all others and set the end of the log: "
    "if their clock was wrong, remove them"
)
_BACK: Final = "{customers:,} of them cancelled and came back: at risk again from their next song on"

_EXAMPLE_FILES: Final = 3
_EXAMPLES_PER_FILE: Final = 3
_NAMES_PER_REASON: Final = 10


@dataclass(frozen=True)
class ReadReport:
    """What was read, kept and dropped.

    `files` counts those with content. `rows` counts all rows seen, blank lines aside, and
    equals `kept` plus all of `dropped` (by reason). `nulled` counts impossible values set
    to null in kept rows. `examples` are the first few places of bad rows, never their
    contents. `first_ts` and `log_end` are the oldest and newest valid `ts` (UTC epoch ms)
    of any row, with or without a customer. `after_gap` counts rows at the end, if they are
    few, that come more than `GAP_DAYS` after all others: the end of the log hangs on them.
    `came_back` counts the customers who played a song after their last cancellation.
    `passed_over` counts what lies in the place of the log and is not read, by reason;
    `passed_over_names` has the first names of each reason.
    """

    files: int
    rows: int
    kept: int
    dropped: dict[str, int]
    nulled: dict[str, int]
    examples: tuple[str, ...]
    customers: int
    first_ts: int
    log_end: int
    after_gap: int
    came_back: int = 0
    passed_over: dict[str, int] = field(default_factory=dict)
    passed_over_names: dict[str, list[str]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The report for a person."""
        files = "1 file" if self.files == 1 else f"{self.files:,} files"
        return [
            f"{self.rows:,} rows in {files}, from {iso(self.first_ts)} to {iso(self.log_end)}",
            f"{self.kept:,} kept, of {self.customers:,} customers",
            *([_GAP.format(rows=self.after_gap)] if self.after_gap else []),
            *([_BACK.format(customers=self.came_back)] if self.came_back else []),
            *(f"{count:,} dropped: {reason}" for reason, count in self.dropped.items()),
            *(f"{count:,} set to null: {reason}" for reason, count in self.nulled.items()),
            *(f"for example {place}" for place in self.examples),
            *(self._passed_over(reason, count) for reason, count in self.passed_over.items()),
        ]

    def _passed_over(self, reason: str, count: int) -> str:
        names = self.passed_over_names.get(reason, [])
        more = f" and {count - len(names):,} more" if count > len(names) else ""
        return f"{count:,} passed over: {reason}: {', '.join(names)}{more}"

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it; `from_dict` takes it back."""
        return asdict(self) | {"examples": list(self.examples)}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> "ReadReport":
        return cls(**(facts | {"examples": tuple(facts["examples"])}))


def make_report(log: StagedLog) -> ReadReport:
    """The report on a log whose good rows are kept."""
    bits = ", ".join(f"count(*) FILTER (nulled & {2**bit} > 0)" for bit in range(len(NULLED)))
    ((kept, customers, *nulled),) = log.rows(
        f"SELECT count(*), count(DISTINCT customer_id), {bits} FROM {log.catalog}.kept"
    )
    ((first_ts, log_end),) = log.rows(f"SELECT min(ts), max(ts) FROM {log.catalog}.staged")
    ((duplicates,),) = log.rows(f"SELECT coalesce(sum(more), 0)::BIGINT FROM {log.catalog}.duplicates")
    total = log.total()
    dropped = Counter({reason: rows for reason, rows in total.items() if reason} | {DUPLICATE: duplicates})
    return ReadReport(
        files=len(log.counts),
        rows=total.total(),
        kept=kept,
        dropped={reason: rows for reason, rows in sorted(dropped.items(), key=_most_first) if rows},
        nulled={meaning: values for meaning, values in zip(NULLED, nulled, strict=True) if values},
        examples=tuple(examples(log)),
        customers=customers,
        first_ts=first_ts,
        log_end=log_end,
        after_gap=_after_gap(_days(log)),
        came_back=_came_back(log),
        passed_over=dict(Counter(one.reason for one in log.passed_over).most_common()),
        passed_over_names=_names(log.passed_over),
    )


def _came_back(log: StagedLog) -> int:
    columns = {"customer_id": "string", "ts": "int64", "page": "string"}
    kept = ibis.table(columns, name="kept", catalog=log.catalog, database="main")
    ((customers,),) = log.rows(ibis.to_sql(come_back(kept).count(), dialect="duckdb"))
    return int(customers)


def _names(passed_over: list[PassedOver]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    for one in sorted(passed_over, key=lambda one: one.path):
        if len(names[one.reason]) < _NAMES_PER_REASON:
            names[one.reason].append(str(one.path))
    return dict(names)


def _days(log: StagedLog) -> list[tuple[int, int]]:
    """The days with events, since the epoch, and their numbers of rows; newest first."""
    return log.rows(
        f"SELECT ts // {_DAY_MS} AS day, count(*) FROM {log.catalog}.staged WHERE ts IS NOT NULL "
        "GROUP BY day ORDER BY day DESC"
    )


def examples(log: StagedLog) -> Iterator[str]:
    """The first places of bad rows, with the reason."""
    bad = [file for file, counts in log.counts.items() if counts.keys() - {None, NO_CUSTOMER}]
    for file in bad[:_EXAMPLE_FILES]:
        yield from _examples_of(log, file)


def _examples_of(log: StagedLog, file: LogFile) -> list[str]:
    known = log.places[file]
    most = _EXAMPLES_PER_FILE + sum(reason is None for reason in known.values())
    numbered = f"SELECT reason, row_number() OVER () AS number FROM ({staged(query(file, log.duck))})"
    found = log.rows(
        f"SELECT number, reason FROM ({numbered}) WHERE reason IS NOT NULL AND reason <> '{NO_CUSTOMER}' LIMIT {most}",
        [file],
    )
    if file.kind in {"json array", "parquet"}:
        return [f"{file.path}: row {row:,}: {reason}" for row, reason in found]
    reasons = dict(found)
    places = {line: reasons[row] for row, line in line_numbers(file, set(reasons)).items()} | known
    bad = sorted((line, reason) for line, reason in places.items() if reason is not None)
    return [f"{file.path}:{line}: {reason}" for line, reason in bad[:_EXAMPLES_PER_FILE]]


def _after_gap(days: list[tuple[int, int]]) -> int:
    """Rows after a gap of more than `GAP_DAYS`, when they are at most `_FEW` of all: 0 when there are none."""
    few = max(1, _FEW * sum(rows for _, rows in days))
    lonely = seen = 0
    for (day, rows), (day_before, _) in itertools.pairwise(days):
        seen += rows
        if seen > few:
            break
        if day - day_before > GAP_DAYS:
            lonely = seen
    return lonely


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
