"""The typed events: what is kept of the staged rows, and its file."""

# ruff: noqa: S608 - this SQL is put together from constants; values are parameters

import json
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import ibis
import pyarrow as pa
from ua_parser import parse_os, parse_user_agent

from churn.activity.column_checks import check_agents
from churn.activity.report import ReadReport, make_report
from churn.activity.rows import IDENTITY
from churn.activity.staged import StagedLog
from churn.contract import MAXIMUM_CATEGORY_LENGTH
from churn.errors import EventLogError
from churn.files import whole_file
from churn.sql import exactly, literal

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

_REPORT_KEY: Final = "churn_events_report"


@dataclass(frozen=True)
class EventLog:
    """The typed events of known customers, without duplicates; columns as `EVENT_SCHEMA`.

    `log_end` is the newest valid `ts` of any row of the log, in UTC epoch ms.
    """

    events: ibis.Table
    log_end: int
    report: ReadReport


def connect() -> Any:
    """An Ibis DuckDB backend of one's own."""
    # DuckDB makes this folder when memory runs out; its own default is one in the working directory.
    spill = Path(tempfile.gettempdir()) / f"churn-events-{uuid.uuid4().hex}.spill"
    return ibis.duckdb.connect(temp_directory=str(spill))


def keep(log: StagedLog) -> ReadReport:
    """Keep the good rows as `events`, without duplicates, and drop the staged ones."""
    _recognise_agents(log)
    _find_duplicates(log)
    _keep_good_rows(log)
    report = make_report(log)
    for table in ("staged", "agents", "duplicates"):
        log.duck.execute(f"DROP TABLE {log.catalog}.{table}")
    return report


def _recognise_agents(log: StagedLog) -> None:
    found = log.rows(f"SELECT DISTINCT agent FROM {log.catalog}.staged WHERE reason IS NULL AND agent <> ''")
    agents = pa.Table.from_pylist(
        [{"agent": agent, "os": _os(agent), "browser": _browser(agent)} for (agent,) in found],
        schema=pa.schema([("agent", pa.string()), ("os", pa.string()), ("browser", pa.string())]),
    )
    name = f"{log.catalog}_agents"
    log.duck.register(name, agents)
    log.duck.execute(f"CREATE TABLE {log.catalog}.agents AS SELECT * FROM {name}")
    log.duck.unregister(name)
    ((known,),) = log.rows(f"SELECT count(coalesce(os, browser)) FROM {log.catalog}.agents")
    check_agents(len(found), known)


def _find_duplicates(log: StagedLog) -> None:
    log.duck.execute(
        f"CREATE TABLE {log.catalog}.duplicates AS "
        f"SELECT {', '.join(IDENTITY)}, min(rowid) AS first, count(*) - 1 AS more "
        f"FROM {log.catalog}.staged WHERE reason IS NULL GROUP BY ALL HAVING count(*) > 1"
    )


def _keep_good_rows(log: StagedLog) -> None:
    columns = ", ".join(EVENT_SCHEMA)
    same = " AND ".join(f"d.{column} = s.{column}" for column in IDENTITY)
    log.duck.execute(
        f"CREATE TABLE {log.catalog}.kept AS SELECT {columns}, nulled "
        f"FROM {log.catalog}.staged AS s LEFT JOIN {log.catalog}.agents USING (agent) WHERE reason IS NULL "
        f"AND NOT EXISTS (SELECT 1 FROM {log.catalog}.duplicates AS d WHERE {same} AND d.first <> s.rowid)"
    )
    log.duck.execute(f"CREATE VIEW {log.catalog}.events AS SELECT {columns} FROM {log.catalog}.kept")


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
    report = literal(json.dumps(log.report.to_dict()))
    with whole_file(path) as fresh:
        log.events.get_backend().con.execute(
            f"COPY ({rows}) TO {literal(str(fresh))} "
            f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{_REPORT_KEY}: {report}}})"
        )


def load_events(path: Path, connection: ibis.BaseBackend | None = None) -> EventLog:
    """Read a file of `write_events`. Raises EventLogError when it is missing, damaged or of another making."""
    if not path.is_file():
        raise EventLogError(f"{path}: no typed events there; read the log first (make featurize)")
    backend = connection if connection is not None else connect()
    report = _stored_report(backend.con, path)
    events = backend.read_parquet(exactly(path))
    if {name: str(kind) for name, kind in events.schema().items()} != EVENT_SCHEMA:
        raise EventLogError(
            f"{path}: columns {', '.join(events.columns)}; expected {', '.join(EVENT_SCHEMA)}; read the log again"
        )
    return EventLog(events, report.log_end, report)


def _stored_report(duck: Any, path: Path) -> ReadReport:
    metadata = f"SELECT decode(value) FROM parquet_kv_metadata($file) WHERE decode(key) = '{_REPORT_KEY}'"
    try:
        found = duck.execute(metadata, {"file": exactly(path)}).fetchall()
    except duckdb.Error:
        raise EventLogError(
            f"{path}: damaged, cannot be read as typed events; read the log again (make featurize)"
        ) from None  # DuckDB's message may quote the data
    if not found:
        raise EventLogError(f"{path}: not written by write_events; read the log again (make featurize)")
    return ReadReport.from_dict(json.loads(found[0][0]))
