"""All rows of a log in a private database: typed, each with the reason why it is dropped."""

# ruff: noqa: S608 - this SQL is put together from constants; values are parameters

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from churn.activity.files import LogFile
from churn.activity.rows import MALFORMED, RAW_COLUMNS, staged
from churn.activity.sources import parameters

Counts = Counter[str | None]
"""Rows by the reason they are dropped for; None is the reason of a good row."""


class StagedLog:
    """The rows of the files read so far: the table `staged` of a compressed in-memory database of its own.

    `catalog` is the name of that database in the connection `duck`.
    """

    _numbers = itertools.count(1)

    def __init__(self, duck: Any) -> None:
        self.duck = duck
        self.files: list[LogFile] = []
        self.counts: dict[LogFile, Counts] = {}
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

    def count(self, files: Iterable[LogFile]) -> None:
        """Count the rows of these files by reason, those left out of a copy among them."""
        self.files = sorted(files, key=lambda file: file.path)
        by_name: dict[str, Counts] = defaultdict(Counter)
        for name, reason, rows in self.rows(f"SELECT file, reason, count(*) FROM {self.catalog}.staged GROUP BY ALL"):
            by_name[name][reason] = rows
        for file in self.files:
            if file.malformed:
                by_name[str(file.readable)][MALFORMED] += len(file.malformed)
        self.counts = {file: by_name[str(file.readable)] for file in self.files}

    def total(self) -> Counts:
        """The rows of all files by reason."""
        total: Counts = Counter()
        for counts in self.counts.values():
            total.update(counts)
        return total

    def rows(self, sql: str, files: Iterable[LogFile] | None = None) -> list[Any]:
        """What a query gives; with `files` it is one that reads them."""
        found: list[Any] = self.duck.execute(sql, None if files is None else parameters(files)).fetchall()
        return found
