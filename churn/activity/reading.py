"""Raw activity log -> typed UTC events, with a count of what was kept, dropped and why.

`churn.activity.files` finds the files, `churn.activity.sources` reads them, `churn.activity.rows`
says what each field must be and what becomes of a row where it is not,
`churn.activity.refusing` refuses what is no log, `churn.activity.typed` keeps the good rows.
"""

# ruff: noqa: S608 - this SQL is put together from constants; values are parameters

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import duckdb
import ibis

from churn.activity.files import LogFile, find_files, inspect, without_malformed_lines
from churn.activity.refusing import check
from churn.activity.rows import staged
from churn.activity.sources import query, unreadable
from churn.activity.staged import StagedLog
from churn.activity.typed import EventLog, connect, keep

Tell = Callable[[str], None]
"""Is told, a line at a time, what is being done."""


def read_events(
    source: str | Path, connection: ibis.BaseBackend | None = None, progress: Tell | None = None
) -> EventLog:
    """Read the raw log from a file, a folder or a glob.

    The table lives in `connection`, an Ibis DuckDB backend (a new one by default). Its
    rows have no order; as a set they depend neither on the order of the lines nor on the
    number of threads. `progress` is told what is being done. Raises EventLogError when
    there is no such log, or nothing in it that could be used.
    """
    tell = progress if progress is not None else _silent
    backend = connection if connection is not None else connect()
    with tempfile.TemporaryDirectory(prefix="churn-events-") as scratch, ExitStack() as on_failure:
        staged_log = StagedLog(backend.con)
        on_failure.callback(staged_log.discard)
        _Staging(staged_log, Path(scratch), tell).stage(find_files(source))
        check(staged_log, str(source))
        report = keep(staged_log)
        on_failure.pop_all()
    tell(f"kept {report.kept:,} of {report.rows:,} rows, of {report.customers:,} customers")
    return EventLog(backend.table("events", database=(staged_log.catalog, "main")), report.log_end, report)


def _silent(_: str) -> None:
    pass


class _Staging:
    """One run over the files of a log."""

    def __init__(self, log: StagedLog, scratch: Path, tell: Tell) -> None:
        self.log = log
        self.scratch = scratch
        self.tell = tell

    def stage(self, paths: list[Path]) -> None:
        """Read all files that are not empty into the log, and count their rows by reason."""
        read: list[LogFile] = []
        for raw, files in self._alike(filter(None, (inspect(path, self.scratch) for path in paths))):
            self.tell(f"reading {files[0].path}{f' and {len(files) - 1:,} more' if files[1:] else ''}")
            read += self._stage(raw, files)
        self.log.count(read)

    def _alike(self, files: Iterable[LogFile]) -> Iterable[tuple[str, list[LogFile]]]:
        """The files by the query that reads them."""
        groups: dict[str, list[LogFile]] = defaultdict(list)
        for file in files:
            groups[query(file, self.log.duck)].append(file)
        return groups.items()

    def _stage(self, raw: str, files: list[LogFile]) -> list[LogFile]:
        try:
            self.log.insert(raw, files)
        except duckdb.Error as error:
            if files[0].kind != "csv":
                raise unreadable(self._culprit(raw, files), error) from error
            return self._stage_line_by_line(files)
        return files

    def _stage_line_by_line(self, files: list[LogFile]) -> list[LogFile]:
        self.tell("malformed lines found: reading again line by line")
        copies = [without_malformed_lines(file, self.scratch) for file in files]
        for raw, alike in self._alike(copies):
            try:
                self.log.insert(raw, alike)
            except duckdb.Error as error:
                raise unreadable(self._culprit(raw, alike), error) from error
        return copies

    def _culprit(self, raw: str, files: list[LogFile]) -> LogFile:
        """The first of the files that cannot be read by itself."""
        return next((file for file in files if not self._is_readable(raw, file)), files[0])

    def _is_readable(self, raw: str, file: LogFile) -> bool:
        try:
            self.log.rows(f"SELECT max(fingerprint) FROM ({staged(raw)})", [file])
        except duckdb.Error:
            return False
        return True
