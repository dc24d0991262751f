"""Raw rows of an activity log, and the ways to write them that the reader must take."""

import csv
import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

Raw = Mapping[str, Any]

ABSENT: Final = object()
"""Leaves a key out of a row."""

# The customer 30 of the public log's first row, with an agent in quotes of its own.
ROW: Final[Raw] = {
    "ts": 1538352117000,
    "userId": "30",
    "sessionId": 29,
    "page": "NextSong",
    "auth": "Logged In",
    "method": "PUT",
    "status": 200,
    "level": "paid",
    "itemInSession": 50,
    "location": "Bakersfield, CA",
    "userAgent": '"Mozilla/5.0 (Windows NT 6.1; WOW64; rv:31.0) Gecko/20100101 Firefox/31.0"',
    "lastName": "Freeman",
    "firstName": "Colin",
    "registration": 1538173362000,
    "gender": "M",
    "artist": "Martha Tilston",
    "song": "Rockpools",
    "length": 277.89016,
}
LOGGED_OUT: Final[Raw] = {
    "ts": 1538355745000,
    "userId": "",
    "sessionId": 249,
    "page": "Login",
    "auth": "Logged Out",
    "method": "PUT",
    "status": 307,
    "level": "free",
    "itemInSession": 1,
}
COLUMNS: Final = tuple(sorted(ROW))


def raw(**changes: Any) -> dict[str, Any]:
    """`ROW` with other values; `ABSENT` leaves a key out."""
    return {key: value for key, value in ({**ROW, **changes}).items() if value is not ABSENT}


def json_lines(rows: Iterable[Raw | str]) -> str:
    """One line per row; a text is a line as it is."""
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def write_json(path: Path, rows: Iterable[Raw | str]) -> Path:
    return _write(path, json_lines(rows).encode())


def write_spark_csv(path: Path, rows: Iterable[Raw | str], columns: Iterable[str] = COLUMNS) -> Path:
    """As Spark exports it: null empty, empty text `""`, quotes and backslashes escaped in quoted fields only."""
    names = list(columns)
    lines = [
        row if isinstance(row, str) else ",".join(_spark_field(row.get(name)) for name in names)
        for row in (",".join(names), *rows)
    ]
    return _write(path, ("\n".join(lines) + "\n").encode())


def _spark_field(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    if text and not set(text) & {",", '"'}:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write_csv(path: Path, rows: Iterable[Raw], columns: Iterable[str] = COLUMNS) -> Path:
    """As RFC 4180 has it: quotes doubled, lines end in CR LF."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path: Path, rows: Iterable[Raw]) -> Path:
    pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in COLUMNS} for row in rows]), path)
    return path


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
