"""Watches the prediction log beside the answers: deletes old days, and measures how much room is left."""

import contextlib
import os
import threading
from datetime import UTC, date, datetime, time
from itertools import count
from pathlib import Path
from typing import Final

from serving import metrics
from serving.prediction_writer import PredictionLog

SECONDS: Final = 15.0
"""Between two looks at the free space; a busy replica writes 87 MB/s."""

RETAIN_EVERY: Final = 40
"""Looks between two rounds of retention, which lists the folder: ten minutes."""


class LogWatch:
    """Watches the log of a worker from a thread of its own, until it is closed."""

    def __init__(self, log: PredictionLog, seconds: float = SECONDS) -> None:
        self._log = log
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="prediction log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        for number in count():
            with contextlib.suppress(OSError):  # the folder is gone; the next prediction makes it again
                metrics.LOG_FREE.set(free_bytes(self._log.folder))
            if number % RETAIN_EVERY == 0:
                retain(self._log, datetime.now(UTC))
            if self._ended.wait(self._seconds):
                return


def free_bytes(folder: Path) -> int:
    """Bytes that the service may still write to the folder's volume."""
    volume = os.statvfs(folder)
    return volume.f_bavail * volume.f_frsize


def retain(log: PredictionLog, now: datetime) -> None:
    """Delete what is too old, and show what is left."""
    retained = log.retain()
    if retained is not None:
        metrics.LOG_OLDEST.set(_age(retained.oldest, now))
        metrics.LOG_BLOCKED.set(bool(retained.blocked))


def _age(day: date | None, now: datetime) -> float:
    """Seconds since the beginning of a day; 0 without one."""
    return 0.0 if day is None else (now - datetime.combine(day, time(), UTC)).total_seconds()
