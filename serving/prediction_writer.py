"""The writer of the prediction log: one JSON line for each customer scored, on disk before the answer is sent.

Every process writes files of its own, one per UTC day, named `DAY_HOST_PID_START_NUMBER.jsonl`.
A file is never reopened: what a killed process left as a partial last line stays the last
line, so nobody's row is glued to it. A request is one append; a short write is taken back.

The log is the one place with customer ids: the folder has mode 0700 and the files 0600,
old days are deleted (`CHURN_LOG_RETENTION_DAYS`), and one customer is erased with
`python -m churn.prediction_log erase --customer ID`.
"""

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from churn.contract import CONTRACT_VERSION
from churn.errors import PredictionLogError
from churn.passed_over import listed
from churn.prediction_log.line import SCHEMA, Api, LogLine
from churn.prediction_log.listing import listing
from churn.prediction_log.names import file_name
from churn.prediction_log.retention import Retained, delete_old

_PROBE: Final = b" " * 4096
_TO_MILLISECONDS: Final = len("2018-11-02T00:00:00.000")


class Answered(NamedTuple):
    """One request: what was asked, and of each customer the probability and whether it reaches the threshold."""

    request_id: str
    customer_ids: Sequence[str]
    as_of: Sequence[str]
    features: Sequence[dict[str, Any]]
    probabilities: Sequence[float]
    flags: Sequence[bool]


class PredictionLog:
    """Appends the predictions of this process.

    Args:
        folder: made when it is not there.
        model: tag of the model that answers.
        retention_days: `retain` deletes the files of days longer ago than this; None keeps all.
        fsync: wait for the disk; without it an acknowledged line survives the death of
            the process, but not a power loss.
        clock: the time, UTC.
        warn: told what is wrong but keeps nobody from being answered.
    """

    def __init__(
        self,
        folder: Path,
        model: str,
        *,
        retention_days: int | None = None,
        fsync: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder
        self._model = model
        self._retention_days = retention_days
        self._fsync = fsync
        self._clock = clock
        self._warn = warn
        self._instance = f"{_host()}_{os.getpid()}_{time.time_ns()}"
        self._number = 0
        self._told = ""
        self._lock = threading.Lock()
        self._file: _File | None = None

    def check(self) -> None:
        """Make the folder, and prove that it can be written now.

        Raises:
            PredictionLogError: it cannot; the message says why.
        """
        probe = self.folder / f".probe-{self._instance}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                probe.write_bytes(_PROBE)
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise self._explained(error) from error
        self._tell_of_others()
        self.retain()

    def retain(self) -> Retained | None:
        """Delete the days that are too old, and say what is left; None when the folder cannot be read.

        Whatever is wrong is told once, and keeps nobody from being answered.
        """
        try:
            retained = self._retained()
        except PredictionLogError as error:
            self._tell_if_new(str(error))
            return None
        self._tell_if_new(retained.blocked and f"old days of the prediction log are kept: {retained.blocked}")
        return retained

    def _retained(self) -> Retained:
        if self._retention_days is None:
            return Retained(min((file.day for file in listing(self.folder).files), default=None))
        return delete_old(self.folder, self._clock().date(), self._retention_days)

    def _tell_if_new(self, message: str) -> None:
        if message and message != self._told:
            self._warn(message)
        self._told = message

    def append(self, api: Api, requests: Sequence[Answered]) -> None:
        """Write one line per customer of all requests, in one append. Safe to call from several threads.

        Raises:
            PredictionLogError: nothing was logged, so nothing may be answered.
        """
        now = self._clock()
        block = b"".join([line for one in requests for line in self._lines(api, now, one)])
        try:
            with self._lock:
                self._open_for(now.date()).append(block, fsync=self._fsync)
        except OSError as error:
            raise self._explained(error) from error

    def _tell_of_others(self) -> None:
        others = listing(self.folder).passed_over
        if others:
            self._warn(f"{len(others)} entries of the prediction log are passed over: {listed(others)}")

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _lines(self, api: Api, now: datetime, answered: Answered) -> Iterator[bytes]:
        moment, one = now.isoformat(timespec="milliseconds")[:_TO_MILLISECONDS] + "Z", answered
        columns = zip(one.as_of, one.customer_ids, one.features, one.probabilities, one.flags, strict=True)
        for row, (as_of, customer_id, features, probability, flag) in enumerate(columns):
            line: LogLine = {
                "schema": SCHEMA,
                "request_id": one.request_id,
                "row": row,
                "api": api,
                "time": moment,
                "as_of": as_of,
                "customer_id": customer_id,
                "model": self._model,
                "contract": CONTRACT_VERSION,
                "features": features,
                "churn_probability": probability,
                "will_churn": flag,
                "source": "features",
                "generation": None,
            }
            yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

    def _open_for(self, day: date) -> "_File":
        if self._file is not None and self._file.usable(day):
            return self._file
        if self._file is not None:
            self._file.close()
            self._file = None
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._number += 1
        path = self.folder / file_name(day, self._instance, self._number)
        self._file = _File(path, day)
        return self._file

    def _explained(self, error: OSError) -> PredictionLogError:
        return PredictionLogError(
            f"the prediction log cannot be written: {self.folder}: {error.strerror or error}; "
            "free space, or make the folder writable"
        )


@dataclass
class _File:
    """An open file of the log, with the one writer it will ever have."""

    path: Path
    day: date
    _descriptor: int = field(init=False)
    _inode: int = field(init=False)
    _size: int = field(init=False, default=0)
    _torn: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o600)
        self._inode = os.fstat(self._descriptor).st_ino

    def usable(self, day: date) -> bool:
        """True if the next line belongs here: same day, not torn, and neither deleted nor moved meanwhile."""
        return day == self.day and not self._torn and self._is_there()

    def _is_there(self) -> bool:
        try:
            return os.stat(self.path).st_ino == self._inode  # noqa: PTH116  # at every append, and pathlib is slower
        except OSError:
            return False

    def append(self, block: bytes, *, fsync: bool) -> None:
        try:
            _write_whole(self._descriptor, block)
            if fsync:
                os.fsync(self._descriptor)
        except OSError:
            self._take_back()
            raise
        self._size += len(block)

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self._torn = True  # the next append goes to a new file

    def close(self) -> None:
        os.close(self._descriptor)


def _write_whole(descriptor: int, block: bytes) -> None:
    written = os.write(descriptor, block)
    if written < len(block):
        raise OSError(0, f"{written} of {len(block)} bytes were written, the disk is probably full")


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:64] or "host"
