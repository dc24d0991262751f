"""A second look at what DuckDB could not read: rows are found in it, and each line without one has its reason."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from churn.activity.csv_lines import CsvRow, csv_rows
from churn.activity.files import LogFile, copy_of, no_room, unpacked
from churn.activity.rows import NOT_UTF8, RAW_COLUMNS, TOO_LONG
from churn.activity.unpacking import lines, room

_JOINED: Final = re.compile(rb"\}\s*\{")
_BLANK: Final = " \t\r\n\0"
_FIRST: Final = 1_000
"""Places that are kept; a broken file may have millions."""

_AS_TEXT: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
"""Keeps each number as it is written."""


@dataclass
class SecondLook:
    """The fate of the lines of one file.

    `copy` holds rows in a plain file. `rescued` counts malformed lines whose rows are all
    in it, `faults` the others by reason. `places` has the first lines with their reasons,
    None where it is rescued.
    """

    copy: LogFile
    rescued: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    places: dict[int, str | None] = field(default_factory=dict)

    def add(self, line: int, fault: str | None) -> None:
        if fault is None:
            self.rescued += 1
        else:
            self.faults[fault] += 1
        if len(self.places) < _FIRST:
            self.places[line] = fault


def read_again(file: LogFile, scratch: Path) -> SecondLook | None:
    """The rows of a file that DuckDB cannot read to its end; None when there is no other way to read it."""
    if file.kind == "csv":
        return _rows_of_csv(file, scratch)
    if file.kind == "json lines":
        return _lines_that_fit(file, scratch)
    if file.kind == "json array" and file.compression != "none":
        return SecondLook(unpacked(file, scratch))
    return None


def _rows_of_csv(file: LogFile, scratch: Path) -> SecondLook:
    """The rows with the header's number of fields, written as JSON lines."""
    look = SecondLook(replace(_json_copy(file, scratch), names=tuple((column, column) for column in RAW_COLUMNS)))
    with _writer(look.copy, scratch) as write:
        for line, values, fault in _after_header(file):
            if values is None:
                look.add(line, fault)
            else:
                row = dict(zip(file.header, values, strict=True))
                write(json.dumps({name: row[name] for name, _ in file.names}).encode())
    return look


def _lines_that_fit(file: LogFile, scratch: Path) -> SecondLook:
    look = SecondLook(_json_copy(file, scratch))
    with _writer(look.copy, scratch) as write:
        for number, line in enumerate(lines(file.readable), start=1):
            if line is None:
                look.add(number, TOO_LONG)
            else:
                write(line.rstrip(b"\n"))
    return look


def rescued(file: LogFile, scratch: Path) -> SecondLook:
    """The rows in the malformed lines of a JSON file: of a line that holds several, or zero bytes around one.

    Files put together without a line break at their ends make the first, a crash the second.
    """
    look = SecondLook(_json_copy(file, scratch))
    with _writer(look.copy, scratch) as write:
        for number, line in enumerate(lines(file.readable), start=1):
            if line is None or (line.isascii() and not _may_hold_more(line)):
                continue
            try:
                text = line.decode()
            except UnicodeDecodeError:
                look.add(number, NOT_UTF8)
                continue
            rows, whole = _rows_in(line, text)
            for row in rows:
                write(json.dumps(row).encode())
            if rows and whole:
                look.add(number, None)
    return look


def respelled(file: LogFile, spelled: dict[str, tuple[str, ...]], scratch: Path) -> LogFile:
    """A JSON file, line by line, with one key for each raw column where its rows spell it in several ways."""
    copy = replace(_json_copy(file, scratch), names=tuple((column, column) for column in RAW_COLUMNS))
    with _writer(copy, scratch) as write:
        for line in lines(file.readable):
            row = _object(line or b"")
            write((line or b"").rstrip(b"\n") if row is None else json.dumps(_one_key_each(row, spelled)).encode())
    return copy


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = _AS_TEXT.decode(line.decode())
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _one_key_each(row: dict[str, Any], spelled: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    values = {column: [row[key] for key in keys if row.get(key) is not None] for column, keys in spelled.items()}
    return {column: found[0] for column, found in values.items() if found}


def _may_hold_more(line: bytes) -> bool:
    return b"\0" in line or (line.count(b"{") > 1 and _JOINED.search(line) is not None)


def _rows_in(line: bytes, text: str) -> tuple[list[dict[str, Any]], bool]:
    """The objects of a line that DuckDB takes for malformed, and whether nothing else is in it."""
    if not _may_hold_more(line):
        return [], False
    found: list[dict[str, Any]] = []
    position = _past_blanks(text, 0)
    while position < len(text):
        try:
            value, position = _AS_TEXT.raw_decode(text, position)
        except (ValueError, RecursionError):
            return found, False
        if not isinstance(value, dict):
            return [], False
        found.append(value)
        position = _past_blanks(text, position)
    one_good_row = len(found) == 1 and b"\0" not in line
    return ([], True) if one_good_row else (found, True)


def _past_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BLANK:
        position += 1
    return position


def line_numbers(file: LogFile, rows: set[int]) -> dict[int, int]:
    """The line in the file as the person knows it, of each of these rows of what was read (both counted from 1)."""
    found = {}
    for row, line in enumerate(_lines_with_rows(file), start=1):
        if row in rows:
            found[row] = line
        if len(found) == len(rows):
            break
    return found


def _lines_with_rows(file: LogFile) -> Iterator[int]:
    if file.header:
        yield from (line for line, values, _ in _after_header(file) if values is not None)
    else:
        yield from (
            number for number, line in enumerate(lines(file.path), start=1) if line is not None and line.strip()
        )


def _after_header(file: LogFile) -> Iterator[CsvRow]:
    rows = csv_rows(lines(file.path), len(file.header), file.escape)
    next(rows, None)
    return rows


def _json_copy(file: LogFile, scratch: Path) -> LogFile:
    kind: Final = "json lines"
    return replace(file, readable=copy_of(kind, scratch), kind=kind, compression="none")


@contextmanager
def _writer(copy: LogFile, scratch: Path) -> Iterator[Callable[[bytes], None]]:
    """Writes lines to the copy as long as there is room for them."""
    left = room(scratch)

    def write(line: bytes) -> None:
        nonlocal left
        left -= target.write(line + b"\n")
        if left < 0:
            raise no_room(copy.path, scratch)

    with copy.readable.open("wb") as target:
        yield write
