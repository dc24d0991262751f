"""What can be set about a simulation, and the worlds that change from a given day."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal, Self, get_args

import numpy as np

from churn.errors import SettingError
from churn.moments import epoch_ms

World = Literal["baseline", "engaged-stay", "adverts", "price-rise", "new-market", "broken-client"]
WORLDS: Final[tuple[str, ...]] = get_args(World)
UNCHANGING: Final = ("baseline", "engaged-stay")
"""Worlds in which nothing changes from any day on; the others are `baseline` until they change."""


MOST_CUSTOMERS: Final = 200_000
MOST_DAYS: Final = 3_650
DAY_MS: Final = 24 * 60 * 60 * 1000
DEFAULT_START: Final = datetime(2018, 10, 1, tzinfo=UTC)
CHANGE_SHARE: Final = 2 / 3
"""Without a `change_day`, a world changes after this share of the log."""


@dataclass(frozen=True)
class SimulationSettings:
    """One simulation; the same settings give the same log, byte for byte.

    Attributes:
        customers: how many different customers the log shows (a new market adds its own).
        days: length of the log.
        seed: of every draw.
        start: first moment of the log, a midnight in UTC.
        world: `baseline`, where those who do much leave sooner, as in the real log;
            `engaged-stay`, where they stay; or what changes in `baseline`: `adverts` (twice
            as many for free customers, who are less happy for it), `price-rise` (paying
            customers are less happy, and downgrade more), `new-market` (three times as many
            arrivals, all of another kind), `broken-client` (some customers' rows lose user
            agent, gender and registration).
        change_day: day of the log from which the world is changed; two thirds of `days` when
            not given.
        returning: chance a day that a customer who cancelled comes back; nobody does by default.

    Raises:
        SettingError: a setting is out of its range.
    """

    customers: int = 1000
    days: int = 150
    seed: int = 7
    start: datetime = DEFAULT_START
    world: str = "baseline"
    change_day: int | None = None
    returning: float = 0.0

    def __post_init__(self) -> None:
        _check_whole("customers", self.customers, 1, MOST_CUSTOMERS)
        _check_whole("days", self.days, 1, MOST_DAYS)
        _check_whole("seed", self.seed, 0, 2**63 - 1)
        if self.start.tzinfo is None or epoch_ms(self.start) % DAY_MS:
            raise SettingError("start", self.start.isoformat(), "a midnight in UTC, such as 2018-10-01T00:00:00Z")
        if self.world not in WORLDS:
            raise SettingError("world", self.world, f"one of {', '.join(WORLDS)}")
        if not 0 <= self.returning <= 1:
            raise SettingError("returning", self.returning, "a chance from 0 to 1")
        self._check_change_day()

    def _check_change_day(self) -> None:
        if self.change_day is None:
            return
        if self.world in UNCHANGING:
            raise SettingError("change_day", self.change_day, f"none in the world {self.world}; choose another world")
        _check_whole("change_day", self.change_day, 0, self.days)

    @property
    def start_ms(self) -> int:
        return epoch_ms(self.start)

    @property
    def end_ms(self) -> int:
        """First moment after the log, UTC epoch milliseconds."""
        return self.start_ms + self.days * DAY_MS

    @property
    def first_changed_day(self) -> int | None:
        """Day of the log from which the world is changed; None in a world that never changes."""
        if self.world in UNCHANGING:
            return None
        return round(self.days * CHANGE_SHARE) if self.change_day is None else self.change_day

    def changed_to(self, world: World, day: int) -> bool:
        first = self.first_changed_day
        return self.world == world and first is not None and day >= first

    def unchanged(self) -> Self:
        """The same simulation without its change."""
        return self if self.world in UNCHANGING else replace(self, world="baseline", change_day=None)

    def weekday(self, day: int) -> int:
        """0 is Monday."""
        return (self.start.weekday() + day) % 7

    def draws(self, stage: str, number: int = 0) -> np.random.Generator:
        """The generator of one stage's numbered step.

        All descend from the one seed. Each step has its own, so that a world that changes
        on a day leaves every earlier draw as it was.
        """
        key = (*stage.encode(), number)
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=key)))


def _check_whole(name: str, found: object, least: int, most: int) -> None:
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
        raise SettingError(name, found, f"a whole number from {least} to {most}")
