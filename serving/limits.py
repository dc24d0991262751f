"""How much the service lets in at a time, in one object."""

from dataclasses import dataclass
from typing import Final

from serving.api import Problem
from serving.refusals import RequestError

MAXIMUM_BODY: Final = 32 * 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """The bounds of one worker.

    Attributes:
        body: bytes of one request.
        in_flight: requests to the two APIs worked on at a time.
        held: bytes at a time of bodies that come in several pieces, and so of all large ones.
        body_seconds: how long a caller may take to send a body.
    """

    body: int = MAXIMUM_BODY
    in_flight: int = 64
    held: int = MAXIMUM_BODY
    body_seconds: float = 30.0


class ByteBudget:
    """Bytes of bodies that this worker holds, of all requests together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0

    def take(self, size: int) -> None:
        """Count what has arrived; what is only announced takes no memory.

        Raises:
            RequestError: 429, there is no room for it.
        """
        if self._total + size > self._limit:
            found = Problem(loc=[], msg="the bodies being worked on are too large together; try again in a second")
            raise RequestError(429, "too much data at a time", [found])
        self._total += size

    def give_back(self, size: int) -> None:
        self._total -= size
