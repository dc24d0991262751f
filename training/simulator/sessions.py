"""The rows of a day's sessions: which pages, when, which songs."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.simulator import pages
from training.simulator.behaviour import (
    FEWEST_ITEMS,
    MOST_ITEMS,
    STATES,
    Day,
    Ints,
)
from training.simulator.catalogue import Catalogue
from training.simulator.life import History
from training.simulator.population import DAY_SECONDS, Customers, second_of_day
from training.simulator.recipes import LeavingByPage

COUNTERS: Final = 4
"""Session numbers come from this many counters that do not know of each other: two customers may share one."""

PAUSE_S: Final = 60
LOOK_MEDIAN_S: Final = 36.0
LOOK_SD: Final = 1.25
LONGEST_LOOK_S: Final = 1800
NO_SONG: Final = -1


@dataclass(frozen=True)
class Sessions:
    """Sessions, ordered by customer and start. Seconds count from the start of the log.

    `planned` is when the customer would have come, had an earlier session not been
    running; `start` when the first row is. `item_count` counts what the customer asks
    for, not rows.
    """

    customer: Ints
    planned: Ints
    start: Ints
    end: Ints
    number: Ints


@dataclass(frozen=True)
class Rows:
    """Rows of the log, by number. `second` counts from the start of the log; `song` is `NO_SONG` without one."""

    second: Ints
    customer: NDArray[np.int32]
    session: NDArray[np.int32]
    item: NDArray[np.int32]
    page: NDArray[np.uint8]
    level: NDArray[np.uint8]
    song: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.second)

    def __getitem__(self, which: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Rows":
        return Rows(**{name: values[which] for name, values in vars(self).items()})


def joined(parts: list[Rows]) -> Rows:
    return Rows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in Rows.__annotations__})


@dataclass
class Clock:
    """What one day's sessions leave to the next: who is still listening, and the session counters."""

    busy_until: Ints
    sessions: Ints

    @classmethod
    def at_start(cls, customers: int) -> "Clock":
        return cls(np.full(customers, -DAY_SECONDS), np.ones(COUNTERS, np.int64))


@dataclass(frozen=True)
class _Plan:
    """The visits of a day, one element each, ordered by customer and planned start."""

    customer: Ints
    planned: Ints
    first_ever: NDArray[np.bool_]
    cancels: NDArray[np.bool_]
    changes: NDArray[np.bool_]
    state: Ints
    level: Ints
    items: Ints


@dataclass(frozen=True)
class _Pages:
    """Rows before they have a time: session's place in the plan, page, level."""

    session: Ints
    page: Ints
    level: Ints


def sessions_of_day(
    day: int,
    conditions: Day,
    customers: Customers,
    history: History,
    catalogue: Catalogue,
    clock: Clock,
    draws: np.random.Generator,
) -> tuple[Sessions, Rows]:
    """The sessions that begin on a day, and their rows, ordered by customer and time. Moves `clock` on."""
    plan = _plan(day, conditions, customers, history, draws)
    asked = _written_out(_asked_for(plan, conditions, customers, draws))
    first = np.searchsorted(asked.session, np.arange(len(plan.customer)))
    song = np.full(len(asked.page), NO_SONG, np.int32)
    heard = asked.page == pages.PAGE_OF[pages.SONG]
    song[heard] = catalogue.play(int(heard.sum()), draws)
    seconds = np.zeros(len(song), np.int64)
    seconds[heard] = catalogue.seconds[song[heard]].astype(np.int64)
    since = _since_session_start(asked, heard, seconds, first, draws)
    last = np.append(first[1:], len(song)) - 1 if len(first) else first
    start = _one_after_the_other(plan, since[last] + seconds[last] + PAUSE_S, clock)
    number = _session_numbers(plan.customer, start, clock)
    sessions = Sessions(plan.customer, plan.planned, start, start + since[last], number)
    rows = Rows(
        second=start[asked.session] + since,
        customer=plan.customer[asked.session].astype(np.int32),
        session=number[asked.session].astype(np.int32),
        item=(np.arange(len(song)) - first[asked.session]).astype(np.int32),
        page=asked.page.astype(np.uint8),
        level=asked.level.astype(np.uint8),
        song=song,
    )
    return sessions, rows


def _plan(day: int, conditions: Day, customers: Customers, history: History, draws: np.random.Generator) -> _Plan:
    visits = history.visits[day]
    customer = np.repeat(np.arange(len(visits)), visits)
    opens = np.append(True, customer[1:] != customer[:-1])[: len(customer)]
    closes = np.append(customer[1:] != customer[:-1], True)[: len(customer)]
    newcomer = customers.born_day[customer] == day
    first_ever = newcomer & opens
    uniform, born = draws.random(len(customer)), customers.born_second[customer]
    second = np.where(newcomer, born + (uniform * (DAY_SECONDS - born)).astype(np.int64), second_of_day(uniform))
    second = np.where(first_ever, born, second)
    state, level = history.state[day, customer].astype(np.int64), history.level[day, customer].astype(np.int64)
    recipe = conditions.recipe
    size = recipe.items * customers.items[customer] * np.exp(recipe.items_sd * draws.standard_normal(len(customer)))
    decided = history.items[day, customer]
    return _Plan(
        customer=customer,
        planned=day * DAY_SECONDS + second[np.lexsort((second, customer))],
        first_ever=first_ever,
        cancels=closes & history.cancels[day, customer],
        changes=closes & history.changes[day, customer],
        state=state,
        level=level,
        items=np.where(closes & (decided > 0), decided, np.clip(size, FEWEST_ITEMS, MOST_ITEMS).astype(np.int64)),
    )


@dataclass(frozen=True)
class _Asked:
    """Items before they are written out as pages."""

    session: Ints
    item: Ints
    level: Ints


def _asked_for(plan: _Plan, conditions: Day, customers: Customers, draws: np.random.Generator) -> _Asked:
    """What is asked for in each session: an opening, ordinary items, a change of level, a cancellation."""
    session = np.repeat(np.arange(len(plan.items)), plan.items)
    starts = np.cumsum(plan.items) - plan.items
    change_at = starts + 1 + (draws.random(len(starts)) * (plan.items - 1)).astype(np.int64)
    after = plan.changes[session] & (np.arange(len(session)) > change_at[session])
    level = plan.level[session] ^ after
    item = _ordinary(plan, session, level, conditions, customers, draws)
    item[starts] = pages.draw(pages.OPENINGS, plan.level, draws)
    _put(item, starts, plan.first_ever, pages.REGISTRATIONS, plan.level, draws)
    _put(item, change_at, plan.changes & (plan.level == 0), pages.UPGRADES, plan.level, draws)
    _put(item, change_at, plan.changes & (plan.level == 1), pages.DOWNGRADES, plan.level, draws)
    _put_cancellations(item, starts + plan.items - 1, plan, conditions, customers, draws)
    return _Asked(session, item, level)


def _ordinary(
    plan: _Plan, session: Ints, level: Ints, conditions: Day, customers: Customers, draws: np.random.Generator
) -> Ints:
    row = (customers.kind[plan.customer][session] * 2 + level) * STATES + plan.state[session]
    found = np.searchsorted(pages.ordinary_table(conditions), row + draws.random(len(row)), side="right")
    return np.minimum(found - row * len(pages.ORDINARY), len(pages.ORDINARY) - 1)


def _put(
    item: Ints,
    where: Ints,
    which: NDArray[np.bool_],
    group: tuple[pages.Item, ...],
    level: Ints,
    draws: np.random.Generator,
) -> None:
    item[where[which]] = pages.draw(group, level[which], draws)


def _put_cancellations(
    item: Ints, last: Ints, plan: _Plan, conditions: Day, customers: Customers, draws: np.random.Generator
) -> None:
    """Each from a page of its cause: in proportion to the chances where pages make customers leave."""
    if not isinstance(conditions.recipe.leaving, LeavingByPage):
        _put(item, last, plan.cancels, pages.CANCELLATIONS, plan.level, draws)
        return
    which = np.flatnonzero(plan.cancels)
    kind = customers.kind[plan.customer[which]]
    rates = pages.leaving_rates(conditions)[kind, plan.level[which], plan.state[which]]
    item[last[which]] = pages.drawn(pages.CANCELLATIONS, rates, draws)


def _written_out(asked: _Asked) -> _Pages:
    """Items to the rows they are made of."""
    length = pages.LENGTHS[asked.item]
    place = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    page = pages.WRITTEN_OUT[np.repeat(asked.item, length), place]
    return _Pages(np.repeat(asked.session, length), page, np.repeat(asked.level, length))


def _since_session_start(
    asked: _Pages, heard: NDArray[np.bool_], seconds: Ints, first: Ints, draws: np.random.Generator
) -> Ints:
    """Seconds from a session's first row to each of its rows.

    A song starts when the one before it has run its length, or when the customer comes
    back from the pages looked at meanwhile. A redirect answers after a second.
    """
    look = np.exp(np.log(LOOK_MEDIAN_S) + LOOK_SD * draws.standard_normal(len(heard)))
    gap = np.where(pages.REDIRECTS[asked.page], 1, np.clip(look, 1, LONGEST_LOOK_S)).astype(np.int64)
    gap[first] = 0
    looked = np.cumsum(np.where(heard, 0, gap))
    song = np.flatnonzero(heard)
    before, follows = song[:-1], song[1:]
    left = np.maximum(seconds[before] - (looked[follows] - looked[before]), 1)
    gap[follows] = np.where(asked.session[before] == asked.session[follows], left, gap[follows])
    total = np.cumsum(gap)
    return total - total[first][asked.session]


def _one_after_the_other(plan: _Plan, lasts: Ints, clock: Clock) -> Ints:
    """When each session starts: when planned, or when the customer's session before it is over."""
    start = np.empty_like(plan.planned)
    rank = _rank_within(plan.customer)
    for turn in range(rank.max(initial=-1) + 1):
        now = np.flatnonzero(rank == turn)
        customer = plan.customer[now]
        start[now] = np.maximum(plan.planned[now], clock.busy_until[customer])
        clock.busy_until[customer] = start[now] + lasts[now]
    return start


def _session_numbers(customer: Ints, start: Ints, clock: Clock) -> Ints:
    counter = customer % COUNTERS
    order = np.lexsort((start, counter))
    number = np.empty_like(customer)
    number[order] = clock.sessions[counter[order]] + _rank_within(counter[order])
    clock.sessions += np.bincount(counter, minlength=COUNTERS)
    return number


def _rank_within(groups: Ints) -> Ints:
    """0, 1, 2, … within each run of equal elements."""
    place = np.arange(len(groups))
    opens = np.append(True, groups[1:] != groups[:-1])[: len(groups)]
    return place - np.maximum.accumulate(np.where(opens, place, 0))
