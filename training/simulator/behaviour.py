"""Satisfaction and the conditions of a day: what is alike in every world, and what changes in some.

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

from training.simulator.recipes import BASELINE, ENGAGED_STAY, Recipe
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

WEEKEND: Final = 0.5
WEEKDAY_WEIGHTS: Final[Floats] = np.array([1.0] * 5 + [WEEKEND] * 2) * 7 / (5 + 2 * WEEKEND)

# Sessions: items in one, before the items that need several rows are written out.
FEWEST_ITEMS: Final = 2
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
    recipe: Recipe

    @property
    def satisfaction(self) -> Floats:
        """Felt satisfaction by (level, state)."""
        felt: Floats = SATISFACTION[None, :] + self.shift[:, None]
        return felt


def conditions(settings: SimulationSettings, day: int) -> Day:
    """The conditions of a day, counted from the start of the log; negative before it."""
    recipe = recipe_of(settings)
    shift, change, adverts = np.zeros(2), np.array(recipe.change), 1.0
    if settings.changed_to("price-rise", day):
        shift[PAID] = PRICE_RISE_SHIFT
        change[PAID] *= PRICE_RISE_DOWNGRADES
    if settings.changed_to("adverts", day):
        shift[FREE] = ADVERTS_SHIFT
        adverts = ADVERTS_FACTOR
    return Day(float(WEEKDAY_WEIGHTS[settings.weekday(day)]), shift, change, adverts, recipe)


def recipe_of(settings: SimulationSettings) -> Recipe:
    return ENGAGED_STAY if settings.world == "engaged-stay" else BASELINE


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
