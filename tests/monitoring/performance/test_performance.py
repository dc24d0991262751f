"""Realised figures: scikit-learn's, customers drawn whole, grouped rows as if they stood one by one."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, f1_score, precision_score, recall_score, roc_auc_score

from churn.quality.measures import Judged, calibration_error
from monitoring.performance.realised import REALISED, figures


def outcomes(customers: int, each: int = 1, seed: int = 0) -> pd.DataFrame:
    """Predictions of customers asked about `each` times, who leave or stay once."""
    generator = np.random.default_rng(seed)
    probability = np.round(generator.beta(1.5, 6, customers), 2)
    churned = (generator.random(customers) < probability).astype(int)
    rows = pd.DataFrame(
        {"cluster": [f"c{n}" for n in range(customers)], "probability": probability, "churned": churned}
    )
    rows = pd.concat([rows] * each, ignore_index=True)
    return rows.assign(flagged=(rows["probability"] >= 0.3).astype(int), rows=1)


def test_the_values_are_those_of_scikit_learn() -> None:
    rows = outcomes(500)
    truth, flagged, probability = rows["churned"], rows["flagged"], rows["probability"]
    expected = {
        "auc": roc_auc_score(truth, probability),
        "f1": f1_score(truth, flagged),
        "precision": precision_score(truth, flagged),
        "recall": recall_score(truth, flagged),
        "brier": brier_score_loss(truth, probability),
    }
    found = figures(rows, resamples=50)
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    assert list(found) == list(REALISED)
    for name, figure in found.items():
        assert figure.low < figure.value < figure.high or name == "calibration_error"
    error = found["calibration_error"]
    assert 0 <= error.low <= error.value <= error.high


def test_equal_rows_may_be_grouped() -> None:
    rows = outcomes(800)
    grouped = rows.groupby(["cluster", "probability", "flagged", "churned"], as_index=False)["rows"].sum()
    pairs = pd.concat([rows, rows], ignore_index=True)
    one = figures(pairs.sort_values("cluster", ignore_index=True), resamples=50)
    other = figures(grouped.assign(rows=2), resamples=50)
    for name in REALISED:
        assert vars(other[name]) == pytest.approx(vars(one[name])), name


def test_the_calibration_bins_of_grouped_rows_hold_equal_shares_of_what_they_stand_for() -> None:
    rows = outcomes(3_000)
    grouped = rows.groupby(["probability", "churned"], as_index=False)["rows"].sum()
    alone = Judged.of(rows.assign(score=rows["probability"]))
    columns = (grouped[name].to_numpy(float) for name in ("churned", "probability", "probability", "churned", "rows"))
    together = Judged(*columns)
    assert calibration_error(together, grouped["rows"].to_numpy(float)) == pytest.approx(
        calibration_error(alone, np.ones(len(rows)))
    )


def test_asking_ten_times_about_a_customer_makes_nothing_more_certain() -> None:
    once, often = figures(outcomes(300), resamples=400), figures(outcomes(300, each=10), resamples=400)
    for name in ("auc", "precision", "recall", "brier"):
        widths = [figure.high - figure.low for figure in (once[name], often[name])]
        assert widths[1] == pytest.approx(widths[0], rel=0.1), name


def test_what_is_not_defined_is_null_and_never_zero() -> None:
    rows = outcomes(200)
    nobody_left = figures(rows.assign(churned=0), resamples=20)
    assert nobody_left["auc"].to_dict() == {"value": None, "low": None, "high": None}
    assert nobody_left["recall"].to_dict()["value"] is None
    assert nobody_left["precision"].value == 0
    nobody_flagged = figures(rows.assign(flagged=0), resamples=20)
    assert nobody_flagged["precision"].to_dict()["value"] is None
    assert nobody_flagged["recall"].value == 0


def test_intervals_cover_what_is_true_of_all_such_customers() -> None:
    """95 % intervals of a population's AUC and precision, 200 weeks of 400 customers, each asked about 1 to 3 times."""
    everyone = figures(outcomes(100_000, seed=99), resamples=2)
    generator, covered = np.random.default_rng(7), {"auc": 0, "precision": 0}
    for seed in range(200):
        rows = outcomes(400, seed=seed)
        rows = rows.loc[rows.index.repeat(generator.integers(1, 4, len(rows)))]
        found = figures(rows, seed, resamples=150)
        for name in covered:
            covered[name] += found[name].low <= everyone[name].value <= found[name].high
    assert all(180 <= hits <= 199 for hits in covered.values()), covered
