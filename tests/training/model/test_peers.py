"""The peers of a model: groups of customers who stayed, large enough to say what is usual."""

import numpy as np
import pandas as pd
import pytest

from churn.contract import BY_NAME, NAMES
from churn.model.explaining import Explainer
from churn.retention.peers import EVERYBODY, OF_TOPIC
from tests.support import synthetic
from training.forest.fit import FittedForest, ForestSettings, fit
from training.model.peers import peers


@pytest.fixture(scope="module")
def forest() -> FittedForest:
    return fit(synthetic.training_table(150, 4), ForestSettings(trees=20, depth=8, leaf=5, jobs=1))


@pytest.fixture
def stayed() -> pd.DataFrame:
    """30 new customers on the free plan, 30 old ones who pay, and 19 new ones who pay: too few."""
    frame = synthetic.training_table(79, 1, seed=3).reset_index(drop=True)
    frame["level"] = np.repeat(["free", "paid", "paid"], [30, 30, 19])
    frame["tenure_days"] = np.repeat([3.5, 400.0, 3.5], [30, 30, 19])
    return frame.assign(friends_added_7d=2, songs_trend=0.5)


def test_groups_of_twenty_and_more_and_everybody(forest: FittedForest, stayed: pd.DataFrame) -> None:
    found = peers(forest, stayed)
    assert {name: one.customers for name, one in found.items()} == {
        EVERYBODY: 79,
        "free, under 7 days": 30,
        "paid, longer": 30,
    }


def test_what_is_typical_is_the_pace_of_a_whole_window(forest: FittedForest, stayed: pd.DataFrame) -> None:
    found = peers(forest, stayed)
    assert found["paid, longer"].typical["friends_added_7d"] == 2
    assert found["free, under 7 days"].typical["friends_added_7d"] == 4  # 2 in 3.5 days
    assert found["free, under 7 days"].typical["songs_trend"] == 0.5
    assert stayed["friends_added_7d"].eq(2).all()


def test_the_spread_is_that_of_the_contributions_by_topic(forest: FittedForest, stayed: pd.DataFrame) -> None:
    contributions = Explainer(forest.arrays, forest.encoder.columns).contributions(forest.encoder.frame(stayed))
    places = [place for place, name in enumerate(NAMES) if BY_NAME[name].measure == "thumbs_down"]
    expected = contributions[30:60][:, places].sum(axis=1)
    found = peers(forest, stayed)["paid, longer"].spread
    assert found["thumbs_down"] == pytest.approx(expected.std(), abs=1e-6)
    assert set(found) == set(OF_TOPIC)


def test_nobody_stayed(forest: FittedForest, stayed: pd.DataFrame) -> None:
    found = peers(forest, stayed.iloc[:0])
    assert list(found) == [EVERYBODY]
    assert (found[EVERYBODY].customers, found[EVERYBODY].spread) == (0, {})
