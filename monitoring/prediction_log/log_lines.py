"""The files of the prediction log to one table of lines, through DuckDB; what is not used is counted by reason.

What a line may hold is `churn.prediction_log`'s business; this module reads ten
million of them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

import duckdb

from churn.activity.features import DAY_MS
from churn.contract import (
    CONTRACT_VERSION,
    FEATURES,
    MAXIMUM_CATEGORY_LENGTH,
    NAMES,
    Feature,
)
from churn.customer_ids import customer_key_sql
from churn.errors import PredictionLogError
from churn.prediction_log.line import FIELDS_OF_SCHEMA, LogLine, parse
from churn.prediction_log.listing import LogFile
from churn.sql import exactly, literal, quoted
from monitoring.prediction_log.log_files import ReadableFile, Spool
from monitoring.reports.week import Week

TOLERANCE: Final = timedelta(days=1)
"""How far a caller's clock, which says of which moment a prediction is, may be ahead of the service's."""

FAR: Final = timedelta(days=7)
"""A line whose moment is further ahead of the day of its file was not written by this log."""

Found = TypeVar("Found")

_HEAD: Final = {
    "schema": "JSON",
    "erased": "JSON",
    "request_id": "VARCHAR",
    "row": "BIGINT",
    "api": "VARCHAR",
    "time": "VARCHAR",
    "as_of": "VARCHAR",
    "customer_id": "VARCHAR",
    "model": "VARCHAR",
    "contract": "VARCHAR",
    "churn_probability": "DOUBLE",
    "will_churn": "BOOLEAN",
    "source": "VARCHAR",
}
_NEEDED: Final = (
    "request_id", "row", "api", "time", "as_of", "customer_id", "model", "contract",
    "churn_probability", "will_churn", "features",
)  # fmt: skip
_KNOWN_SCHEMA: Final = f"schema::VARCHAR IN ({', '.join(repr(str(schema)) for schema in FIELDS_OF_SCHEMA)})"
_ANSWERED: Final = ("predictions", "other_contract")

_CUSTOMER: Final = f"{customer_key_sql('customer_id')} AS customer_id"
"""Lines of earlier releases hold the id as it was sent."""


@dataclass(frozen=True)
class FileCounts:
    """Counts of the lines of one file of the log.

    `predictions` were made in the week by the API `predict`, under this code's contract, and
    `other_contract` those made for other features. `explained` are lines of the API `explain`;
    `elsewhen` belong to other weeks. `partial` is the half line a killed process left, `foreign`
    what no version of this log wrote, `erased` what was taken out on request. The sum is the
    number of lines.
    """

    file: str
    predictions: int = 0
    explained: int = 0
    elsewhen: int = 0
    partial: int = 0
    foreign: int = 0
    erased: int = 0
    other_contract: int = 0

    @property
    def lines(self) -> int:
        return sum(value for value in vars(self).values() if isinstance(value, int))

    @property
    def answered(self) -> int:
        """The week's predictions, whatever the contract."""
        return self.predictions + self.other_contract

    @property
    def unusable(self) -> int:
        return self.partial + self.foreign

    def sentence(self) -> str:
        """`name: 1 truncated, 3 foreign`."""
        found = {"truncated": self.partial, "foreign": self.foreign}
        return f"{self.file}: " + ", ".join(f"{count} {what}" for what, count in found.items() if count)


def total(counts: Iterable[FileCounts]) -> FileCounts:
    """All files added up."""
    sums: dict[str, int] = {}
    for one in counts:
        for name, value in vars(one).items():
            if isinstance(value, int):
                sums[name] = sums.get(name, 0) + value
    return FileCounts("all files", **sums)


def newest_as_of(
    connection: duckdb.DuckDBPyConnection, files: Sequence[LogFile], until: int, spool: Spool
) -> int | None:
    """The newest `as_of` of a prediction in these files that is not after `until`; None without one.

    Both are UTC epoch milliseconds.
    """

    def run(readable: Sequence[ReadableFile]) -> int | None:
        sql = (
            f"SELECT max({_milliseconds('as_of')}) FROM ({_lines(readable, _HEAD | {'features': 'JSON'})}) "  # noqa: S608  # names are quoted
            f"WHERE NOT {_foreign()} AND api = 'predict' "
            f"AND {_milliseconds('as_of')} <= least(?, {_days_after_its_file(TOLERANCE)})"
        )
        found: int | None = connection.execute(sql, [until]).fetchall()[0][0]
        return found

    return _read(run, files, spool)


def stage(
    connection: duckdb.DuckDBPyConnection, files: Sequence[LogFile], week: Week, spool: Spool
) -> list[FileCounts]:
    """Fill the table `lines` with the week's predictions, and count everything else, file by file.

    Its columns: `request_id`, `row`, `model`, `customer_id`, `as_of` and `time` (UTC epoch
    milliseconds), `churn_probability`, `will_churn`, the contract's features, and
    `mistyped`, the names of the features whose value is of another type (null without any).

    Args:
        connection: to an empty database.
        files: of the log.
        week: whose predictions are wanted.
        spool: for copies of files that DuckDB cannot read as they are.

    Raises:
        PredictionLogError: a file cannot be read, or the machine has too little memory or disk.
    """

    def run(readable: Sequence[ReadableFile]) -> list[FileCounts]:
        connection.execute(_staging(readable, week))
        return _counted(connection, readable)

    return _read(run, files, spool)


def stage_answers(
    connection: duckdb.DuckDBPyConnection, files: Sequence[LogFile], weeks: Sequence[Week], spool: Spool
) -> None:
    """Fill the table `answers` with all predictions of some weeks, as `stage` counts them, without their features.

    Its columns: `model`, `customer_id`, `as_of` (UTC epoch milliseconds), `churn_probability`,
    `will_churn`. The other arguments and the errors are those of `stage`.
    """

    def run(readable: Sequence[ReadableFile]) -> None:
        connection.execute(
            f"""CREATE TABLE answers AS SELECT filename, request_id, "row", model, {_CUSTOMER},
                {_milliseconds("as_of")} AS as_of, {_milliseconds('"time"')} AS time, churn_probability, will_churn
                FROM ({_lines(readable, _HEAD | {"features": "JSON"})})
                WHERE {_reason(*weeks)} IN {_ANSWERED} AND json_type(features) = 'OBJECT'"""  # noqa: S608  # names are quoted
        )
        for file in readable:
            line = parse(last_line_if_partial(file.path) or b"")
            if line is not None:
                connection.execute(f"DELETE FROM answers WHERE {_SAME_LINE}", _line_key(file, line))  # noqa: S608  # a constant

    _read(run, files, spool)


_SAME_LINE: Final = (
    'filename = ? AND request_id = ? AND "row" = ? AND time IS NOT DISTINCT FROM epoch_ms(TRY_CAST(? AS TIMESTAMP))'
)
"""A request sent again may bear the same id, but at another time."""


def _line_key(file: ReadableFile, line: LogLine) -> list[str | int]:
    return [str(file.path), line["request_id"], line["row"], line["time"]]


def _staging(files: Sequence[ReadableFile], week: Week) -> str:
    kinds = ", ".join(f"{quoted(name)} JSON" for name in NAMES)
    typed = ", ".join(f"{_typed(feature)} AS {quoted(feature.name)}" for feature in FEATURES)
    misfits = [f"({quoted(name)} IS NULL AND features.{quoted(name)} IS NOT NULL)" for name in NAMES]
    wrong = ", ".join(f"CASE WHEN {misfit} THEN '{name}' END" for name, misfit in zip(NAMES, misfits, strict=True))
    return f"""CREATE TABLE lines AS
        SELECT * EXCLUDE features,
               CASE WHEN {" OR ".join(misfits)} THEN list_filter([{wrong}], lambda x: x IS NOT NULL) END AS mistyped
        FROM (SELECT filename, {_reason(week)} AS reason, request_id, "row", model, {_CUSTOMER},
                     {_milliseconds("as_of")} AS as_of, {_milliseconds('"time"')} AS time,
                     churn_probability, will_churn, features, {typed}
              FROM ({_lines(files, _HEAD | {"features": f"STRUCT({kinds})"})}))"""  # noqa: S608  # names are quoted


def _read(run: Callable[[Sequence[ReadableFile]], Found], files: Sequence[LogFile], spool: Spool) -> Found:
    """Run a query over the files as they are or, where a line is too long for DuckDB, over copies without it."""
    try:
        try:
            return run([spool.readable(file) for file in files])
        except duckdb.InvalidInputException as error:
            if "maximum_object_size" not in str(error):
                raise
            return run([spool.copied(file) for file in files])
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        why = str(error).partition("\n")[0]
        raise PredictionLogError(
            f"the prediction log cannot be read: {why}; run again, with more memory (--memory) or disk (TMPDIR) if "
            "that is what is short"
        ) from error


def _lines(files: Sequence[ReadableFile], columns: dict[str, str]) -> str:
    """The files as a table; a line that is no JSON object has only nulls."""
    names = ", ".join(literal(exactly(file.path)) for file in files)
    types = ", ".join(f"{quoted(name)}: {literal(kind)}" for name, kind in columns.items())
    return (
        f"SELECT * FROM read_json([{names}], format = 'newline_delimited', ignore_errors = true, filename = true, "  # noqa: S608  # names are quoted
        f"columns = {{{types}}})"
    )


def _reason(*weeks: Week) -> str:
    """The name in `FileCounts` of what a line is, when these weeks are wanted."""
    moment = _milliseconds("as_of")
    wanted = " OR ".join(f"{moment} BETWEEN {week.start_ms} AND {week.end_ms - 1}" for week in weeks)
    return f"""CASE
        WHEN {_KNOWN_SCHEMA} AND erased::VARCHAR = 'true' THEN 'erased'
        WHEN {_foreign()} THEN 'foreign'
        WHEN api <> 'predict' THEN 'explained'
        WHEN NOT ({wanted}) THEN 'elsewhen'
        WHEN contract <> '{CONTRACT_VERSION}' THEN 'other_contract'
        ELSE 'predictions' END"""


def _foreign() -> str:
    """True of a line that no version of this log wrote, also because its moment is after the day of its file."""
    written, possible = _milliseconds('"time"'), f"{_milliseconds('as_of')} BETWEEN 0 AND {_days_after_its_file(FAR)}"
    missing = " OR ".join(f"{quoted(name)} IS NULL" for name in _NEEDED)
    return (
        f"({_KNOWN_SCHEMA} IS NOT TRUE OR {missing} OR (schema::VARCHAR <> '1' AND source IS NULL) "
        f"OR {written} IS NULL OR ({possible}) IS NOT TRUE)"
    )


def _days_after_its_file(ahead: timedelta) -> str:
    """The end of the day whose predictions a file holds and `ahead` more, in milliseconds."""
    day = "regexp_extract(parse_filename(filename), '([0-9-]{10})_', 1)"
    return f"epoch_ms(TRY_CAST({day} AS TIMESTAMP)) + {DAY_MS + ahead // timedelta(milliseconds=1)}"


def _milliseconds(text: str) -> str:
    return f"epoch_ms(TRY_CAST({text} AS TIMESTAMP))"


def _typed(feature: Feature) -> str:
    """A feature's value from its JSON; null where it is of another type."""
    raw = f"features.{quoted(feature.name)}"
    if feature.is_category:
        return f"CASE WHEN {raw}::VARCHAR LIKE '\"%' THEN left({raw} ->> '$', {MAXIMUM_CATEGORY_LENGTH}) END"
    number = f"TRY_CAST({raw}::VARCHAR AS DOUBLE)"
    return f"CASE WHEN {number} % 1 = 0 THEN {number} END" if feature.kind == "count" else number


def _counted(connection: duckdb.DuckDBPyConnection, files: Sequence[ReadableFile]) -> list[FileCounts]:
    found: dict[str, dict[str, int]] = {str(file.path): {} for file in files}
    sql = "SELECT filename, reason, count(*) FROM lines GROUP BY ALL"
    for name, reason, count in connection.execute(sql).fetchall():
        found[name][reason] = count
    counts = [_without_half_line(connection, file, found[str(file.path)]) for file in files]
    connection.execute(f"DELETE FROM lines WHERE reason NOT IN {_ANSWERED}")  # noqa: S608  # a constant
    return counts


def _without_half_line(connection: duckdb.DuckDBPyConnection, file: ReadableFile, found: dict[str, int]) -> FileCounts:
    """Set the partial last line apart, whatever it was taken for."""
    counts = FileCounts(file.source.name, **found)
    counts = replace(counts, foreign=counts.foreign + file.dropped)
    half = last_line_if_partial(file.path)
    if half is None:
        return counts
    line = parse(half)
    if line is None:
        return replace(counts, partial=1, foreign=max(0, counts.foreign - 1))
    # Whole but for its line end: the process was killed before the answer was sent.
    key = _line_key(file, line)
    reasons = connection.execute(f"SELECT reason FROM lines WHERE {_SAME_LINE}", key).fetchall()  # noqa: S608  # a constant
    connection.execute(f"DELETE FROM lines WHERE {_SAME_LINE}", key)  # noqa: S608  # a constant
    return replace(counts, partial=1, **{reason: getattr(counts, reason) - 1 for (reason,) in reasons})


def last_line_if_partial(path: Path) -> bytes | None:
    """The text after the last line end of a file; None when there is none."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        tail = b""
        while end > 0 and b"\n" not in tail:
            start = max(0, end - 65_536)
            file.seek(start)
            tail = file.read(end - start) + tail
            end = start
    return tail.rpartition(b"\n")[2] or None
