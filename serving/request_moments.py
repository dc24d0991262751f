"""The moments of a request: `as_of` as text to UTC, or why it cannot be."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from churn.moments import EPOCH

CLOCK_TOLERANCE: Final = timedelta(minutes=1)
"""How far a caller's clock may be ahead before its `as_of` counts as in the future."""

_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)  # RFC 3339, the zone optional so that its absence gets a message of its own


class Moments:
    """Reads `as_of`; customers of one request mostly share a few."""

    def __init__(self, now: datetime) -> None:
        self._latest = now + CLOCK_TOLERANCE
        self._read: dict[str, str] = {}

    def utc(self, text: object) -> str:
        """ISO 8601 ending in Z.

        Raises:
            ValueError: it is no moment, or not one that can be; the message says why.
        """
        if not isinstance(text, str):
            raise ValueError("expected a moment as text, for example 2018-11-02T00:00:00Z")  # noqa: TRY004  # caught as one
        known = self._read.get(text)
        if known is None:
            known = self._read[text] = self._parsed(text)
        return known

    def _parsed(self, text: str) -> str:
        if not _MOMENT.fullmatch(text):
            raise ValueError("expected a moment such as 2018-11-02T00:00:00Z")
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            raise ValueError("there is no such moment; expected one such as 2018-11-02T00:00:00Z") from None
        if moment.tzinfo is None:
            raise ValueError("no time zone; end it with Z for UTC, or with an offset such as +01:00")
        if moment < EPOCH:
            raise ValueError("before 1970")
        if moment > self._latest:
            raise ValueError(f"in the future; it is {self._latest - CLOCK_TOLERANCE:%Y-%m-%dT%H:%M:%SZ} here")
        utc = moment.astimezone(UTC)
        return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").replace("+00:00", "Z")
