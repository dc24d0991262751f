"""What a customer does at a given satisfaction: every calibrated figure of the simulator stands here.

Satisfaction is a Markov chain on `STATES` levels (Rouwenhorst's form of a first-order
autoregression: `STATES - 1` independent two-sided coins, each turned over with a small
probability a day), so that probabilities over the next weeks can be computed exactly. It
has mean 0 and standard deviation 1 among new customers.
"""

from dataclasses import dataclass
from math import exp
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.simulator.settings import SimulationSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FREE: Final = 0
PAID: Final = 1
LEVELS: Final = ("free", "paid")
HOME_MARKET: Final = 0
NEW_MARKET: Final = 1
MARKETS: Final = 2

# Satisfaction.
COINS: Final = 24
STATES: Final = COINS + 1
MEMORY_DAYS: Final = 130.0
KEEP: Final = (1 + exp(-1 / MEMORY_DAYS)) / 2
"""Probability that a coin lies tomorrow as it lies today."""
SATISFACTION: Final[Floats] = (2 * np.arange(STATES) - COINS) / np.sqrt(COINS)

# Visits: sessions a day of a customer with activity 1, by level.
VISITS: Final = np.array([0.165, 0.18])
ACTIVITY_SD: Final = 0.5
"""Standard deviation of the logarithm of a customer's activity, whose median is 1."""
VISITS_SLOPE: Final = 0.6
WEEKEND: Final = 0.5
WEEKDAY_WEIGHTS: Final[Floats] = np.array([1.0] * 5 + [WEEKEND] * 2) * 7 / (5 + 2 * WEEKEND)

# Leaving, on a day with a visit.
CANCEL: Final = np.array([0.007, 0.0138])
CANCEL_SLOPE: Final = -1.7
CANCEL_ACTIVITY: Final = -1.0
"""Power of the activity: who comes twice as often is not twice as likely to leave."""
TRIAL: Final = 8.0
TRIAL_DAYS: Final = 60.0
"""A newcomer leaves `1 + TRIAL` times as often; this wears off over `TRIAL_DAYS`."""
MOST_LIKELY: Final = 0.6

# Changing the level, on a day with a visit: free customers upgrade, paying ones downgrade.
CHANGE: Final = np.array([0.19, 0.045])
CHANGE_SLOPE: Final = np.array([0.0, -0.3])
CHANGE_ACTIVITY: Final = -0.5

# Sessions: items in one, before the items that need several rows are written out.
ITEMS: Final = 51.0
ITEMS_SD: Final = 1.0
ITEMS_CUSTOMER_SD: Final = 0.1
MOST_ITEMS: Final = 1200

# Session starts by hour, UTC.
START_HOURS: Final[Floats] = np.array(
    [94, 90, 90, 86, 82, 80, 78, 84, 92, 104, 110, 119, 134, 180, 255, 252, 205, 150, 125, 108, 102, 98, 90, 86],
    dtype=np.float64,
)

# Worlds.
PRICE_RISE_SHIFT: Final = -1.0
PRICE_RISE_DOWNGRADES: Final = 2.5
ADVERTS_FACTOR: Final = 2.0
ADVERTS_SHIFT: Final = -0.3
NEW_MARKET_ARRIVALS: Final = 3.0
NEW_MARKET_ACTIVITY: Final = 0.6
NEW_MARKET_ITEMS: Final = 0.6
BROKEN_SHARE: Final = 0.3


@dataclass(frozen=True)
class Day:
    """What holds for everybody on one day of the log."""

    weight: float
    shift: Floats
    change: Floats
    adverts: float

    @property
    def satisfaction(self) -> Floats:
        """Felt satisfaction by (level, state)."""
        felt: Floats = SATISFACTION[None, :] + self.shift[:, None]
        return felt


def conditions(settings: SimulationSettings, day: int) -> Day:
    """The conditions of a day, counted from the start of the log; negative before it."""
    shift, change, adverts = np.zeros(2), CHANGE.copy(), 1.0
    if settings.changed_to("price-rise", day):
        shift[PAID] = PRICE_RISE_SHIFT
        change[PAID] *= PRICE_RISE_DOWNGRADES
    if settings.changed_to("adverts", day):
        shift[FREE] = ADVERTS_SHIFT
        adverts = ADVERTS_FACTOR
    return Day(float(WEEKDAY_WEIGHTS[settings.weekday(day)]), shift, change, adverts)


@dataclass(frozen=True)
class Chances:
    """Of one day, elementwise: expected visits; with a visit, to cancel, and else to change the level."""

    visits: Floats
    cancel: Floats
    change: Floats


def chances(day: Day, level: Ints, satisfaction: Floats, activity: Floats, age_days: Floats) -> Chances:
    """The one definition of what may happen on a day; the arguments broadcast."""
    visits = VISITS[level] * day.weight * activity * np.exp(VISITS_SLOPE * satisfaction)
    trial = 1 + TRIAL * np.exp(-np.maximum(age_days, 0) / TRIAL_DAYS)
    cancel = CANCEL[level] * activity**CANCEL_ACTIVITY * trial * np.exp(CANCEL_SLOPE * satisfaction)
    change = day.change[level] * activity**CHANGE_ACTIVITY * np.exp(CHANGE_SLOPE[level] * satisfaction)
    return Chances(visits, np.minimum(cancel, MOST_LIKELY), np.minimum(change, MOST_LIKELY))


def tomorrow(state: Ints, draws: np.random.Generator) -> Ints:
    """The next day's state of each customer."""
    return draws.binomial(state, KEEP) + draws.binomial(COINS - state, 1 - KEEP)


def newcomer_states(count: int, draws: np.random.Generator) -> Ints:
    return draws.binomial(COINS, 0.5, count)


def transition() -> Floats:
    """Probabilities of tomorrow's state (column) from today's (row)."""
    rows = [np.convolve(_coins(state, KEEP), _coins(COINS - state, 1 - KEEP)) for state in range(STATES)]
    return np.array(rows)


def _coins(count: int, up: float) -> Floats:
    """Distribution of the number of heads."""
    heads = np.ones(1)
    for _ in range(count):
        heads = np.convolve(heads, [1 - up, up])
    return heads
