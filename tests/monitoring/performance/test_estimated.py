"""Performance estimated without labels: right where the calibration is, and wrong, as it says, where it is not."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from monitoring.findings.performance import EstimatedPerformance
from monitoring.performance.estimated import ESTIMATED, Answers, estimate

THRESHOLD = 0.25
REPETITIONS = 200
DRAWS = 150


def grouped(probability: np.ndarray, threshold: float = THRESHOLD) -> Answers:
    values, counts = np.unique(np.round(probability, 3), return_counts=True)
    return Answers(values, (values >= threshold).astype(float), counts.astype(float))


def realised(probability: np.ndarray, churned: np.ndarray) -> dict[str, float]:
    flagged = np.round(probability, 3) >= THRESHOLD
    return {
        "auc": roc_auc_score(churned, probability),
        "f1": f1_score(churned, flagged),
        "precision": precision_score(churned, flagged),
        "recall": recall_score(churned, flagged),
    }


def covered(estimated: EstimatedPerformance, truth: dict[str, float]) -> dict[str, bool]:
    return {name: figure.low <= truth[name] <= figure.high for name, figure in estimated.metrics.named()}


def share_covered(cases: list[dict[str, bool]]) -> dict[str, float]:
    return {name: float(np.mean([case[name] for case in cases])) for name in ESTIMATED}


def test_the_values_are_those_of_fractional_outcomes() -> None:
    """Each customer counts as `p` churners and `1 - p` stayers; scikit-learn says the same of such weights."""
    probability = np.array([0.05, 0.1, 0.1, 0.2, 0.3, 0.3, 0.6, 0.9])
    found = estimate(grouped(probability), draws=20)
    outcomes = np.repeat([1, 0], len(probability))
    weight = np.concatenate([probability, 1 - probability])
    twice = np.tile(probability, 2)
    flagged = twice >= THRESHOLD
    assert found.customers == 8
    assert found.expected_churners == pytest.approx(2.55)
    expected = {
        "auc": roc_auc_score(outcomes, twice, sample_weight=weight),
        "f1": f1_score(outcomes, flagged, sample_weight=weight),
        "precision": precision_score(outcomes, flagged, sample_weight=weight),
        "recall": recall_score(outcomes, flagged, sample_weight=weight),
    }
    assert expected["precision"] == pytest.approx((0.3 + 0.3 + 0.6 + 0.9) / 4)
    assert {name: figure.value for name, figure in found.metrics.named()} == pytest.approx(expected)


def test_where_the_calibration_is_right_the_interval_covers_what_comes_about_95_percent_of_the_time() -> None:
    generator = np.random.default_rng(1)
    cases = []
    for seed in range(REPETITIONS):
        probability = generator.beta(1.5, 8, 800)
        churned = generator.random(800) < probability
        cases.append(covered(estimate(grouped(probability), seed=seed, draws=DRAWS), realised(probability, churned)))
    for name, share in share_covered(cases).items():
        assert 0.90 <= share <= 0.99, (name, share)


def fitted_calibration(score: np.ndarray, churned: np.ndarray) -> tuple[float, float]:
    found = LogisticRegression(C=np.inf).fit(score[:, None], churned)
    return float(found.intercept_[0]), float(found.coef_[0, 0])


def test_the_interval_knows_that_the_calibration_was_fitted_to_few_customers() -> None:
    generator = np.random.default_rng(2)
    allowing, believing = [], []
    for seed in range(REPETITIONS):
        score = generator.normal(size=400 + 1_500)
        churned = generator.random(len(score)) < expit(-2 + score)
        intercept, slope = fitted_calibration(score[:400], churned[:400])
        probability = expit(intercept + slope * score)
        answers, truth = grouped(probability[400:]), realised(probability[400:], churned[400:])
        allowing.append(covered(estimate(answers, probability[:400], seed, DRAWS), truth))
        believing.append(covered(estimate(answers, None, seed, DRAWS), truth))
    allowed, believed = share_covered(allowing), share_covered(believing)
    for name in ESTIMATED:
        assert 0.90 <= allowed[name] <= 0.995, (name, allowed[name])
        assert believed[name] < allowed[name]
    assert believed["precision"] < 0.85


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_where_the_world_changed_its_ways_the_estimate_does_not_see_it(shift: float) -> None:
    """Concept drift: the same customers leave less, or more, than their probabilities say."""
    generator = np.random.default_rng(3)
    cases = []
    for seed in range(50):
        probability = generator.beta(1.5, 8, 2_000)
        churned = generator.random(2_000) < expit(logit(probability) + shift)
        cases.append(covered(estimate(grouped(probability), seed=seed, draws=DRAWS), realised(probability, churned)))
    assert share_covered(cases)["precision"] < 0.1
    assert "cannot see" in estimate(grouped(np.array([0.1, 0.3])), draws=5).blind_spot


def test_it_sees_that_the_customers_changed() -> None:
    """Covariate shift: others come, and what is known of them still holds."""
    generator = np.random.default_rng(4)
    before, after = expit(generator.normal(-2, 1.5, 20_000)), expit(generator.normal(-2, 0.5, 20_000))
    truth = realised(after, generator.random(20_000) < after)
    first, second = (estimate(grouped(side), draws=DRAWS).metrics.auc for side in (before, after))
    assert first is not None
    assert second is not None
    assert first.value - second.value > 0.1
    assert second.value == pytest.approx(truth["auc"], abs=0.02)


def test_more_customers_narrow_the_interval() -> None:
    probability = np.random.default_rng(5).beta(1.5, 8, 500)

    def width(times: int) -> float:
        figure = estimate(grouped(np.tile(probability, times)), draws=DRAWS).metrics.auc
        assert figure is not None
        return figure.high - figure.low

    assert width(100) == pytest.approx(width(1) / 10, rel=0.3)


def test_what_is_not_defined_is_null() -> None:
    nobody = estimate(grouped(np.full(300, 0.01), threshold=0.5), draws=20).metrics.model_dump(exclude_unset=True)
    assert nobody["precision"] == {"value": None, "low": None, "high": None}
    assert nobody["recall"]["value"] == 0
    assert nobody["auc"]["value"] == 0.5


def test_the_same_answers_give_the_same_estimate() -> None:
    probability = np.random.default_rng(6).beta(1.5, 8, 500)
    one, same, other = (estimate(grouped(probability), probability, seed, 50) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_a_reference_without_any_spread_does_not_break_it() -> None:
    precision = estimate(grouped(np.full(300, 0.3)), np.full(100, 0.3), draws=50).metrics.precision
    assert precision is not None
    assert precision.value == pytest.approx(0.3)
