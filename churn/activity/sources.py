"""A file of the log -> the DuckDB query that yields its raw columns as text.

Each query takes the parameter `$files`: one scan reads all files that are written alike.
"""

# ruff: noqa: S608 - this SQL is put together from constants and quoted names and values; paths are parameters

import re
from collections.abc import Iterable
from typing import Any, Final

import duckdb

from churn.activity.columns import matched
from churn.activity.files import LogFile
from churn.activity.names import Kind
from churn.activity.rows import RAW_COLUMNS
from churn.errors import EventLogError
from churn.sql import exactly, literal, quoted

_PLACE: Final = re.compile(r"at byte [0-9]+ in (?:line|record/value) [0-9]+|on line: [0-9]+", re.IGNORECASE)
"""The parts of DuckDB's messages that may be repeated: the rest quotes lines of the file."""


def query(file: LogFile, duck: Any) -> str:
    """The query for this file and for all that give the same query.

    Raises EventLogError when the columns of a Parquet file are not those of a log.
    """
    if file.kind == "parquet":
        return _parquet(file, _described(file, duck))
    return _csv(file) if file.kind == "csv" else _json(file)


def parameters(files: Iterable[LogFile]) -> dict[str, list[str]]:
    return {"files": [exactly(file.readable) for file in files]}


def keys(kind: Kind) -> str:
    """The query for each file's name with a key that one of its objects has."""
    layout = "array" if kind == "json array" else "newline_delimited"
    lenient = "false" if kind == "json array" else "true"
    return (
        "SELECT DISTINCT filename, unnest(json_keys(json)) FROM read_json_objects($files, "
        f"format = '{layout}', ignore_errors = {lenient}, filename = true)"
    )


def unreadable(file: LogFile, error: duckdb.Error) -> EventLogError:
    """The error that names the file and the place in it, and repeats nothing of what stands there."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return EventLogError(f"{file.path}: reading it takes more memory or temporary disk space than there is")
    place = _PLACE.search(str(error))
    where = f" {place[0]}" if place else ""
    return EventLogError(f"{file.path}: cannot be read as {file.kind}: damaged{where}; write or copy it again")


def _json(file: LogFile) -> str:
    # Past a malformed line a row of nulls comes; an array cannot be read past its first fault.
    layout = "array" if file.kind == "json array" else "newline_delimited"
    lenient = "false" if file.kind == "json array" else "true"
    names, folders = dict(file.names), dict(file.folders)
    columns = ", ".join(_of_json(column, names[column], folders.get(column)) for column in RAW_COLUMNS)
    return (
        f"SELECT file, {columns} FROM read_json($files, format = '{layout}', columns = {_struct(names.values())}, "
        f"compression = '{file.compression}', ignore_errors = {lenient}, filename = 'file')"
    )


def _of_json(column: str, name: str, of_folder: str | None) -> str:
    value = quoted(name) if of_folder is None else f"coalesce({quoted(name)}, {literal(of_folder)})"
    return f'{value} AS "{column}"'


def _csv(file: LogFile) -> str:
    # An open quote swallows the lines up to the next one: a line break in a field gets a second look.
    rows = (
        f"SELECT _file AS file, {_as_text(file, dict(file.names), {})}, {_has_line_break(file)} AS broken "
        f"FROM read_csv($files, columns = {_struct(file.header)}, "
        f"auto_detect = false, header = true, delim = ',', quote = '\"', escape = '{file.escape}', "
        f"compression = '{file.compression}', filename = '_file')"
    )
    return (
        f"SELECT * EXCLUDE (broken) FROM ({rows}) "
        "WHERE CASE WHEN broken THEN error('line break in a field') ELSE true END"
    )


def _has_line_break(file: LogFile) -> str:
    return " OR ".join(f"contains({quoted(name)}, e'\\n')" for name in file.header)


def _parquet(file: LogFile, types: dict[str, str]) -> str:
    names = matched(file.path, types, dict(file.folders))
    return (
        f"SELECT _file AS file, {_as_text(file, names, types)} "
        "FROM read_parquet($files, filename = '_file', hive_partitioning = false)"
    )


def _described(file: LogFile, duck: Any) -> dict[str, str]:
    """The types of a Parquet file's columns."""
    describe = "DESCRIBE SELECT * FROM read_parquet($files, hive_partitioning = false)"
    try:
        return {row[0]: row[1] for row in duck.execute(describe, parameters([file])).fetchall()}
    except duckdb.Error as error:
        raise unreadable(file, error) from None  # DuckDB's message may quote the data


def _as_text(file: LogFile, names: dict[str, str], types: dict[str, str]) -> str:
    """The raw columns: those of the file, else of its folders, else null."""
    folders = dict(file.folders)
    return ", ".join(f'{_value(column, names, folders, types)} AS "{column}"' for column in RAW_COLUMNS)


def _value(column: str, names: dict[str, str], folders: dict[str, str], types: dict[str, str]) -> str:
    if column in names:
        return _text(names[column], types.get(names[column], "VARCHAR"))
    return literal(folders[column]) if column in folders else "NULL::VARCHAR"


def _text(name: str, kind: str) -> str:
    column = quoted(name)
    if not kind.startswith("TIMESTAMP"):
        return f"{column}::VARCHAR"
    with_zone = "TZ" in kind or "TIME ZONE" in kind
    return f"epoch_ms({column}{'::TIMESTAMPTZ' if with_zone else ''})::VARCHAR"


def _struct(names: Iterable[str]) -> str:
    return "{" + ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in names) + "}"
