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
    chances,
    conditions,
    newcomer_states,
    tomorrow,
)
from training.simulator.population import DAYS_BEFORE, Customers, arrivals, in_world
from training.simulator.settings import SimulationSettings

CANDIDATES_PER_CUSTOMER: Final = 4
"""About how many have to arrive since the service opened for one to be seen in the log; more follow if not enough."""


@dataclass(frozen=True)
class History:
    """The log's days of each customer. `state` and `level` hold at the start of a day.

    Attributes:
        state: satisfaction's state by (day, customer), one day more than the log.
        level: `FREE` or `PAID` by (day, customer), one day more than the log.
        visits: sessions begun by (day, customer).
        changes: whether the level changes in the day's last session, by (day, customer).
        cancels: whether the customer cancels in the day's last session, by (day, customer).
    """

    state: NDArray[np.uint8]
    level: NDArray[np.uint8]
    visits: NDArray[np.uint16]
    changes: NDArray[np.bool_]
    cancels: NDArray[np.bool_]

    def __getitem__(self, which: Ints) -> Self:
        return type(self)(
            self.state[:, which],
            self.level[:, which],
            self.visits[:, which],
            self.changes[:, which],
            self.cancels[:, which],
        )


@dataclass
class Today:
    """Where every customer stands at the start of a day."""

    state: Ints
    level: Ints
    gone: NDArray[np.bool_]

    @classmethod
    def before_all(cls, count: int) -> Self:
        return cls(np.zeros(count, np.int64), np.full(count, FREE), np.zeros(count, np.bool_))

    def present(self, customers: Customers, day: int) -> Ints:
        return np.flatnonzero((customers.born_day <= day) & ~self.gone)


@dataclass(frozen=True)
class DayOfLife:
    """What a day brought to those present: `who`, and elementwise what they did."""

    who: Ints
    visits: Ints
    cancels: NDArray[np.bool_]
    changes: NDArray[np.bool_]


def lives(settings: SimulationSettings) -> tuple[Customers, History]:
    """The customers of a log and what they live through.

    The customers are chosen in the baseline world, so that a world that changes shows the
    same ones up to its change.
    """
    candidates, history, chosen = _enough(settings)
    if settings.world == "baseline":
        return candidates[chosen], history[chosen]
    extra = _extra_arrivals(candidates[chosen], settings)
    everyone = in_world(candidates.and_also(extra), settings)
    shown = np.concatenate([chosen, len(candidates) + np.arange(len(extra))])
    return everyone[shown], _live(everyone, settings)[shown]


def _enough(settings: SimulationSettings) -> tuple[Customers, History, Ints]:
    """Candidates, what they live through in the baseline world, and the first of them that the log shows."""
    share = (DAYS_BEFORE + settings.days) / (DAYS_BEFORE / CANDIDATES_PER_CUSTOMER + settings.days)
    count = int(settings.customers * share) + 50
    while True:
        candidates = arrivals(count, -DAYS_BEFORE, settings, settings.draws("arrivals"))
        history = _live(candidates, settings.baseline())
        seen = np.flatnonzero(history.visits.any(axis=0))
        if len(seen) >= settings.customers:
            return candidates, history, seen[: settings.customers]
        count += count // 3


def _extra_arrivals(customers: Customers, settings: SimulationSettings) -> Customers:
    """Those whom a new market brings on top of the arrivals that the log has anyway."""
    draws, first = settings.draws("extra arrivals"), settings.first_changed_day
    if settings.world != "new-market" or first is None:
        return arrivals(0, 0, settings, draws)
    a_day = (customers.born_day >= 0).mean() * len(customers) / settings.days
    count = draws.poisson((NEW_MARKET_ARRIVALS - 1) * a_day * (settings.days - first))
    return arrivals(count, first, settings, draws)


def _live(customers: Customers, settings: SimulationSettings) -> History:
    today = Today.before_all(len(customers))
    for day in range(-DAYS_BEFORE, 0):
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
    )
    for day in range(settings.days):
        _greet_newcomers(today, customers, day, settings)
        history.state[day], history.level[day] = today.state, today.level
        brought = _live_a_day(today, customers, conditions(settings, day), day, settings)
        history.visits[day, brought.who] = brought.visits
        history.changes[day, brought.who] = brought.changes
        history.cancels[day, brought.who] = brought.cancels
    history.state[settings.days], history.level[settings.days] = today.state, today.level
    return history


def _greet_newcomers(today: Today, customers: Customers, day: int, settings: SimulationSettings) -> None:
    born = np.flatnonzero(customers.born_day == day)
    today.state[born] = newcomer_states(len(born), settings.draws("newcomers", day + DAYS_BEFORE))


def _live_a_day(
    today: Today, customers: Customers, conditions_: Day, day: int, settings: SimulationSettings
) -> DayOfLife:
    """Draw a day for everybody present, and move `today` to the next morning."""
    if day < 0:
        _greet_newcomers(today, customers, day, settings)
    if settings.returning:
        today.gone &= settings.draws("returns", day + DAYS_BEFORE).random(len(customers)) >= settings.returning
    draws = settings.draws("life", day + DAYS_BEFORE)
    who = today.present(customers, day)
    level, state = today.level[who], today.state[who]
    felt = conditions_.satisfaction[level, state]
    age_days = (day - customers.born_day[who]).astype(np.float64)
    odds = chances(conditions_, level, felt, customers.activity[who], age_days)
    visits = np.maximum(draws.poisson(odds.visits), age_days == 0)  # who registers is there
    luck = draws.random((2, len(who)))
    cancels = (visits > 0) & (luck[0] < odds.cancel)
    changes = (visits > 0) & ~cancels & (luck[1] < odds.change)
    today.gone[who[cancels]] = True
    today.level[who[changes]] = np.where(level[changes] == FREE, PAID, FREE)
    today.state[who] = tomorrow(state, draws)
    return DayOfLife(who, visits, cancels, changes)
