import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from churn.errors import NotEnoughDataError, SettingError
from churn.model.scoring import calibrated
from tests.support import synthetic
from training.forest.fit import ForestSettings, calibrate, columns_at_a_split, columns_for, fit, held_out_scores, scored
from training.table.split import split

SMALL = ForestSettings(trees=10, depth=4, leaf=10, jobs=1)


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic.training_table(snapshots=8)


@pytest.mark.parametrize(("columns", "drawn"), [(1, 1), (4, 2), (5, 3), (18, 5), (80, 16)])
def test_a_fifth_of_the_columns_is_drawn_and_of_few_the_square_root(columns: int, drawn: int) -> None:
    assert columns_at_a_split(columns) == drawn


def test_calibration_finds_the_sigmoid_that_made_the_outcomes() -> None:
    generator = np.random.default_rng(0)
    score = generator.random(100_000)
    churned = (generator.random(len(score)) < expit(6 * score - 4)).astype(np.int64)
    found = calibrate(score, churned)
    assert (found.slope, found.intercept) == pytest.approx((6, -4), abs=0.15)


def test_calibration_undoes_the_class_weights(table: pd.DataFrame) -> None:
    """A class-balanced forest scores around 0.5; calibrated, the mean is the share of churners."""
    parts = split(table, 30, 1)
    held_out = held_out_scores(table, parts.folds, SMALL, quiet)
    score, churned = held_out["score"].to_numpy(), held_out.churned.to_numpy()
    assert score.mean() > 1.5 * churned.mean()
    assert calibrated(score, calibrate(score, churned)).mean() == pytest.approx(churned.mean(), abs=0.01)


def test_calibration_never_turns_the_order_round() -> None:
    """Even where the scores are worse than none."""
    score = np.linspace(0, 1, 200)
    assert calibrate(score, (score < 0.3).astype(np.int64)).slope > 0


def test_held_out_scores_do_not_depend_on_their_own_outcomes(table: pd.DataFrame) -> None:
    parts = split(table, 30, 1)
    fold = parts.folds[0]
    turned = table.copy()
    rows = np.concatenate([fold.test, fold.known])
    turned.loc[rows, "churned"] = 1 - turned.loc[rows, "churned"]
    first, second = (scored(frame, [fold], lambda _: SMALL, quiet) for frame in (table, turned))
    assert (first.tested["score"] == second.tested["score"]).all()
    assert (first.known["score"] == second.known["score"]).all()


def test_scores_name_their_rows(table: pd.DataFrame) -> None:
    parts = split(table, 30, 1, folds=2, origins=1)
    found = scored(table, parts.folds, lambda _: SMALL, quiet)
    assert list(found.tested.columns) == ["customer_id", "as_of", "origin", "fold", "churned", "score"]
    same = ["customer_id", "as_of", "churned"]
    pd.testing.assert_frame_equal(found.tested[same], table.loc[found.tested.index, same])
    assert found.tested.index.is_monotonic_increasing
    assert held_out_scores(table, parts.folds, SMALL, quiet)["score"].equals(found.tested["score"])


def test_the_forest_is_the_same_on_one_core_and_two(table: pd.DataFrame) -> None:
    one, two = (fit(table, ForestSettings(20, 5, 10, jobs=jobs)) for jobs in (1, 2))
    assert one.onnx == two.onnx
    assert one.arrays.to_bytes() == two.arrays.to_bytes()
    assert one.onnx != fit(table, ForestSettings(20, 5, 10, seed=8, jobs=2)).onnx


def test_a_rare_category_has_no_column(table: pd.DataFrame) -> None:
    rare = table.copy()
    rare.loc[:10, "os"] = "BeOS"
    names = {(column.feature, column.category) for column in columns_for(rare, ForestSettings())}
    assert ("os", "BeOS") not in names
    assert {("os", "Windows"), ("os", "other"), ("gender", "F")} <= names


def test_what_is_left_out_cannot_change_a_score(table: pd.DataFrame) -> None:
    fitted = fit(table, ForestSettings(10, 4, 10, jobs=1, without=("gender",)))
    turned = table.assign(gender=table.gender.map({"F": "M", "M": "F"}))
    assert (fitted.encoder.frame(table) == fitted.encoder.frame(turned)).all()
    assert not any(column.feature == "gender" for column in fitted.encoder.columns)


def test_one_outcome_only_cannot_be_fitted(table: pd.DataFrame) -> None:
    with pytest.raises(NotEnoughDataError, match=r"all 1600 rows to fit on have the same label \(0\)"):
        fit(table.assign(churned=0), SMALL)


@pytest.mark.parametrize(
    ("name", "value"), [("trees", 9), ("trees", 2001), ("depth", 0), ("depth", 31), ("leaf", 0), ("seed", -1)]
)
def test_a_setting_out_of_range_is_refused(name: str, value: int) -> None:
    with pytest.raises(SettingError, match=f"{name}={value}: expected"):
        ForestSettings(**{name: value})  # type: ignore[arg-type]  # the name is the case


def test_only_a_category_can_be_left_out() -> None:
    with pytest.raises(SettingError, match="without='songs_7d'"):
        ForestSettings(without=("songs_7d",))
