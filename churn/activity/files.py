"""How a file of the log is written: compression, escape of quotes, JSON lines or one array, names of the columns.

The name promises a kind; all else is read from the content.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from churn.activity.columns import matched, of_folders, raw_column, spelled
from churn.activity.csv_lines import escape_of, fields
from churn.activity.names import Kind
from churn.activity.unpacking import BZIP2, CHUNK, GZIP, chunks, magic, opened, refuse_bomb, room
from churn.errors import EventLogError

Compression = Literal["none", "gzip"]

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_FOREIGN: Final = {
    b"\xfd7zXZ\x00": "is packed by xz; unpack it with unxz",
    b"\x28\xb5\x2f\xfd": "is packed by zstd; unpack it with unzstd",
    b"\x04\x22\x4d\x18": "is packed by lz4; unpack it with unlz4",
    b"PK\x03\x04": "is a zip archive; unpack it with unzip",
    b"7z\xbc\xaf": "is a 7z archive; unpack it with 7z x",
}
_PARQUET: Final = b"PAR1"
_FIRST_ROWS: Final = 100
"""Rows of a JSON file whose keys are looked at."""


@dataclass(frozen=True)
class LogFile:
    """One file of the log.

    `path` is the file as the person knows it, `readable` what DuckDB reads: the same, or
    a plain copy. `names` holds the raw columns with their names in `readable`, `header`
    all columns of a CSV by the names that DuckDB gives them, `folders` the raw columns
    whose values the names of the folders say.
    """

    path: Path
    readable: Path
    kind: Kind
    compression: Compression = "none"
    names: tuple[tuple[str, str], ...] = ()
    folders: tuple[tuple[str, str], ...] = ()
    header: tuple[str, ...] = ()
    escape: str = '"'


def inspect(path: Path, kind: Kind, scratch: Path) -> LogFile | None:
    """How the file is written; None when nothing is in it, as Spark leaves empty partitions.

    What DuckDB cannot read as it is (bzip2, a byte-order mark) is copied to `scratch`,
    an existing folder. Raises EventLogError when the file is damaged or not UTF-8.
    """
    first = magic(path)
    if not first:
        return None
    for start, what in _FOREIGN.items():
        if first.startswith(start):
            raise EventLogError(f"{path}: {what}")
    file = LogFile(path, path, kind, folders=tuple(of_folders(path).items()))
    return file if kind == "parquet" else _text(file, scratch)


def _text(file: LogFile, scratch: Path) -> LogFile | None:
    with opened(file.path) as packed:
        start = packed.read(CHUNK)
    if start.startswith(_UTF16_MARKS):
        raise EventLogError(f"{file.path}: is UTF-16 text; expected UTF-8; convert it (iconv -f UTF-16 -t UTF-8)")
    marked = start.startswith(_UTF8_MARK)
    content = start.removeprefix(_UTF8_MARK).lstrip()
    if not content:
        return None
    readable = _readable(file, marked, scratch)
    return _as_csv(readable, content) if file.kind == "csv" else _as_json(readable, content)


def _readable(file: LogFile, marked: bool, scratch: Path) -> LogFile:
    first = magic(file.path)
    if not marked and not first.startswith(BZIP2):
        if not first.startswith(GZIP):
            return file
        refuse_bomb(file.path)  # DuckDB unpacks it on the way, however much it holds
        return replace(file, compression="gzip")
    return unpacked(file, scratch, skip=len(_UTF8_MARK) if marked else 0)


def unpacked(file: LogFile, scratch: Path, skip: int = 0) -> LogFile:
    """The file with a plain copy to read, without the first `skip` bytes."""
    copy, left = copy_of(file.kind, scratch), room(scratch)
    with copy.open("wb") as plain:
        for chunk in chunks(file.path):
            left -= plain.write(chunk[skip:])
            skip = 0
            if left < 0:
                raise no_room(file.path, scratch)
    return replace(file, readable=copy, compression="none")


def copy_of(kind: Kind, scratch: Path) -> Path:
    """A new path in `scratch`, an existing folder."""
    return scratch / f"{sum(1 for _ in scratch.iterdir())}_copy{'.csv' if kind == 'csv' else '.json'}"


def no_room(path: Path, scratch: Path) -> EventLogError:
    return EventLogError(f"{path}: no room to unpack it in {scratch}; unpack it yourself, or name a larger TMPDIR")


def _refuse_bare_returns(path: Path, content: bytes) -> None:
    start = content.rstrip()
    if b"\r" in start and b"\n" not in start:
        raise EventLogError(
            f"{path}: lines end in a carriage return (CR) alone; expected LF; convert it (tr '\\r' '\\n')"
        )


def _as_json(file: LogFile, content: bytes) -> LogFile:
    if _is_array(content):
        return replace(file, kind="json array", names=tuple(spelled(_first_elements(content)).items()))
    _refuse_bare_returns(file.path, content)
    return replace(file, kind="json lines", names=tuple(spelled(_first_objects(content)).items()))


def _is_array(start: bytes) -> bool:
    """Return true if JSON that begins so is one array; a line that happens to be an array has other lines after it."""
    line, _, rest = start.partition(b"\n")
    if not line.startswith(b"["):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return not rest.strip()


def _first_objects(content: bytes) -> Iterable[dict[str, object]]:
    for line in content.split(b"\n", _FIRST_ROWS)[:_FIRST_ROWS]:
        row = parsed(line)
        if isinstance(row, dict):
            yield row


def _first_elements(content: bytes) -> Iterable[dict[str, object]]:
    """The first objects of an array, as far as they are whole."""
    text, position = content.decode(errors="replace"), 1
    decoder = json.JSONDecoder(parse_int=str)
    for _ in range(_FIRST_ROWS):
        position += len(text[position:]) - len(text[position:].lstrip(" \t\r\n,"))
        try:
            row, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return
        if isinstance(row, dict):
            yield row


def parsed(line: bytes) -> object:
    """The JSON value of a line; None when it is none."""
    try:
        value: object = json.loads(line, parse_int=str)  # Python refuses to read numbers of thousands of digits
    except (ValueError, RecursionError):
        return None
    return value


def _as_csv(file: LogFile, content: bytes) -> LogFile:
    _refuse_bare_returns(file.path, content)
    escape = escape_of(file.readable)
    header = fields(content.partition(b"\n")[0], escape)
    if header is None:
        raise EventLogError(f"{file.path}: the first line is not a CSV header in UTF-8")
    matched(file.path, header, dict(file.folders))
    names = tuple(raw_column(name) or f"_{number}" for number, name in enumerate(header))
    return replace(file, header=names, names=tuple((name, name) for name in names if name[0] != "_"), escape=escape)


def kind_by_content(path: Path) -> Kind | None:
    """The kind of a file whose name does not say it: its first line is a row, or a header with `ts` and `page`."""
    try:
        with opened(path) as content:
            start = content.read(CHUNK).removeprefix(_UTF8_MARK).lstrip()
    except EventLogError:
        return None
    if start.startswith(_PARQUET):
        return "parquet"
    line = start.partition(b"\n")[0]
    row = parsed(line)
    if isinstance(row, dict):
        return "json lines" if any(map(raw_column, row)) else None
    header = {raw_column(name) for name in fields(line, '"') or ()}
    return "csv" if {"ts", "page"} <= header else None
