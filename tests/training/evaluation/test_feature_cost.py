"""What it costs to leave a feature out, where the answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from churn.quality.figure import Figure
from tests.support import synthetic
from training.evaluation.feature_cost import FeatureCost, feature_cost
from training.forest.fit import ForestSettings, held_out_scores
from training.table.split import Fold, split

WITH = ForestSettings(trees=40, depth=5, leaf=10, jobs=1)
WITHOUT = replace(WITH, without=("gender",))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Gender decides much of who churns, which it must not in the rest of the tests."""
    found = synthetic.training_table(customers=300, snapshots=2)
    chance = np.where(found["gender"] == "F", 0.5, 0.05)
    return found.assign(churned=(np.random.default_rng(5).random(len(found)) < chance).astype(int))


@pytest.fixture(scope="module")
def folds(table: pd.DataFrame) -> tuple[Fold, ...]:
    return split(table, 30, seed=7, folds=2, origins=1).folds


def cost(table: pd.DataFrame, folds: tuple[Fold, ...], settings: ForestSettings) -> FeatureCost:
    held_out = held_out_scores(table, folds, settings, lambda _: None)
    return feature_cost("gender", table, folds, lambda _: settings, held_out, 7, lambda _: None)


def test_what_decides_is_dear(table: pd.DataFrame, folds: tuple[Fold, ...]) -> None:
    found = cost(table, folds, WITH)
    assert found.difference.high < 0
    assert found.seen.value - found.unseen.value == pytest.approx(-found.difference.value)
    assert not found.left_out
    assert "leaving it out costs" in found.sentence


def test_it_is_the_same_from_both_sides(table: pd.DataFrame, folds: tuple[Fold, ...]) -> None:
    here, there = cost(table, folds, WITH), cost(table, folds, WITHOUT)
    assert there.left_out
    assert (there.seen, there.unseen, there.difference) == (here.seen, here.unseen, here.difference)


def test_a_difference_that_may_be_none_is_said_to_be() -> None:
    figure = Figure(0.7, 0.6, 0.8)
    text = FeatureCost("gender", figure, figure, Figure(0.001, -0.01, 0.012), left_out=False).sentence
    assert text.startswith("Gender is one of this model's features; leaving it out makes no difference")
    assert "−0.0100 to +0.0120" in text
