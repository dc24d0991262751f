"""How customers behave in each world before it changes: every calibrated figure of the simulator stands here.

The default world follows the recipe of the real log: several populations that nobody sees
differ in how often they come, what they do and how easily they leave, and a customer leaves
from a page that annoys. In the world `engaged-stay` one satisfaction drives everything, so
that whoever does much stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Pair = tuple[float, float]
"""A figure for free customers and one for paying customers."""


@dataclass(frozen=True)
class Population:
    """A hidden kind of customer. Each factor multiplies what is usual.

    Attributes:
        share: of the customers who arrive.
        activity: factor on the visits a day.
        items: factor on the length of a session.
        leaving: factor on the chance to leave from a page.
        pages: factors on how often single pages are visited, by name.
    """

    share: float = 1.0
    activity: float = 1.0
    items: float = 1.0
    leaving: float = 1.0
    pages: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LeavingByVisit:
    """A chance to cancel on each day with a visit, by level.

    Attributes:
        chance: on a day with a visit, at satisfaction 0.
        slope: a unit of satisfaction multiplies it by `exp(slope)`.
        activity: power of the activity: who comes twice as often is not twice as likely to leave.
        trial: a newcomer leaves `1 + trial` times as often; this wears off over `trial_days`.
    """

    chance: Pair
    slope: float
    activity: float
    trial: float
    trial_days: float


@dataclass(frozen=True)
class LeavingByPage:
    """A chance to cancel right after a page, by the page's name.

    Attributes:
        chance: after one visit of the page, at satisfaction 0.
        slope: a unit of satisfaction multiplies it by `exp(slope)`.
    """

    chance: Mapping[str, float]
    slope: float


@dataclass(frozen=True)
class SteadyState:
    """The service opened `days` before the log: nearly all of its first customers are gone by then."""

    days: int


@dataclass(frozen=True)
class FreshStart:
    """The log begins with customers of whom none has left yet: those who leave easily are still there.

    Attributes:
        arrivals: a day, as a share of the customers present at the start.
        tenure_days: mean time since the registration of those present.
        paying: share of those present who pay.
    """

    arrivals: float
    tenure_days: float
    paying: float


@dataclass(frozen=True)
class Recipe:
    """One world's calibration.

    Attributes:
        start: who is there when the log begins.
        visits: sessions a day of a customer with activity 1, by level.
        activity_sd: standard deviation of the logarithm of a customer's activity.
        visits_slope: a unit of satisfaction multiplies visits by `exp(visits_slope)`.
        change: chance to change the level on a day with a visit: free customers upgrade, paying ones downgrade.
        change_slope: the same for satisfaction, by level.
        change_activity: power of the activity in that chance.
        items: items of a median session.
        items_sd: standard deviation of the logarithm of a session's length around its customer's.
        items_customer_sd: the same for customers around the median.
        populations: their shares add up to 1.
        leaving: how customers cancel.
    """

    start: SteadyState | FreshStart
    visits: Pair
    activity_sd: float
    visits_slope: float
    change: Pair
    change_slope: Pair
    change_activity: float
    items: float
    items_sd: float
    items_customer_sd: float
    populations: tuple[Population, ...]
    leaving: LeavingByVisit | LeavingByPage


ENGAGED_STAY: Final = Recipe(
    start=SteadyState(days=1_200),
    visits=(0.165, 0.18),
    activity_sd=0.5,
    visits_slope=0.6,
    change=(0.19, 0.045),
    change_slope=(0.0, -0.3),
    change_activity=-0.5,
    items=51.0,
    items_sd=1.0,
    items_customer_sd=0.1,
    populations=(Population(),),
    leaving=LeavingByVisit(chance=(0.007, 0.0138), slope=-1.7, activity=-1.0, trial=8.0, trial_days=60.0),
)
BASELINE: Final = Recipe(
    start=FreshStart(arrivals=0.0045, tenure_days=70.0, paying=0.74),
    visits=(0.18, 0.22),
    activity_sd=0.75,
    visits_slope=0.1,
    change=(0.19, 0.05),
    change_slope=(0.0, -0.3),
    change_activity=-0.5,
    items=51.0,
    items_sd=0.96,
    items_customer_sd=0.38,
    populations=(
        Population(share=0.25, leaving=0.35, activity=0.8, pages={"Home": 1.4, "Thumbs Up": 1.1, "Thumbs Down": 0.9}),
        Population(share=0.47, leaving=0.75),
        Population(
            share=0.19,
            leaving=2.0,
            activity=1.4,
            items=1.05,
            pages={"Home": 0.4, "Thumbs Up": 0.75, "Thumbs Down": 1.1, "Roll Advert": 1.4},
        ),
        Population(
            share=0.09,
            leaving=4.0,
            activity=1.8,
            items=1.05,
            pages={"Home": 0.2, "Thumbs Up": 0.62, "Thumbs Down": 1.25, "Roll Advert": 1.7},
        ),
    ),
    leaving=LeavingByPage(
        chance={"Downgrade": 0.0155, "Settings": 0.004, "Thumbs Down": 0.004, "Roll Advert": 0.0006}, slope=-0.5
    ),
)
