"""Moments as UTC epoch milliseconds, and as text."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_MS: Final = 60 * 1000
DAY_MS: Final = 24 * 60 * MINUTE_MS


def utc(epoch_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=epoch_ms)


def iso(epoch_ms: int) -> str:
    """ISO 8601 in UTC, with milliseconds only when there are any: `2018-11-02T00:00:00Z`."""
    moment = utc(epoch_ms)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def epoch_ms(moment: datetime) -> int:
    """UTC epoch milliseconds of an aware datetime; a naive one is refused."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; write for example {moment.isoformat()}Z")
    return (moment - EPOCH) // timedelta(milliseconds=1)


def week_of(epoch_ms: int) -> str:
    """ISO week of a moment, in UTC: `2018-W44`."""
    year, week, _ = utc(epoch_ms).isocalendar()
    return f"{year}-W{week:02d}"
