"""The one place that writes a file or a folder whole or not at all.

What is written lies in a working folder beside its target until it is complete and on the
disk; then it takes the target's name in one step. A reader finds the old content or the new,
and so does the next run after a crash. The working folder is readable by its owner only, and
locked while its writer lives: the next writer removes what a killed one left behind.
"""

import contextlib
import ctypes
import ctypes.util
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_UNFINISHED: Final = ".unfinished"
_REPLACED: Final = "replaced"
_OCCUPIED: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_EXCHANGE: Final = 2
_AT_WORKING_FOLDER: Final = -100


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write `content` to `path` in one step; folders on the way are made."""
    with whole_file(path, mode) as fresh:
        fresh.write_bytes(content)


@contextmanager
def whole_file(target: Path, mode: int = 0o644) -> Iterator[Path]:
    """A path to write to, of the same name, which takes the place of `target` when the block ends well.

    A failure on the way leaves what was at `target` before, and nothing else.
    """
    with _working_folder(target) as folder:
        fresh = folder / target.name
        yield fresh
        fresh.chmod(mode)
        _sync(fresh)
        fresh.replace(target)
        _sync(target.parent)


@contextmanager
def whole_folder(target: Path, mode: int = 0o755) -> Iterator[Path]:
    """An empty folder to write into, which takes the place of `target` when the block ends well.

    A failure on the way leaves what was at `target` before, and nothing else. There is no
    moment without the folder where two names can be exchanged in one step (Linux, local
    disks); elsewhere there is a short one, and the next writer repairs a crash in it.
    """
    with _working_folder(target) as folder:
        fresh = folder / target.name
        fresh.mkdir()
        yield fresh
        fresh.chmod(mode)
        for path in (*fresh.rglob("*"), fresh):
            _sync(path)
        _put(fresh, target)
        _sync(target.parent)


@contextmanager
def _working_folder(target: Path) -> Iterator[Path]:
    parent = target.parent
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent)
    folder, lock = _locked_folder(parent, target.name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder(parent: Path, name: str) -> tuple[Path, int]:
    """A new folder and the descriptor that locks it; made again when a sweep came before the lock."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=f".{name}.", suffix=_UNFINISHED))
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            with contextlib.suppress(OSError):  # without locks nobody sweeps either
                fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def sweep(parent: Path) -> None:
    """Remove the working folders whose writers were killed; customers' data may be in them."""
    for left in parent.glob(f".*{_UNFINISHED}"):
        with contextlib.suppress(OSError):
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _put_back(left, parent)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)


def _put_back(left: Path, parent: Path) -> None:
    """Give a folder its name back when its writer was killed before the new one took it."""
    for old in left.glob(f"{_REPLACED}*/*"):
        if not (parent / old.name).exists():
            old.rename(parent / old.name)


def _put(fresh: Path, target: Path) -> None:
    """Put `fresh` in the place of `target`; what was there ends up in the working folder.

    A folder cannot be renamed over a full one, so the two change names.
    """
    while True:
        try:
            fresh.rename(target)
        except OSError as error:
            if error.errno not in _OCCUPIED:
                _put_back(fresh.parent, target.parent)
                raise
        else:
            return
        if _exchanged(fresh, target):
            return
        aside = Path(tempfile.mkdtemp(dir=fresh.parent, prefix=_REPLACED))
        with contextlib.suppress(FileNotFoundError):
            target.rename(aside / target.name)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names by `renameat2(2)`; false where the file system cannot."""
    library = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    rename = getattr(library, "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    return bool(rename(_AT_WORKING_FOLDER, names[0], _AT_WORKING_FOLDER, names[1], _EXCHANGE) == 0)


def _sync(path: Path) -> None:
    """Wait until the content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems sync no folders
            raise
    finally:
        os.close(descriptor)
