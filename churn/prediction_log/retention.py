"""Days of the prediction log that are old enough to be deleted, and the present that decides it.

A wrong clock must not delete the log, so the present is not the clock's alone. It is the
earlier of this clock and the newest day that the log reaches without a gap of more than
seven days. Beyond such a gap nothing is deleted until an operator accepts this clock
(`python -m churn.prediction_log accept-time`). And for each day of that present, the files of
two days at most are deleted, however many processes start how often.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from churn.files import replace_file
from churn.prediction_log.listing import LogFile, listing

LONGEST_GAP: Final = timedelta(days=7)
MOST_DAYS: Final = 2
"""Days whose files may be deleted for each day of the present."""

_ACCEPTED: Final = ".accepted-day"
_CLAIM: Final = ".deleted-"
_KEPT: Final = timedelta(days=30)
"""How long claims are kept; a replica's clock is not behind the others by more."""


@dataclass(frozen=True)
class Retained:
    """The state that retention left. `oldest` is the first day of the log; None when it is empty.

    `blocked` says why what is too old cannot be deleted; empty when it can.
    """

    oldest: date | None
    blocked: str = ""


def present(days: Iterable[date], today: date, accepted: date | None = None) -> date:
    """The day that retention counts back from.

    Args:
        days: of which the log has files.
        today: by this machine's clock.
        accepted: gaps that end on this day or earlier are known to be right.
    """
    known = sorted({*days, *([accepted] if accepted else [])})
    if not known:
        return today
    reached = known[0]
    for day in known:
        if day - reached > LONGEST_GAP and (accepted is None or day > accepted):
            break
        reached = day
    return min(reached, today)


def accepted_day(folder: Path) -> date | None:
    """The day that an operator has accepted last; None when there is none that can be read."""
    try:
        return date.fromisoformat((folder / _ACCEPTED).read_text())
    except (OSError, ValueError):
        return None


def accept(folder: Path, today: date) -> None:
    """Take this clock's day for right, whatever gap is before it. Accepting another day takes it back."""
    replace_file(folder / _ACCEPTED, today.isoformat().encode(), mode=0o600)


def delete_old(folder: Path, today: date, keep_days: int) -> Retained:
    """Delete the files of days that are more than `keep_days` before the present.

    Raises:
        PredictionLogError: the folder cannot be read.
    """
    by_day: dict[date, list[LogFile]] = {}
    for file in listing(folder).files:
        by_day.setdefault(file.day, []).append(file)
    now = present(by_day, today, accepted_day(folder))
    why = []
    for day in sorted(day for day in by_day if (now - day).days > keep_days):
        try:
            if not _deleted(folder, now, day, by_day[day]):
                break
            del by_day[day]
        except OSError as error:
            why.append(f"{error.filename or folder} cannot be deleted: {error.strerror}")
    if today - now > LONGEST_GAP:
        why.append(
            f"the log of {folder} ends on {now}, and this clock says {today}: nothing newer is believed; "
            "if the clock is right, run `python -m churn.prediction_log accept-time`"
        )
    return Retained(min(by_day, default=None), "; ".join(why))


def _deleted(folder: Path, now: date, day: date, files: Sequence[LogFile]) -> bool:
    """Delete the files of a day, if it is one of the few that may be deleted for this day of the present.

    A claim is a file that only one process can make, so replicas that share the folder
    count together, and a day that is claimed may be deleted by whoever comes next.
    """
    claim = _claim(folder, now, day)
    if claim is None:
        return False
    try:
        for file in files:
            file.path.unlink(missing_ok=True)
    except OSError:
        claim.unlink(missing_ok=True)  # for a day that can be deleted
        raise
    return True


def _claim(folder: Path, now: date, day: date) -> Path | None:
    _forget_claims(folder, now - _KEPT)
    for number in range(MOST_DAYS):
        claim = folder / f"{_CLAIM}{now.isoformat()}-{number}"
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w") as file:  # noqa: PTH123  # opened above, exclusively
                file.write(day.isoformat())
            return claim
        if claim.read_text() == day.isoformat():
            return claim
    return None


def _forget_claims(folder: Path, before: date) -> None:
    for claim in folder.glob(f"{_CLAIM}*"):
        if claim.name.removeprefix(_CLAIM) < before.isoformat():
            claim.unlink(missing_ok=True)
