"""What a folder of the prediction log holds, for the tests."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from churn.prediction_log.line import LogLine, parse
from churn.prediction_log.listing import listing
from churn.prediction_log.packing import opened

_ALL: Final = 1 << 30
_ERASED: Final = re.compile(rb'\{"schema":[12],"erased":true *\}\n')


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


def files(folder: Path) -> list[Path]:
    """The files of the log, oldest first."""
    return [file.path for file in listing(folder).files]


def read(path: Path) -> Contents:
    """One file of the log; unreadable lines are counted."""
    (file,) = [file for file in listing(path.parent).files if file.path == path]
    with opened(file) as stream:
        return contents(stream.read(_ALL))


def contents(content: bytes) -> Contents:
    found = Contents()
    for raw in content.splitlines(keepends=True):
        line = parse(raw)
        if not raw.endswith(b"\n"):
            found.partial += 1
        elif line is not None:
            found.lines.append(line)
        elif _ERASED.fullmatch(raw):
            found.erased += 1
        else:
            found.foreign += 1
    return found


def odd_entries(folder: Path) -> dict[str, str]:
    """Entries with the name of a log file that are none, and what is said of each."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "2026-99-99_host_1_1_1.jsonl").touch()
    (folder / "2026-01-01_host_1_1_1.jsonl").mkdir()
    (folder / "2026-01-01_host_1_1_2.jsonl").symlink_to("nowhere")
    os.mkfifo(folder / "2026-01-01_host_1_1_3.jsonl")
    return {
        "2026-01-01_host_1_1_1.jsonl": "a folder with the name of a file of the log",
        "2026-01-01_host_1_1_2.jsonl": "a link, and links are not followed",
        "2026-01-01_host_1_1_3.jsonl": "not a regular file",
        "2026-99-99_host_1_1_1.jsonl": "there is no such date",
    }
