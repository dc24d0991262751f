"""The lines of a CSV, read so that a fault stays where it is: DuckDB loses the rows after an open quote."""

import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from churn.activity.rows import MALFORMED, NOT_UTF8, TOO_LONG
from churn.activity.unpacking import chunks

_MOST_LINES: Final = 20
"""Lines that one row may have after its first, by line breaks in quoted fields."""

_LONGEST_ROW: Final = 1 << 16
"""Bytes in which the quoted field must end."""

# A quote inside a quoted field: `\"` as Spark writes it, or doubled as RFC 4180 has it.
_INNER_QUOTE: Final = re.compile(rb'(\\")|[^,\r\n]""|""[^,\r\n]')

# One field by the escape of its quotes: quoted or plain, and the comma after it.
_FIELD: Final = {
    "\\": re.compile(r'(?:[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*|([^",\n][^,\n]*|))(,|\Z)', re.DOTALL),
    '"': re.compile(r'(?:[ \t]*"((?:[^"]|"")*)"[ \t]*|([^",\n][^,\n]*|))(,|\Z)'),
}
_OPEN: Final = {
    "\\": re.compile(r'[ \t]*"(?:[^"\\]|\\.)*\Z', re.DOTALL),
    '"': re.compile(r'[ \t]*"(?:[^"]|"")*\Z'),
}
_ESCAPED: Final = {"\\": re.compile(r"\\(.)", re.DOTALL), '"': re.compile(r'"(")')}


class CsvRow(NamedTuple):
    """One row and the line it begins on, from 1; `fields` is None when the line is left out for `fault`."""

    line: int
    fields: list[str] | None
    fault: str | None = None


def escape_of(path: Path) -> str:
    """How quotes inside quoted fields are escaped: by a backslash or doubled; the latter when there are none."""
    for chunk in chunks(path):
        found = [match.group(1) is not None for match in _INNER_QUOTE.finditer(chunk)]
        if found:
            return "\\" if 2 * sum(found) > len(found) else '"'
    return '"'


def fields(line: bytes, escape: str) -> list[str] | None:
    """The fields of one line, as DuckDB reads them; None when it is malformed."""
    try:
        return _split(line.decode().rstrip("\r\n"), escape)[0]
    except UnicodeDecodeError:
        return None


def _split(text: str, escape: str) -> tuple[list[str] | None, bool]:
    """The fields, and whether the text ends within a quoted one."""
    found, position = [], 0
    while (match := _FIELD[escape].match(text, position)) is not None:
        quoted, plain, end = match.groups()
        found.append(plain if quoted is None else _ESCAPED[escape].sub(r"\1", quoted))
        if not end:
            return found, False
        position = match.end()
    return None, _OPEN[escape].match(text, position) is not None


Numbered = tuple[int, bytes | None]


def csv_rows(lines: Iterable[bytes | None], width: int, escape: str) -> Iterator[CsvRow]:
    """The rows of a CSV with their faults; blank lines are none.

    A quoted field may hold line breaks when all of them together make a row of `width`
    fields. Otherwise the quote was left open, and only the line that opens it is lost.
    """
    ahead: deque[Numbered] = deque()
    numbered = enumerate(lines, start=1)
    while (current := ahead.popleft() if ahead else next(numbered, None)) is not None:
        number, line = current
        if line is None:
            yield CsvRow(number, None, TOO_LONG)
        elif line.strip():
            yield _row(number, line, _Following(ahead, numbered), width, escape)


class _Following:
    """The lines after the current one, looked at without taking them."""

    def __init__(self, ahead: deque[Numbered], numbered: Iterator[Numbered]) -> None:
        self._ahead, self._numbered = ahead, numbered

    def __iter__(self) -> Iterator[bytes | None]:
        for position in itertools.count():
            if position == len(self._ahead):
                following = next(self._numbered, None)
                if following is None:
                    return
                self._ahead.append(following)
            yield self._ahead[position][1]

    def take(self, number: int) -> None:
        for _ in range(number):
            self._ahead.popleft()


def _row(number: int, line: bytes, following: _Following, width: int, escape: str) -> CsvRow:
    try:
        text = line.decode().rstrip("\r\n").strip("\0")
    except UnicodeDecodeError:
        return CsvRow(number, None, NOT_UTF8)
    found, is_open = _split(text, escape)
    if is_open:
        found = _joined(line, following, width, escape)
    good = found is not None and len(found) == width
    return CsvRow(number, found if good else None, None if good else MALFORMED)


def _joined(line: bytes, following: _Following, width: int, escape: str) -> list[str] | None:
    """The fields of a row whose quoted field goes on in the lines that follow; they are taken when it is whole."""
    for more, next_line in enumerate(itertools.islice(following, _MOST_LINES), start=1):
        if next_line is None or len(line) > _LONGEST_ROW:
            return None
        line += next_line
        if b'"' not in next_line:
            continue
        found = fields(line, escape)
        if found is not None and len(found) == width:
            following.take(more)
            return found
    return None
