"""A folder for the metrics of each running service, through which its workers add up their counts.

BentoML has one for all services of a `BENTOML_HOME`, and empties it whenever one starts: the
metrics of a service that was running already would end there, without a word.
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from bentoml._internal.configuration.containers import BentoMLContainer
from prometheus_client.multiprocess import mark_process_dead

CHOSEN: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Set by BentoML in its workers."""

_LOCKS: Final[list[int]] = []
"""Kept until the process ends: the folder of a locked descriptor is in use."""


def use_own_folder() -> None:
    """Let BentoML use a new folder when it serves, and remove those of services that were killed.

    Nothing is done in a worker, whose folder is chosen.
    """
    if CHOSEN in os.environ:
        return
    folder = _new_folder(Path(BentoMLContainer.bentoml_home.get(), "churn-metrics"))
    _LOCKS.append(_locked(folder))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    BentoMLContainer.prometheus_multiproc_dir.set(str(folder))


def own_folder() -> Path | None:
    """The folder of the service that this process is a worker of."""
    chosen = os.environ.get(CHOSEN)
    return Path(chosen) if chosen else None


def forget_dead_workers() -> None:
    """Take the requests that killed workers were answering out of the sum of all workers."""
    folder = own_folder()
    for path in folder.glob("gauge_live*_*.db") if folder else ():
        process = int(path.stem.rpartition("_")[2])
        if not Path(f"/proc/{process}").exists():
            mark_process_dead(process)  # type: ignore[no-untyped-call]  # its author left it untyped


def reserve_room() -> None:
    """Take the disk that this worker's counts need.

    They are mapped into memory: on a full disk, the first count on a new page would end the worker by a signal.

    Raises:
        OSError: there is no room.
    """
    folder = own_folder()
    for path in folder.glob(f"*_{os.getpid()}.db") if folder else ():
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _new_folder(parent: Path) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_unused(parent)
        return Path(tempfile.mkdtemp(dir=parent))
    except OSError:  # the store can only be read
        return Path(tempfile.mkdtemp(prefix="churn-metrics-"))


def _remove_unused(parent: Path) -> None:
    for folder in parent.iterdir():
        with contextlib.suppress(OSError):  # in use, or somebody else has just removed it
            descriptor = _locked(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def _locked(folder: Path) -> int:
    """A descriptor of the folder, locked until it is closed or the process ends.

    Raises:
        OSError: another process has it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
