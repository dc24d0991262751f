"""Erasing one customer from the prediction log."""

import gzip
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from churn.customer_ids import customer_key
from churn.errors import DamagedArchiveError, PredictionLogError
from churn.files import sweep, whole_file
from churn.passed_over import PassedOver
from churn.prediction_log.line import ERASED
from churn.prediction_log.listing import LogFile, listing
from churn.prediction_log.names import is_log
from churn.prediction_log.packing import opened

_PATIENCE: Final = 5
_MOMENT: Final = 0.1
_ROUNDS: Final = 10
_PIECE: Final = 1 << 20
"""Bytes. A line of the log has some thousands; a longer one is looked at in pieces."""

_OVERLAP: Final = 4096
"""Bytes that two pieces share, so that what is looked for is whole in one of them."""

_BLANK: Final = rb"(?:\s|\\[tnrfv]|\\u00[0-9a-f]{2}|[\x80-\xff])*"
"""Characters that may stand around an id within the quotes of JSON; more than those that count as blank."""


@dataclass(frozen=True)
class Erasure:
    """Counts of an erasure, and the entries that it passed over."""

    lines: int
    passed_over: tuple[PassedOver, ...]

    @property
    def unseen(self) -> tuple[PassedOver, ...]:
        """Entries that were passed over and may hold lines of the customer."""
        return tuple(entry for entry in self.passed_over if entry.lost or (entry.size and is_log(entry.name)))


def erase(folder: Path, customer_id: str) -> Erasure:
    """Erase every line of one customer, in all files, packed ones and sub-folders included.

    A line is overwritten in place by `{"schema":2,"erased":true}`, padded with blanks to
    its old length. So a file that a running service appends to is treated like any other:
    nothing moves, and no line written meanwhile is lost. A packed file is written anew beside
    the old one and takes its place. What the service answers about the customer later is
    logged again; stop asking first.

    Raises:
        PredictionLogError: there is no such folder, or a file cannot be read or written.
    """
    if not folder.is_dir():
        raise PredictionLogError(f"{folder}: there is no such folder; name that of the log (--folder, CHURN_LOG_DIR)")
    key = customer_key(customer_id)
    if not key:
        raise PredictionLogError("the customer's id is empty; name the customer (--customer)")
    try:
        return _Erasing(_Customer(key)).over(folder)
    except OSError as error:
        raise PredictionLogError(f"cannot erase in {folder}: {error.strerror or error}") from error


class _Customer:
    """Recognises the lines of one customer, however the id was spelled in them."""

    def __init__(self, key: str) -> None:
        self._key = key
        written = re.escape(orjson.dumps(key)[1:-1])
        self._field = re.compile(rb'"customer_id"\s*:\s*("' + _BLANK + written + rb"(?:\.0+)?" + _BLANK + rb'")')

    def is_in(self, text: bytes) -> bool:
        return any(self._is(found[1]) for found in self._field.finditer(text))

    def _is(self, quoted: bytes) -> bool:
        try:
            return customer_key(orjson.loads(quoted)) == self._key
        except orjson.JSONDecodeError:
            return False


class _Erasing:
    """One erasure over the files of a folder."""

    def __init__(self, customer: _Customer) -> None:
        self._customer = customer
        self._done: set[tuple[Path, int]] = set()
        self._failed: dict[str, PassedOver] = {}
        self._lines = 0

    def over(self, folder: Path) -> Erasure:
        """Look again until there is nothing new: a rotation may give a file another name meanwhile."""
        for _ in range(_ROUNDS):
            found = listing(folder)
            fresh = [file for file in found.files if (file.path, file.inode) not in self._done]
            if not fresh:
                return Erasure(self._lines, (*found.passed_over, *self._failed.values()))
            for parent in {file.path.parent for file in fresh}:
                sweep(parent)
            for file in fresh:
                self._try(file)
        raise PredictionLogError(f"{folder}: its files change faster than they are read; run again, without rotation")

    def _try(self, file: LogFile) -> None:
        try:
            self._lines += _erase_in(file, self._customer)
        except FileNotFoundError:
            return  # deleted or renamed since it was listed
        except DamagedArchiveError as error:
            self._failed[file.name] = PassedOver(file.name, f"cannot be unpacked: {error.why}", file.size, lost=True)
        except OSError as error:
            self._failed[file.name] = PassedOver(file.name, f"{error.strerror}", file.size, lost=True)
        self._done.add((file.path, file.inode))


def _erase_in(file: LogFile, customer: _Customer) -> int:
    return _erase_packed(file, customer) if file.is_packed else _erase_in_place(file, customer)


def _erase_in_place(file: LogFile, customer: _Customer) -> int:
    found = 0
    with opened(file, os.O_RDWR) as stream:
        descriptor = stream.fileno()
        for line in _lines_about(customer, stream, _PATIENCE):
            offset = line.start
            for block in line.replacement():
                offset += _write_whole(descriptor, block, offset)
            found += 1
        if found:
            os.fsync(descriptor)
    return found


def _write_whole(descriptor: int, block: bytes, offset: int) -> int:
    written = os.pwrite(descriptor, block, offset)
    if written < len(block):
        raise OSError(0, f"{written} of {len(block)} bytes were written, the disk is probably full")
    return written


def _erase_packed(file: LogFile, customer: _Customer) -> int:
    with opened(file) as stream:
        if next(_lines_about(customer, stream), None) is None:
            return 0
    before = file.path.stat()
    with whole_file(file.path, mode=0o600) as fresh:
        with opened(file) as source, opened(file) as ahead, gzip.open(fresh, "wb") as target:
            found = _copy_without(_lines_about(customer, ahead), source, target)
        os.chown(fresh, before.st_uid, before.st_gid)  # the service's, whoever erases
        os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    return found


def _copy_without(lines: Iterator["_Line"], source: BinaryIO, target: gzip.GzipFile) -> int:
    """Copy all but some lines, which are replaced; returns how many."""
    found = position = 0
    for line in lines:
        for block in _taken(source, line.start - position):
            target.write(block)
        for _ in _taken(source, line.end - line.start):
            pass
        target.writelines(line.replacement())
        found, position = found + 1, line.end
    shutil.copyfileobj(source, target)
    return found


def _taken(source: BinaryIO, count: int) -> Iterator[bytes]:
    while count > 0:
        block = source.read(min(count, _PIECE))
        if not block:
            raise EOFError("it has become shorter")
        yield block
        count -= len(block)


@dataclass(frozen=True)
class _Line:
    """The place of a line in a file. `has_end` is false for a line that was cut short when its process was killed."""

    start: int
    end: int
    has_end: bool

    def replacement(self) -> Iterator[bytes]:
        """The replacement of a line: of the same length, and still a line of JSON if it was a whole one."""
        head, tail = (ERASED[:-1], b"}\n") if self.has_end else (b"", b"")
        blanks = self.end - self.start - len(head) - len(tail)
        if blanks < 0:  # shorter than any line of the log
            head, tail, blanks = b"", b"\n", self.end - self.start - 1
        yield head
        for start in range(0, blanks, _PIECE):
            yield b" " * min(_PIECE, blanks - start)
        yield tail


def _lines_about(customer: _Customer, stream: BinaryIO, patience: int = 0) -> Iterator[_Line]:
    start = end = 0
    tail, about = b"", False
    for piece in _pieces(stream, patience):
        about = about or customer.is_in(tail + piece)
        end += len(piece)
        if not piece.endswith(b"\n"):
            tail = (tail + piece)[-_OVERLAP:]
            continue
        if about:
            yield _Line(start, end, has_end=True)
        start, tail, about = end, b"", False
    if about:
        yield _Line(start, end, has_end=False)


def _pieces(stream: BinaryIO, patience: int) -> Iterator[bytes]:
    """The lines, endless ones in pieces, after some patience with a last line that is being written."""
    waiting = False
    while True:
        if piece := stream.readline(_PIECE):
            yield piece
            waiting = not piece.endswith(b"\n")
        elif waiting and patience:
            patience -= 1
            time.sleep(_MOMENT)
        else:
            return
