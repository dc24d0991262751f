"""The files of an activity log: which are read, and which are passed over and why.

A log is one file, a folder (Spark writes one file per partition, beside `_SUCCESS` and
hidden `.crc` files) or a glob. Nothing visible is passed over in silence.
"""

import errno
import glob
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

from churn.activity.files import kind_by_content
from churn.activity.names import EXPECTED, FileName, Kind, parse
from churn.activity.settings import PASSED_OVER_PERCENT
from churn.activity.unpacking import chunks
from churn.errors import EventLogError
from churn.settings import whole_number

UNKNOWN_NAME: Final = "unknown kind of file"
UNKNOWN_CONTENT: Final = "no suffix, and the first line is no row or header of a log"
HIDDEN: Final = "hidden, or Spark's bookkeeping"
NOWHERE: Final = "link that leads nowhere"
NO_FILE: Final = "no file but a FIFO, socket or device"
SAME_FILE: Final = "another name of a file that is read"
SAME_CONTENT: Final = "packed copy of a file that is read"
EMPTY: Final = "empty"
PADDED: Final = "zero bytes after the packed rows"

_LOST: Final = (UNKNOWN_NAME, UNKNOWN_CONTENT)
"""Reasons for which rows of the log may be missed."""

_NAMES: Final = 3


@dataclass(frozen=True)
class PassedOver:
    """Something in the place of the log that is not read, or not read again."""

    path: Path
    reason: str
    size: int = 0


@dataclass(frozen=True)
class Listing:
    """The files to read, sorted, with their kinds, and what is passed over."""

    files: dict[Path, Kind]
    passed_over: tuple[PassedOver, ...] = ()


@dataclass(frozen=True)
class _Entry:
    """A regular file: its size, and what is the same for all its names."""

    path: Path
    name: FileName
    size: int
    identity: tuple[int, int]


def find_files(source: str | Path) -> Listing:
    """The files of the log: one, or all that can be read in a folder, at any depth, or of a glob.

    Raises EventLogError when there is none, when a file with data cannot be read, and when
    those passed over hold more of the bytes than the setting allows.
    """
    path = Path(source)
    if path.is_dir():
        return _listed(str(source), _walk(path))
    if os.path.lexists(path):
        return _alone(path)
    matches = [Path(name) for name in glob.glob(str(source), recursive=True)]  # noqa: PTH207 - may be absolute
    if not matches:
        raise EventLogError(f"{source}: no such file or folder; name an activity log: {EXPECTED}")
    return _listed(str(source), (file for match in matches for file in (_walk(match) if match.is_dir() else [match])))


def _alone(path: Path) -> Listing:
    found = _entry(path)
    if isinstance(found, PassedOver):
        raise EventLogError(f"{path}: {found.reason}; expected a file")
    kind = _kind(found)
    if isinstance(kind, PassedOver):
        raise EventLogError(f"{path}: {kind.reason}; expected {EXPECTED}")
    return Listing({path: kind})


def _walk(folder: Path) -> Iterator[Path]:
    """List the folder at any depth, without hidden folders; each folder once, links to folders too."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_refuse_folder):
        if (place := os.path.realpath(parent)) in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        yield from (Path(parent, name) for name in names)


def _refuse_folder(error: OSError) -> None:
    raise EventLogError(f"{error.filename}: cannot be listed ({error.strerror})") from error


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _listed(source: str, paths: Iterable[Path]) -> Listing:
    found = [_entry(path) for path in sorted(set(paths))]
    passed = [entry for entry in found if isinstance(entry, PassedOver)]
    entries = [entry for entry in found if isinstance(entry, _Entry)]
    files: dict[Path, Kind] = {}
    for entry in _once(entries, passed):
        kind = _kind(entry)
        if isinstance(kind, PassedOver):
            passed.append(kind)
        else:
            files[entry.path] = kind
    for copy in _packed_copies([entry for entry in entries if entry.path in files]):
        del files[copy.path]
        passed.append(copy)
    _refuse_losses(source, files, passed, sum(entry.size for entry in entries))
    return Listing(files, tuple(sorted(passed, key=lambda one: one.path)))


def _entry(path: Path) -> _Entry | PassedOver:
    try:
        found = path.stat()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP}:
            return PassedOver(path, NOWHERE)
        raise EventLogError(f"{path}: cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(found.st_mode):
        return PassedOver(path, NO_FILE)
    return _Entry(path, parse(path), found.st_size, (found.st_dev, found.st_ino))


def _once(entries: list[_Entry], passed: list[PassedOver]) -> Iterator[_Entry]:
    """Each visible file under one of its names; its other names and hidden data are passed over."""
    seen: set[tuple[int, int]] = set()
    for entry in sorted(entries, key=lambda one: (one.path.is_symlink(), one.path)):
        if _is_hidden(entry.path.name):
            if entry.name.kind is not None and entry.size:
                passed.append(PassedOver(entry.path, HIDDEN, entry.size))
        elif entry.identity in seen:
            passed.append(PassedOver(entry.path, SAME_FILE))
        else:
            seen.add(entry.identity)
            yield entry


def _kind(entry: _Entry) -> Kind | PassedOver:
    """Raises EventLogError for data that has to be unpacked or written otherwise first."""
    if entry.name.remedy and entry.size:
        raise EventLogError(f"{entry.path}: cannot be read as it is; {entry.name.remedy}, or move it out of the log")
    if entry.name.kind is not None:
        return entry.name.kind
    if not entry.name.without_suffix:
        return PassedOver(entry.path, UNKNOWN_NAME, entry.size)
    return kind_by_content(entry.path) or PassedOver(entry.path, UNKNOWN_CONTENT, entry.size)


def _packed_copies(entries: list[_Entry]) -> Iterator[PassedOver]:
    """The files that lie there plain too; raises EventLogError when the two differ."""
    by_plain: dict[Path, list[Path]] = defaultdict(list)
    for entry in entries:
        by_plain[entry.name.plain].append(entry.path)
    for plain, paths in by_plain.items():
        first, *others = sorted(paths, key=lambda path: (path != plain, path))
        for other in others:
            if not _equal(first, other):
                raise EventLogError(
                    f"{other}: holds other rows than {first.name}, though only packing tells their names apart; "
                    "remove or rename one of them"
                )
            yield PassedOver(other, SAME_CONTENT)


def _equal(one: Path, other: Path) -> bool:
    return all(a == b for a, b in zip_longest(chunks(one), chunks(other)))


def _refuse_losses(source: str, files: dict[Path, Kind], passed: list[PassedOver], size: int) -> None:
    if not files:
        raise EventLogError(
            f"{source}: none of its {len(passed)} files is part of an activity log; expected {EXPECTED}"
        )
    lost = sorted((one for one in passed if one.reason in _LOST), key=lambda one: (-one.size, one.path))
    share = sum(one.size for one in lost) / size if size else 0.0
    if share > whole_number(PASSED_OVER_PERCENT, 0, 100) / 100:
        names = ", ".join(f"{one.path} ({one.reason})" for one in lost[:_NAMES])
        raise EventLogError(
            f"{source}: {len(lost):,} of its files, with {share:.1%} of the bytes, cannot be read as part of a log: "
            f"{names}{', …' if lost[_NAMES:] else ''}; expected {EXPECTED}; rename them, move them out of the log, "
            f"or set {PASSED_OVER_PERCENT.name} higher"
        )
