"""Raw activity log -> typed UTC events, with a count of what was kept, dropped and why.

`churn.activity.files` finds the files, `churn.activity.sources` reads them, `churn.activity.rows`
says what each field must be and what becomes of a row where it is not.
"""

# ruff: noqa: S608 - this SQL is put together from constants; values are parameters

import itertools
import json
import tempfile
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import ibis
import pyarrow as pa
from ua_parser import parse_os, parse_user_agent

from churn.activity.files import LogFile, find_files, inspect, line_numbers, without_malformed_lines
from churn.activity.rows import (
    DUPLICATE,
    IDENTITY,
    MALFORMED,
    NO_CUSTOMER,
    NULLED,
    OTHER_UNIT,
    RAW_COLUMNS,
    REQUIRED_COLUMNS,
    staged,
)
from churn.activity.sources import literal, parameters, query, unreadable
from churn.contract import MAXIMUM_CATEGORY_LENGTH
from churn.errors import EventLogError
from churn.files import whole_file
from churn.moments import iso

EVENT_SCHEMA: Final = {
    "customer_id": "string",
    "ts": "int64",
    "session_id": "int64",
    "item": "int64",
    "page": "string",
    "level": "string",
    "gender": "string",
    "os": "string",
    "browser": "string",
    "registration": "int64",
    "length_ms": "int64",
    "artist": "string",
    "status": "int32",
    "location": "string",
}
"""Columns of the event table, in order, with their Ibis types. `ts` and `registration` are UTC epoch ms."""

LONGEST_AGENT: Final = 1024
"""Characters of a user agent that are looked at."""

_DAY_MS: Final = 24 * 60 * 60 * 1000
GAP_DAYS: Final = 30
_FEW: Final = 0.001
_GAP: Final = (
    f"{{rows:,}} rows come more than {GAP_DAYS} days after all others and set the end of the log: "
    "if their clock was wrong, remove them"
)

_EXAMPLE_FILES: Final = 3
_EXAMPLES_PER_FILE: Final = 3
_REPORT_KEY: Final = "churn_events_report"

Tell = Callable[[str], None]
Counts = Counter[str | None]
"""Rows by the reason they are dropped for; None is the reason of a good row."""


@dataclass(frozen=True)
class ReadReport:
    """What was read, kept and dropped.

    `files` counts those with content. `rows` counts all rows seen, blank lines aside, and
    equals `kept` plus all of `dropped` (by reason). `nulled` counts impossible values set
    to null in kept rows. `examples` are the first few places of bad rows, never their
    contents. `first_ts` and `log_end` are the oldest and newest valid `ts` (UTC epoch ms)
    of any row, with or without a customer. `after_gap` counts rows at the end, if they are
    few, that come more than `GAP_DAYS` after all others: the end of the log hangs on them.
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

    def lines(self) -> list[str]:
        """The report for a person."""
        files = "1 file" if self.files == 1 else f"{self.files:,} files"
        return [
            f"{self.rows:,} rows in {files}, from {iso(self.first_ts)} to {iso(self.log_end)}",
            f"{self.kept:,} kept, of {self.customers:,} customers",
            *([_GAP.format(rows=self.after_gap)] if self.after_gap else []),
            *(f"{count:,} dropped: {reason}" for reason, count in self.dropped.items()),
            *(f"{count:,} set to null: {reason}" for reason, count in self.nulled.items()),
            *(f"for example {place}" for place in self.examples),
        ]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it; `from_dict` takes it back."""
        return asdict(self) | {"examples": list(self.examples)}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> "ReadReport":
        return cls(**(facts | {"examples": tuple(facts["examples"])}))


@dataclass(frozen=True)
class EventLog:
    """The typed events of known customers, without duplicates; columns as `EVENT_SCHEMA`.

    `log_end` is the newest valid `ts` of any row of the log, in UTC epoch ms.
    """

    events: ibis.Table
    log_end: int
    report: ReadReport


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
    backend = connection if connection is not None else _connect()
    with tempfile.TemporaryDirectory(prefix="churn-events-") as scratch, ExitStack() as on_failure:
        reading = _Reading(backend.con, Path(scratch), tell)
        on_failure.callback(reading.discard)
        reading.stage(find_files(source))
        reading.check(str(source))
        report = reading.finish()
        on_failure.pop_all()
    tell(f"kept {report.kept:,} of {report.rows:,} rows, of {report.customers:,} customers")
    return EventLog(backend.table("events", database=(reading.catalog, "main")), report.log_end, report)


def _silent(_: str) -> None:
    pass


def _connect() -> Any:
    # DuckDB makes this folder when memory runs out; its own default is one in the working directory.
    spill = Path(tempfile.gettempdir()) / f"churn-events-{uuid.uuid4().hex}.spill"
    return ibis.duckdb.connect(temp_directory=str(spill))


class _Reading:
    """One run over the files of a log, in a compressed in-memory database of its own.

    Its tables: `staged` (all rows), `agents`, `duplicates`, and what remains: `kept` with
    the view `events` on it.
    """

    _numbers = itertools.count(1)

    def __init__(self, duck: Any, scratch: Path, tell: Tell) -> None:
        self.duck = duck
        self.scratch = scratch
        self.tell = tell
        self.files: list[LogFile] = []
        self.counts: dict[LogFile, Counts] = {}
        self.catalog = f"churn_events_{next(self._numbers)}"
        duck.execute(f"ATTACH ':memory:' AS {self.catalog} (COMPRESS)")

    def discard(self) -> None:
        """Leave nothing behind in the connection."""
        self.duck.execute(f"DETACH {self.catalog}")

    # Reading

    def stage(self, paths: list[Path]) -> None:
        """Read all files that are not empty into `staged`, and count their rows by reason."""
        nothing = ", ".join(f'NULL::VARCHAR AS "{column}"' for column in ("file", *RAW_COLUMNS))
        self.duck.execute(f"CREATE TABLE {self.catalog}.staged AS {staged(f'SELECT {nothing}')} LIMIT 0")
        for raw, files in self._alike(filter(None, (inspect(path, self.scratch) for path in paths))):
            self.tell(f"reading {files[0].path}{f' and {len(files) - 1:,} more' if files[1:] else ''}")
            self.files += self._stage(raw, files)
        self.files.sort(key=lambda file: file.path)
        self.counts = self._count()

    def _alike(self, files: Iterable[LogFile]) -> Iterable[tuple[str, list[LogFile]]]:
        """The files by the query that reads them."""
        groups: dict[str, list[LogFile]] = defaultdict(list)
        for file in files:
            groups[query(file, self.duck)].append(file)
        return groups.items()

    def _stage(self, raw: str, files: list[LogFile]) -> list[LogFile]:
        try:
            self._insert(raw, files)
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
                self._insert(raw, alike)
            except duckdb.Error as error:
                raise unreadable(self._culprit(raw, alike), error) from error
        return copies

    def _insert(self, raw: str, files: list[LogFile]) -> None:
        self.duck.execute(f"INSERT INTO {self.catalog}.staged {staged(raw)}", parameters(files))

    def _culprit(self, raw: str, files: list[LogFile]) -> LogFile:
        """The first of the files that cannot be read by itself."""
        return next((file for file in files if not self._is_readable(raw, file)), files[0])

    def _is_readable(self, raw: str, file: LogFile) -> bool:
        try:
            self._rows(f"SELECT max(fingerprint) FROM ({staged(raw)})", [file])
        except duckdb.Error:
            return False
        return True

    def _count(self) -> dict[LogFile, Counts]:
        by_name: dict[str, Counts] = defaultdict(Counter)
        for name, reason, rows in self._rows(f"SELECT file, reason, count(*) FROM {self.catalog}.staged GROUP BY ALL"):
            by_name[name][reason] = rows
        for file in self.files:
            if file.malformed:
                by_name[str(file.readable)][MALFORMED] += len(file.malformed)
        return {file: by_name[str(file.readable)] for file in self.files}

    # Refusing

    def check(self, source: str) -> None:
        """Raise EventLogError for what is not an activity log, file by file and as a whole."""
        for file, counts in self.counts.items():
            self._check_file(file, counts)
        total = self._total()
        if not total:
            raise EventLogError(f"{source}: empty; expected rows with {', '.join(REQUIRED_COLUMNS)}")
        if not total[None]:
            raise EventLogError(f"{source}: no row of a known customer: {self._why(self.files[0], total)}")

    def _check_file(self, file: LogFile, counts: Counts) -> None:
        good = counts[None] + counts[NO_CUSTOMER]
        for unit in OTHER_UNIT:
            if counts[unit] > good:
                raise EventLogError(
                    f"{file.path}: {unit} in {counts[unit]:,} rows (such as {self._some_ts(file)}); expected UTC "
                    "epoch milliseconds (such as 1538352117000); convert the column"
                )
        if counts and not good:
            raise EventLogError(f"{file.path}: not an activity log: {self._why(file, counts)}")

    def _why(self, file: LogFile, counts: Counts) -> str:
        absent = self._absent(file)
        lacking = f"no {', '.join(absent)} in any row; " if absent else ""
        reasons = ", ".join(f"{reason} ({rows:,} rows)" for reason, rows in counts.most_common() if reason)
        return f"{lacking}found {reasons}; expected one row per line with {', '.join(REQUIRED_COLUMNS)}"

    def _absent(self, file: LogFile) -> list[str]:
        """The required columns without any value in the file."""
        values = ", ".join(f"count(nullif(\"{column}\", ''))" for column in REQUIRED_COLUMNS)
        (found,) = self._rows(f"SELECT {values} FROM ({query(file, self.duck)})", [file])
        return [column for column, number in zip(REQUIRED_COLUMNS, found, strict=True) if number == 0]

    def _some_ts(self, file: LogFile) -> str:
        (found,) = self._rows(f"SELECT min(ts) FROM ({query(file, self.duck)}) WHERE ts <> ''", [file])
        return str(found[0])[:40]

    # Keeping

    def finish(self) -> ReadReport:
        """Keep the good rows as `events`, without duplicates, and drop the staged ones."""
        self._recognise_agents()
        self._find_duplicates()
        self._keep()
        report = self._report()
        for table in ("staged", "agents", "duplicates"):
            self.duck.execute(f"DROP TABLE {self.catalog}.{table}")
        return report

    def _recognise_agents(self) -> None:
        found = self._rows(f"SELECT DISTINCT agent FROM {self.catalog}.staged WHERE reason IS NULL AND agent <> ''")
        agents = pa.Table.from_pylist(
            [{"agent": agent, "os": _os(agent), "browser": _browser(agent)} for (agent,) in found],
            schema=pa.schema([("agent", pa.string()), ("os", pa.string()), ("browser", pa.string())]),
        )
        name = f"{self.catalog}_agents"
        self.duck.register(name, agents)
        self.duck.execute(f"CREATE TABLE {self.catalog}.agents AS SELECT * FROM {name}")
        self.duck.unregister(name)

    def _find_duplicates(self) -> None:
        self.duck.execute(
            f"CREATE TABLE {self.catalog}.duplicates AS "
            f"SELECT {', '.join(IDENTITY)}, min(rowid) AS first, count(*) - 1 AS more "
            f"FROM {self.catalog}.staged WHERE reason IS NULL GROUP BY ALL HAVING count(*) > 1"
        )

    def _keep(self) -> None:
        columns = ", ".join(EVENT_SCHEMA)
        same = " AND ".join(f"d.{column} = s.{column}" for column in IDENTITY)
        self.duck.execute(
            f"CREATE TABLE {self.catalog}.kept AS SELECT {columns}, nulled "
            f"FROM {self.catalog}.staged AS s LEFT JOIN {self.catalog}.agents USING (agent) WHERE reason IS NULL "
            f"AND NOT EXISTS (SELECT 1 FROM {self.catalog}.duplicates AS d WHERE {same} AND d.first <> s.rowid)"
        )
        self.duck.execute(f"CREATE VIEW {self.catalog}.events AS SELECT {columns} FROM {self.catalog}.kept")

    # Reporting

    def _report(self) -> ReadReport:
        bits = ", ".join(f"count(*) FILTER (nulled & {2**bit} > 0)" for bit in range(len(NULLED)))
        ((kept, customers, *nulled),) = self._rows(
            f"SELECT count(*), count(DISTINCT customer_id), {bits} FROM {self.catalog}.kept"
        )
        ((first_ts, log_end),) = self._rows(f"SELECT min(ts), max(ts) FROM {self.catalog}.staged")
        ((duplicates,),) = self._rows(f"SELECT coalesce(sum(more), 0)::BIGINT FROM {self.catalog}.duplicates")
        total = self._total()
        dropped = Counter({reason: rows for reason, rows in total.items() if reason} | {DUPLICATE: duplicates})
        return ReadReport(
            files=len(self.files),
            rows=total.total(),
            kept=kept,
            dropped={reason: rows for reason, rows in sorted(dropped.items(), key=_most_first) if rows},
            nulled={meaning: values for meaning, values in zip(NULLED, nulled, strict=True) if values},
            examples=tuple(self._examples()),
            customers=customers,
            first_ts=first_ts,
            log_end=log_end,
            after_gap=_after_gap(self._days()),
        )

    def _days(self) -> list[tuple[int, int]]:
        """The days with events, since the epoch, and their numbers of rows; newest first."""
        return self._rows(
            f"SELECT ts // {_DAY_MS} AS day, count(*) FROM {self.catalog}.staged WHERE ts IS NOT NULL "
            "GROUP BY day ORDER BY day DESC"
        )

    def _examples(self) -> Iterator[str]:
        bad = [file for file, counts in self.counts.items() if counts.keys() - {None, NO_CUSTOMER}]
        for file in bad[:_EXAMPLE_FILES]:
            yield from self._examples_of(file)

    def _examples_of(self, file: LogFile) -> list[str]:
        numbered = f"SELECT reason, row_number() OVER () AS number FROM ({staged(query(file, self.duck))})"
        found = self._rows(
            f"SELECT number, reason FROM ({numbered}) WHERE reason IS NOT NULL AND reason <> '{NO_CUSTOMER}' "
            f"LIMIT {_EXAMPLES_PER_FILE}",
            [file],
        )
        if file.kind in {"json array", "parquet"}:
            return [f"{file.path}: row {row:,}: {reason}" for row, reason in found]
        reasons = dict(found)
        places = {line: reasons[row] for row, line in line_numbers(file, set(reasons)).items()}
        places |= dict.fromkeys(file.malformed[:_EXAMPLES_PER_FILE], MALFORMED)
        return [f"{file.path}:{line}: {reason}" for line, reason in sorted(places.items())[:_EXAMPLES_PER_FILE]]

    def _total(self) -> Counts:
        total: Counts = Counter()
        for counts in self.counts.values():
            total.update(counts)
        return total

    def _rows(self, sql: str, files: Iterable[LogFile] | None = None) -> list[Any]:
        rows: list[Any] = self.duck.execute(sql, None if files is None else parameters(files)).fetchall()
        return rows


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


def _os(agent: str) -> str | None:
    return _family(parse_os(_unquoted(agent)))


def _browser(agent: str) -> str | None:
    return _family(parse_user_agent(_unquoted(agent)))


def _unquoted(agent: str) -> str:
    """The real log has agents within quotes of their own: `"Mozilla/5.0 (…)"`."""
    return agent.strip(' \t"')[:LONGEST_AGENT]


def _family(found: Any) -> str | None:
    """The library's name of the family; null when it knows none."""
    return None if found is None or found.family == "Other" else found.family[:MAXIMUM_CATEGORY_LENGTH]


def write_events(log: EventLog, path: Path) -> None:
    """Write the events as Parquet, sorted, with the report in its metadata; all of it or nothing."""
    rows = ibis.to_sql(log.events.order_by(list(EVENT_SCHEMA)), dialect="duckdb")
    report = _text_literal(json.dumps(log.report.to_dict()))
    with whole_file(path) as fresh:
        log.events.get_backend().con.execute(
            f"COPY ({rows}) TO {_text_literal(str(fresh))} "
            f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{_REPORT_KEY}: {report}}})"
        )


def _text_literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def load_events(path: Path, connection: ibis.BaseBackend | None = None) -> EventLog:
    """What `write_events` wrote. Raises EventLogError when the file is missing, damaged or of another making."""
    if not path.is_file():
        raise EventLogError(f"{path}: no typed events there; read the log first (make featurize)")
    backend = connection if connection is not None else _connect()
    report = _stored_report(backend.con, path)
    events = backend.read_parquet(literal(path))
    if {name: str(kind) for name, kind in events.schema().items()} != EVENT_SCHEMA:
        raise EventLogError(
            f"{path}: columns {', '.join(events.columns)}; expected {', '.join(EVENT_SCHEMA)}; read the log again"
        )
    return EventLog(events, report.log_end, report)


def _stored_report(duck: Any, path: Path) -> ReadReport:
    metadata = f"SELECT decode(value) FROM parquet_kv_metadata($file) WHERE decode(key) = '{_REPORT_KEY}'"
    try:
        found = duck.execute(metadata, {"file": literal(path)}).fetchall()
    except duckdb.Error as error:
        raise EventLogError(f"{path}: cannot be read as typed events: {str(error).partition(chr(10))[0]}") from error
    if not found:
        raise EventLogError(f"{path}: not written by write_events; read the log again (make featurize)")
    return ReadReport.from_dict(json.loads(found[0][0]))
