"""Who the customers are: when they came, how active they are, which market they belong to.

Customers arrive as a Poisson process of constant rate that began long before the log, so
that the population is in its steady state when the log starts. Given how many a log shows,
the moments of arrival are independent and uniform.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from training.simulator.behaviour import (
    ACTIVITY_SD,
    BROKEN_SHARE,
    HOME_MARKET,
    ITEMS_CUSTOMER_SD,
    NEW_MARKET,
    NEW_MARKET_ACTIVITY,
    NEW_MARKET_ITEMS,
    START_HOURS,
    Floats,
    Ints,
)
from training.simulator.profiles import Profiles, profiles
from training.simulator.settings import DAY_MS, SimulationSettings

DAYS_BEFORE: Final = 1_200
"""The service opened this long before the log: nearly all of its first customers are gone by then."""

DAY_SECONDS: Final = 86_400
_HOUR_CUMULATIVE: Final = np.append(0.0, np.cumsum(START_HOURS) / np.sum(START_HOURS)).astype(np.float64)
_HOUR_SECONDS: Final[Floats] = np.arange(25, dtype=np.float64) * 3600.0


def second_of_day(uniform: Floats) -> Ints:
    """Draws of the unit interval to the second of the day at which a session starts."""
    return np.interp(uniform, _HOUR_CUMULATIVE, _HOUR_SECONDS).astype(np.int64)


def share_of_day(second: float) -> float:
    """Share of a day's session starts before this second."""
    return float(np.interp(second, _HOUR_SECONDS, _HOUR_CUMULATIVE))


@dataclass(frozen=True)
class Customers:
    """What does not change about each customer.

    Attributes:
        born_day: day of arrival, counted from the start of the log; negative before it.
        born_second: second of that day.
        activity: factor on the visits a day; median 1 at home.
        items: factor on the length of a session; median 1 at home.
        market: `HOME_MARKET` or `NEW_MARKET`.
        own: one draw per customer, for what only some worlds need.
    """

    born_day: Ints
    born_second: Ints
    activity: Floats
    items: Floats
    market: Ints
    own: Floats

    def __len__(self) -> int:
        return len(self.born_day)

    def __getitem__(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        return type(self)(**{name: values[which] for name, values in vars(self).items()})

    def and_also(self, others: Self) -> Self:
        return type(self)(
            **{name: np.concatenate([values, getattr(others, name)]) for name, values in vars(self).items()}
        )

    def registration_ms(self, settings: SimulationSettings) -> Ints:
        return settings.start_ms + self.born_day * DAY_MS + self.born_second * 1000

    def broken(self) -> NDArray[np.bool_]:
        """Who uses the client that breaks in the world of that name."""
        return self.own < BROKEN_SHARE

    def profiles(self, settings: SimulationSettings) -> Profiles:
        return profiles(self.market, settings.draws("profiles"))


def arrivals(count: int, first_day: int, settings: SimulationSettings, draws: np.random.Generator) -> Customers:
    """Customers of the home market who arrive at any moment from `first_day` to the end of the log, alike."""
    uniform, normal = draws.random((count, 3)), draws.standard_normal((count, 2))
    return Customers(
        born_day=(first_day + np.floor(uniform[:, 0] * (settings.days - first_day))).astype(np.int64),
        born_second=second_of_day(uniform[:, 1]),
        activity=np.exp(ACTIVITY_SD * normal[:, 0]),
        items=np.exp(ITEMS_CUSTOMER_SD * normal[:, 1]),
        market=np.full(count, HOME_MARKET),
        own=uniform[:, 2],
    )


def in_world(customers: Customers, settings: SimulationSettings) -> Customers:
    """The same customers, those who arrive in a new market made to belong to it."""
    first = settings.first_changed_day
    if settings.world != "new-market" or first is None:
        return customers
    abroad = customers.born_day >= first
    return replace(
        customers,
        activity=customers.activity * np.where(abroad, NEW_MARKET_ACTIVITY, 1.0),
        items=customers.items * np.where(abroad, NEW_MARKET_ITEMS, 1.0),
        market=np.where(abroad, NEW_MARKET, HOME_MARKET),
    )
