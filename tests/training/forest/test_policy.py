from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import PrecisionTargetError, SettingError
from churn.quality.intervals import share_interval
from training.forest.policy import (
    PolicySettings,
    check,
    choose,
    cost_threshold,
    f1_threshold,
    net_value,
    precision_by_threshold,
    precision_threshold,
    top_share_threshold,
)

COST = PolicySettings("cost", offer_cost=5, kept_value=100, success_rate=0.25)
probabilities = st.lists(st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.5, 0.9]), min_size=2, max_size=40).map(np.array)


def rows(seed: int = 0, customers: int = 600, repeats: int = 2) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    owner = np.repeat(np.arange(customers), repeats)
    probability = np.clip(generator.beta(1, 6, customers)[owner] + generator.normal(0, 0.02, len(owner)), 0.001, 0.99)
    churned = generator.random(len(owner)) < probability
    return pd.DataFrame({"customer_id": owner.astype(str), "churned": churned.astype(int), "probability": probability})


def test_f1_by_hand() -> None:
    probability = np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    assert f1_threshold(probability, np.array([1, 0, 1, 0, 0])) == pytest.approx(0.45)
    assert f1_threshold(probability, np.array([1, 0, 0, 0, 0])) == pytest.approx(0.85)


@given(probability=probabilities, seed=st.integers(0, 1000))
def test_no_other_threshold_has_a_higher_f1(probability: np.ndarray, seed: int) -> None:
    churned = np.random.default_rng(seed).integers(0, 2, len(probability))
    churned[0] = 1

    def f1(threshold: float) -> float:
        flagged = probability >= threshold
        return float(2 * (flagged & (churned == 1)).sum() / (flagged.sum() + churned.sum()))

    assert f1(f1_threshold(probability, churned)) == pytest.approx(max(map(f1, probability)))


@given(probability=probabilities, share=st.floats(0.01, 1))
def test_top_share_flags_as_many_as_fit(probability: np.ndarray, share: float) -> None:
    threshold = top_share_threshold(probability, share)
    flagged = (probability >= threshold).sum()
    assert flagged <= share * len(probability)
    below = probability[probability < threshold]
    if len(below):  # with the next group of equals it would be too many
        assert flagged + (probability == below.max()).sum() > share * len(probability)


@given(probability=probabilities, seed=st.integers(0, 100), share=st.floats(0.05, 0.9))
def test_no_threshold_is_an_observed_probability(probability: np.ndarray, seed: int, share: float) -> None:
    churned = np.random.default_rng(seed).integers(0, 2, len(probability))
    churned[0] = 1
    for threshold in (
        f1_threshold(probability, churned),
        top_share_threshold(probability, share),
        cost_threshold(probability, share),
    ):
        assert threshold not in probability
        assert 0 < threshold < 1


def test_an_offer_goes_to_those_it_pays_for() -> None:
    probability = np.array([0.9, 0.3, 0.2, 0.19, 0.1])
    threshold = choose(pd.DataFrame({"probability": probability, "churned": 0, "customer_id": "a"}), COST).threshold
    assert (probability >= threshold).tolist() == [True, True, True, False, False]
    assert threshold == pytest.approx(0.195)


def test_the_cost_threshold_is_the_best_where_probabilities_are_true() -> None:
    generator = np.random.default_rng(0)
    probability = generator.beta(1, 5, 200_000)
    churned = (generator.random(len(probability)) < probability).astype(float)

    def total(threshold: float) -> float:
        return float(net_value((probability >= threshold).astype(float), churned, COST).sum())

    best = total(cost_threshold(probability, 0.2))
    assert best > max(map(total, (0.0, 0.1, 0.15, 0.27, 0.4)))


def test_value_by_hand() -> None:
    flagged, churned = np.array([1.0, 1, 0, 0]), np.array([1.0, 0, 1, 0])
    assert net_value(flagged, churned, COST).tolist() == [20, -5, 0, 0]


def test_the_bounds_of_precision_are_those_of_the_evaluation() -> None:
    frame = rows()
    table = precision_by_threshold(frame)
    for at in (5, 40, 200, len(table) - 1):
        found = table.iloc[at]
        flagged = frame.probability >= found.threshold
        counts = (
            pd.DataFrame({"hits": flagged * frame.churned, "cases": flagged.astype(float)})
            .groupby(frame.customer_id)
            .sum()
        )
        low, high = share_interval(counts.hits.to_numpy(float), counts.cases.to_numpy(float))
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
        assert found.precision == pytest.approx(frame.churned[flagged].mean())
        assert found.customers == frame.customer_id[flagged].nunique()
        assert found.recall == pytest.approx(frame.churned[flagged].sum() / frame.churned.sum())


def test_precision_takes_the_smallest_threshold_that_can_be_promised() -> None:
    frame = rows()
    table = precision_by_threshold(frame)
    threshold = precision_threshold(frame, 0.25)
    reaching = table[(table.low >= 0.25) & (table.customers >= 30)]
    assert threshold == reaching.threshold.min()
    assert frame.customer_id[frame.probability >= threshold].nunique() >= 30


def test_fewer_than_thirty_customers_promise_nothing() -> None:
    """Twenty certain churners at the top: their precision is 1, and too few to promise it."""
    frame = rows(1, 400, 1)
    top = pd.DataFrame({"customer_id": [f"t{n}" for n in range(20)], "churned": 1, "probability": 0.999})
    with pytest.raises(PrecisionTargetError, match=r"precision 0\.8 cannot be promised: the most that can is 0"):
        precision_threshold(pd.concat([top, frame], ignore_index=True), 0.8)
    with pytest.raises(PrecisionTargetError, match="only 20 are known") as caught:
        precision_threshold(top, 0.5)
    assert caught.value.best is None


def test_a_precision_out_of_reach_stops_and_says_what_can_be_had() -> None:
    frame = rows()
    table = precision_by_threshold(frame)
    best = table[table.customers >= 30].low.max()
    with pytest.raises(PrecisionTargetError, match=f"the most that can is {best:.3f}") as caught:
        choose(frame, PolicySettings("precision", target_precision=0.99))
    assert caught.value.best in set(table.threshold)


def test_a_fallback_takes_over_and_says_so() -> None:
    frame = rows()
    asked = PolicySettings("precision", target_precision=0.99, fallback="top_share", top_share=0.05)
    choice = choose(frame, asked)
    assert choice.policy == "top_share"
    assert choice.threshold == top_share_threshold(frame.probability.to_numpy(), 0.05)
    assert "precision 0.99 cannot be promised" in choice.reason
    assert choose(frame, replace(asked, target_precision=0.2)).policy == "precision"


def test_a_higher_target_never_flags_more() -> None:
    frame = rows(2)
    thresholds = [precision_threshold(frame, target) for target in (0.12, 0.16, 0.2, 0.25)]
    assert thresholds == sorted(thresholds)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PolicySettings("best"), "policy='best': expected one of f1, precision, cost, top_share"),  # type: ignore[arg-type]  # what a user may type
        (PolicySettings("precision"), "target_precision=None"),
        (PolicySettings("precision", target_precision=1.2), "target_precision=1.2"),
        (PolicySettings("precision", target_precision=float("nan")), "target_precision=nan"),
        (PolicySettings("precision", target_precision=0.5, fallback="precision"), "fallback='precision'"),
        (PolicySettings("precision", target_precision=0.5, fallback="top_share"), "top_share=None"),
        (PolicySettings("f1", fallback="cost"), "fallback='cost'"),
        (PolicySettings("top_share", top_share=0), "top_share=0"),
        (PolicySettings("top_share", top_share=1.5), "top_share=1.5"),
        (replace(COST, success_rate=2), "success_rate=2"),
        (replace(COST, kept_value=None), "kept_value=None"),
        (replace(COST, offer_cost=-1), "offer_cost=-1"),
        (replace(COST, offer_cost=25), "no offer ever pays"),
    ],
)
def test_a_wrong_policy_is_refused(settings: PolicySettings, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        check(settings)
    with pytest.raises(SettingError):
        choose(rows(), settings)
