"""The reader's report: what was read, kept and dropped, for a person and as JSON."""

# ruff: noqa: S608 - this SQL is put together from constants; values are parameters

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import ibis
from pydantic import ConfigDict

from churn.activity.column_checks import left_out
from churn.activity.features import come_back
from churn.activity.files import LogFile
from churn.activity.listing import PassedOver
from churn.activity.pages import KNOWN, SONG
from churn.activity.rows import DOUBT, DUPLICATE, NO_CUSTOMER, NULLED, staged
from churn.activity.second_look import line_numbers
from churn.activity.settings import WITHOUT
from churn.activity.sources import query
from churn.activity.span import GAP_DAYS, span_of
from churn.activity.staged import StagedLog
from churn.moments import iso

_LATE: Final = (
    f"{{:,}} rows come more than {GAP_DAYS} days after all others and set the end of the log: "
    "if their clock was wrong, remove them"
)
_EARLY: Final = (
    f"{{:,}} rows come more than {GAP_DAYS} days before all others, and the log is taken to begin after them: "
    "if their clock was wrong, remove them"
)
_EXPONENTS: Final = (
    "{:,} rows have a userId with an exponent, as 1.1E7 has: it is kept as it is, but a spreadsheet or a column of "
    "floats may have taken its last digits"
)
_NO_SONGS: Final = f"no row has the page {SONG}: nobody played a song"
_BACK: Final = "{:,} of them cancelled and came back: at risk again from their next song on"

_EXAMPLE_FILES: Final = 3
_EXAMPLES_PER_FILE: Final = 3
_NAMES_PER_REASON: Final = 10
_LONGEST_NAME: Final = 40


@dataclass(frozen=True)
class ReadReport:
    """Counts of the rows that were read, kept and dropped."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    files: int
    """Files with content."""
    rows: int
    """Rows in all, blank lines aside: `kept` and all of `dropped`."""
    kept: int
    """Rows that were kept."""
    dropped: dict[str, int]
    """Rows that were dropped, by reason."""
    nulled: dict[str, int]
    """Impossible values of kept rows that were set to null, by reason."""
    examples: tuple[str, ...]
    """Places of the first bad rows, never their contents."""
    customers: int
    """Customers of the kept rows."""
    first_ts: int
    """Oldest valid moment of any row, UTC epoch milliseconds, without those far before all others."""
    log_end: int
    """Newest valid moment of any row, with or without a customer, UTC epoch milliseconds."""
    after_gap: int
    """Rows at the end of the log, if they are few, that come long after all others; `log_end` hangs on them."""
    came_back: int = 0
    """Customers who played a song after their last cancellation."""
    before_gap: int = 0
    """Rows at the beginning of the log, if they are few, that come long before all others."""
    absent: dict[str, int] = field(default_factory=dict)
    """Values that were read as absent, by text and column."""
    unknown_pages: int = 0
    """Kept rows with a page that the service does not have."""
    unknown_page_names: dict[str, int] = field(default_factory=dict)
    """The commonest of these pages."""
    no_songs: bool = False
    """True when no row is a song."""
    exponents: int = 0
    """Kept rows whose `userId` has an exponent."""
    left_out: tuple[str, ...] = ()
    """Columns that a setting leaves out."""
    passed_over: dict[str, int] = field(default_factory=dict)
    """Files beside the log that were not read, by reason."""
    passed_over_names: dict[str, list[str]] = field(default_factory=dict)
    """The first names for each reason."""

    def lines(self) -> list[str]:
        """The report for a person."""
        files = "1 file" if self.files == 1 else f"{self.files:,} files"
        return [
            f"{self.rows:,} rows in {files}, from {iso(self.first_ts)} to {iso(self.log_end)}",
            f"{self.kept:,} kept, of {self.customers:,} customers",
            *self._warnings(),
            *(f"{count:,} dropped: {reason}" for reason, count in self.dropped.items()),
            *(f"{count:,} set to null: {reason}" for reason, count in self.nulled.items()),
            *(f"{count:,} read as absent: {what}" for what, count in self.absent.items()),
            *(f"for example {place}" for place in self.examples),
            *(self._passed_over(reason, count) for reason, count in self.passed_over.items()),
        ]

    def _warnings(self) -> Iterator[str]:
        counted = {
            _BACK: self.came_back,
            _EARLY: self.before_gap,
            _LATE: self.after_gap,
            _EXPONENTS: self.exponents,
            _NO_SONGS: self.no_songs,
        }
        yield from (sentence.format(count) for sentence, count in counted.items() if count)
        if self.unknown_pages:
            names = ", ".join(f"{name} ({rows:,})" for name, rows in self.unknown_page_names.items())
            yield f"{self.unknown_pages:,} kept ({self.unknown_pages / self.kept:.1%}) have an unknown page: {names}"
        if self.left_out:
            yield f"left out, as {WITHOUT.name} says: {', '.join(self.left_out)}"

    def _passed_over(self, reason: str, count: int) -> str:
        names = self.passed_over_names.get(reason, [])
        more = f" and {count - len(names):,} more" if count > len(names) else ""
        return f"{count:,} passed over: {reason}: {', '.join(names)}{more}"

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it; `from_dict` takes it back."""
        return asdict(self) | {"examples": list(self.examples), "left_out": list(self.left_out)}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> "ReadReport":
        return cls(**(facts | {name: tuple(facts.get(name, ())) for name in ("examples", "left_out")}))


def make_report(log: StagedLog) -> ReadReport:
    """The report on a log whose good rows are kept."""
    bits = ", ".join(f"count(*) FILTER (nulled & {2**bit} > 0)" for bit in range(len(NULLED)))
    ((kept, customers, *nulled),) = log.rows(
        f"SELECT count(*), count(DISTINCT customer_id), {bits} FROM {log.catalog}.kept"
    )
    exponent = f"doubts & {DOUBT['userId with an exponent']} > 0"
    ((exponents,),) = log.rows(f"SELECT count(*) FROM {log.catalog}.staged WHERE {exponent} AND reason IS NULL")
    ((duplicates,),) = log.rows(f"SELECT coalesce(sum(more), 0)::BIGINT FROM {log.catalog}.duplicates")
    unknown_pages, unknown_page_names = _unknown_pages(log)
    songs = log.rows(f"SELECT 1 FROM {log.catalog}.kept WHERE page = '{SONG}' LIMIT 1")
    span, total = span_of(log), log.total()
    dropped = Counter({reason: rows for reason, rows in total.items() if reason} | {DUPLICATE: duplicates})
    return ReadReport(
        files=len(log.counts),
        rows=total.total(),
        kept=kept,
        dropped={reason: rows for reason, rows in sorted(dropped.items(), key=_most_first) if rows},
        nulled={meaning: values for meaning, values in zip(NULLED, nulled, strict=True) if values},
        examples=tuple(examples(log)),
        customers=customers,
        first_ts=span.first_ts,
        log_end=span.log_end,
        before_gap=span.before_gap,
        after_gap=span.after_gap,
        came_back=_came_back(log),
        absent=_absent(log),
        unknown_pages=unknown_pages,
        unknown_page_names=unknown_page_names,
        no_songs=not songs,
        exponents=exponents,
        left_out=left_out(),
        passed_over=dict(Counter(one.reason for one in log.passed_over).most_common()),
        passed_over_names=_names(log.passed_over),
    )


def _unknown_pages(log: StagedLog) -> tuple[int, dict[str, int]]:
    """How many kept rows have a page that the service does not have, and the commonest such pages with their rows."""
    known = ", ".join(f"'{name}'" for name in KNOWN)
    pages = f"SELECT page, count(*) AS rows FROM {log.catalog}.kept GROUP BY page"
    found = log.rows(
        f"SELECT page, rows, sum(rows) OVER () FROM ({pages}) WHERE page NOT IN ({known}) "
        f"ORDER BY rows DESC, page LIMIT {_NAMES_PER_REASON}"
    )
    return (int(found[0][2]) if found else 0), {name[:_LONGEST_NAME]: rows for name, rows, _ in found}


def _absent(log: StagedLog) -> dict[str, int]:
    """The texts that were read as absent, with their column and how often: `nan in userId`."""
    counts: Counter[str] = Counter()
    found = log.rows(f"SELECT absent, count(*) FROM {log.catalog}.staged WHERE absent IS NOT NULL GROUP BY absent")
    for texts, rows in found:
        for one in filter(None, texts.split("\n")):
            column, _, written = one.partition(" ")
            counts[f"{written} in {column}"] += rows
    return dict(sorted(counts.items(), key=_most_first))


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


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
