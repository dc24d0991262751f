"""Reading a `summary.json` that may be older than this code, or damaged: what is not there is None."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from monitoring.reports.week import Week

Content = Mapping[str, Any]

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A number with its 95 % interval, which may be missing."""

    value: float
    low: float | None = None
    high: float | None = None


def at(content: Any, *path: str) -> Any:
    """What stands at a path of keys; None where there is nothing."""
    for key in path:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def number(content: Any, *path: str) -> float | None:
    found = at(content, *path)
    usable = isinstance(found, (int, float)) and not isinstance(found, bool) and math.isfinite(found)
    return float(found) if usable else None


def count(content: Any, *path: str) -> int | None:
    found = number(content, *path)
    return None if found is None else round(found)


def text(content: Any, *path: str) -> str:
    """The text there; empty where there is none."""
    found = at(content, *path)
    return found if isinstance(found, str) else ""


def entries(content: Any, *path: str) -> list[Content]:
    """The list of objects there; empty where there is none."""
    found = at(content, *path)
    listed = found if isinstance(found, Sequence) and not isinstance(found, str) else ()
    return [one for one in listed if isinstance(one, Mapping)]


def figure(content: Any, kind: str, metric: str) -> Figure | None:
    """An estimated or realised measure of performance."""
    path = ("performance", kind, "metrics", metric)
    value = number(content, *path, "value")
    return None if value is None else Figure(value, number(content, *path, "low"), number(content, *path, "high"))


def date(moment: str) -> str:
    """`3 December 2018` of an ISO moment; the text itself where it is none."""
    year, _, rest = moment[:10].partition("-")
    month, _, day = rest.partition("-")
    if not (year.isdecimal() and month.isdecimal() and day.isdecimal() and 1 <= int(month) <= len(MONTHS)):
        return moment
    return f"{int(day)} {MONTHS[int(month) - 1]} {int(year)}"


def known_after(content: Any) -> str | None:
    """The date after which it is known who left, where that is still open."""
    moment = text(content, "performance", "pending", "known_after")
    return date(moment) if moment else None


def dates(week: Week) -> str:
    """`29 October to 4 November 2018`: Monday to Sunday."""
    first, last = date(week.start.isoformat()), date(week.last_day.isoformat())
    same_year = week.start.year == week.last_day.year
    return f"{first.rsplit(' ', 1)[0] if same_year else first} to {last}"


def multiple_of_gate(entry: Content) -> float | None:
    """A feature's effect as a multiple of the smallest that counts; None where it was not tested.

    Without a gate (a column that is missing) any effect is past it: infinite.
    """
    effect, gate = number(entry, "effect"), number(entry, "gate")
    if effect is None or gate is None:
        return None
    if gate > 0:
        return effect / gate
    return math.inf if effect > 0 else 0.0
