"""The prediction log: one JSON line per customer scored, on disk before the answer is sent.

Every process writes files of its own, one per UTC day, named `DAY_HOST_PID_START_NUMBER.jsonl`.
A file is never reopened: what a killed process left as a partial last line stays the last
line, so nobody's row is glued to it. A request is one append; a short write is taken back.

The log is the one place with customer ids: the folder has mode 0700 and the files 0600,
old days are deleted (`CHURN_LOG_RETENTION_DAYS`), and one customer is erased with
`python -m monitoring.prediction_log erase --customer ID`.
"""

import argparse
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypedDict

import orjson

from churn import command
from churn.contract import CONTRACT_VERSION
from churn.errors import PredictionLogError

SCHEMA: Final = 1
SUFFIX: Final = ".jsonl"
DEFAULT_FOLDER: Final = Path("data/predictions")

Api = Literal["predict", "explain"]


class LogLine(TypedDict):
    """One line. What `predict` and `explain` were asked, and what they answered.

    `row` is the customer's place in the request. Who sends a request again under the same
    `request_id` is answered again, and logged again. `features` holds the values as they came, null included.
    """

    schema: int
    request_id: str
    row: int
    api: Api
    time: str
    as_of: str
    customer_id: str
    model: str
    contract: str
    features: dict[str, float | str | None]
    churn_probability: float
    will_churn: bool


FIELDS: Final = tuple(LogLine.__annotations__)

_PROBE: Final = b" " * 4096
_PATIENCE: Final = 5
_TO_MILLISECONDS: Final = len("2018-11-02T00:00:00.000")
_NAME: Final = re.compile(r"(\d{4}-\d\d-\d\d)_[A-Za-z0-9.-]+_\d+_\d+_\d+\.jsonl")


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
        retention_days: files of days longer ago than this are deleted; None keeps all.
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
        self._delete_old(self._clock().date())

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
        path = self.folder / f"{day.isoformat()}_{self._instance}_{self._number}{SUFFIX}"
        self._file = _File(path, day)
        self._delete_old(day)
        return self._file

    def _delete_old(self, today: date) -> None:
        if self._retention_days is None:
            return
        oldest = today - timedelta(days=self._retention_days)
        for path in files(self.folder):
            if day_of(path) < oldest:
                self._delete(path)

    def _delete(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._warn(f"a day of the prediction log is too old and cannot be deleted: {path}: {error.strerror}")

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
        """Whether the next line belongs here: same day, not torn, and neither deleted nor moved meanwhile."""
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


def files(folder: Path) -> list[Path]:
    """The files of the log, oldest first; other files in the folder are not touched."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def day_of(path: Path) -> date:
    """The UTC day whose predictions a file of the log holds."""
    return date.fromisoformat(path.name[:10])


@dataclass
class Contents:
    """What a file of the log holds.

    `partial` is 1 where a killed process left half a line at the end, `foreign` counts
    whole lines that no version of this log wrote, `erased` the ones taken out on request.
    """

    lines: list[LogLine] = field(default_factory=list)
    partial: int = 0
    foreign: int = 0
    erased: int = 0


def read(path: Path) -> Contents:
    """Read one file of the log; unreadable lines are counted, not raised."""
    contents = Contents()
    for raw in path.read_bytes().splitlines(keepends=True):
        if not raw.endswith(b"\n"):
            contents.partial += 1
            continue
        line = parse(raw)
        if line is not None:
            contents.lines.append(line)
        elif is_erased(raw):
            contents.erased += 1
        else:
            contents.foreign += 1
    return contents


def parse(raw: bytes) -> LogLine | None:
    """One line of the log, or None when it is not one."""
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(line, dict) or line.get("schema") != SCHEMA or set(line) != set(FIELDS):
        return None
    return line  # type: ignore[return-value]  # the keys are those of LogLine, checked above


def is_erased(raw: bytes) -> bool:
    """Whether a line was one that has been erased."""
    return raw.rstrip(b" }\n") == _ERASED[:-1]


_ERASED: Final = b'{"schema":1,"erased":true}'


def erase(folder: Path, customer_id: str) -> int:
    """Erase every line of one customer, in all files; returns how many.

    A line is overwritten in place by `{"schema":1,"erased":true}` padded with blanks to
    its old length. So a file that a running service appends to is treated like any other:
    nothing moves, and no line written meanwhile is lost. What the service answers about
    the customer later is logged again; stop asking first.

    Raises:
        PredictionLogError: a file cannot be read or written.
    """
    try:
        return sum(_erase_in(path, customer_id) for path in files(folder))
    except OSError as error:
        raise PredictionLogError(f"cannot erase in {folder}: {error.strerror or error}") from error


def _erase_in(path: Path, customer_id: str) -> int:
    found = 0
    with path.open("r+b", buffering=0) as file:
        for start, raw in _located(_settled(file)):
            if _is_about(raw, customer_id):
                os.pwrite(file.fileno(), _blank(raw), start)
                found += 1
        os.fsync(file.fileno())
    return found


def _settled(file: FileIO) -> bytes:
    """The content, after a moment's patience with a last line that is being written."""
    content = file.read()
    for _ in range(_PATIENCE):
        if not content or content.endswith(b"\n"):
            break
        time.sleep(0.1)
        content += file.read()
    return content


def _located(content: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    for raw in content.splitlines(keepends=True):
        yield start, raw
        start += len(raw)


def _is_about(raw: bytes, customer_id: str) -> bool:
    quoted = b'"customer_id":' + orjson.dumps(customer_id)
    if quoted not in raw:
        return False
    line = parse(raw)
    return line is None or line["customer_id"] == customer_id


def _blank(raw: bytes) -> bytes:
    """What replaces a line: of the same length, and still a line of JSON if it was a whole one."""
    if not raw.endswith(b"\n"):
        return b" " * len(raw)
    return _ERASED[:-1] + b" " * (len(raw) - len(_ERASED) - 1) + b"}\n"


def main() -> None:
    """Command line: `erase`."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.prediction_log", description=erase.__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("erase", help="erase one customer from the prediction log")
    verb.add_argument("--customer", required=True, help="the customer's id, as it was sent")
    verb.add_argument("--folder", type=Path, default=Path(os.environ.get("CHURN_LOG_DIR") or DEFAULT_FOLDER))
    options = parser.parse_args()
    found = erase(options.folder, options.customer)
    command.show(f"{found} lines erased in {options.folder}")


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:64] or "host"


if __name__ == "__main__":
    command.run(main)
