"""One week of the prediction log, one row per customer and model, ready to be asked through DuckDB."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pandas as pd

from churn.contract import FEATURES, Feature
from churn.errors import PredictionLogError
from churn.moments import epoch_ms
from churn.passed_over import MOST_UNREAD
from churn.prediction_log.listing import Listing
from churn.sql import literal, quoted
from monitoring.drift.column_summary import ColumnSummary, Population, rounding_step
from monitoring.drift.decision import MONITORED
from monitoring.performance.estimated import CELL, Answers
from monitoring.prediction_log.log_files import Spool, log_files
from monitoring.prediction_log.log_lines import TOLERANCE, FileCounts, newest_as_of, stage
from monitoring.reports.week import Week

MEMORY_GB: Final = 2.0
HOUR_MS: Final = 3_600_000
PICO: Final = 1_000_000_000_000


@dataclass(frozen=True)
class ModelWeek:
    """Predictions of one model in the week. Moments are UTC epoch milliseconds, inclusive."""

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
        log: all files of the log, and what is passed over beside them.
        models: what each model answered, the busiest first.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, week: Week, counts: Sequence[FileCounts], log: Listing
    ) -> None:
        self._connection = connection
        self.week = week
        self.counts = tuple(counts)
        self.log = log
        self.models = tuple(
            ModelWeek(*row)
            for row in connection.execute(
                "SELECT model, sum(predictions)::BIGINT, count(*), min(as_of), max(as_of), min(time), max(time) "
                "FROM customers GROUP BY model ORDER BY 2 DESC, 1"
            ).fetchall()
        )

    def population(self, model: str, reference: Population) -> Population:
        """Each customer of a model once, by the newest row; numbers rounded as `reference.rounded` rounds them.

        Rows of another contract are left out: their features cannot be compared.
        """
        columns = [self._summary(model, feature, reference.columns.get(feature.name)) for feature in MONITORED]
        return Population(columns[0].rows, {column.feature.name: column for column in columns})

    def _summary(self, model: str, feature: Feature, reference: ColumnSummary | None) -> ColumnSummary:
        names: dict[str, Any] = {"model": model}
        value, outside = f"{quoted(feature.name)}::VARCHAR", "false"
        if feature.categories is not None:
            outside = f"{value} NOT IN ({', '.join(map(literal, feature.categories))})"
        elif not feature.is_category:
            names["step"] = 1.0 if reference is None else rounding_step(reference)
            raw = quoted(feature.name)
            value = f"round_even({raw} / $step, 0) * $step + 0.0"  # + 0.0: there is one zero
            outside = f"{raw} NOT BETWEEN {feature.minimum} AND {feature.maximum}"  # before it is rounded past a bound
        sql = (
            f"SELECT {value} AS value, count(*), count(*) FILTER ({outside}) "  # noqa: S608  # the contract's names
            "FROM customers WHERE model = $model AND comparable GROUP BY 1 ORDER BY 1"
        )
        return _column(feature, self._connection.execute(sql, names).fetchall(), self._mistyped(model, feature))

    def _mistyped(self, model: str, feature: Feature) -> int:
        sql = (
            "SELECT count(*) FROM customers "
            "WHERE model = ? AND comparable AND mistyped IS NOT NULL AND list_contains(mistyped, ?)"
        )
        return int(self._one(sql, [model, feature.name]))

    def _one(self, sql: str, values: Sequence[Any]) -> Any:
        row = self._connection.execute(sql, values).fetchone()
        assert row is not None
        return row[0]

    def sample(self, model: str, rows: int, seed: int) -> pd.DataFrame:
        """At most `rows` customers of a model, drawn at random; the monitored columns only, so nobody's id."""
        names = ", ".join(quoted(feature.name) for feature in MONITORED)
        sql = (
            f"SELECT {names} FROM customers WHERE model = ? AND comparable "  # noqa: S608  # the contract's names
            "ORDER BY hash(customer_id, ?::BIGINT), customer_id LIMIT ?"
        )
        return self._frame(sql, [model, seed, rows])

    def at_risk(self, model: str, limit: int | None) -> pd.DataFrame:
        """The flagged customers whose newest answer is this model's, most at risk first.

        Columns: `customer_id`, `churn_probability`, the contract's features.
        """
        names = ", ".join(quoted(feature.name) for feature in FEATURES)
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

    def customers(self) -> int:
        """How many customers any model answered about."""
        return int(self._one("SELECT count(*) FROM customers WHERE latest", []))

    def answers(self, model: str) -> Answers:
        """Predictions of a model, each customer once, grouped by probability."""
        # Of integers, since a sum of doubles has no fixed order.
        mean = f"sum(round(p * {PICO})::BIGINT)::DOUBLE / {PICO} / count(*)"
        sql = (
            f"SELECT {mean}, will_churn::INT, count(*) FROM (SELECT greatest(0, least(churn_probability, 1)) AS p, "  # noqa: S608  # constants
            f"will_churn FROM customers WHERE model = ?) GROUP BY round(p / {CELL}), will_churn ORDER BY 1, 2"
        )
        found = np.array(self._connection.execute(sql, [model]).fetchall(), dtype=np.float64)
        return Answers(*found.T)

    def stale(self, model: str, older_than_hours: int) -> int:
        """How many of a model's predictions, repeated ones included, used features older than that."""
        sql = "SELECT coalesce(sum(predictions), 0)::BIGINT FROM ages WHERE model = ? AND hours > ?"
        return int(self._one(sql, [model, older_than_hours]))


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
def read_week(
    folder: Path,
    week: Week | None = None,
    memory_gb: float = MEMORY_GB,
    most_unread: float = MOST_UNREAD,
    now: datetime | None = None,
) -> Iterator[WeekLog]:
    """Read one week of the log; without `week` the newest that has a prediction, and has come by `now`.

    What is read is kept in a folder of its own that only this user can enter, and is gone
    afterwards.

    Args:
        folder: of the log.
        week: which one.
        memory_gb: for DuckDB; what is more goes to the disk.
        most_unread: share of the log's bytes that may lie in files which cannot be read.
        now: the present; this machine's without it.

    Raises:
        PredictionLogError: there is no log, too much of it cannot be read, or there is no prediction in it.
    """
    log = log_files(folder, most_unread)
    with tempfile.TemporaryDirectory(prefix="churn-report-") as spool:
        connection = duckdb.connect(str(Path(spool, "week.duckdb")))
        try:
            connection.execute("SET memory_limit = ?", [f"{memory_gb}GB"])
            connection.execute("SET preserve_insertion_order = false")
            yield _load(connection, log, week, Spool(Path(spool)), now or datetime.now(UTC))
        finally:
            connection.close()


def _load(
    connection: duckdb.DuckDBPyConnection, log: Listing, week: Week | None, spool: Spool, now: datetime
) -> WeekLog:
    if not log.files:
        raise PredictionLogError(
            f"no predictions are logged in {log.folder}; serve some, or name the folder (--log-dir)"
        )
    if week is None:
        week = _newest_week(connection, log, spool, now)
    files = [file for file in log.files if file.day >= first_day(week)]
    counts = stage(connection, files, week, spool) if files else []
    if sum(one.answered for one in counts) == 0:
        raise PredictionLogError(
            f"no predictions for week {week} in {log.folder}; name another week (--week), or another folder (--log-dir)"
        )
    _keep_newest(connection)
    return WeekLog(connection, week, counts, log)


def _newest_week(connection: duckdb.DuckDBPyConnection, log: Listing, spool: Spool, now: datetime) -> Week:
    """The week of the newest `as_of`. Days are read from the newest back, until older ones cannot hold a newer one."""
    newest: int | None = None
    until = epoch_ms(now + TOLERANCE)
    for day, files in groupby(reversed(log.files), lambda file: file.day):
        if newest is not None and day < first_day(Week.of(newest)):
            break
        found = newest_as_of(connection, list(files), until, spool)
        newest = max(filter(None, (newest, found)), default=None)
    if newest is None:
        raise PredictionLogError(f"no line in {log.folder} is a prediction of a moment before {now:%Y-%m-%d %H:%M} UTC")
    return Week.of(newest)


def first_day(week: Week) -> date:
    """The first day on which a week can be predicted: nobody's `as_of` is later than the clock."""
    return (week.start - TOLERANCE).date()


def _keep_newest(connection: duckdb.DuckDBPyConnection) -> None:
    """The table `customers`: the newest prediction of each customer by each model.

    `latest` marks the newest by any model, `comparable` what was made under this contract;
    `predictions` counts what was answered in all.
    """
    order = 'as_of DESC, time DESC, request_id DESC, "row" DESC'
    connection.execute(
        f"""CREATE TABLE newest AS SELECT * EXCLUDE place FROM (
            SELECT rowid AS id, count(*) OVER (PARTITION BY model, customer_id) AS predictions,
                   row_number() OVER (PARTITION BY model, customer_id ORDER BY {order}) AS place,
                   row_number() OVER (PARTITION BY customer_id ORDER BY {order}) = 1 AS latest
            FROM lines) WHERE place = 1"""  # noqa: S608  # a constant
    )
    connection.execute(
        "CREATE TABLE customers AS SELECT lines.* EXCLUDE (filename, reason), "
        "lines.reason = 'predictions' AS comparable, newest.predictions, newest.latest "
        "FROM lines JOIN newest ON lines.rowid = newest.id"
    )
    _keep_ages(connection)
    connection.execute("DROP TABLE lines")


def _keep_ages(connection: duckdb.DuckDBPyConnection) -> None:
    """The table `ages`: of how many predictions the features were how old, in hours begun."""
    connection.execute(
        f"CREATE TABLE ages AS SELECT model, ceil((time - as_of) / {HOUR_MS}.0)::BIGINT AS hours, "  # noqa: S608  # a constant
        "count(*) AS predictions FROM lines GROUP BY ALL"
    )
