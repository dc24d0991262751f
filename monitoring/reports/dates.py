"""Moments and weeks as people say them."""

from datetime import datetime
from typing import Final

from monitoring.reports.week import Week

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def date(moment: str) -> str:
    """`3 December 2018` of an ISO moment; the text itself where it is none."""
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return f"{found.day} {MONTHS[found.month - 1]} {found.year}"


def dates(week: Week) -> str:
    """`29 October to 4 November 2018`: Monday to Sunday."""
    first, last = date(week.start.isoformat()), date(week.last_day.isoformat())
    same_year = week.start.year == week.last_day.year
    return f"{first.rsplit(' ', 1)[0] if same_year else first} to {last}"
