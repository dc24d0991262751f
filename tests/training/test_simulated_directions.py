"""Directions in which single features point to churn in the default world, beside logs of the real recipe."""

from typing import Final, NamedTuple

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from churn.activity.features import DAY_MS
from training.simulate import SimulationSettings, simulate

pytestmark = pytest.mark.slow


class RealAuc(NamedTuple):
    """The AUC of one feature on a log of 5,000 customers of the real recipe. Above 0.5: more of it, more churn.

    `clear`: its 95 % interval excludes 0.5.
    """

    auc: float
    clear: bool = True


REAL: Final = {
    "thumbs_down_28d": RealAuc(0.624),
    "friends_added_28d": RealAuc(0.587),
    "events_28d": RealAuc(0.587),
    "songs_28d": RealAuc(0.584),
    "help_visits_28d": RealAuc(0.584),
    "playlist_adds_28d": RealAuc(0.582),
    "adverts_28d": RealAuc(0.581),
    "downgrade_visits_28d": RealAuc(0.576),
    "session_minutes_28d": RealAuc(0.575),
    "thumbs_up_28d": RealAuc(0.571),
    "settings_visits_28d": RealAuc(0.570),
    "active_days_28d": RealAuc(0.565),
    "sessions_28d": RealAuc(0.563),
    "errors_28d": RealAuc(0.551),
    "tenure_days": RealAuc(0.500, clear=False),
    "songs_trend": RealAuc(0.496, clear=False),
    "days_since_last_event": RealAuc(0.464),
    "paid": RealAuc(0.538, clear=False),
}
TOLERANCE: Final = 0.05
TRUTH: Final = "probability"
SEEDS: Final = 5
CUSTOMERS: Final = 2_000
DAYS: Final = 62
"""As long as the logs behind `REAL`."""


PAGES: Final = {
    "songs": "NextSong",
    "thumbs_down": "Thumbs Down",
    "friends_added": "Add Friend",
    "help_visits": "Help",
    "playlist_adds": "Add to Playlist",
    "adverts": "Roll Advert",
    "downgrade_visits": "Downgrade",
    "thumbs_up": "Thumbs Up",
    "settings_visits": "Settings",
    "errors": "Error",
}
USED: Final = ["ts", "userId", "sessionId", "page", "level", "registration"]
HORIZON_MS: Final = 30 * DAY_MS

# In SQL, not by the reader and the contract's features: five logs of two million rows would take three times as long.
_CUSTOMERS: Final = f"""
    select userId as customer_id,
        {", ".join(f"count(*) filter (page = '{page}' and recent) as {name}_28d" for name, page in PAGES.items())},
        count(*) filter (recent) as events_28d,
        count(distinct ($as_of - 1 - ts) // {DAY_MS}) filter (recent) as active_days_28d,
        4 * count(*) filter (page = 'NextSong' and ts >= $as_of - {7 * DAY_MS} and ts < $as_of)
            / nullif(count(*) filter (page = 'NextSong' and recent), 0) as songs_trend,
        $as_of - max(ts) filter (ts < $as_of) as days_since_last_event,
        $as_of - any_value(registration) as tenure_days,
        (arg_max(level, ts) filter (ts < $as_of) = 'paid')::int as paid,
        (count(*) filter (page = 'Cancellation Confirmation' and ts >= $as_of) > 0
            or (count(*) filter (page in ('Thumbs Down', 'Submit Downgrade') and ts < $as_of) > 0
                and max(ts) < $as_of))::int as churned
    from (select *, ts >= $as_of - {28 * DAY_MS} and ts < $as_of as recent from log where userId <> '')
    group by userId"""
_SESSIONS: Final = f"""
    select customer_id, count(*) as sessions_28d, avg(lasted) as session_minutes_28d
    from (select userId as customer_id, max(ts) - min(ts) as lasted from log
        where userId <> '' and ts >= $as_of - {28 * DAY_MS} and ts < $as_of group by userId, sessionId)
    group by customer_id"""


@pytest.fixture(scope="module")
def aucs() -> dict[str, float]:
    """The mean AUC over the seeds, by feature, and that of the true probability."""
    logs = [_aucs(seed) for seed in range(1, SEEDS + 1)]
    return {name: float(np.mean([log[name] for log in logs])) for name in (*REAL, TRUTH)}


def _aucs(seed: int) -> dict[str, float]:
    """At the newest snapshot whose label is known."""
    simulation = simulate(SimulationSettings(customers=CUSTOMERS, days=DAYS, seed=seed))
    as_of = int(simulation.ts[-1]) - HORIZON_MS
    log = pa.Table.from_batches(simulation.batches(len(simulation.rows))).select(USED)
    with duckdb.connect() as connection:
        connection.register("log", log)
        customers = connection.execute(_CUSTOMERS, {"as_of": as_of}).df()
        sessions = connection.execute(_SESSIONS, {"as_of": as_of}).df()
    truth = simulation.true_probability(as_of)
    table = truth.merge(customers, validate="one_to_one").merge(sessions, how="left", validate="one_to_one")
    table = table.fillna({"sessions_28d": 0, "session_minutes_28d": 0})
    return {name: _auc(table.churned, table[name]) for name in (*REAL, TRUTH)}


def _auc(label: pd.Series, feature: pd.Series) -> float:
    known = feature.notna()
    return float(roc_auc_score(label[known], feature[known]))


@pytest.mark.parametrize("name", REAL)
def test_a_feature_points_to_churn_as_in_logs_of_the_real_recipe(aucs: dict[str, float], name: str) -> None:
    real, found = REAL[name], aucs[name]
    assert abs(found - real.auc) <= TOLERANCE
    assert not real.clear or (found > 0.5) == (real.auc > 0.5)


def test_nothing_known_could_tell_leavers_much_better_than_in_the_real_recipe(aucs: dict[str, float]) -> None:
    assert 0.74 <= aucs[TRUTH] <= 0.82
