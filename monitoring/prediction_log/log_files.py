"""The files of the prediction log that a report reads: each once, and in a form that DuckDB can read."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from churn.errors import PredictionLogError
from churn.passed_over import MOST_UNREAD, why_too_much
from churn.prediction_log.listing import Listing, LogFile, listing
from churn.prediction_log.packing import opened, same_content

LONGEST_LINE: Final = 1_000_000
"""Bytes. A line of the log has some thousands; what is longer is foreign."""


def log_files(folder: Path, most_unread: float = MOST_UNREAD) -> Listing:
    """Files of the log; one that lies there several times, plain, packed or in a sub-folder, counts once.

    Raises:
        PredictionLogError: more than the share `most_unread` of the bytes cannot be read, or
            files that should be copies of one another differ.
    """
    found = listing(folder)
    read = sum(file.size for file in found.files)
    refused = why_too_much(found.passed_over, read, most_unread)
    if refused is not None:
        raise PredictionLogError(f"{folder}: {refused}; move out what is not of the log, or allow more (--unread)")
    once: dict[str, LogFile] = {}
    for file in found.files:
        if file.size == 0:
            continue
        first = once.setdefault(file.stem, file)
        if first is not file and not same_content(first, file):
            raise PredictionLogError(
                f"{folder}: {first.name} and {file.name} should hold the same lines and differ; "
                "move out the one that is not whole"
            )
    return replace(found, files=tuple(once.values()))


@dataclass(frozen=True)
class ReadableFile:
    """A file of the log, and where its lines lie for DuckDB; `dropped` endless lines are left out there."""

    source: LogFile
    path: Path
    dropped: int = 0


class Spool:
    """Plain copies of the files that DuckDB cannot read as they are, in a folder that somebody else removes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._copies: dict[Path, ReadableFile] = {}

    def readable(self, file: LogFile) -> ReadableFile:
        """The file itself unless it is packed."""
        return self.copied(file) if file.is_packed else ReadableFile(file, file.path)

    def copied(self, file: LogFile) -> ReadableFile:
        """An unpacked copy without endless lines.

        Raises:
            PredictionLogError: the file cannot be unpacked, or there is no room for the copy.
        """
        if file.path not in self._copies:
            copy = self._folder / f"{len(self._copies)}-{file.stem}"
            self._copies[file.path] = ReadableFile(file, copy, _copy(file, copy))
        return self._copies[file.path]


def _copy(file: LogFile, copy: Path) -> int:
    try:
        with opened(file) as source, copy.open("wb") as target:
            dropped = 0
            for line in _lines(source):
                dropped += line is None
                target.write(line or b"")
            return dropped
    except OSError as error:
        raise PredictionLogError(
            f"{file.path}: cannot be copied to {copy.parent}: {error.strerror}; free space, or set TMPDIR"
        ) from error


def _lines(source: BinaryIO) -> Iterator[bytes | None]:
    """The lines, None for one that is too long to be held in memory."""
    while line := source.readline(LONGEST_LINE + 1):
        if len(line) <= LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = source.readline(LONGEST_LINE)
        yield None
