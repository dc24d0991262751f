import numpy as np
import pytest

from churn.contract import Customer, example_customer
from churn.model.scoring import Encoder, Scorer
from tests.support import synthetic
from training.forest.fit import ForestSettings, fit, with_nulls
from training.table.bodies import customers


@pytest.fixture(scope="module")
def scorer(champion) -> Scorer:
    return Scorer(champion.model)


def test_the_service_encodes_exactly_as_training_does(champion) -> None:
    """Training-serving skew would show here: the same rows, once as a frame and once through JSON."""
    table = with_nulls(champion.table.head(300))
    rows = [Customer.model_validate(row) for row in customers(table)]
    encoder = champion.trained.fitted.encoder
    assert np.array_equal(encoder.rows(rows), encoder.frame(table))


def test_onnx_equals_scikit_learn_with_nulls_in_every_nullable_column(champion, scorer: Scorer) -> None:
    fitted = champion.trained.fitted
    matrix = fitted.encoder.frame(with_nulls(champion.table))
    gap = np.abs(scorer.score(matrix) - fitted.classifier.predict_proba(matrix)[:, 1])
    assert gap.max() < 1e-7


@pytest.mark.parametrize("seed", range(5))
def test_onnx_equals_scikit_learn_on_deep_forests(seed: int) -> None:
    table = synthetic.training_table(120, 4, seed)
    fitted = fit(table, ForestSettings(trees=10, depth=30, leaf=1, seed=seed, jobs=1, groups=synthetic.ALL_GROUPS))
    matrix = fitted.encoder.frame(synthetic.training_table(120, 4, seed + 100))
    assert np.abs(fitted.score(matrix) - fitted.classifier.predict_proba(matrix)[:, 1]).max() < 1e-7


def _column(encoder: Encoder, feature: str, category: str | None = None) -> int:
    return [(c.feature, c.category) for c in encoder.columns].index((feature, category))


def test_null_and_unseen_values_have_a_defined_place(scorer: Scorer) -> None:
    rows = [
        Customer.model_validate(example_customer() | change)
        for change in ({"os": "Windows"}, {"os": "BeOS"}, {"os": None}, {"tenure_days": None})
    ]
    matrix = scorer.encoder.rows(rows)
    known, other = _column(scorer.encoder, "os", "Windows"), _column(scorer.encoder, "os", "other")
    assert matrix[:3, [known, other]].tolist() == [[1, 0], [0, 1], [0, 0]]
    assert matrix[3, _column(scorer.encoder, "tenure_days")] == -1


def test_probability_rises_with_the_score(scorer: Scorer) -> None:
    probability = scorer.probability(np.linspace(0, 1, 1001))
    assert (np.diff(probability) > 0).all()
    assert 0 < probability[0] < probability[-1] < 1


def test_flags_are_the_probabilities_at_or_above_the_threshold(scorer: Scorer) -> None:
    t = scorer.threshold
    assert scorer.flags(np.array([np.nextafter(t, 0), t, np.nextafter(t, 1)])).tolist() == [False, True, True]


def test_one_row_scores_as_it_does_among_many(champion, scorer: Scorer) -> None:
    matrix = scorer.encoder.frame(champion.table)
    together = scorer.score(matrix)
    assert [scorer.score(matrix[i : i + 1])[0] for i in range(50)] == together[:50].tolist()
