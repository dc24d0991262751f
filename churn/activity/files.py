"""The files of an activity log: which there are, and how each of them is written.

A log is one file, a folder (Spark writes one file per partition, beside `_SUCCESS` and
hidden `.crc` files) or a glob. A file is known by its name (`.json`, `.jsonl`, `.ndjson`,
`.csv`, `.parquet`; text also with `.gz` or `.bz2` after it); its compression, its escape
for quotes and whether JSON comes as lines or as one array are read from its content.
"""

import bz2
import csv
import glob
import gzip
import json
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final, Literal

from churn.errors import EventLogError

Kind = Literal["json lines", "json array", "csv", "parquet"]
Compression = Literal["none", "gzip"]

SUFFIXES: Final[dict[str, Kind]] = {
    ".json": "json lines",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".csv": "csv",
    ".parquet": "parquet",
}
COMPRESSED: Final = (".gz", ".bz2")
EXPECTED: Final = "JSON lines (.json, .jsonl, .ndjson), CSV (.csv), both also .gz or .bz2, or Parquet (.parquet)"

_GZIP: Final = b"\x1f\x8b"
_BZIP2: Final = b"BZh"
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_CHUNK: Final = 1 << 20

# A quote inside a quoted field: `\"` as Spark writes it, or doubled as RFC 4180 has it.
_INNER_QUOTE: Final = re.compile(rb'(\\")|[^,\r\n]""|""[^,\r\n]')

# One field by the escape of its quotes: quoted or plain, and the comma after it.
_FIELD: Final = {
    "\\": re.compile(r'(?:"((?:[^"\\]|\\.)*)"|([^",][^,]*|))(,|$)'),
    '"': re.compile(r'(?:"((?:[^"]|"")*)"|([^",][^,]*|))(,|$)'),
}
_ESCAPED: Final = {"\\": re.compile(r"\\(.)"), '"': re.compile(r'"(")')}


@dataclass(frozen=True)
class LogFile:
    """One file of the log.

    `path` is the file as the person knows it, `readable` what DuckDB reads: the same, or
    a plain copy. `header` and `escape` are those of a CSV. `malformed` holds the numbers
    of the lines that were left out of the copy.
    """

    path: Path
    readable: Path
    kind: Kind
    compression: Compression = "none"
    header: tuple[str, ...] = ()
    escape: str = '"'
    malformed: tuple[int, ...] = ()


def find_files(source: str | Path) -> list[Path]:
    """The files of the log, sorted: one, or those with a known name in a folder, at any depth, or of a glob.

    Hidden files and those beginning with `_` (Spark's bookkeeping) are passed over.
    Raises EventLogError when there is none.
    """
    path = Path(source)
    if path.exists():
        return _in_folder(path) if path.is_dir() else [_known(path)]
    matches = [Path(name) for name in glob.glob(str(source), recursive=True)]  # noqa: PTH207 - may be absolute
    found = {file for match in matches for file in (match.rglob("*") if match.is_dir() else [match])}
    if not found:
        raise EventLogError(f"{source}: no such file or folder; name an activity log: {EXPECTED}")
    return _of_known_name(str(source), found)


def _known(path: Path) -> Path:
    if _kind(path) is None:
        raise EventLogError(f"{path}: unknown kind of file; expected {EXPECTED}")
    return path


def _kind(path: Path) -> Kind | None:
    name = path.name.lower()
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return SUFFIXES.get(Path(name).suffix)


def _in_folder(folder: Path) -> list[Path]:
    visible = {path for path in folder.rglob("*") if not _hidden(path.relative_to(folder))}
    return _of_known_name(str(folder), visible)


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _of_known_name(source: str, paths: set[Path]) -> list[Path]:
    files = [path for path in paths if path.is_file() and not path.name.startswith((".", "_"))]
    known = sorted(path for path in files if _kind(path) is not None)
    if not known:
        raise EventLogError(f"{source}: none of its {len(files)} files is part of an activity log; expected {EXPECTED}")
    return known


def inspect(path: Path, scratch: Path) -> LogFile | None:
    """How the file is written; None when it is empty, as Spark leaves empty partitions.

    What DuckDB cannot read as it is (bzip2, a byte-order mark) is copied to `scratch`,
    an existing folder. Raises EventLogError when the file is damaged or not UTF-8.
    """
    if path.stat().st_size == 0:
        return None
    kind = _kind(path)
    if kind == "parquet":
        return LogFile(path, path, kind)
    with _open(path) as lines:
        start = lines.read(_CHUNK)
    if start.startswith(_UTF16_MARKS):
        raise EventLogError(f"{path}: is UTF-16 text; expected UTF-8; convert it (iconv -f UTF-16 -t UTF-8)")
    content = start.removeprefix(_UTF8_MARK).lstrip()
    if not content:
        return None
    file = _readable(path, start.startswith(_UTF8_MARK), scratch)
    if kind == "csv":
        return _as_csv(file)
    return replace(file, kind="json array" if _is_array(content) else "json lines")


def _is_array(start: bytes) -> bool:
    """Whether JSON that begins so is one array; a line that happens to be an array has other lines after it."""
    line, _, rest = start.partition(b"\n")
    if not line.startswith(b"["):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return not rest.strip()


def _magic(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(3)


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked. Damage found while reading raises EventLogError."""
    magic = _magic(path)
    try:
        if magic.startswith(_GZIP):
            with gzip.open(path) as unpacked:
                yield unpacked  # type: ignore[misc]  # a GzipFile reads bytes, whatever its stubs derive from
        elif magic == _BZIP2:
            with bz2.open(path) as unpacked:
                yield unpacked
        else:
            with path.open("rb") as plain:
                yield plain
    except (EOFError, zlib.error) as error:
        raise EventLogError(f"{path}: truncated or damaged archive ({error}); copy it again") from error
    except OSError as error:  # also what gzip and bz2 raise for content that is not theirs
        raise EventLogError(f"{path}: cannot be read ({error})") from error


def _readable(path: Path, marked: bool, scratch: Path) -> LogFile:
    magic = _magic(path)
    if not marked and magic != _BZIP2:
        return LogFile(path, path, "json lines", "gzip" if magic.startswith(_GZIP) else "none")
    copy = _copy_of(path, scratch)
    with _open(path) as packed, copy.open("wb") as plain:
        packed.seek(len(_UTF8_MARK) if marked else 0)
        shutil.copyfileobj(packed, plain, _CHUNK)
    return LogFile(path, copy, "json lines")


def _copy_of(path: Path, scratch: Path) -> Path:
    return scratch / f"{sum(1 for _ in scratch.iterdir())}_{_plain_suffix(path)}"


def _plain_suffix(path: Path) -> str:
    return "copy.csv" if _kind(path) == "csv" else "copy.json"


def _as_csv(file: LogFile) -> LogFile:
    escape = _escape(file.readable)
    with _open(file.readable) as lines:
        first = lines.readline()
    header = _fields(first, escape)
    if header is None:
        raise EventLogError(f"{file.path}: the first line is not a CSV header in UTF-8")
    return replace(file, kind="csv", header=tuple(header), escape=escape)


def _escape(path: Path) -> str:
    """How quotes inside quoted fields are escaped: by a backslash or doubled; the latter when there are none."""
    with _open(path) as file:
        while chunk := file.read(_CHUNK):
            found = [match.group(1) is not None for match in _INNER_QUOTE.finditer(chunk)]
            if found:
                return "\\" if 2 * sum(found) > len(found) else '"'
    return '"'


def _fields(line: bytes, escape: str) -> list[str] | None:
    """The fields of one line, as DuckDB reads them, None when it is malformed. Fields do not span lines."""
    try:
        text = line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return None
    fields, position = [], 0
    while (match := _FIELD[escape].match(text, position)) is not None:
        quoted, plain, end = match.groups()
        fields.append(plain if quoted is None else _ESCAPED[escape].sub(r"\1", quoted))
        if not end:
            return fields
        position = match.end()
    return None


def without_malformed_lines(file: LogFile, scratch: Path) -> LogFile:
    """A copy of the CSV with only the lines that have the header's number of fields.

    DuckDB loses the line after one with an open quote; here a line is a row, always.
    """
    copy, malformed = _copy_of(file.path, scratch), []
    with _open(file.readable) as lines, copy.open("w", encoding="utf-8", newline="") as clean:
        writer = csv.writer(clean, lineterminator="\n")
        for number, line in enumerate(lines, start=1):
            fields = _fields(line, file.escape)
            if fields is not None and len(fields) == len(file.header):
                writer.writerow(fields)
            elif line.strip():
                malformed.append(number)
    return replace(file, readable=copy, compression="none", escape='"', malformed=tuple(malformed))


def line_numbers(file: LogFile, rows: set[int]) -> dict[int, int]:
    """The line in the file as the person knows it, of each of these rows (both counted from 1)."""
    left_out, found = set(file.malformed), {}
    row = -1 if file.kind == "csv" else 0
    with _open(file.path) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip() or number in left_out:
                continue
            row += 1
            if row in rows:
                found[row] = number
            if len(found) == len(rows):
                break
    return found
