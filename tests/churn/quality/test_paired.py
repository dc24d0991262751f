"""The interval of a difference between models on the same rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from churn.quality.measures import average_precision
from churn.quality.paired import Paired, paired


def judged(customers: int = 400, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, pd.Series]:
    generator = np.random.default_rng(seed)
    churned = (generator.random(customers) < 0.2).astype(float)
    signal = churned + generator.normal(0, 1.5, customers)
    scores = pd.DataFrame(
        {
            "good": signal,
            "twin": 2 * signal + 1,
            "nearly": signal + generator.normal(0, 0.1, customers),
            "noise": generator.normal(size=customers),
        }
    )
    return scores, churned, pd.Series([str(number) for number in range(customers)])


@pytest.fixture(scope="module")
def found() -> Paired:
    return paired(*judged(), seed=1, resamples=300)


def test_the_value_is_the_metric_on_all_rows(found: Paired) -> None:
    scores, churned, _ = judged()
    assert found.figure("good").value == pytest.approx(roc_auc_score(churned, scores["good"]), abs=1e-12)


def test_models_that_rank_alike_differ_by_nothing_in_every_draw(found: Paired) -> None:
    gap = found.difference("twin", "good")
    assert (gap.value, gap.low, gap.high) == (0.0, 0.0, 0.0)


def test_a_difference_turns_its_sign_with_its_sides(found: Paired) -> None:
    here, there = found.difference("good", "noise"), found.difference("noise", "good")
    assert (here.value, here.low, here.high) == pytest.approx((-there.value, -there.high, -there.low))


def test_models_that_are_alike_are_told_apart_better_than_their_own_intervals_could(found: Paired) -> None:
    gap, own = found.difference("nearly", "good"), found.figure("good")
    assert gap.high - gap.low < 0.3 * (own.high - own.low)


def test_a_better_model_is_better_beyond_doubt(found: Paired) -> None:
    assert found.difference("good", "noise").low > 0


def test_rows_repeated_under_the_same_customer_do_not_narrow_the_interval() -> None:
    scores, churned, customers = judged(150)
    once = paired(scores, churned, customers, seed=3, resamples=400).figure("good")
    thrice = paired(
        pd.concat([scores] * 3), np.tile(churned, 3), pd.concat([customers] * 3), seed=3, resamples=400
    ).figure("good")
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), abs=1e-12)


def test_another_metric_can_be_compared() -> None:
    scores, churned, customers = judged()
    found = paired(scores, churned, customers, seed=1, metric=average_precision, resamples=50)
    assert found.figure("noise").value == pytest.approx(churned.mean(), abs=0.05)
    assert found.difference("good", "noise").value > 0.1
