"""How likely a customer comes, leaves or changes the level on a day: one definition for the draws and for the truth."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.simulator import pages
from training.simulator.behaviour import FEWEST_ITEMS, MOST_ITEMS, Day, Floats, Ints
from training.simulator.population import Customers
from training.simulator.recipes import LeavingByVisit

MOST_LIKELY: Final = 0.6
NODES: Final = 40
"""Nodes of the Gauss-Hermite quadrature over the length of a session."""
_LOG_EXPECTED: Final[Floats] = np.linspace(-14.0, 5.0, 1_000)


@dataclass(frozen=True)
class Chances:
    """One day's chances, elementwise.

    Attributes:
        visits: expected number of visits.
        cancel: with a visit, to cancel.
        change: with a visit and without cancelling, to change the level.
    """

    visits: Floats
    cancel: Floats
    change: Floats


def chances(day: Day, customers: Customers, level: Ints, state: Ints, age_days: Floats) -> Chances:
    """The chances at a level and a state of satisfaction; the fields of `customers` and the arrays broadcast."""
    recipe = day.recipe
    felt = day.satisfaction[level, state]
    visits = np.array(recipe.visits)[level] * day.weight * customers.activity * np.exp(recipe.visits_slope * felt)
    slope = np.array(recipe.change_slope)[level]
    change = day.change[level] * customers.activity**recipe.change_activity * np.exp(slope * felt)
    if isinstance(recipe.leaving, LeavingByVisit):
        cancel = np.minimum(_by_visit(recipe.leaving, customers.activity, level, felt, age_days), MOST_LIKELY)
    else:
        cancel = _in_a_session(leaving_rate(day, customers, level, state) * median_items(day, customers), day)
    return Chances(visits, cancel, np.minimum(change, MOST_LIKELY))


def median_items(day: Day, customers: Customers) -> Floats:
    """Items of each customer's median session."""
    return day.recipe.items * customers.items


def leaving_rate(day: Day, customers: Customers, level: Ints, state: Ints) -> Floats:
    """Cancellations per item of a session, where pages make customers leave."""
    rates: Floats = pages.leaving_rates(day).sum(axis=-1)[customers.kind, level, state]
    return rates


def _by_visit(leaving: LeavingByVisit, activity: Floats, level: Ints, felt: Floats, age_days: Floats) -> Floats:
    trial = 1 + leaving.trial * np.exp(-np.maximum(age_days, 0) / leaving.trial_days)
    chance: Floats = np.array(leaving.chance)[level] * activity**leaving.activity * trial * np.exp(leaving.slope * felt)
    return chance


def _in_a_session(expected: Floats, day: Day) -> Floats:
    """Probability that a session ends with a cancellation, by the number expected in a median session."""
    cancel: Floats = np.interp(np.log(expected), _LOG_EXPECTED, _cancels(day.recipe.items_sd))
    return cancel


@cache
def _cancels(items_sd: float) -> Floats:
    """`1 - E exp(-c n)` at each `_LOG_EXPECTED`, for a log-normal length `n` of median 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    lengths = np.exp(items_sd * nodes)
    cancels: Floats = -np.expm1(-np.exp(_LOG_EXPECTED)[:, None] * lengths) @ (weights / weights.sum())
    return cancels


def last_session(
    day: Day, customers: Customers, level: Ints, state: Ints, draws: np.random.Generator
) -> tuple[NDArray[np.bool_], Ints]:
    """Draw whether each customer's last session of a day ends with a cancellation, and its items until then.

    Between two cancellations lie exponentially many items: the customer leaves when the
    first comes before the session would be over.
    """
    would_last = median_items(day, customers) * np.exp(day.recipe.items_sd * draws.standard_normal(len(customers)))
    until = draws.exponential(size=len(customers)) / leaving_rate(day, customers, level, state)
    items = np.clip(np.minimum(would_last, until), FEWEST_ITEMS, MOST_ITEMS).astype(np.int64)
    return until < would_last, items
