"""The effect of offers: customers who got one beside customers who were held out, each customer once.

Customers are judged by the group they were assigned to, whether or not the offer reached them: only
the assignment was left to chance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import numpy as np
import pandas as pd
from scipy.stats import norm

from churn.activity.features import DAY_MS
from churn.quality.figure import Figure
from churn.quality.intervals import Z, wilson
from monitoring.labels.hold_out import HELD_OUT_SHARE
from monitoring.labels.treatments import GROUP, HELD_OUT, OFFERED, Treatment
from monitoring.reports.week import Week

FEWER: Final = 0.2
"""The effect to plan for: a fifth of the customers who would leave stays."""

CHANCE: Final = 0.8
"""How likely a campaign must be to tell of such an effect, before it is asked."""

_DAYS_A_WEEK: Final = 7


@dataclass(frozen=True)
class Arm:
    """Customers of one group whose horizon has passed, and how many of them left."""

    customers: int
    left: int

    @property
    def share(self) -> float:
        return self.left / self.customers if self.customers else math.nan


@dataclass(frozen=True)
class Effect:
    """The effect of the offer, by assignment.

    Example:
        >>> found = Effect(Arm(850, 272), Arm(150, 60))
        >>> print(found.kept)
        0.080 (95 % interval -0.002 to 0.166)
        >>> found.offers_per_kept.value
        nan
        >>> print(Effect(Arm(8500, 2720), Arm(1500, 600)).offers_per_kept)
        12.500 (95 % interval 9.356 to 18.680)
    """

    offered: Arm
    held_out: Arm

    @property
    def kept(self) -> Figure:
        """Share of the offered customers who stay because of the offer: a difference of two shares.

        The interval is Newcombe's ("Interval estimation for the difference between independent
        proportions", 1998, method 10), which holds for small groups too.
        """
        if not (self.offered.customers and self.held_out.customers):
            return Figure(math.nan)
        without, with_offer = self.held_out.share, self.offered.share
        shares = np.array([without, with_offer])
        low, high = wilson(shares, np.array([self.held_out.customers, self.offered.customers], dtype=np.float64))
        below = math.hypot(without - low[0], high[1] - with_offer)
        above = math.hypot(high[0] - without, with_offer - low[1])
        difference = without - with_offer
        return Figure(difference, difference - below, difference + above)

    @property
    def offers_per_kept(self) -> Figure:
        """How many customers to treat for one who stays; not a number while the offer may do nothing."""
        kept = self.kept
        return Figure(1 / kept.value, 1 / kept.high, 1 / kept.low) if kept.low > 0 else Figure(math.nan)

    def profit(self, offer_cost: float, kept_value: float) -> Figure:
        """Profit of the offers, in the money of the two settings; each offered customer costs `offer_cost`."""
        kept, offered = self.kept, self.offered.customers
        return Figure(*(offered * (share * kept_value - offer_cost) for share in (kept.value, kept.low, kept.high)))


def effect(outcomes: pd.DataFrame) -> Effect:
    """The effect among customers with a known outcome: `group` and `churned` (0 or 1), a row each."""
    arms = []
    for group in (OFFERED, HELD_OUT):
        churned = outcomes.loc[outcomes[GROUP] == group, "churned"]
        arms.append(Arm(len(churned), int(churned.sum())))
    return Effect(*arms)


def first_rows(campaign: Sequence[Treatment]) -> list[Treatment]:
    """The first row of each customer, by day: a customer counts once in a campaign."""
    first: dict[str, Treatment] = {}
    for one in sorted(campaign, key=lambda one: one.day):
        first.setdefault(one.customer_id, one)
    return list(first.values())


def power(leaving: float, customers: float, fewer: float = FEWER) -> float:
    """How likely the interval of `Effect.kept` lies above 0 when `fewer` of those who would leave stay.

    Normal approximation for two shares of unequal size (Fleiss, Levin & Paik 2003, "Statistical
    Methods for Rates and Proportions", 4.2).

    Args:
        leaving: share of the customers of the list who would leave without an offer.
        customers: offered and held out together.
        fewer: share of them whom the offer keeps.

    >>> [round(power(0.4, customers), 2) for customers in (500, 2_500, 10_000)]
    [0.28, 0.85, 1.0]
    """
    offered, held_out = (1 - HELD_OUT_SHARE) * customers, HELD_OUT_SHARE * customers
    with_offer = leaving * (1 - fewer)
    pooled = (1 - HELD_OUT_SHARE) * with_offer + HELD_OUT_SHARE * leaving
    chance_alone = math.sqrt(pooled * (1 - pooled) * (1 / offered + 1 / held_out))
    spread = math.sqrt(with_offer * (1 - with_offer) / offered + leaving * (1 - leaving) / held_out)
    return float(norm.cdf((leaving - with_offer - Z * chance_alone) / spread))


def needed(leaving: float, fewer: float = FEWER) -> int:
    """How many customers, offered and held out together, until such an effect is told with a chance of 80 %.

    Args:
        leaving: share of the customers of the list who would leave without an offer, above 0 and below 1.
        fewer: share of them whom the offer keeps.

    >>> needed(0.4), needed(0.2)
    (2180, 5540)
    """
    return next(customers for customers in count(20, 20) if power(leaving, customers, fewer) >= CHANCE)


def week_of_answer(days: Sequence[int], customers: int, horizon_days: int) -> Week:
    """The week in which the outcomes of so many customers are known.

    Args:
        days: when each customer of the campaign was assigned, at least one; more come as fast as these did.
        customers: how many are needed.
        horizon_days: after which an outcome is known.
    """
    ordered = sorted(days)
    if len(ordered) >= customers:
        last = ordered[customers - 1]
    else:
        weeks = (ordered[-1] - ordered[0]) // _DAYS_A_WEEK + 1
        last = ordered[-1] + _DAYS_A_WEEK * math.ceil((customers - len(ordered)) * weeks / len(ordered))
    return Week.of((last + horizon_days) * DAY_MS)
