"""The prediction log as a table: one week of it, one row per customer and model, through DuckDB.

What a line may hold is `monitoring.prediction_log`'s business; this module reads many at
once. Lines are never dropped silently: what is not used is counted by reason and file.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pandas as pd

from churn.contract import CONTRACT_VERSION, FEATURES, MAXIMUM_CATEGORY_LENGTH, NAMES, Feature
from churn.errors import PredictionLogError
from monitoring.column_summary import ColumnSummary, Population, rounding_step
from monitoring.drift import MONITORED
from monitoring.prediction_log import SCHEMA, day_of, files, parse
from monitoring.week import Week

MEMORY: Final = "2GB"
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
}
_TOLERANCE: Final = timedelta(days=1)


@dataclass(frozen=True)
class FileCounts:
    """What one file of the log holds, in lines.

    `predictions` were made in the week by the API `predict`, under this code's contract.
    `explained` are lines of the API `explain`; `elsewhen` belong to other weeks.
    `partial` is the half line a killed process left, `foreign` what no version of this log
    wrote, `erased` what was taken out on request, `other_contract` what was made for other
    features. The sum is the number of lines.
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
    def unusable(self) -> int:
        return self.partial + self.foreign + self.other_contract

    def sentence(self) -> str:
        """`name: 1 truncated, 3 foreign`."""
        found = {"truncated": self.partial, "foreign": self.foreign, "of another contract": self.other_contract}
        return f"{self.file}: " + ", ".join(f"{count} {what}" for what, count in found.items() if count)


def total(counts: Iterable[FileCounts]) -> FileCounts:
    """All files added up."""
    sums: dict[str, int] = {}
    for one in counts:
        for name, value in vars(one).items():
            if isinstance(value, int):
                sums[name] = sums.get(name, 0) + value
    return FileCounts("all files", **sums)


@dataclass(frozen=True)
class ModelWeek:
    """What one model answered in the week. Moments are UTC epoch milliseconds, inclusive."""

    model: str
    predictions: int
    customers: int
    first_as_of: int
    last_as_of: int
    first_time: int
    last_time: int


class WeekLog:
    """One week of the log, ready to be asked. Valid as long as `read_week` holds it open.

    Attributes:
        week: which one.
        counts: what each file held, files without a line of any interest included.
        models: what each model answered, the busiest first.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, week: Week, counts: Sequence[FileCounts]) -> None:
        self._connection = connection
        self.week = week
        self.counts = tuple(counts)
        self.models = tuple(
            ModelWeek(*row)
            for row in connection.execute(
                "SELECT model, sum(predictions)::BIGINT, count(*), min(as_of), max(as_of), min(time), max(time) "
                "FROM customers GROUP BY model ORDER BY 2 DESC, 1"
            ).fetchall()
        )

    def population(self, model: str, reference: Population) -> Population:
        """Each customer of a model once, by the newest row; numbers rounded as `reference.rounded` rounds them."""
        columns = [self._summary(model, feature, reference.columns.get(feature.name)) for feature in MONITORED]
        return Population(columns[0].rows, {column.feature.name: column for column in columns})

    def _summary(self, model: str, feature: Feature, reference: ColumnSummary | None) -> ColumnSummary:
        names: dict[str, Any] = {"model": model}
        value, outside = f"{_quoted(feature.name)}::VARCHAR", "false"
        if feature.categories is not None:
            outside = f"{value} NOT IN ({', '.join(map(_literal, feature.categories))})"
        elif not feature.is_category:
            names["step"] = 1.0 if reference is None else rounding_step(reference)
            raw = _quoted(feature.name)
            value = f"round_even({raw} / $step, 0) * $step + 0.0"  # + 0.0: there is one zero
            outside = f"{raw} NOT BETWEEN {feature.minimum} AND {feature.maximum}"  # before it is rounded past a bound
        sql = (
            f"SELECT {value} AS value, count(*), count(*) FILTER ({outside}) "  # noqa: S608  # the contract's names
            "FROM customers WHERE model = $model GROUP BY 1 ORDER BY 1"
        )
        return _column(feature, self._connection.execute(sql, names).fetchall(), self._mistyped(model, feature))

    def _mistyped(self, model: str, feature: Feature) -> int:
        sql = "SELECT count(*) FROM customers WHERE model = ? AND mistyped IS NOT NULL AND list_contains(mistyped, ?)"
        return int(self._one(sql, [model, feature.name]))

    def _one(self, sql: str, values: Sequence[Any]) -> Any:
        row = self._connection.execute(sql, values).fetchone()
        assert row is not None
        return row[0]

    def sample(self, model: str, rows: int, seed: int) -> pd.DataFrame:
        """At most `rows` customers of a model, drawn at random; the monitored columns only, so nobody's id."""
        names = ", ".join(_quoted(feature.name) for feature in MONITORED)
        sql = (
            f"SELECT {names} FROM customers WHERE model = ? "  # noqa: S608  # the contract's names
            "ORDER BY hash(customer_id, ?::BIGINT), customer_id LIMIT ?"
        )
        return self._frame(sql, [model, seed, rows])

    def at_risk(self, model: str, limit: int | None) -> pd.DataFrame:
        """The flagged customers whose newest answer is this model's, most at risk first.

        Columns: `customer_id`, `churn_probability`, the contract's features.
        """
        names = ", ".join(_quoted(feature.name) for feature in FEATURES)
        sql = (
            f"SELECT customer_id, churn_probability, {names} FROM customers "  # noqa: S608  # the contract's names
            "WHERE model = ? AND latest AND will_churn ORDER BY churn_probability DESC, customer_id LIMIT ?"
        )
        return self._frame(sql, [model, limit])

    def _frame(self, sql: str, values: Sequence[Any]) -> pd.DataFrame:
        frame: pd.DataFrame = self._connection.execute(sql, values).df()
        return frame

    def flagged(self) -> int:
        """How many customers the newest answer of the week flags."""
        return int(self._one("SELECT count(*) FROM customers WHERE latest AND will_churn", []))


def _column(feature: Feature, found: Sequence[tuple[Any, int, int]], mistyped: int) -> ColumnSummary:
    """A column from its values with how often each occurs, and how often outside the contract."""
    rows = sum(count for _, count, _ in found)
    present = [(value, count) for value, count, _ in found if value is not None]
    counts = np.array([count for _, count in present], dtype=np.int64)
    nulls = rows - int(counts.sum()) - mistyped
    outside = sum(beyond for _, _, beyond in found)
    if feature.is_category:
        labels = tuple(value for value, _ in present)
        return ColumnSummary(feature, rows, nulls, mistyped, outside, labels=labels, counts=counts)
    numbers = np.array([value for value, _ in present], dtype=np.float64)
    return ColumnSummary(feature, rows, nulls, mistyped, outside, numbers=numbers, counts=counts)


@contextmanager
def read_week(folder: Path, week: Week | None = None, memory: str = MEMORY) -> Iterator[WeekLog]:
    """Read one week of the log; without `week` the newest that has a prediction.

    What is read is kept in a folder of its own that only this user can enter, and is gone
    afterwards.

    Raises:
        PredictionLogError: there is no log, or no prediction in it.
    """
    with tempfile.TemporaryDirectory(prefix="churn-report-") as spool:
        connection = duckdb.connect(str(Path(spool, "week.duckdb")))
        try:
            connection.execute("SET memory_limit = ?", [memory])
            connection.execute("SET preserve_insertion_order = false")
            yield _load(connection, folder, week)
        finally:
            connection.close()


def _load(connection: duckdb.DuckDBPyConnection, folder: Path, week: Week | None) -> WeekLog:
    paths = [path for path in files(folder) if path.stat().st_size > 0]
    if not paths:
        raise PredictionLogError(f"no predictions are logged in {folder}; serve some, or name the folder (--log-dir)")
    if week is None:
        week = _newest_week(connection, paths, folder)
    paths = [path for path in paths if day_of(path) >= (week.start - _TOLERANCE).date()]
    counts = _stage(connection, paths, week) if paths else []
    if sum(one.predictions for one in counts) == 0:
        raise PredictionLogError(_nothing(folder, week, total(counts)))
    _keep_newest(connection)
    return WeekLog(connection, week, counts)


def _nothing(folder: Path, week: Week, counts: FileCounts) -> str:
    text = f"no predictions for week {week} in {folder}"
    if counts.other_contract:
        return f"{text}: {counts.other_contract} lines are of another contract, this code has {CONTRACT_VERSION}"
    return f"{text}; name another week (--week), or another folder (--log-dir)"


def _newest_week(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], folder: Path) -> Week:
    """Of the newest `as_of`. Days are read from the newest back, until older ones cannot hold a newer one."""
    newest: int | None = None
    days = sorted({day_of(path) for path in paths}, reverse=True)
    for day in days:
        if newest is not None and day < (Week.of(newest).start - _TOLERANCE).date():
            break
        sql = (
            f"SELECT max({_milliseconds('as_of')}) FROM ({_lines([p for p in paths if day_of(p) == day], _HEAD)}) "  # noqa: S608
            f"WHERE api = 'predict' AND contract = '{CONTRACT_VERSION}'"
        )
        found = connection.execute(sql).fetchall()[0][0]
        newest = max(filter(None, (newest, found)), default=None)
    if newest is None:
        raise PredictionLogError(f"no line in {folder} is a prediction under contract {CONTRACT_VERSION}")
    return Week.of(newest)


def _lines(paths: Sequence[Path], columns: dict[str, str]) -> str:
    """The files as a table; a line that is no JSON object has only nulls."""
    names = ", ".join(_literal(str(path)) for path in paths)
    types = ", ".join(f"{_quoted(name)}: {_literal(kind)}" for name, kind in columns.items())
    return (
        f"SELECT * FROM read_json([{names}], format = 'newline_delimited', ignore_errors = true, filename = true, "  # noqa: S608
        f"columns = {{{types}}})"
    )


def _stage(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], week: Week) -> list[FileCounts]:
    """Fill the table `lines` with the week, and count everything else."""
    kinds = ", ".join(f"{_quoted(feature.name)} JSON" for feature in FEATURES)
    typed = ", ".join(f"{_typed(feature)} AS {_quoted(feature.name)}" for feature in FEATURES)
    misfits = [f"({_quoted(name)} IS NULL AND features.{_quoted(name)} IS NOT NULL)" for name in NAMES]
    wrong = ", ".join(f"CASE WHEN {misfit} THEN '{name}' END" for name, misfit in zip(NAMES, misfits, strict=True))
    connection.execute(
        f"""CREATE TABLE lines AS
        SELECT * EXCLUDE features,
               CASE WHEN {" OR ".join(misfits)} THEN list_filter([{wrong}], lambda x: x IS NOT NULL) END AS mistyped
        FROM (SELECT filename, {_reason(week)} AS reason, request_id, "row", model, customer_id,
                     {_milliseconds("as_of")} AS as_of, {_milliseconds('"time"')} AS time,
                     churn_probability, will_churn, features, {typed}
              FROM ({_lines(paths, _HEAD | {"features": f"STRUCT({kinds})"})}))"""  # noqa: S608
    )
    found: dict[str, dict[str, int]] = {str(path): {} for path in paths}
    for name, reason, count in connection.execute(
        "SELECT filename, reason, count(*) FROM lines GROUP BY ALL"
    ).fetchall():
        found[name][reason] = count
    return [_without_half_line(connection, path, FileCounts(path.name, **found[str(path)])) for path in paths]


def _reason(week: Week) -> str:
    """The name in `FileCounts` of what a line is."""
    needed = ("request_id", "row", "api", "time", "as_of", "customer_id", "model", "contract", "features")
    moment = _milliseconds("as_of")
    return f"""CASE
        WHEN schema::VARCHAR = '{SCHEMA}' AND erased::VARCHAR = 'true' THEN 'erased'
        WHEN schema IS NULL OR schema::VARCHAR <> '{SCHEMA}' THEN 'foreign'
        WHEN {" OR ".join(f"{_quoted(name)} IS NULL" for name in needed)} THEN 'foreign'
        WHEN {moment} IS NULL OR {_milliseconds('"time"')} IS NULL THEN 'foreign'
        WHEN churn_probability IS NULL OR will_churn IS NULL THEN 'foreign'
        WHEN contract <> '{CONTRACT_VERSION}' THEN 'other_contract'
        WHEN api <> 'predict' THEN 'explained'
        WHEN {moment} NOT BETWEEN {week.start_ms} AND {week.end_ms - 1} THEN 'elsewhen'
        ELSE 'predictions' END"""


def _milliseconds(text: str) -> str:
    return f"epoch_ms(TRY_CAST({text} AS TIMESTAMP))"


def _typed(feature: Feature) -> str:
    """A feature's value from its JSON; null where it is of another type."""
    raw = f"features.{_quoted(feature.name)}"
    if feature.is_category:
        return f"CASE WHEN {raw}::VARCHAR LIKE '\"%' THEN left({raw} ->> '$', {MAXIMUM_CATEGORY_LENGTH}) END"
    number = f"TRY_CAST({raw}::VARCHAR AS DOUBLE)"
    return f"CASE WHEN {number} % 1 = 0 THEN {number} END" if feature.kind == "count" else number


def _without_half_line(connection: duckdb.DuckDBPyConnection, path: Path, counts: FileCounts) -> FileCounts:
    """Set the partial last line apart, whatever it was taken for."""
    half = last_line_if_partial(path)
    if half is None:
        return counts
    line = parse(half)
    if line is None:
        return replace(counts, partial=1, foreign=max(0, counts.foreign - 1))
    # Whole but for its line end: the process was killed before the answer was sent.
    key = [str(path), line["request_id"], line["row"]]
    where = 'filename = ? AND request_id = ? AND "row" = ?'
    found = connection.execute(f"SELECT reason FROM lines WHERE {where}", key).fetchall()  # noqa: S608
    connection.execute(f"DELETE FROM lines WHERE {where}", key)  # noqa: S608
    taken = {reason: getattr(counts, reason) - 1 for (reason,) in found}
    return replace(counts, partial=1, **taken)


def last_line_if_partial(path: Path) -> bytes | None:
    """What follows the last line end of a file; None when nothing does."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        tail = b""
        while end > 0 and b"\n" not in tail:
            start = max(0, end - 65_536)
            file.seek(start)
            tail = file.read(end - start) + tail
            end = start
    return tail.rpartition(b"\n")[2] or None


def _keep_newest(connection: duckdb.DuckDBPyConnection) -> None:
    """The table `customers`: the newest prediction of each customer by each model.

    `latest` marks the newest by any model; `predictions` counts what was answered in all.
    """
    order = 'as_of DESC, time DESC, request_id, "row"'
    connection.execute(
        f"""CREATE TABLE newest AS SELECT * EXCLUDE place FROM (
            SELECT rowid AS id, count(*) OVER (PARTITION BY model, customer_id) AS predictions,
                   row_number() OVER (PARTITION BY model, customer_id ORDER BY {order}) AS place,
                   row_number() OVER (PARTITION BY customer_id ORDER BY {order}) = 1 AS latest
            FROM lines WHERE reason = 'predictions') WHERE place = 1"""  # noqa: S608
    )
    connection.execute(
        "CREATE TABLE customers AS SELECT lines.* EXCLUDE (filename, reason), newest.predictions, newest.latest "
        "FROM lines JOIN newest ON lines.rowid = newest.id"
    )
    connection.execute("DROP TABLE lines")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
