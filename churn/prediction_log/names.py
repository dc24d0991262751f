"""File names of the prediction log: `DAY_HOST_PID_START_NUMBER.jsonl`, one for each process start and UTC day."""

import re
from datetime import date
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"(\d{4}-\d\d-\d\d)_[A-Za-z0-9.-]+_\d+_\d+_\d+\.jsonl")


def file_name(day: date, instance: str, number: int) -> str:
    """The name of the `number`th file of a process; `instance` is its host, id and start."""
    return f"{day.isoformat()}_{instance}_{number}.jsonl"


def is_log(path: Path) -> bool:
    """Whether a path has the name of a file of the log."""
    return _NAME.fullmatch(path.name) is not None


def day_of(path: Path) -> date:
    """The UTC day whose predictions a file of the log holds."""
    return date.fromisoformat(path.name[:10])
