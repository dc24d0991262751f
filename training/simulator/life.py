"""What happens to each customer, day by day: satisfaction, level, visits, leaving."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from training.simulator.behaviour import (
    FREE,
    NEW_MARKET_ARRIVALS,
    PAID,
    Day,
    Ints,
    conditions,
    newcomer_states,
    recipe_of,
    tomorrow,
)
from training.simulator.chances import chances, last_session
from training.simulator.population import Customers, arrivals, in_world, of_the_log
from training.simulator.recipes import FreshStart, LeavingByPage, SteadyState
from training.simulator.settings import SimulationSettings

CANDIDATES_PER_CUSTOMER: Final = 4
"""About how many have to arrive since the service opened for one to be seen in the log; more follow if not enough."""
SEEN: Final = 0.96
"""About the share of those present or arriving that a log of a fresh start shows."""
FIRST_STEP: Final = 1_200
"""Number of the generator's step for the log's first day: days before the log have numbers too."""


@dataclass(frozen=True)
class History:
    """The log's days of each customer. `state` and `level` hold at the start of a day.

    Attributes:
        state: satisfaction's state by (day, customer), one day more than the log.
        level: `FREE` or `PAID` by (day, customer), one day more than the log.
        visits: sessions begun by (day, customer).
        changes: whether the level changes in the day's last session, by (day, customer).
        cancels: whether the customer cancels in the day's last session, by (day, customer).
        items: of the day's last session where living decides them, else 0, by (day, customer).
    """

    state: NDArray[np.uint8]
    level: NDArray[np.uint8]
    visits: NDArray[np.uint16]
    changes: NDArray[np.bool_]
    cancels: NDArray[np.bool_]
    items: NDArray[np.uint16]

    def __getitem__(self, which: Ints) -> Self:
        return type(self)(**{name: values[:, which] for name, values in vars(self).items()})


@dataclass
class Today:
    """Where every customer stands at the start of a day."""

    state: Ints
    level: Ints
    gone: NDArray[np.bool_]

    @classmethod
    def at_first(cls, customers: Customers, settings: SimulationSettings) -> Self:
        """Before the first day of all; with a fresh start, those present have a state and a level."""
        count, start = len(customers), recipe_of(settings).start
        today = cls(np.zeros(count, np.int64), np.full(count, FREE), np.zeros(count, np.bool_))
        if isinstance(start, FreshStart):
            draws, present = settings.draws("present"), customers.born_day < 0
            today.state = np.where(present, newcomer_states(count, draws), today.state)
            today.level = np.where(present & (draws.random(count) < start.paying), PAID, FREE)
        return today

    def present(self, customers: Customers, day: int) -> Ints:
        return np.flatnonzero((customers.born_day <= day) & ~self.gone)


@dataclass(frozen=True)
class DayOfLife:
    """What a day brought to those present: `who`, and elementwise what they did."""

    who: Ints
    visits: Ints
    cancels: NDArray[np.bool_]
    changes: NDArray[np.bool_]
    items: Ints


def lives(settings: SimulationSettings) -> tuple[Customers, History]:
    """The customers of a log and what they live through.

    The customers are chosen in the world without its change, so that a world that changes
    shows the same ones up to then.
    """
    candidates, history, chosen = _enough(settings)
    if settings.first_changed_day is None:
        return candidates[chosen], history[chosen]
    extra = _extra_arrivals(candidates[chosen], settings)
    everyone = in_world(candidates.and_also(extra), settings)
    shown = np.concatenate([chosen, len(candidates) + np.arange(len(extra))])
    return everyone[shown], _live(everyone, settings)[shown]


def _enough(settings: SimulationSettings) -> tuple[Customers, History, Ints]:
    """Candidates, what they live through without a change, and the first of them that the log shows."""
    count = _candidates(settings)
    while True:
        candidates = of_the_log(count, settings)
        history = _live(candidates, settings.unchanged())
        seen = np.flatnonzero(history.visits.any(axis=0))
        if len(seen) >= settings.customers:
            return candidates, history, seen[: settings.customers]
        count += count // 3


def _candidates(settings: SimulationSettings) -> int:
    start = recipe_of(settings).start
    if isinstance(start, SteadyState):
        share = (start.days + settings.days) / (start.days / CANDIDATES_PER_CUSTOMER + settings.days)
    else:
        share = 1 / SEEN
    return int(settings.customers * share) + 50


def _extra_arrivals(customers: Customers, settings: SimulationSettings) -> Customers:
    """Those whom a new market brings on top of the arrivals that the log has anyway."""
    draws, first = settings.draws("extra arrivals"), settings.first_changed_day
    if settings.world != "new-market" or first is None:
        return arrivals(0, 0, settings, draws)
    a_day = (customers.born_day >= 0).mean() * len(customers) / settings.days
    count = draws.poisson((NEW_MARKET_ARRIVALS - 1) * a_day * (settings.days - first))
    return arrivals(count, first, settings, draws)


def _live(customers: Customers, settings: SimulationSettings) -> History:
    today, start = Today.at_first(customers, settings), recipe_of(settings).start
    for day in range(-start.days if isinstance(start, SteadyState) else 0, 0):
        _live_a_day(today, customers, conditions(settings, day), day, settings)
    return _record(today, customers, settings)


def _record(today: Today, customers: Customers, settings: SimulationSettings) -> History:
    shape = (settings.days, len(customers))
    history = History(
        state=np.zeros((settings.days + 1, len(customers)), np.uint8),
        level=np.zeros((settings.days + 1, len(customers)), np.uint8),
        visits=np.zeros(shape, np.uint16),
        changes=np.zeros(shape, np.bool_),
        cancels=np.zeros(shape, np.bool_),
        items=np.zeros(shape, np.uint16),
    )
    for day in range(settings.days):
        _greet_newcomers(today, customers, day, settings)
        history.state[day], history.level[day] = today.state, today.level
        brought = _live_a_day(today, customers, conditions(settings, day), day, settings)
        history.visits[day, brought.who] = brought.visits
        history.changes[day, brought.who] = brought.changes
        history.cancels[day, brought.who] = brought.cancels
        history.items[day, brought.who] = brought.items
    history.state[settings.days], history.level[settings.days] = today.state, today.level
    return history


def _greet_newcomers(today: Today, customers: Customers, day: int, settings: SimulationSettings) -> None:
    born = np.flatnonzero(customers.born_day == day)
    today.state[born] = newcomer_states(len(born), settings.draws("newcomers", day + FIRST_STEP))


def _live_a_day(
    today: Today, customers: Customers, conditions_: Day, day: int, settings: SimulationSettings
) -> DayOfLife:
    """Draw a day for everybody present, and move `today` to the next morning."""
    if day < 0:
        _greet_newcomers(today, customers, day, settings)
    if settings.returning:
        today.gone &= settings.draws("returns", day + FIRST_STEP).random(len(customers)) >= settings.returning
    draws = settings.draws("life", day + FIRST_STEP)
    who = today.present(customers, day)
    level, state = today.level[who], today.state[who]
    age_days = (day - customers.born_day[who]).astype(np.float64)
    present = customers[who]
    odds = chances(conditions_, present, level, state, age_days)
    visits = np.maximum(draws.poisson(odds.visits), age_days == 0)  # who registers is there
    luck = draws.random((2, len(who)))
    cancels, items = (visits > 0) & (luck[0] < odds.cancel), np.zeros(len(who), np.int64)
    if isinstance(conditions_.recipe.leaving, LeavingByPage):
        here = np.flatnonzero(visits)
        cancels[here], items[here] = last_session(conditions_, present[here], level[here], state[here], draws)
    changes = (visits > 0) & ~cancels & (luck[1] < odds.change)
    today.gone[who[cancels]] = True
    today.level[who[changes]] = np.where(level[changes] == FREE, PAID, FREE)
    today.state[who] = tomorrow(state, draws)
    return DayOfLife(who, visits, cancels, changes, items)
