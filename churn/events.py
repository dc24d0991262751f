"""Raw activity log -> typed UTC events: what is kept, what is dropped, and why, counted.

Every row of the log is counted once: kept, or dropped for the first of these reasons.

| field         | must be                                        | otherwise                       |
|---------------|------------------------------------------------|---------------------------------|
| the line      | a JSON object or CSV row with a known field    | dropped, malformed              |
| ts            | UTC epoch milliseconds from 2000 to 2100       | dropped (*)                     |
| page          | any text                                       | dropped                         |
| userId        | 1 to 128 characters; a whole number is its text| dropped: no customer, too long  |
| sessionId     | whole number, not negative                     | dropped                         |
| itemInSession | whole number, not negative                     | dropped                         |
| level         | free or paid                                   | dropped                         |
| all fields    | not the same as those of a row kept            | dropped, duplicate              |
| registration  | UTC epoch milliseconds from 2000 to 2100       | set to null                     |
| gender        | F or M                                         | set to null                     |
| length        | seconds, above 0, at most 24 hours             | set to null                     |
| status        | whole number from 100 to 599                   | set to null                     |
| userAgent     | what the library recognises                    | os, browser null, not counted   |

(*) A file most of whose time stamps are in seconds, microseconds, nanoseconds or text is
refused: the unit is not guessed. Empty text, null and an absent key are the same; text is
trimmed; numbers may be written as text or with a fraction of zero. An optional field that
is absent is null and not counted. Names, song, auth and method only tell duplicates from
different rows; they are not carried on.
"""

# ruff: noqa: S608 - SQL here is put together from constants and column names; paths and values are parameters

import itertools
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import ibis
import pyarrow as pa
from ua_parser import parse_os, parse_user_agent

from churn.contract import MAXIMUM_CATEGORY_LENGTH
from churn.errors import EventLogError
from churn.event_files import LogFile, find_files, inspect, line_numbers, without_malformed_lines

RAW_COLUMNS: Final = (
    "artist", "auth", "firstName", "gender", "itemInSession", "lastName", "length", "level", "location",
    "method", "page", "registration", "sessionId", "song", "status", "ts", "userAgent", "userId",
)  # fmt: skip
REQUIRED_COLUMNS: Final = ("ts", "userId", "page", "sessionId", "itemInSession", "level")

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

EARLIEST_MS: Final = 946_684_800_000  # 2000-01-01
LATEST_MS: Final = 4_102_444_800_000  # 2100-01-01
LONGEST_SONG_S: Final = 24 * 3600
LONGEST_CUSTOMER_ID: Final = 128
LONGEST_AGENT: Final = 1024  # the library's expressions need not see more

MALFORMED: Final = "malformed line"
NO_CUSTOMER: Final = "no customer (userId empty or absent)"
DUPLICATE: Final = "duplicate row"
TS_UNITS: Final = {"seconds": 1e-3, "microseconds": 1e3, "nanoseconds": 1e6}
TS_TEXT: Final = "ts is a date as text"
_ORDINARY: Final = (NO_CUSTOMER, DUPLICATE)
_EXAMPLE_FILES: Final = 3
_EXAMPLES_PER_FILE: Final = 3
_REPORT_KEY: Final = "churn_events_report"


@dataclass(frozen=True)
class ReadReport:
    """What was read, kept and dropped.

    `rows` counts all rows seen, blank lines aside, and equals `kept` plus all of
    `dropped` (by reason). `nulled` counts impossible values set to null in kept rows.
    `examples` are the first few places of bad rows, never their contents. `first_ts` and
    `log_end` are the oldest and newest valid `ts` (UTC epoch ms) of any row, with or
    without a customer.
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

    def lines(self) -> list[str]:
        """The report for a person."""
        files = "1 file" if self.files == 1 else f"{self.files:,} files"
        return [
            f"{self.rows:,} rows in {files}, {_day(self.first_ts)} to {_day(self.log_end)}",
            f"{self.kept:,} kept, of {self.customers:,} customers",
            *(f"{count:,} dropped: {reason}" for reason, count in self.dropped.items()),
            *(f"{count:,} values set to null: {reason}" for reason, count in self.nulled.items()),
            *(f"for example {place}" for place in self.examples),
        ]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON; `from_dict` takes it back."""
        return asdict(self) | {"examples": list(self.examples)}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> "ReadReport":
        return cls(**(facts | {"examples": tuple(facts["examples"])}))


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True)
class EventLog:
    """The typed events of known customers, without duplicates; columns as `EVENT_SCHEMA`.

    `log_end` is the newest valid `ts` of any row of the log, in UTC epoch ms.
    """

    events: ibis.Table
    log_end: int
    report: ReadReport


def read_events(
    source: str | Path,
    connection: ibis.BaseBackend | None = None,
    progress: Callable[[str], None] | None = None,
) -> EventLog:
    """Read the raw log from a file, a folder or a glob.

    The table lives in `connection`, an Ibis DuckDB backend (a new one by default). Its
    rows have no order; as a set they depend neither on the order of the lines nor on the
    number of threads. Raises EventLogError when there is no such log.
    """
    backend = connection if connection is not None else ibis.duckdb.connect()
    tell = progress if progress is not None else lambda _: None
    with tempfile.TemporaryDirectory(prefix="churn-events-") as folder:
        reading = _Reading(backend.con, Path(folder))
        files = reading.stage(find_files(source), tell)
        if not files:
            raise EventLogError(
                f"{source}: empty; expected an activity log with the columns {_names(REQUIRED_COLUMNS)}"
            )
        counts = reading.counts(files)
        reading.refuse_other_logs(files, counts)
        report = reading.finish(files, counts)
    if report.kept == 0:
        raise EventLogError(f"{source}: no row of a known customer; " + "; ".join(report.lines()))
    tell(f"{report.kept:,} of {report.rows:,} rows kept, of {report.customers:,} customers")
    events = backend.table("events", database=(reading.catalog, "main"))
    return EventLog(events, report.log_end, report)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(columns)


# --- SQL: raw text -> typed values -> the first reason to drop the row -----------------


def _whole(column: str) -> str:
    """Whole number of a text column; null when it is none."""
    number = f"try_cast({column} AS DOUBLE)"
    return f"CASE WHEN {number} = floor({number}) THEN try_cast({column} AS BIGINT) END"


def _milliseconds(column: str) -> str:
    """Epoch milliseconds of a text column, a fraction rounded; null when it is no number."""
    return f"CASE WHEN try_cast({column} AS DOUBLE) IS NOT NULL THEN try_cast({column} AS BIGINT) END"


_TRIMMED: Final = ", ".join(f"nullif(trim(\"{c}\", e' \\t\\r\\n'), '') AS \"{c}\"" for c in RAW_COLUMNS)

_TYPED: Final = f"""
    regexp_replace("userId", '^([0-9]+)\\.0+$', '\\1') AS customer_id,
    try_cast(ts AS DOUBLE) AS ts_number,
    {_milliseconds("ts")} AS ts_ms,
    {_whole('"sessionId"')} AS session_id,
    {_whole('"itemInSession"')} AS item,
    CASE WHEN gender IN ('F', 'M') THEN gender END AS gender_known,
    nullif(left(trim("userAgent", '" '), {LONGEST_AGENT}), '') AS agent,
    {_milliseconds("registration")} AS registered,
    try_cast(length AS DOUBLE) AS seconds,
    {_whole("status")} AS status_code
"""


def _span(number: str) -> str:
    return f"{number} BETWEEN {EARLIEST_MS} AND {LATEST_MS - 1}"


_UNIT_REASONS: Final = "\n".join(
    f"WHEN ts_number BETWEEN {EARLIEST_MS * factor:.0f} AND {LATEST_MS * factor:.0f} THEN 'ts is in {unit}'"
    for unit, factor in TS_UNITS.items()
)

_REASON: Final = f"""CASE
    WHEN coalesce({", ".join(f'"{c}"' for c in RAW_COLUMNS)}) IS NULL THEN '{MALFORMED}'
    WHEN ts IS NULL THEN 'ts missing'
    WHEN ts_number IS NULL AND try_cast(ts AS TIMESTAMP) IS NOT NULL THEN '{TS_TEXT}'
    WHEN ts_ms IS NULL THEN 'ts not a number'
    {_UNIT_REASONS}
    WHEN NOT {_span("ts_ms")} THEN 'ts before 2000 or after 2100'
    WHEN page IS NULL THEN 'page missing'
    WHEN customer_id IS NULL THEN '{NO_CUSTOMER}'
    WHEN length(customer_id) > {LONGEST_CUSTOMER_ID} THEN 'userId longer than {LONGEST_CUSTOMER_ID} characters'
    WHEN "sessionId" IS NULL THEN 'sessionId missing'
    WHEN session_id IS NULL OR session_id < 0 THEN 'sessionId not a whole number from 0'
    WHEN "itemInSession" IS NULL THEN 'itemInSession missing'
    WHEN item IS NULL OR item < 0 THEN 'itemInSession not a whole number from 0'
    WHEN level IS NULL THEN 'level missing'
    WHEN level NOT IN ('free', 'paid') THEN 'level neither free nor paid'
END"""

# What is null though it was given; the names are counted in the report.
_NULLED: Final = {
    "registration": "registration not in epoch milliseconds from 2000 to 2100",
    "gender": "gender neither F nor M",
    "length": "length not in seconds above 0, at most 24 hours",
    "status": "status not from 100 to 599",
}
_VALUES: Final = {
    "registration": f"CASE WHEN {_span('registered')} THEN registered END",
    "gender": "gender_known",
    "length": f"CASE WHEN seconds > 0 AND seconds <= {LONGEST_SONG_S} THEN round(seconds * 1000)::BIGINT END",
    "status": "CASE WHEN status_code BETWEEN 100 AND 599 THEN status_code::INTEGER END",
}
_FLAGS: Final = " + ".join(
    f"CASE WHEN {column} IS NOT NULL AND ({value}) IS NULL THEN {2**bit} ELSE 0 END"
    for bit, (column, value) in enumerate(_VALUES.items())
)

_FINGERPRINT: Final = """hash(artist, auth, "firstName", gender, item, "lastName", seconds, level, location, method,
    page, registered, session_id, song, status, ts_ms, "userAgent", customer_id)"""

_STAGED: Final = f"""
    file, {_REASON} AS reason, customer_id,
    CASE WHEN {_span("ts_ms")} THEN ts_ms END AS ts,
    session_id, item, page, level,
    {_VALUES["gender"]} AS gender,
    agent,
    {_VALUES["registration"]} AS registration,
    {_VALUES["length"]} AS length_ms,
    artist,
    {_VALUES["status"]} AS status,
    location,
    ({_FLAGS})::UTINYINT AS nulled,
    {_FINGERPRINT} AS fingerprint
"""


def _typed(source: str) -> str:
    """Rows as staged, of a table function that yields the raw columns as text."""
    trimmed = f"SELECT __file AS file, {_TRIMMED} FROM ({source})"
    return f"SELECT {_STAGED} FROM (SELECT *, {_TYPED} FROM ({trimmed}))"


# --- reading --------------------------------------------------------------------------


def _literal(path: Path) -> str:
    """The path for DuckDB, which would take `*`, `?` and `[` for a pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class _Columns:
    """Which raw columns a table function yields, and under which names and types."""

    types: dict[str, str]

    def select(self) -> str:
        return ", ".join(f'{self._text(column)} AS "{column}"' for column in RAW_COLUMNS)

    def _text(self, column: str) -> str:
        kind = self.types.get(column.lower())
        if kind is None:
            return "NULL::VARCHAR"
        if kind.startswith("TIMESTAMP"):
            return f'epoch_ms("{column}")::VARCHAR'
        return f'"{column}"::VARCHAR'

    def missing(self) -> list[str]:
        return [column for column in REQUIRED_COLUMNS if column.lower() not in self.types]


def _all_text(names: Iterable[str]) -> _Columns:
    return _Columns({name.lower(): "VARCHAR" for name in names})


def _struct(names: Iterable[str]) -> str:
    return "{" + ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in names) + "}"


def _json_source(file: LogFile) -> str:
    layout = "array" if file.kind == "json array" else "newline_delimited"
    lenient = "" if file.kind == "json array" else ", ignore_errors = true"
    return (
        f"SELECT * FROM read_json($files, format = '{layout}', columns = {_struct(RAW_COLUMNS)}, "
        f"compression = '{file.compression}', filename = '__file'{lenient})"
    )


def _csv_source(file: LogFile) -> str:
    text = _all_text(file.header)
    return (
        f"SELECT __file, {text.select()} FROM read_csv($files, columns = {_struct(file.header)}, auto_detect = false, "
        f"delim = ',', quote = '\"', escape = '{file.escape}', header = true, compression = '{file.compression}', "
        "filename = '__file')"
    )


_BROKEN_FIELD: Final = " OR ".join(f"contains(\"{column}\", e'\\n')" for column in RAW_COLUMNS)


class _Reading:
    """One run over the files of a log, staged in a database in memory of its own."""

    _numbers = itertools.count(1)

    def __init__(self, duck: Any, scratch: Path) -> None:
        self.duck = duck
        self.scratch = scratch
        self.catalog = self._attach()

    def _attach(self) -> str:
        name = f"churn_events_{next(self._numbers)}"
        self.duck.execute(f"ATTACH ':memory:' AS {name} (COMPRESS)")
        return name

    def stage(self, paths: list[Path], tell: Callable[[str], None]) -> list[LogFile]:
        """Read the files that are not empty into the table `staged`."""
        groups: dict[str, list[LogFile]] = defaultdict(list)
        for path in paths:
            file = inspect(path, self.scratch)
            if file is not None:
                groups[self._source(file)].append(file)
        if not groups:
            return []
        none = _typed(f"SELECT NULL::VARCHAR AS __file, {_Columns({}).select()}")
        self.duck.execute(f"CREATE TABLE {self.catalog}.staged AS SELECT * FROM ({none}) LIMIT 0")
        return [file for source, files in groups.items() for file in self._stage_group(source, files, tell)]

    def _source(self, file: LogFile) -> str:
        """The query that reads this file, and all files written alike, given as `$files`."""
        if file.kind in {"json lines", "json array"}:
            return _json_source(file)
        columns = _all_text(file.header) if file.kind == "csv" else self._parquet_columns(file)
        if missing := columns.missing():
            found = _names(sorted(columns.types)) or "none"
            raise EventLogError(f"{file.path}: not an activity log: no column {_names(missing)}; found {found}")
        if file.kind == "csv":
            return _csv_source(file)
        return (
            f"SELECT __file, {columns.select()} "
            "FROM read_parquet($files, filename = '__file', hive_partitioning = false)"
        )

    def _parquet_columns(self, file: LogFile) -> _Columns:
        query = "DESCRIBE SELECT * FROM read_parquet($files, hive_partitioning = false)"
        try:
            rows = self.duck.execute(query, {"files": [_literal(file.readable)]}).fetchall()
        except duckdb.Error as error:
            raise _unreadable(file, error) from error
        return _Columns({row[0].lower(): row[1] for row in rows})

    def _stage_group(self, source: str, files: list[LogFile], tell: Callable[[str], None]) -> list[LogFile]:
        tell(f"reading {len(files)} x {files[0].kind}, from {files[0].path}")
        try:
            self._insert(source, files)
        except duckdb.Error as error:
            if files[0].kind == "csv" and not files[0].malformed:
                return self._stage_line_by_line(files, tell)
            raise _unreadable(self._culprit(source, files), error) from error
        return files

    def _stage_line_by_line(self, files: list[LogFile], tell: Callable[[str], None]) -> list[LogFile]:
        tell("malformed lines: reading line by line")
        clean = [without_malformed_lines(file, self.scratch) for file in files]
        groups: dict[str, list[LogFile]] = defaultdict(list)
        for file in clean:
            groups[_csv_source(file)].append(file)
        for source, group in groups.items():
            try:
                self._insert(source, group)
            except duckdb.Error as error:
                raise _unreadable(self._culprit(source, group), error) from error
        return clean

    def _insert(self, source: str, files: list[LogFile]) -> None:
        if files[0].kind == "csv":
            source = f"SELECT * FROM ({source}) WHERE CASE WHEN {_BROKEN_FIELD} THEN error('line break') ELSE true END"
        self.duck.execute(f"INSERT INTO {self.catalog}.staged {_typed(source)}", _parameters(files))

    def _culprit(self, source: str, files: list[LogFile]) -> LogFile:
        """The first file that cannot be read by itself."""
        for file in files:
            try:
                self.duck.execute(f"SELECT count(*), max(hash(f)) FROM ({source}) AS f", _parameters([file])).fetchall()
            except duckdb.Error:
                return file
        return files[0]

    def counts(self, files: list[LogFile]) -> dict[LogFile, dict[str | None, int]]:
        """Rows of each file by reason; None is the reason of a good row."""
        query = f"SELECT file, reason, count(*) FROM {self.catalog}.staged GROUP BY ALL"
        by_name: dict[str, dict[str | None, int]] = defaultdict(dict)
        for name, reason, count in self.duck.execute(query).fetchall():
            by_name[name][reason] = count
        counts = {file: by_name[str(file.readable)] for file in files}
        for file in files:
            if file.malformed:
                counts[file][MALFORMED] = counts[file].get(MALFORMED, 0) + len(file.malformed)
        return counts

    def refuse_other_logs(self, files: list[LogFile], counts: dict[LogFile, dict[str | None, int]]) -> None:
        """Raise EventLogError for a file that is not an activity log, or has times in another unit."""
        for file in files:
            count = counts[file]
            good = count.get(None, 0) + count.get(NO_CUSTOMER, 0)
            for reason in (TS_TEXT, *(f"ts is in {unit}" for unit in TS_UNITS)):
                if count.get(reason, 0) > good:
                    raise EventLogError(
                        f"{file.path}: {reason} in {count[reason]:,} rows; expected UTC epoch milliseconds, "
                        "such as 1538352117000; convert the column"
                    )
            if count and not good:
                raise EventLogError(f"{file.path}: not an activity log: {self._why_nothing(file, count)}")
        if not any(count.get(None) for count in counts.values()):
            self._refuse_without_customers(files[0], counts)

    def _refuse_without_customers(self, file: LogFile, counts: dict[LogFile, dict[str | None, int]]) -> None:
        total = _total(counts.values())
        raise EventLogError(f"{file.path}: no valid row of a known customer: {self._why_nothing(file, total)}")

    def _why_nothing(self, file: LogFile, count: dict[str | None, int]) -> str:
        absent = self._absent(file)
        without = f"no row has {_names(absent)}; " if absent else ""
        reasons = ", ".join(f"{number:,} rows {reason}" for reason, number in sorted(count.items(), key=str))
        return f"{without}{reasons}; expected rows with {_names(REQUIRED_COLUMNS)}"

    def _absent(self, file: LogFile) -> list[str]:
        """The required columns that have no value in the file."""
        sums = ", ".join(f"count(nullif(\"{column}\", ''))" for column in REQUIRED_COLUMNS)
        query = f"SELECT {sums} FROM ({self._source(file)})"
        (found,) = self.duck.execute(query, _parameters([file])).fetchall()
        return [column for column, values in zip(REQUIRED_COLUMNS, found, strict=True) if values == 0]

    def finish(self, files: list[LogFile], counts: dict[LogFile, dict[str | None, int]]) -> ReadReport:
        """Make the table `events` of what is kept, and drop the staged rows."""
        self._recognise_agents()
        self._find_duplicates()
        self._keep()
        report = self._report(files, counts)
        for table in ("staged", "agents", "duplicates"):
            self.duck.execute(f"DROP TABLE {self.catalog}.{table}")
        return report

    def _recognise_agents(self) -> None:
        query = f"SELECT DISTINCT agent FROM {self.catalog}.staged WHERE reason IS NULL AND agent IS NOT NULL"
        texts = [text for (text,) in self.duck.execute(query).fetchall()]
        agents = pa.table(
            {
                "agent": pa.array(texts, pa.string()),
                "os": pa.array([_family(parse_os(text)) for text in texts], pa.string()),
                "browser": pa.array([_family(parse_user_agent(text)) for text in texts], pa.string()),
            }
        )
        self.duck.register("churn_agents", agents)
        self.duck.execute(f"CREATE TABLE {self.catalog}.agents AS SELECT * FROM churn_agents")
        self.duck.unregister("churn_agents")

    def _find_duplicates(self) -> None:
        """Rows equal in all raw columns: the fingerprint, beside customer and time, stands for the others."""
        self.duck.execute(
            f"CREATE TABLE {self.catalog}.duplicates AS "
            "SELECT customer_id, ts, session_id, item, fingerprint, min(rowid) AS first, count(*) - 1 AS more "
            f"FROM {self.catalog}.staged WHERE reason IS NULL GROUP BY ALL HAVING count(*) > 1"
        )

    def _keep(self) -> None:
        key = ("customer_id", "ts", "session_id", "item", "fingerprint")
        same = " AND ".join(f"d.{column} = s.{column}" for column in key)
        columns = ", ".join(EVENT_SCHEMA)
        self.duck.execute(
            f"CREATE TABLE {self.catalog}.events_flagged AS SELECT {columns}, nulled "
            f"FROM {self.catalog}.staged AS s LEFT JOIN {self.catalog}.agents USING (agent) "
            f"WHERE reason IS NULL AND NOT EXISTS "
            f"(SELECT 1 FROM {self.catalog}.duplicates AS d WHERE {same} AND d.first <> s.rowid)"
        )
        self.duck.execute(f"CREATE VIEW {self.catalog}.events AS SELECT {columns} FROM {self.catalog}.events_flagged")

    def _report(self, files: list[LogFile], counts: dict[LogFile, dict[str | None, int]]) -> ReadReport:
        total = _total(counts.values())
        total.pop(None, None)
        more = self._one(f"SELECT coalesce(sum(more), 0)::BIGINT FROM {self.catalog}.duplicates")[0]
        dropped = {str(reason): number for reason, number in total.items()} | ({DUPLICATE: more} if more else {})
        flags = ", ".join(f"count(*) FILTER (nulled & {2**bit} > 0)" for bit in range(len(_NULLED)))
        kept, customers, *nulled = self._one(
            f"SELECT count(*), count(DISTINCT customer_id), {flags} FROM {self.catalog}.events_flagged"
        )
        first_ts, log_end = self._one(f"SELECT min(ts), max(ts) FROM {self.catalog}.staged")
        return ReadReport(
            files=len(files),
            rows=kept + sum(dropped.values()),
            kept=kept,
            dropped=dict(sorted(dropped.items(), key=lambda item: (-item[1], item[0]))),
            nulled={text: n for text, n in zip(_NULLED.values(), nulled, strict=True) if n},
            examples=tuple(self._examples(counts)),
            customers=customers,
            first_ts=first_ts,
            log_end=log_end,
        )

    def _one(self, query: str) -> Any:
        (row,) = self.duck.execute(query).fetchall()
        return row

    def _examples(self, counts: dict[LogFile, dict[str | None, int]]) -> Iterable[str]:
        bad = [file for file, count in counts.items() if set(count) - {None, *_ORDINARY}]
        for file in sorted(bad, key=lambda file: file.path)[:_EXAMPLE_FILES]:
            yield from self._examples_of(file)

    def _examples_of(self, file: LogFile) -> list[str]:
        """The first few bad rows of the file; blank lines make line and row number differ."""
        source = f"SELECT *, row_number() OVER () AS number FROM ({_typed(self._source(file))})"
        query = (
            f"SELECT number, reason FROM ({source}) WHERE reason IS NOT NULL AND reason <> '{NO_CUSTOMER}' "
            f"LIMIT {_EXAMPLES_PER_FILE}"
        )
        rows = dict(self.duck.execute(query, _parameters([file])).fetchall())
        if file.kind in {"json array", "parquet"}:
            return [f"{file.path}: row {row}: {reason}" for row, reason in rows.items()]
        places = {line_number: rows[row] for row, line_number in line_numbers(file, set(rows)).items()}
        places |= dict.fromkeys(file.malformed[:_EXAMPLES_PER_FILE], MALFORMED)
        return [f"{file.path}:{line}: {places[line]}" for line in sorted(places)[:_EXAMPLES_PER_FILE]]


def _total(counts: Iterable[dict[str | None, int]]) -> dict[str | None, int]:
    total: dict[str | None, int] = defaultdict(int)
    for count in counts:
        for reason, number in count.items():
            total[reason] += number
    return dict(total)


def _parameters(files: list[LogFile]) -> dict[str, list[str]]:
    return {"files": [_literal(file.readable) for file in files]}


def _unreadable(file: LogFile, error: duckdb.Error) -> EventLogError:
    what = str(error).splitlines()[0].replace(str(file.readable), file.path.name)
    return EventLogError(f"{file.path}: cannot be read as {file.kind}: {what[:300]}")


def _family(found: Any) -> str | None:
    """The library's name of the family, null when it knows none."""
    return None if found is None or found.family == "Other" else found.family[:MAXIMUM_CATEGORY_LENGTH]


# --- keeping typed events in a file ---------------------------------------------------


def write_events(log: EventLog, path: Path) -> None:
    """Write the events as Parquet, sorted, the report in its metadata; all of it or nothing."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    path.parent.mkdir(parents=True, exist_ok=True)
    duck = log.events.get_backend().con
    query = ibis.to_sql(log.events.order_by(["customer_id", "ts", "session_id", "item", "page"]), dialect="duckdb")
    report = json.dumps(log.report.to_dict()).replace("'", "''")
    try:
        duck.execute(
            f"COPY ({query}) TO '{str(unfinished).replace(chr(39), chr(39) * 2)}' "
            f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{_REPORT_KEY}: '{report}'}})"
        )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load_events(path: Path, connection: ibis.BaseBackend | None = None) -> EventLog:
    """What `write_events` wrote. Raises EventLogError when the file is missing or of another making."""
    if not path.is_file():
        raise EventLogError(f"{path}: no typed events there; read the log first (make featurize)")
    backend = connection if connection is not None else ibis.duckdb.connect()
    report = _stored_report(backend.con, path)
    events = backend.read_parquet(_literal(path))
    if {name: str(kind).lstrip("!") for name, kind in events.schema().items()} != EVENT_SCHEMA:
        raise EventLogError(
            f"{path}: columns {_names(events.columns)}; expected {_names(EVENT_SCHEMA)}; read the log again"
        )
    return EventLog(events, report.log_end, report)


def _stored_report(duck: Any, path: Path) -> ReadReport:
    query = f"SELECT decode(value) FROM parquet_kv_metadata($file) WHERE decode(key) = '{_REPORT_KEY}'"
    try:
        found = duck.execute(query, {"file": _literal(path)}).fetchall()
    except duckdb.Error as error:
        raise EventLogError(f"{path}: cannot be read as typed events: {str(error).splitlines()[0][:300]}") from error
    if not found:
        raise EventLogError(f"{path}: not written by write_events; read the log again (make featurize)")
    return ReadReport.from_dict(json.loads(found[0][0]))
