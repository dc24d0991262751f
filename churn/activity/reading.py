"""Raw activity log -> typed UTC events, with a count of what was kept, dropped and why.

`churn.activity.listing` finds the files, `churn.activity.files` says how each is written,
`churn.activity.sources` reads them and `churn.activity.second_look` what DuckDB cannot read,
`churn.activity.rows` says what each field must be and what becomes of a row where it is not,
`churn.activity.refusing` refuses what is no log, `churn.activity.typed` keeps the good rows.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import duckdb
import ibis

from churn.activity.columns import spellings
from churn.activity.files import LogFile, inspect
from churn.activity.listing import EMPTY, PADDED, Listing, PassedOver, find_files
from churn.activity.names import Kind
from churn.activity.refusing import check
from churn.activity.rows import MALFORMED
from churn.activity.second_look import SecondLook, read_again, rescued, respelled
from churn.activity.sources import keys, query, unreadable
from churn.activity.staged import StagedLog
from churn.activity.typed import EventLog, connect, keep
from churn.activity.unpacking import zeros_at_end
from churn.errors import EventLogError

_ZEROS_OF_GZIP: Final = 8
"""A packed file may end in as many zero bytes of its own: its length and check sum."""

_JSON: Final = ("json lines", "json array")

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

    def stage(self, listing: Listing) -> None:
        """Read all files into the log, count their rows by reason, and look again at lines that seem malformed."""
        self.log.passed_over += listing.passed_over
        for raw, files in self._alike(self._spelled(self._inspected(listing))):
            self.tell(f"reading {files[0].path}{f' and {len(files) - 1:,} more' if files[1:] else ''}")
            self._stage(raw, files)
        self.log.count()
        for file, counts in self.log.counts.items():
            if file.kind == "json lines" and not file.header and counts[MALFORMED]:
                self._rescue(file)

    def _inspected(self, listing: Listing) -> Iterator[LogFile]:
        for path, kind in listing.files.items():
            file = inspect(path, kind, self.scratch)
            if file is None:
                self.log.passed_over.append(PassedOver(path, EMPTY))
            else:
                yield file

    def _spelled(self, files: Iterable[LogFile]) -> Iterator[LogFile]:
        """The files with the keys that all of their rows have, not the first ones only."""
        by_kind: dict[Kind, list[LogFile]] = defaultdict(list)
        for file in files:
            by_kind[file.kind].append(file)
        for kind, alike in by_kind.items():
            yield from self._with_all_keys(alike) if kind in _JSON else alike

    def _with_all_keys(self, files: list[LogFile]) -> Iterator[LogFile]:
        found: dict[str, list[str]] = defaultdict(list)
        try:
            for name, key in self.log.rows(keys(files[0].kind), files):
                found[name].append(key)
        except duckdb.Error:
            if files[1:]:
                for file in files:
                    yield from self._with_all_keys([file])
            else:  # what is wrong shows when the rows are read, and the second look comes here again
                yield files[0]
            return
        for file in files:
            yield self._with_keys(file, spellings(found[str(file.readable)]))

    def _with_keys(self, file: LogFile, spelled: dict[str, tuple[str, ...]]) -> LogFile:
        several = [", ".join(keys) for keys in spelled.values() if keys[1:]]
        if not several:
            own = {column: keys[0] for column, keys in spelled.items()}
            return replace(file, names=tuple((dict(file.names) | own).items()))
        if file.kind == "json array":
            raise EventLogError(
                f"{file.path}: its objects spell a column in several ways: {several[0]}; write one object per line"
            )
        self.tell(f"{file.path}: columns are spelled in several ways: reading again line by line")
        return respelled(file, spelled, self.scratch)

    def _alike(self, files: Iterable[LogFile]) -> Iterable[tuple[str, list[LogFile]]]:
        """The files by the query that reads them."""
        groups: dict[str, list[LogFile]] = defaultdict(list)
        for file in files:
            groups[query(file, self.log.duck)].append(file)
        return groups.items()

    def _stage(self, raw: str, files: list[LogFile]) -> None:
        try:
            self.log.insert(raw, files)
        except duckdb.Error as error:
            if len(files) == 1:
                self._stage_again(files[0], error)
                return
        else:
            self.log.add(files)
            return
        for file in files:
            self._stage(raw, [file])

    def _stage_again(self, file: LogFile, error: duckdb.Error) -> None:
        self.tell(f"{file.path}: faults found: reading again line by line")
        look = None if isinstance(error, duckdb.OutOfMemoryException) else read_again(file, self.scratch)
        if look is None:
            raise unreadable(file, error) from None  # DuckDB's message may quote the data
        self._insert_copy(file, look)
        self.log.add([look.copy], look)
        if file.compression == "gzip" and zeros_at_end(file.path) > _ZEROS_OF_GZIP:
            self.log.passed_over.append(PassedOver(file.path, PADDED))

    def _rescue(self, file: LogFile) -> None:
        look = rescued(file, self.scratch)
        self._insert_copy(file, look)
        self.log.put_right(file, look)

    def _insert_copy(self, file: LogFile, look: SecondLook) -> None:
        (look.copy,) = self._spelled([look.copy])
        try:
            self.log.insert(query(look.copy, self.log.duck), [look.copy])
        except duckdb.Error as error:
            raise unreadable(file, error) from None  # as above
