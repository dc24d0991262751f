"""A simulated log with what nobody sees in a real one: the state behind it and the true probabilities."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from churn.moments import epoch_ms
from training.simulator import truth
from training.simulator.behaviour import Ints, conditions
from training.simulator.catalogue import catalogue
from training.simulator.columns import Columns
from training.simulator.life import History, lives
from training.simulator.population import Customers
from training.simulator.sessions import Clock, Rows, Sessions, joined, sessions_of_day
from training.simulator.settings import DAY_MS, SimulationSettings

REPORT_EVERY_DAYS: Final = 30


@dataclass(frozen=True)
class Simulation:
    """One simulated log. `rows` are in the order of time."""

    settings: SimulationSettings
    customers: Customers
    history: History
    sessions: Sessions
    rows: Rows

    @cached_property
    def customer_ids(self) -> NDArray[np.str_]:
        """Customer's number to `userId`; the ids say nothing about when a customer came."""
        count, known = len(self.customers), self.settings.customers
        shuffled = self.settings.draws("ids").permutation(min(count, known)) + 1
        return np.concatenate([shuffled, np.arange(known + 1, count + 1)]).astype(str)

    @cached_property
    def ts(self) -> Ints:
        """UTC epoch milliseconds of each row."""
        return self.settings.start_ms + self.rows.second * 1000

    def batches(self, size: int) -> Iterator[pa.RecordBatch]:
        columns = Columns(self.settings, self.customers, self.customer_ids)
        for start in range(0, max(len(self.rows), 1), size):
            yield columns.batch(self.rows[start : start + size])

    def true_probability(self, as_of: datetime | int) -> pd.DataFrame:
        """The true probability of the label `either` for every customer at risk.

        It is the probability, under the simulator's own process, of a *Cancellation
        Confirmation* in the 30 days from `as_of`, or of no event at all in them by a
        customer who did a *Submit Downgrade* or *Thumbs Down* before `as_of`; given the
        customer's satisfaction, level, activity and age at `as_of`, the world to come, and
        whether a session is running.

        Args:
            as_of: a moment of the log, aware or UTC epoch milliseconds.

        Returns:
            `customer_id` and `probability`, ordered by customer id. At risk is who had an
            event in the 30 days before `as_of` and has not cancelled since the newest song.

        Raises:
            SettingError: `as_of` lies outside the log.
        """
        moment = epoch_ms(as_of) if isinstance(as_of, datetime) else int(as_of)
        past = truth.past(self.settings, self.rows, len(self.customers), moment)
        probability = truth.either(self.settings, self.customers, self.history, self.sessions, past)
        table = pd.DataFrame({"customer_id": self.customer_ids[past.at_risk], "probability": probability})
        return table.sort_values("customer_id", ignore_index=True)


def simulate(settings: SimulationSettings, progress: Callable[[str], None] = lambda _: None) -> Simulation:
    """Simulate a log.

    Args:
        settings: what to simulate.
        progress: told a line now and then.
    """
    customers, history = lives(settings)
    progress(f"{len(customers):,} customers live through {settings.days} days")
    songs, clock = catalogue(), Clock.at_start(len(customers))
    sessions, rows = [], []
    for day in range(settings.days):
        draws = settings.draws("sessions", day)
        begun, written = sessions_of_day(day, conditions(settings, day), customers, history, songs, clock, draws)
        sessions.append(begun)
        rows.append(written)
        if (day + 1) % REPORT_EVERY_DAYS == 0:
            progress(f"day {day + 1} of {settings.days}: {sum(map(len, rows)):,} rows so far")
    return Simulation(settings, customers, history, _all_sessions(sessions), _in_time(joined(rows), settings))


def _all_sessions(parts: list[Sessions]) -> Sessions:
    return Sessions(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in Sessions.__annotations__})


def _in_time(rows: Rows, settings: SimulationSettings) -> Rows:
    """Rows in the order of time, each customer's own order kept, without those after the log's end."""
    order = np.argsort(rows.second, kind="stable")
    within = int(np.searchsorted(rows.second[order], settings.days * (DAY_MS // 1000)))
    return rows[order[:within]]
