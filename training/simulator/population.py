"""The customers: when they came, how active they are, to which population and market they belong.

Customers arrive as a Poisson process of constant rate. Given how many a log shows, the
moments of arrival are independent and uniform. In a steady state the process began long
before the log; with a fresh start some are there already, and arrivals follow in the log.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from training.simulator.behaviour import (
    BROKEN_SHARE,
    HOME_MARKET,
    NEW_MARKET,
    NEW_MARKET_ACTIVITY,
    NEW_MARKET_ITEMS,
    START_HOURS,
    Floats,
    Ints,
    recipe_of,
)
from training.simulator.profiles import Profiles, profiles
from training.simulator.recipes import FreshStart, Recipe
from training.simulator.settings import DAY_MS, SimulationSettings

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
        population: number of the hidden population.
        kind: number of the (market, population), by which pages are drawn.
        own: one draw per customer, for what only some worlds need.
    """

    born_day: Ints
    born_second: Ints
    activity: Floats
    items: Floats
    market: Ints
    population: Ints
    kind: Ints
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
    recipe = recipe_of(settings)
    uniform, normal = draws.random((count, 3)), draws.standard_normal((count, 2))
    population = _populations(recipe, draws.random(count))
    activity = np.array([each.activity for each in recipe.populations])
    items = np.array([each.items for each in recipe.populations])
    return Customers(
        born_day=(first_day + np.floor(uniform[:, 0] * (settings.days - first_day))).astype(np.int64),
        born_second=second_of_day(uniform[:, 1]),
        activity=activity[population] * np.exp(recipe.activity_sd * normal[:, 0]),
        items=items[population] * np.exp(recipe.items_customer_sd * normal[:, 1]),
        market=np.full(count, HOME_MARKET),
        population=population,
        kind=population,
        own=uniform[:, 2],
    )


def _populations(recipe: Recipe, uniform: Floats) -> Ints:
    cumulative = np.cumsum([each.share for each in recipe.populations])
    return np.searchsorted(cumulative[:-1], uniform, side="right").astype(np.int64)


def of_the_log(count: int, settings: SimulationSettings) -> Customers:
    """Customers of the home market whom a log may show."""
    draws, start = settings.draws("arrivals"), recipe_of(settings).start
    if not isinstance(start, FreshStart):
        return arrivals(count, -start.days, settings, draws)
    customers = arrivals(count, 0, settings, draws)
    present = draws.random(count) < 1 / (1 + start.arrivals * settings.days)
    before = -1 - np.floor(start.tenure_days * draws.exponential(size=count)).astype(np.int64)
    return replace(customers, born_day=np.where(present, before, customers.born_day))


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
        kind=customers.population + np.where(abroad, len(recipe_of(settings).populations), 0),
    )
