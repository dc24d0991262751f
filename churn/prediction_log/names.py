"""File names of the prediction log: `DAY_HOST_PID_START_NUMBER.jsonl`, one for each process start and UTC day.

What rotates logs may add a number or a date to the name (`.jsonl.1`, `.jsonl-20261125`), and
`.gz` where it packs the file.
"""

import re
from datetime import date
from typing import Final

PACKED: Final = ".gz"

_NAME: Final = re.compile(r"(\d{4}-\d\d-\d\d)_[A-Za-z0-9.-]+_\d+_\d+_\d+\.jsonl(?:[.-]\d[\d-]*)?(?:\.gz)?", re.ASCII)


def file_name(day: date, instance: str, number: int) -> str:
    """The name of the `number`th file of a process; `instance` is its host, id and start."""
    return f"{day.isoformat()}_{instance}_{number}.jsonl"


def is_log(name: str) -> bool:
    """Return true if a name, after any folders, is that of a file of the log; its date may still be impossible."""
    return _NAME.fullmatch(name.rpartition("/")[2]) is not None


def day_of(name: str) -> date | None:
    """The UTC day whose predictions a file of the log holds; None where the calendar has no such day."""
    try:
        return date.fromisoformat(name[:10])
    except ValueError:
        return None
