"""Reading lines of the prediction log; what is no line is counted."""

from dataclasses import dataclass, field
from pathlib import Path

import orjson

from churn.prediction_log.line import ERASED, FIELDS, SCHEMA, LogLine


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
    return raw.rstrip(b" }\n") == ERASED[:-1]
