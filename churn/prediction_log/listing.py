"""The one listing of a folder of the prediction log: for reading, retention and erasure alike.

Sub-folders belong to the log (a pod or an archive may have one), links do not: they are never
followed. Hidden entries are bookkeeping, of the log itself or of a file system.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from churn.errors import PredictionLogError
from churn.passed_over import REMEDIES, PassedOver, printable
from churn.prediction_log.names import PACKED, day_of, is_log

_OF_THE_FILE_SYSTEM: Final = "lost+found"
_REMEDIES: Final = REMEDIES | {".bz2": "unpack it with bunzip2"}


@dataclass(frozen=True)
class LogFile:
    """One file of the log. `name` is its path within the folder, `size` its bytes as they lie there."""

    path: Path
    name: str
    day: date
    size: int
    inode: int

    @property
    def is_packed(self) -> bool:
        """True for a file that must be unpacked before it is read."""
        return self.path.name.endswith(PACKED)

    @property
    def stem(self) -> str:
        """The name that copies of one file share: names hold the process and its start."""
        return self.path.name.removesuffix(PACKED)


@dataclass(frozen=True)
class Listing:
    """The files of the log, oldest first, and what is passed over."""

    folder: Path
    files: tuple[LogFile, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()


def listing(folder: Path) -> Listing:
    """The entries of a folder of the log and of its sub-folders; none where there is no such folder.

    Raises:
        PredictionLogError: the folder cannot be read.
    """
    if not folder.is_dir():
        return Listing(folder)
    try:
        found = list(_found(folder, Path()))
    except OSError as error:
        raise PredictionLogError(f"the prediction log cannot be listed: {folder}: {error.strerror}") from error
    files = [one for one in found if isinstance(one, LogFile)]
    others = [one for one in found if isinstance(one, PassedOver)]
    return Listing(
        folder,
        tuple(sorted(files, key=lambda file: (file.day, file.path.name, file.name))),
        tuple(sorted(others, key=lambda other: other.name)),
    )


def _found(root: Path, place: Path) -> Iterator[LogFile | PassedOver]:
    with os.scandir(root / place) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name == _OF_THE_FILE_SYSTEM:
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # deleted since it was listed
            if stat.S_ISDIR(status.st_mode):
                yield from _in_folder(root, place / entry.name)
            else:
                yield _entry(root, place / entry.name, status)


def _in_folder(root: Path, place: Path) -> Iterator[LogFile | PassedOver]:
    if is_log(place.name):
        yield PassedOver(printable(place), "a folder with the name of a file of the log", _size(root / place))
        return
    try:
        yield from _found(root, place)
    except FileNotFoundError:
        return  # deleted since it was listed
    except OSError as error:
        yield PassedOver(printable(place), f"a folder that cannot be read: {error.strerror}", lost=True)


def _entry(root: Path, place: Path, status: os.stat_result) -> LogFile | PassedOver:
    name, size = printable(place), status.st_size
    if stat.S_ISLNK(status.st_mode):
        return _link(root, place)
    if not stat.S_ISREG(status.st_mode):
        return PassedOver(name, "not a regular file")
    day = day_of(place.name)
    if is_log(place.name) and day is not None:
        return LogFile(root / place, name, day, size, status.st_ino)
    if is_log(place.name):
        return PassedOver(name, "there is no such date", size)
    remedy = _REMEDIES.get(place.suffix.lower())
    if remedy is None:
        return PassedOver(name, "not a file of the prediction log", size)
    return PassedOver(name, f"cannot be read as it is; {remedy}", size, lost=size > 0)


def _link(root: Path, place: Path) -> PassedOver:
    """A link, with the bytes behind it unless they are in the log anyway; behind one to a folder may be a whole log."""
    target, why = Path(os.path.realpath(root / place)), "a link, and links are not followed"
    outside = not target.is_relative_to(os.path.realpath(root))
    size = target.stat().st_size if outside and os.path.isfile(target) else 0  # noqa: PTH113  # Path's may raise
    return PassedOver(printable(place), why, size, lost=outside and os.path.isdir(target))  # noqa: PTH112  # as above


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
