"""The memory that requests of a worker may take together while they move over the network.

Whoever moves slower than the least rate makes room for whoever asks for some.
"""

from typing import Final, Protocol

from serving.api import Problem
from serving.refusals import RequestError

PACE_SECONDS: Final = 1.0
"""A pace is known after this long."""


class Mover(Protocol):
    """A connection that moves bytes to or from a caller."""

    def is_slow(self) -> bool:
        """True if it is slower than the least rate."""

    def cut_off(self) -> None:
        """End it."""


class Pace:
    """How fast bytes move, seen over a second or two.

    Args:
        least_rate: bytes a second.
        now: the moment, in seconds.
    """

    def __init__(self, least_rate: float, now: float) -> None:
        self._least_rate = least_rate
        self._since = now
        self._moved = 0
        self._was_slow = False

    def moved(self, size: int, now: float) -> None:
        """Bytes have moved just now."""
        self._moved += size
        if now - self._since >= PACE_SECONDS:
            self._was_slow = self._slow_until(now)
            self._since, self._moved = now, 0

    def is_slow(self, now: float) -> bool:
        if now - self._since < PACE_SECONDS:
            return self._was_slow
        return self._slow_until(now)

    def _slow_until(self, now: float) -> bool:
        return self._moved < self._least_rate * (now - self._since)


class ByteBudget:
    """Bytes that requests hold, of all requests of the worker together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._shares: dict[Share, None] = {}  # the oldest first

    def share(self) -> "Share":
        """The share of a new request: nothing yet."""
        return Share(self)

    def reserve(self, share: "Share", size: int) -> None:
        """Make a share larger, at the cost of slow ones.

        Raises:
            RequestError: 429, there is no room for it.
        """
        if self._total + size > self._limit:
            self._make_room(size, share)
        if self._total + size > self._limit:
            found = Problem(loc=[], msg="the bodies being worked on are too large together; try again in a second")
            raise RequestError(429, "too much data at a time", [found])
        self._total += size
        self._shares[share] = None

    def give_back(self, share: "Share", size: int) -> None:
        """Make a share smaller."""
        self._total -= size
        if size == share.size:
            self._shares.pop(share, None)

    def _make_room(self, size: int, asking: "Share") -> None:
        for share in list(self._shares):
            if self._total + size <= self._limit:
                return
            if share is not asking and share.mover is not None and share.mover.is_slow():
                share.mover.cut_off()
                share.release()


class Share:
    """The bytes that one request holds: first for its body, then for its answer. `mover` is None while they rest."""

    def __init__(self, budget: ByteBudget) -> None:
        self.size = 0
        self.mover: Mover | None = None
        self._budget = budget

    def take(self, size: int) -> None:
        """Count what has arrived; what is only announced takes no memory.

        Raises:
            RequestError: 429, there is no room for it.
        """
        self._budget.reserve(self, size)
        self.size += size

    def resize(self, size: int) -> None:
        """Take another size in place of the present one.

        Raises:
            RequestError: 429, there is no room for what is more.
        """
        if size > self.size:
            self.take(size - self.size)
        else:
            self._budget.give_back(self, self.size - size)
            self.size = size

    def release(self) -> None:
        """Make room for others."""
        self._budget.give_back(self, self.size)
        self.size = 0
