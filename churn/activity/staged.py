"""All rows of a log in a private database: typed, each with the reason why it is dropped."""

# ruff: noqa: S608 - this SQL is put together from constants; values are parameters

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from churn.activity.files import LogFile
from churn.activity.listing import PassedOver
from churn.activity.rows import MALFORMED, RAW_COLUMNS, staged
from churn.activity.second_look import SecondLook
from churn.activity.sources import parameters

Counts = Counter[str | None]
"""Rows by the reason they are dropped for; None is the reason of a good row."""


class StagedLog:
    """The rows of the files read so far: the table `staged` of a compressed in-memory database of its own.

    `catalog` is the name of that database in the connection `duck`. `counts` holds the
    files that were read, sorted, with their rows by reason; `places` the lines that a
    second look knows more about, with their reason, None for one that was rescued.
    """

    _numbers = itertools.count(1)

    def __init__(self, duck: Any) -> None:
        self.duck = duck
        self.counts: dict[LogFile, Counts] = {}
        self.places: dict[LogFile, dict[int, str | None]] = {}
        self.passed_over: list[PassedOver] = []
        self.catalog = f"churn_events_{next(self._numbers)}"
        duck.execute(f"ATTACH ':memory:' AS {self.catalog} (COMPRESS)")
        nothing = ", ".join(f'NULL::VARCHAR AS "{column}"' for column in ("file", *RAW_COLUMNS))
        duck.execute(f"CREATE TABLE {self.catalog}.staged AS {staged(f'SELECT {nothing}')} LIMIT 0")

    def discard(self) -> None:
        """Leave nothing behind in the connection."""
        self.duck.execute(f"DETACH {self.catalog}")

    def insert(self, raw: str, files: list[LogFile]) -> None:
        """Stage the rows of files that are written alike; `raw` is the query that reads them."""
        self.duck.execute(f"INSERT INTO {self.catalog}.staged {staged(raw)}", parameters(files))

    def add(self, files: Iterable[LogFile], look: SecondLook | None = None) -> None:
        """Take note of files that are staged, and of the lines that a second look left out."""
        for file in files:
            self.counts[file] = Counter() if look is None else Counter(look.faults)
            self.places[file] = {} if look is None else look.places

    def count(self) -> None:
        """Count the rows of all files by reason."""
        by_name: dict[str, Counts] = defaultdict(Counter)
        for name, reason, rows in self.rows(f"SELECT file, reason, count(*) FROM {self.catalog}.staged GROUP BY ALL"):
            by_name[name][reason] = rows
        for file in sorted(self.counts, key=lambda file: file.path):
            self.counts[file] = self.counts.pop(file) + by_name[str(file.readable)]

    def put_right(self, file: LogFile, look: SecondLook) -> None:
        """Count what a second look, whose copy is staged, has found in lines counted as malformed."""
        counts = self.counts[file]
        counts[MALFORMED] -= look.rescued + look.faults.total()
        counts.update(look.faults)
        of_copy = f"SELECT reason, count(*) FROM {self.catalog}.staged WHERE file = $file GROUP BY ALL"
        counts.update(dict(self.duck.execute(of_copy, {"file": str(look.copy.readable)}).fetchall()))
        self.counts[file] = +counts
        self.places[file].update(look.places)

    def total(self) -> Counts:
        """The rows of all files by reason."""
        total: Counts = Counter()
        for counts in self.counts.values():
            total.update(counts)
        return total

    def rows(self, sql: str, files: Iterable[LogFile] | None = None) -> list[Any]:
        """The result of a query; with `files` the query reads them."""
        found: list[Any] = self.duck.execute(sql, None if files is None else parameters(files)).fetchall()
        return found
