"""Erasing one customer from the prediction log."""

import os
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Final

import orjson

from churn.errors import PredictionLogError
from churn.prediction_log.line import ERASED
from churn.prediction_log.listing import files
from churn.prediction_log.parsing import parse

_PATIENCE: Final = 5


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
    return ERASED[:-1] + b" " * (len(raw) - len(ERASED) - 1) + b"}\n"
