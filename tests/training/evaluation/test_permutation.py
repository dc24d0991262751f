"""Shuffling a measure costs what the ranking owes to it."""

import numpy as np
import pandas as pd
import pytest

from churn.contract import NUMERIC
from churn.model.artifact import Column
from tests.support import synthetic
from training.evaluation.permutation import measures, permutation_importance
from training.forest.fit import ForestSettings
from training.table.split import Fold

SETTINGS = ForestSettings(trees=30, depth=4, leaf=5, jobs=1)


def planted() -> tuple[pd.DataFrame, Fold]:
    """Half of the customers to fit on, half to score; who churns is decided by help visits alone."""
    table = synthetic.training_table(customers=600, snapshots=1)
    visits = np.random.default_rng(3).integers(0, 6, len(table))
    for window in (7, 14, 28):
        table[f"help_visits_{window}d"] = visits
    table["churned"] = (visits >= 4).astype(int)
    half = np.arange(len(table)) < len(table) // 2
    return table, Fold(0, 0, np.flatnonzero(half), np.flatnonzero(~half), np.array([], dtype=np.int64))


def test_the_measure_that_decides_comes_first_and_the_others_cost_nothing() -> None:
    table, fold = planted()
    found = permutation_importance(table, [fold], lambda _: SETTINGS, 1, lambda _: None)
    assert found[0].measure == "help_visits"
    assert found[0].loss.value == pytest.approx(0.5, abs=0.07)
    assert found[0].loss.low > 0.3
    assert max(abs(entry.loss.value) for entry in found[1:]) < 0.02


def test_all_windows_of_a_measure_are_shuffled_together() -> None:
    columns = [Column(feature=name) for name in NUMERIC] + [Column(feature="os", category=c) for c in ("a", "other")]
    found = measures(columns)
    assert {NUMERIC[at] for at in found["songs"]} == {
        "songs_7d",
        "songs_14d",
        "songs_28d",
        "songs_trend",
        "songs_half_life_10d",
        "songs_half_life_30d",
        "songs_per_day_seen_28d",
        "songs_per_day_seen_56d",
    }
    assert found["os"].tolist() == [len(NUMERIC), len(NUMERIC) + 1]
    assert sorted(at for columns_of in found.values() for at in columns_of) == list(range(len(columns)))


def test_the_same_seed_gives_the_same_answer() -> None:
    table, fold = planted()
    small = ForestSettings(trees=10, depth=2, leaf=5, jobs=1)
    once, again = (permutation_importance(table, [fold], lambda _: small, 1, lambda _: None) for _ in range(2))
    assert once == again
