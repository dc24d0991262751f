"""A week of predictions: an ISO week in UTC, by the `as_of` they were made for."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from churn.errors import SettingError
from churn.moments import epoch_ms, utc, week_of

_NAME: Final = re.compile(r"(\d{4})-W(\d\d)")
_LENGTH: Final = timedelta(days=7)


@dataclass(frozen=True, order=True)
class Week:
    """From Monday 00:00 UTC (`start`) up to the next one (`end`, exclusive)."""

    start: datetime

    @classmethod
    def parse(cls, name: str) -> "Week":
        """`2018-W44`.

        Raises:
            SettingError: there is no such week.
        """
        found = _NAME.fullmatch(name)
        year, week = (int(found[1]), int(found[2])) if found else (0, 0)
        try:
            monday = datetime.fromisocalendar(year, week, 1)
        except ValueError as error:
            raise SettingError("WEEK", name, "an ISO week such as 2018-W44") from error
        return cls(monday.replace(tzinfo=UTC))

    @classmethod
    def of(cls, moment_ms: int) -> "Week":
        """The week of a moment, UTC epoch milliseconds."""
        return cls.parse(week_of(moment_ms))

    @property
    def end(self) -> datetime:
        return self.start + _LENGTH

    @property
    def last_day(self) -> datetime:
        """The Sunday."""
        return self.start + timedelta(days=6)

    @property
    def previous(self) -> "Week":
        return Week(self.start - _LENGTH)

    @property
    def start_ms(self) -> int:
        return epoch_ms(self.start)

    @property
    def end_ms(self) -> int:
        return epoch_ms(self.end)

    def __str__(self) -> str:
        return week_of(self.start_ms)


def day(moment_ms: int) -> str:
    """The UTC day of a moment: `2018-11-02`."""
    return utc(moment_ms).date().isoformat()
