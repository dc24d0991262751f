"""The probability of the label `either`, computed from the process itself.

From the last day of the horizon back to its first, two probabilities are carried for every
satisfaction and level: that the customer does not cancel (`stays`), and that neither a visit
nor a cancellation happens (`silent`). No draw is involved. See Bellman's backward recursion
for Markov chains.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from churn.activity.labels import HORIZON_DAYS, TRIGGERS
from churn.contract import AT_RISK_DAYS
from churn.errors import SettingError
from churn.moments import iso
from training.simulator import pages
from training.simulator.behaviour import FREE, PAID, STATES, Floats, Ints, conditions, transition
from training.simulator.chances import chances
from training.simulator.life import History
from training.simulator.population import DAY_SECONDS, Customers, share_of_day
from training.simulator.sessions import Rows, Sessions
from training.simulator.settings import SimulationSettings

TRIGGER_PAGES: Final = np.array([page.page in TRIGGERS for page in pages.PAGES])
CONFIRMATION: Final = pages.PAGE_OF[pages.CONFIRMATION]
SONG: Final = pages.PAGE_OF[pages.SONG]
CUSTOMERS_AT_ONCE: Final = 4096


@dataclass(frozen=True)
class Past:
    """What is known at a moment, in seconds from the start of the log. `at_risk` numbers customers.

    `level` and `triggered` are per customer at risk.
    """

    second: float
    at_risk: Ints
    level: Ints
    triggered: NDArray[np.bool_]


def past(settings: SimulationSettings, rows: Rows, customers: int, as_of: int) -> Past:
    """Who is at risk at `as_of` (UTC epoch milliseconds), from the rows before it."""
    second = (as_of - settings.start_ms) / 1000
    if not 0 <= second <= settings.days * DAY_SECONDS:
        raise SettingError("as_of", iso(as_of), f"a moment from {iso(settings.start_ms)} to {iso(settings.end_ms)}")
    before = np.flatnonzero(pages.LOGGED_IN[rows.page[: np.searchsorted(rows.second, second)]])
    customer, page = rows.customer[before], rows.page[before]
    last = np.full(customers, -1)
    last[customer] = before  # rows are in the order of time: the last assignment stands
    gone = _gone(rows[before], customers)
    recent = rows.second[last] >= second - AT_RISK_DAYS * DAY_SECONDS if len(rows) else np.zeros(customers, np.bool_)
    at_risk = np.flatnonzero((last >= 0) & recent & ~gone)
    level = rows.level[last[at_risk]].astype(np.int64)
    return Past(second, at_risk, level, _any(customer[TRIGGER_PAGES[page]], customers)[at_risk])


def either(
    settings: SimulationSettings, customers: Customers, history: History, sessions: Sessions, known: Past
) -> Floats:
    """The probability of the label `either` for each customer at risk."""
    day = min(int(known.second // DAY_SECONDS), settings.days)
    state = history.state[day, known.at_risk].astype(np.int64)
    stays, silent = np.ones(len(known.at_risk)), np.ones(len(known.at_risk))
    for start in range(0, len(known.at_risk), CUSTOMERS_AT_ONCE):
        some = slice(start, start + CUSTOMERS_AT_ONCE)
        by_state = _ahead(settings, customers[known.at_risk[some]], known.second)
        one_each = np.arange(len(state[some])), known.level[some], state[some]
        stays[some], silent[some] = by_state[0][one_each], by_state[1][one_each]
    running, leaves = _under_way(settings, customers, history, sessions, known)
    stays *= 1 - leaves
    return 1 - stays + np.where(known.triggered & ~running, silent, 0.0)


def _under_way(
    settings: SimulationSettings, customers: Customers, history: History, sessions: Sessions, known: Past
) -> tuple[NDArray[np.bool_], Floats]:
    """Who is listening right now, and the probability that the session ends with a cancellation.

    It can only if no later one begins on the day on which it began.
    """
    now = np.flatnonzero((sessions.planned < known.second) & (sessions.end >= known.second))
    customer, day = sessions.customer[now], sessions.planned[now] // DAY_SECONDS
    state, level = history.state[day, customer].astype(np.int64), history.level[day, customer].astype(np.int64)
    today, into = divmod(known.second, DAY_SECONDS)
    running, leaves = np.zeros(len(customers), np.bool_), np.zeros(len(customers))
    for when in np.unique(day):
        some = day == when
        who, met = customer[some], conditions(settings, int(when))
        odds = chances(met, customers[who], level[some], state[some], when - customers.born_day[who])
        no_other = np.exp(-odds.visits * (1 - share_of_day(into))) if when == today else 1.0
        running[who], leaves[who] = True, np.maximum(leaves[who], odds.cancel * no_other)
    return running[known.at_risk], leaves[known.at_risk]


def _gone(rows: Rows, customers: int) -> NDArray[np.bool_]:
    """Who has cancelled and not played a song since; the rows are in the order of time."""
    last_song, last_cancellation = np.full(customers, -1), np.full(customers, -1)
    for last, wanted in ((last_song, SONG), (last_cancellation, CONFIRMATION)):
        last[rows.customer[rows.page == wanted]] = rows.second[rows.page == wanted]
    return (last_cancellation >= 0) & (last_cancellation >= last_song)


def _any(customer: Ints, customers: int) -> NDArray[np.bool_]:
    found = np.zeros(customers, np.bool_)
    found[customer] = True
    return found


def _ahead(settings: SimulationSettings, customers: Customers, second: float) -> tuple[Floats, Floats]:
    """`stays` and `silent` over the horizon, by (customer, level, state) at `second`."""
    first_day, into = divmod(second, DAY_SECONDS)
    gone_by = share_of_day(into)
    overnight = transition().T
    stays = np.ones((len(customers), 2, STATES))
    silent = stays.copy()
    for ahead in range(HORIZON_DAYS, -1, -1):
        begin, end = (gone_by if ahead == 0 else 0.0), (gone_by if ahead == HORIZON_DAYS else 1.0)
        step = _step(settings, customers, int(first_day) + ahead, begin, end)
        stays, silent = stays @ overnight, silent @ overnight
        silent = step.no_visit * silent
        stays = step.stays * stays + step.changes * stays[:, ::-1, :]
    return stays, silent


@dataclass(frozen=True)
class _Step:
    """Probabilities of one day, or part of it: no visit; no cancellation, the level the same or changed."""

    no_visit: Floats
    stays: Floats
    changes: Floats


def _step(settings: SimulationSettings, customers: Customers, day: int, begin: float, end: float) -> _Step:
    """The day from the share `begin` of its session starts to the share `end`.

    What ends a day's listening (a change, a cancellation) happens in its last session.
    """
    today = conditions(settings, day)
    level, state = np.array([FREE, PAID])[None, :, None], np.arange(STATES)[None, None, :]
    each = customers[np.arange(len(customers))[:, None, None]]
    odds = chances(today, each, level, state, (day - each.born_day).astype(np.float64))
    last_visit_is_in = (1 - np.exp(-odds.visits * (end - begin))) * np.exp(-odds.visits * (1 - end))
    cancels = last_visit_is_in * odds.cancel
    changes = last_visit_is_in * (1 - odds.cancel) * odds.change
    return _Step(np.exp(-odds.visits * (end - begin)), 1 - cancels - changes, changes)
