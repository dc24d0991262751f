"""The bytes of a file of the log, unpacked where they are packed, within bounds.

Messages name the file and never repeat its content.
"""

import bz2
import gzip
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from churn.activity.settings import UNPACKED_MB
from churn.errors import EventLogError
from churn.settings import whole_number

CHUNK: Final = 1 << 20
LONGEST_LINE: Final = 1 << 24
"""Bytes; DuckDB reads no longer JSON object either."""

MOST_TIMES: Final = 1_032
"""Gzip (Deflate) makes nothing shorter than that many times."""

GZIP: Final = b"\x1f\x8b"
BZIP2: Final = b"BZh"


def magic(path: Path) -> bytes:
    """The first bytes, which tell how a file is packed."""
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise _unreadable(path, error) from error


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked. Damage found while reading raises EventLogError."""
    start = magic(path)
    try:
        if start.startswith(GZIP):
            with gzip.open(path) as unpacked:
                yield unpacked  # type: ignore[misc]  # a GzipFile reads bytes, whatever its stubs derive from
        elif start.startswith(BZIP2):
            with bz2.open(path) as unpacked:
                yield unpacked
        else:
            with path.open("rb") as plain:
                yield plain
    except (EOFError, zlib.error) as error:
        raise _damaged(path) from error
    except OSError as error:  # also what gzip and bz2 raise for content that is not theirs
        raise (_damaged(path) if error.errno is None else _unreadable(path, error)) from error


def _damaged(path: Path) -> EventLogError:
    return EventLogError(f"{path}: truncated or damaged archive; copy it again")


def _unreadable(path: Path, error: OSError) -> EventLogError:
    return EventLogError(f"{path}: cannot be read ({error.strerror})")


def chunks(path: Path) -> Iterator[bytes]:
    """The unpacked content in pieces of `CHUNK` bytes at most."""
    return _within_bounds(path, CHUNK)


def lines(path: Path) -> Iterator[bytes | None]:
    """The unpacked lines with their ends; None for one that is longer than `LONGEST_LINE`."""
    too_long = False
    for piece in _within_bounds(path, LONGEST_LINE, by_line=True):
        ends = piece.endswith(b"\n")
        if too_long or (not ends and len(piece) == LONGEST_LINE):
            too_long = not ends
            if ends:
                yield None
        else:
            yield piece
    if too_long:
        yield None


def refuse_bomb(path: Path) -> None:
    """Raise EventLogError when a packed file that others unpack holds more than the setting allows.

    It is unpacked for that only where its size leaves it possible.
    """
    if path.stat().st_size * MOST_TIMES > _most():
        for _ in chunks(path):
            pass


def _most() -> int:
    return whole_number(UNPACKED_MB, 1, 1_000_000) * 10**6


def _within_bounds(path: Path, size: int, *, by_line: bool = False) -> Iterator[bytes]:
    """Pieces of the unpacked file; raises EventLogError when there are more than the setting allows."""
    most = _most()
    packed = magic(path).startswith((GZIP, BZIP2))
    total = 0
    with opened(path) as file:
        read = file.readline if by_line else file.read
        while piece := read(size):
            total += len(piece)
            if packed and total > most:
                raise EventLogError(
                    f"{path}: unpacks to more than {most / 1e6:,.0f} MB; if it should, set {UNPACKED_MB.name} higher"
                )
            yield piece


def room(folder: Path) -> int:
    """Bytes that copies may take there: half of what is free."""
    return shutil.disk_usage(folder).free // 2


def zeros_at_end(path: Path) -> int:
    """Zero bytes at the end of a file, of its last `CHUNK` bytes at most; a crash or a tape leaves them."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - CHUNK))
        end = file.read(CHUNK)
    return len(end) - len(end.rstrip(b"\0"))
