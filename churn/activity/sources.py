"""A file of the log -> the DuckDB query that yields its raw columns as text.

Each query takes the parameter `$files`: one scan reads all files that are written alike.
"""

# ruff: noqa: S608 - this SQL is put together from constants and quoted column names; paths are parameters

from collections.abc import Iterable
from typing import Any, Final

import duckdb

from churn.activity.files import LogFile
from churn.activity.rows import RAW_COLUMNS, REQUIRED_COLUMNS
from churn.errors import EventLogError
from churn.sql import exactly, quoted

_RAW: Final = ", ".join(f'"{column}"' for column in RAW_COLUMNS)
_HAS_LINE_BREAK: Final = " OR ".join(f"contains(\"{column}\", e'\\n')" for column in RAW_COLUMNS)


def query(file: LogFile, duck: Any) -> str:
    """The query for this file and for all that give the same query.

    Raises EventLogError when the columns of a CSV or Parquet file are not those of a log.
    """
    if file.kind == "parquet":
        return _parquet(file, _described(file, duck))
    return _csv(file) if file.kind == "csv" else _json(file)


def parameters(files: Iterable[LogFile]) -> dict[str, list[str]]:
    return {"files": [exactly(file.readable) for file in files]}


def unreadable(file: LogFile, error: Exception) -> EventLogError:
    """The error that names the file; only what of DuckDB's own message does not quote the data."""
    what = str(error).partition("\n")[0].partition(", but got")[0].replace(str(file.readable), file.path.name)
    return EventLogError(f"{file.path}: cannot be read as {file.kind}: {what[:300]}")


def _json(file: LogFile) -> str:
    # Past a malformed line a row of nulls comes; an array cannot be read past its first fault.
    layout = "array" if file.kind == "json array" else "newline_delimited"
    lenient = "false" if file.kind == "json array" else "true"
    return (
        f"SELECT file, {_RAW} FROM read_json($files, format = '{layout}', columns = {_struct(RAW_COLUMNS)}, "
        f"compression = '{file.compression}', ignore_errors = {lenient}, filename = 'file')"
    )


def _csv(file: LogFile) -> str:
    # An open quote swallows the lines up to the next one: a line break in a field is a fault.
    columns = _as_text(file, dict.fromkeys(file.header, "VARCHAR"))
    if len(set(file.header)) < len(file.header):
        raise EventLogError(f"{file.path}: the header names a column twice: {', '.join(file.header)[:400]}")
    rows = (
        f"SELECT _file AS file, {columns} FROM read_csv($files, columns = {_struct(file.header)}, "
        f"auto_detect = false, header = true, delim = ',', quote = '\"', escape = '{file.escape}', "
        f"compression = '{file.compression}', filename = '_file')"
    )
    return f"SELECT * FROM ({rows}) WHERE CASE WHEN {_HAS_LINE_BREAK} THEN error('line break in a field') ELSE true END"


def _parquet(file: LogFile, types: dict[str, str]) -> str:
    return (
        f"SELECT _file AS file, {_as_text(file, types)} "
        "FROM read_parquet($files, filename = '_file', hive_partitioning = false)"
    )


def _described(file: LogFile, duck: Any) -> dict[str, str]:
    """The types of a Parquet file's columns."""
    describe = "DESCRIBE SELECT * FROM read_parquet($files, hive_partitioning = false)"
    try:
        return {row[0]: row[1] for row in duck.execute(describe, parameters([file])).fetchall()}
    except duckdb.Error as error:
        raise unreadable(file, error) from error


def _as_text(file: LogFile, types: dict[str, str]) -> str:
    """The raw columns, those that the file lacks as null; metastores write names in lower case."""
    names = {name.lower(): name for name in types}
    missing = [column for column in REQUIRED_COLUMNS if column.lower() not in names]
    if missing:
        raise EventLogError(f"{file.path}: not an activity log: no column {', '.join(missing)}; {_found(names)}")
    return ", ".join(
        f'{_text(names[column.lower()], types) if column.lower() in names else "NULL::VARCHAR"} AS "{column}"'
        for column in RAW_COLUMNS
    )


def _found(names: dict[str, str]) -> str:
    """The known columns; a file without a header has a person's data in its first line, which is not repeated."""
    known = [column for column in RAW_COLUMNS if column.lower() in names]
    return f"found {', '.join(known)}" if known else "expected a header line with these names, between commas"


def _text(name: str, types: dict[str, str]) -> str:
    kind, column = types[name], quoted(name)
    if not kind.startswith("TIMESTAMP"):
        return f"{column}::VARCHAR"
    with_zone = "TZ" in kind or "TIME ZONE" in kind
    return f"epoch_ms({column}{'::TIMESTAMPTZ' if with_zone else ''})::VARCHAR"


def _struct(names: Iterable[str]) -> str:
    return "{" + ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in names) + "}"
