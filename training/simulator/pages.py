"""The pages of the service, and how often each is asked for at a given level and satisfaction.

A session is a row of items. Most items are one page; some are a few in a row (*Settings*,
*Save Settings*). Rates are per thousand songs.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from training.simulator.behaviour import FREE, MARKETS, PAID, SATISFACTION, STATES, Day, Floats
from training.simulator.recipes import BASELINE, ENGAGED_STAY, LeavingByPage, Population, Recipe


@dataclass(frozen=True)
class Page:
    """One kind of row. `logged_in`: the row knows its customer."""

    page: str
    auth: str = "Logged In"
    method: str = "GET"
    status: int = 200

    @property
    def logged_in(self) -> bool:
        return self.auth in ("Logged In", "Cancelled")


@dataclass(frozen=True)
class Item:
    """Pages asked for one after the other; how often, per thousand songs, by level; its slope.

    A unit of satisfaction multiplies the rate by `exp(slope)`.
    """

    pages: tuple[Page, ...]
    free: float = 0.0
    paid: float = 0.0
    slope: float = 0.0


SONG: Final = Page("NextSong", method="PUT")
HOME: Final = Page("Home")
ADVERT: Final = Page("Roll Advert")
THUMBS_DOWN: Final = Page("Thumbs Down", method="PUT", status=307)
SETTINGS: Final = Page("Settings")
DOWNGRADE: Final = Page("Downgrade")
CANCEL: Final = Page("Cancel", method="PUT", status=307)
CONFIRMATION: Final = Page("Cancellation Confirmation", auth="Cancelled")
SUBMIT_DOWNGRADE: Final = Page("Submit Downgrade", method="PUT", status=307)
SUBMIT_UPGRADE: Final = Page("Submit Upgrade", method="PUT", status=307)
SUBMIT_REGISTRATION: Final = Page("Submit Registration", auth="Guest", method="PUT", status=307)
LOGOUT: Final = Page("Logout", method="PUT", status=307)
OUT_HOME: Final = Page("Home", auth="Logged Out")
OUT_ABOUT: Final = Page("About", auth="Logged Out")
OUT_HELP: Final = Page("Help", auth="Logged Out")
OUT_ERROR: Final = Page("Error", auth="Logged Out", status=404)
LOGIN: Final = Page("Login", auth="Logged Out", method="PUT", status=307)
GUEST_HOME: Final = Page("Home", auth="Guest")
GUEST_HELP: Final = Page("Help", auth="Guest")
REGISTER: Final = Page("Register", auth="Guest")

# What a customer does again and again within a session.
ORDINARY: Final = (
    Item((SONG,), 1000, 1000),
    Item((HOME,), 35, 25, 0.1),
    Item((Page("Thumbs Up", method="PUT", status=307),), 51, 57),
    Item((THUMBS_DOWN,), 13.0, 10.3, -0.2),
    Item((Page("Add to Playlist", method="PUT"),), 28.0, 29.0),
    Item((Page("Add Friend", method="PUT", status=307),), 19.5, 18.5),
    Item((ADVERT,), 47, 6.0),
    Item((DOWNGRADE,), 0, 11.5, -0.3),
    Item((Page("Upgrade"),), 8, 0),
    Item((Page("Help"),), 7.8, 6.8),
    Item((SETTINGS,), 6.6, 5.0, -0.2),
    Item((SETTINGS, Page("Save Settings", method="PUT", status=307), HOME), 1.7, 1.3, -0.2),
    Item((Page("About"),), 2.8, 2.6),
    Item((Page("Error", status=404),), 1.1, 1.1),
    Item((LOGOUT, OUT_HOME, LOGIN, HOME), 10.0, 5.9),
    Item((LOGOUT, OUT_HOME, OUT_HOME, LOGIN, HOME), 4.2, 2.4),
    Item((LOGOUT, OUT_HOME, OUT_ABOUT, LOGIN, HOME), 2.3, 1.35),
    Item((LOGOUT, OUT_HOME, OUT_HELP, OUT_HOME, LOGIN, HOME), 1.5, 0.85),
    Item((LOGOUT, OUT_HOME, OUT_ERROR, OUT_HOME, LOGIN, HOME), 0.03, 0.03),
)
_ENGAGED_STAY: Final[tuple[tuple[float, float, float], ...]] = (
    (1000, 1000, 0),
    (20, 11, 0.6),
    (51, 56.5, 0),
    (16.5, 13.7, -0.37),
    (10.3, 11.1, 0.8),
    (6.7, 6.2, 0.9),
    (85, 1.0, -0.15),
    (0, 17.3, -0.7),
    (8, 0, 0),
    (11.0, 9.2, -1.1),
    (7.4, 5.7, -0.2),
    (1.9, 1.45, -0.2),
    (2.8, 2.6, 0),
    (1.7, 1.7, -1.2),
    (10.0, 5.9, 0),
    (4.2, 2.4, 0),
    (2.3, 1.35, 0),
    (1.5, 0.85, 0),
    (0.03, 0.03, 0),
)
"""Rates and slope of the same items where satisfaction drives everything."""
ENGAGED_STAY_ORDINARY: Final = tuple(
    replace(item, free=free, paid=paid, slope=slope)
    for item, (free, paid, slope) in zip(ORDINARY, _ENGAGED_STAY, strict=True)
)
# How a session begins: the share of each.
OPENINGS: Final = (
    Item((SONG,), 0.5, 0.5),
    Item((HOME,), 0.3, 0.3),
    Item((OUT_HOME, LOGIN, HOME), 0.14, 0.14),
    Item((LOGIN, HOME), 0.06, 0.06),
)
REGISTRATIONS: Final = (
    Item((GUEST_HOME, REGISTER, SUBMIT_REGISTRATION, HOME), 0.8, 0.8),
    Item((GUEST_HOME, GUEST_HELP, REGISTER, SUBMIT_REGISTRATION, HOME), 0.2, 0.2),
)
UPGRADES: Final = (Item((Page("Upgrade"), SUBMIT_UPGRADE), 1, 1),)
DOWNGRADES: Final = (Item((DOWNGRADE, SUBMIT_DOWNGRADE), 1, 1),)
CANCELLATIONS: Final = (
    Item((DOWNGRADE, CANCEL, CONFIRMATION), 0, 0.45),
    Item((SETTINGS, CANCEL, CONFIRMATION), 0.45, 0.35),
    Item((THUMBS_DOWN, CANCEL, CONFIRMATION), 0.2, 0.2),
    Item((ADVERT, CANCEL, CONFIRMATION), 0.35, 0),
)
GROUPS: Final = (ORDINARY, OPENINGS, REGISTRATIONS, UPGRADES, DOWNGRADES, CANCELLATIONS)
ITEMS: Final = tuple(item for group in GROUPS for item in group)
PAGES: Final = tuple(dict.fromkeys(page for item in ITEMS for page in item.pages))

NEW_MARKET_FACTORS: Final = {"Add to Playlist": 1.8, "Thumbs Up": 0.6, "Roll Advert": 1.4, "Help": 1.6}

PAGE_OF: Final = {page: number for number, page in enumerate(PAGES)}
LOGGED_IN: Final[NDArray[np.bool_]] = np.array([page.logged_in for page in PAGES])
REDIRECTS: Final[NDArray[np.bool_]] = np.array([page.status == 307 for page in PAGES])
LENGTHS: Final = np.array([len(item.pages) for item in ITEMS])
WRITTEN_OUT: Final = np.array(
    [[PAGE_OF[page] for page in item.pages] + [0] * (LENGTHS.max() - len(item.pages)) for item in ITEMS]
)
"""Pages by (item, position)."""


def first_of(group: tuple[Item, ...]) -> int:
    """Number of a group's first item among all items."""
    return sum(len(earlier) for earlier in GROUPS[: GROUPS.index(group)])


def draw(group: tuple[Item, ...], levels: NDArray[np.int64], draws: np.random.Generator) -> NDArray[np.int64]:
    """One item of the group for each level."""
    shares = np.array([[item.free for item in group], [item.paid for item in group]])
    return drawn(group, shares[levels], draws)


def drawn(group: tuple[Item, ...], rates: Floats, draws: np.random.Generator) -> NDArray[np.int64]:
    """One item of the group for each row of rates, in proportion to them."""
    shares = np.cumsum(rates, axis=1)
    passed = shares <= draws.random(len(rates))[:, None] * shares[:, -1:]
    number: NDArray[np.int64] = first_of(group) + passed.sum(axis=1)
    return number


def ordinary_table(day: Day) -> Floats:
    """Cumulative shares of the ordinary items, one row per (kind, level, state), flattened and rising.

    Row `r` runs from `r` to `r + 1`, so that `searchsorted(table, r + u)` draws from it.
    """
    return _table(_Conditions.of(day))


def leaving_rates(day: Day) -> Floats:
    """Cancellations per item of a session by (kind, level, state, item of `CANCELLATIONS`), where pages cause them."""
    return _leaving_rates(_Conditions.of(day))


@dataclass(frozen=True)
class _Conditions:
    """Keys of the rates: the facts that they depend on."""

    engaged_stay: bool
    adverts: float
    shift: tuple[float, float]

    @classmethod
    def of(cls, day: Day) -> Self:
        return cls(day.recipe is ENGAGED_STAY, day.adverts, (float(day.shift[FREE]), float(day.shift[PAID])))

    @property
    def recipe(self) -> Recipe:
        return ENGAGED_STAY if self.engaged_stay else BASELINE

    @property
    def felt(self) -> Floats:
        felt: Floats = SATISFACTION[None, :] + np.array(self.shift)[:, None]
        return felt


@cache
def _table(conditions: _Conditions) -> Floats:
    table = np.cumsum(_rates(conditions).reshape(-1, len(ORDINARY)), axis=1)
    table /= table[:, -1:]
    flat: Floats = (table + np.arange(len(table))[:, None]).ravel()
    return flat


def _rates(conditions: _Conditions) -> Floats:
    """Per thousand songs by (kind, level, state, ordinary item); the kinds of the new market follow those at home."""
    items = ENGAGED_STAY_ORDINARY if conditions.engaged_stay else ORDINARY
    home = np.stack([_rates_of(items, each, conditions) for each in conditions.recipe.populations])
    return np.concatenate([home, home * np.array([_abroad(item) for item in items])])


def _rates_of(items: tuple[Item, ...], population: Population, conditions: _Conditions) -> Floats:
    rates = np.empty((2, STATES, len(items)))
    for number, item in enumerate(items):
        own = population.pages.get(item.pages[0].page, 1.0)
        for level, rate in ((FREE, item.free * _more_adverts(item, conditions.adverts)), (PAID, item.paid)):
            rates[level, :, number] = rate * own * np.exp(item.slope * conditions.felt[level])
    return rates


@cache
def _leaving_rates(conditions: _Conditions) -> Floats:
    recipe = conditions.recipe
    if not isinstance(recipe.leaving, LeavingByPage):
        raise TypeError("pages cause nobody to leave in this world")
    rates = _rates(conditions)
    shares = rates / rates.sum(axis=-1, keepdims=True)
    found = np.zeros((*shares.shape[:-1], len(CANCELLATIONS)))
    for number, cancellation in enumerate(CANCELLATIONS):
        cause = cancellation.pages[0]
        visits = shares[..., [item.pages[0] == cause for item in ORDINARY]].sum(axis=-1)
        found[..., number] = visits * recipe.leaving.chance[cause.page]
    leaving = np.array([each.leaving for each in recipe.populations] * MARKETS)
    result: Floats = found * leaving[:, None, None, None] * np.exp(recipe.leaving.slope * conditions.felt)[..., None]
    return result


def _more_adverts(item: Item, factor: float) -> float:
    return factor if item.pages == (ADVERT,) else 1.0


def _abroad(item: Item) -> float:
    return NEW_MARKET_FACTORS.get(item.pages[0].page, 1.0) if len(item.pages) == 1 else 1.0
