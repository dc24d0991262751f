import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, precision_score, recall_score
from sklearn.metrics import roc_auc_score as sklearn_auc

from churn.errors import NotEnoughDataError
from churn.quality.figure import Figure
from churn.quality.intervals import cluster_weights, distance_interval, percentile, share_interval
from churn.quality.measures import METRICS, Judged, auc, calibration_error, calibration_gaps, lift
from training.evaluation.evaluate import Evaluation, cross_fitted, evaluate
from training.forest.fit import ScoredRows
from training.forest.policy import PolicySettings


def population(seed: int, customers: int, most_rows: int = 1) -> pd.DataFrame:
    """Customers with one to `most_rows` rows; what they share shows in the score and in the outcome."""
    generator = np.random.default_rng(seed)
    owner = np.repeat(np.arange(customers), generator.integers(1, most_rows + 1, customers))
    shown, hidden = generator.normal(size=(2, customers))[:, owner]
    noise = generator.normal(size=len(owner))
    churned = generator.random(len(owner)) < expit(-2.2 + 0.9 * shown + 0.3 * noise + 0.6 * hidden)
    probability = expit(-2.1 + 0.8 * shown + 0.27 * noise)
    return pd.DataFrame(
        {
            "customer_id": owner.astype(str),
            "as_of": 1_546_300_800_000,
            "churned": churned.astype(int),
            "score": probability,
            "probability": probability,
            "flagged": probability > 0.22,
        }
    )


def weighted(rows: pd.DataFrame, seed: int) -> tuple[Judged, np.ndarray]:
    return Judged.of(rows), np.random.default_rng(seed).integers(0, 4, len(rows)).astype(float)


@pytest.mark.parametrize("seed", range(5))
def test_the_measures_are_scikit_learns_with_ties_and_weights(seed: int) -> None:
    rows = population(seed, 150, 3)
    rows["score"] = rows["score"].round(2)
    judged, weight = weighted(rows, seed)
    y, score, flagged = rows.churned, rows["score"], rows.flagged
    expected = {
        "auc": sklearn_auc(y, score, sample_weight=weight),
        "average_precision": average_precision_score(y, score, sample_weight=weight),
        "brier": brier_score_loss(y, rows.probability, sample_weight=weight),
        "precision": precision_score(y, flagged, sample_weight=weight),
        "recall": recall_score(y, flagged, sample_weight=weight),
        "f1": f1_score(y, flagged, sample_weight=weight),
    }
    for name, value in expected.items():
        assert METRICS[name](judged, weight) == pytest.approx(value, abs=1e-12), name


@given(seed=st.integers(0, 10_000))
def test_weights_are_copies_of_rows(seed: int) -> None:
    rows = population(seed, 40, 3)
    judged, weight = weighted(rows, seed)
    copies = rows.loc[rows.index.repeat(weight.astype(int))]
    if copies.churned.nunique() < 2:
        return
    even = np.ones(len(copies))
    for name in set(METRICS) - {"calibration_error"}:  # its bins are those of all rows
        assert METRICS[name](judged, weight) == pytest.approx(METRICS[name](Judged.of(copies), even), abs=1e-12), name


def test_lift_by_hand() -> None:
    score = np.linspace(1, 0, 20)
    churned = np.zeros(20)
    churned[[0, 3, 9, 15]] = 1
    judged = Judged(churned, score, score, churned)
    assert lift(0.05)(judged, np.ones(20)) == pytest.approx(1 / (0.05 * 4))
    assert lift(0.10)(judged, np.ones(20)) == pytest.approx(1 / (0.10 * 4))
    assert lift(0.20)(judged, np.ones(20)) == pytest.approx(2 / (0.20 * 4))
    assert lift(0.10)(Judged(churned, np.ones(20), score, churned), np.ones(20)) == pytest.approx(1)


def test_calibration_error_by_hand() -> None:
    probability = np.repeat([0.1, 0.3], 10)
    churned = np.zeros(20)
    churned[[0, 10, 11, 12, 13, 14, 15]] = 1  # 10 % of the first ten, 60 % of the others
    assert calibration_error(Judged(churned, probability, probability, churned), np.ones(20)) == pytest.approx(0.15)


def _coverage(seed: int, customers: int, most_rows: int, truth: dict[str, float]) -> dict[str, bool]:
    rows = population(seed, customers, most_rows)
    found = evaluate(rows, "", seed, resamples=120).figures
    return {name: found[name].low <= value <= found[name].high for name, value in truth.items()}


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """150 samples of 250 customers with up to four rows; three standard errors around 95 % reach down to 0.90."""
    everyone = Judged.of(population(99, 150_000, 4))
    truth = {name: METRICS[name](everyone, np.ones(len(everyone.churned))) for name in METRICS}
    held = pd.DataFrame([_coverage(seed, 250, 4, truth) for seed in range(150)]).mean()
    assert (held >= 0.89).all(), held.to_dict()
    assert held["auc"] < 1


def test_rows_drawn_one_by_one_would_promise_too_much() -> None:
    """Eight equal rows of a customer are one piece of knowledge: the interval must not shrink with copies."""
    rows = population(3, 150)
    copies = pd.concat([rows] * 8)
    once, eight = (evaluate(frame, "", 0, 200).figures["auc"] for frame in (rows, copies))
    assert (eight.low, eight.high) == pytest.approx((once.low, once.high), abs=1e-9)
    alone = copies.assign(customer_id=np.arange(len(copies)).astype(str))
    naive = evaluate(alone, "", 0, 200).figures["auc"]
    assert naive.high - naive.low < 0.6 * (once.high - once.low)


def test_two_of_two_is_not_certain() -> None:
    low, high = share_interval(np.array([1.0, 1.0]), np.array([1.0, 1.0]))
    assert low == pytest.approx(0.342, abs=1e-3)
    assert high == pytest.approx(1)
    assert share_interval(np.array([0.0]), np.array([0.0])) == (0.0, 1.0)


def test_a_share_of_single_rows_has_wilsons_interval() -> None:
    hits = np.array([1.0] * 12 + [0.0] * 28)
    low, high = share_interval(hits, np.ones(40))
    assert (low, high) == pytest.approx((0.181, 0.454), abs=0.003)


def test_distance_interval_reaches_zero_where_there_is_only_noise() -> None:
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 0.01, 10)
    low, high = distance_interval(noise, noise + generator.normal(0, 0.01, (500, 10)))
    assert low == 0
    assert high > np.abs(noise).sum()
    far = np.full(10, 0.05)
    low, high = distance_interval(far, far + generator.normal(0, 0.01, (500, 10)))
    assert 0.3 < low < 0.5 < high < 0.6


def test_all_rows_of_a_customer_are_drawn_together() -> None:
    owner = pd.Series(["a", "b", "a", "c", "b"])
    for weight in cluster_weights(owner, 0, 50):
        assert weight[0] == weight[2]
        assert weight[1] == weight[4]
        assert weight[0] + weight[1] + weight[3] == 3


def test_the_same_seed_draws_the_same() -> None:
    rows = population(1, 100, 3)
    assert evaluate(rows, "", 5, 50) == evaluate(rows, "", 5, 50)
    assert evaluate(rows, "", 5, 50) != evaluate(rows, "", 6, 50)


def test_every_figure_lies_in_its_interval_and_names_its_customers() -> None:
    rows = population(2, 400, 3)
    found = evaluate(rows, "other customers", 0, 100)
    assert set(found.figures) == set(METRICS) == set(found.support)
    for name, figure in found.facts().figures.items():
        assert figure.low <= figure.value <= figure.high, name
        assert 0 < figure.churners <= figure.customers <= found.customers, name
    flagged = rows[rows.flagged]
    assert found.support["precision"].customers == flagged.customer_id.nunique()
    assert found.support["precision"].churners == flagged.customer_id[flagged.churned == 1].nunique()
    assert found.support["lift_top_5"].customers <= np.ceil(0.05 * len(rows))
    assert found.rows == len(rows)
    assert found.dates == ("2019-01-01T00:00:00Z",)


def test_too_few_to_conclude_is_said() -> None:
    rows = population(4, 60)
    rows["churned"] = [1] * 7 + [0] * (len(rows) - 7)
    rows["flagged"] = [True] * 2 + [False] * (len(rows) - 2)
    found = evaluate(rows, "", 0, 50)
    text = found.facts().warning or ""
    assert "only 7 churners" in text
    assert "only 60 customers" in text
    assert "precision rests on 2 flagged customers, 2 of whom churned" in text
    assert found.figures["precision"].value == 1
    assert found.figures["precision"].low < 0.4


def test_a_score_that_knows_nothing_is_said_to() -> None:
    rows = population(5, 500)
    rows["score"] = np.random.default_rng(0).random(len(rows))
    assert any("the interval of the AUC reaches 0.5" in text for text in evaluate(rows, "", 0, 100).warnings)


def test_enough_customers_give_no_warning() -> None:
    found = evaluate(population(6, 1500), "", 0, 50)
    assert found.warnings == ()
    assert found.facts().warning is None


@pytest.mark.parametrize(("value", "what"), [(0, "nobody churned"), (1, "everybody churned")])
def test_one_outcome_only_is_refused(value: int, what: str) -> None:
    with pytest.raises(NotEnoughDataError, match=what):
        evaluate(population(0, 50).assign(churned=value), "", 0)


def _scored(rows: pd.DataFrame) -> ScoredRows:
    placed = rows.assign(origin=1, fold=rows.customer_id.astype(int) % 3)
    return ScoredRows(placed, placed)


def test_a_folds_own_outcomes_decide_nothing_about_it() -> None:
    """Turn all outcomes of fold 0 round: its own probabilities and flags stay, those of the others move."""
    rows = population(7, 300)
    first = cross_fitted(_scored(rows), PolicySettings())
    mine = rows.customer_id.astype(int) % 3 == 0
    turned = cross_fitted(_scored(rows.assign(churned=rows.churned.where(~mine, 1 - rows.churned))), PolicySettings())
    assert (first.probability[mine] == turned.probability[mine]).all()
    assert (first.flagged[mine] == turned.flagged[mine]).all()
    assert (first.probability[~mine] != turned.probability[~mine]).all()


def test_only_what_was_known_at_its_own_origin_decides() -> None:
    rows = population(8, 300)
    fold = rows.customer_id.astype(int) % 3
    tested = rows.assign(origin=2, fold=fold)
    known = rows.assign(origin=2, fold=fold)
    later = rows.assign(origin=3, fold=fold, churned=1 - rows.churned)
    alone = cross_fitted(ScoredRows(tested, known), PolicySettings())
    both = cross_fitted(ScoredRows(tested, pd.concat([known, later])), PolicySettings())
    pd.testing.assert_frame_equal(alone, both)


def test_a_figure_is_printed_with_its_interval() -> None:
    assert str(Figure(0.7, 0.6, 0.8)) == "0.700 (95 % interval 0.600 to 0.800)"


def test_percentiles_leave_five_percent_outside() -> None:
    assert percentile(np.arange(1001.0)) == pytest.approx((25, 975))


def test_the_gaps_add_up_to_the_mean_gap() -> None:
    rows = Judged.of(population(9, 500))
    gaps = calibration_gaps(rows, np.ones(len(rows.churned)))
    assert len(gaps) == 10
    assert gaps.sum() == pytest.approx(float(np.mean(rows.probability - rows.churned)))


def test_the_best_and_the_worst_ranking() -> None:
    churned = np.array([1.0, 1.0, 0.0, 0.0])
    assert auc(Judged(churned, churned, churned, churned), np.ones(4)) == 1
    assert auc(Judged(churned, -churned, churned, churned), np.ones(4)) == 0
    assert auc(Judged(churned, np.ones(4), churned, churned), np.ones(4)) == 0.5


def test_the_evaluation_is_what_the_manifest_shows(trained) -> None:
    found = evaluate(trained.held_out, trained.evaluation.split, trained.settings.seed)
    assert isinstance(found, Evaluation)
    assert found.facts() == trained.evaluation.facts()
