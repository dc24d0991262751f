"""A column's summary counts every row exactly once, whatever is in it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.contract import BY_NAME, FEATURES, example_customer
from monitoring.drift.column_summary import ColumnSummary, Population, rounding_step, summarise, summarise_frame
from monitoring.drift.decision import WILL_CHURN

SONGS, MINUTES, LEVEL, OS = (BY_NAME[name] for name in ("songs_7d", "listening_minutes_7d", "level", "os"))


def series(*values: Any) -> "pd.Series[Any]":
    return pd.Series(list(values), dtype=object)


def test_numbers_are_distinct_and_ascend_beside_their_counts() -> None:
    found = summarise(pd.Series([3, 1, 3, 2, 3]), SONGS)
    assert found.numbers.tolist() == [1, 2, 3]
    assert found.counts.tolist() == [1, 1, 3]


def test_none_nan_and_the_pandas_null_are_nulls() -> None:
    assert summarise(series(1, None, float("nan"), pd.NA), SONGS).nulls == 3
    assert summarise(pd.Series([1, None], dtype="Int64"), SONGS).nulls == 1
    assert summarise(series("Windows", None, float("nan")), OS).nulls == 2


@pytest.mark.parametrize("wrong", ["7", True, 1.5, float("inf"), [7], {"a": 1}])
def test_what_a_count_cannot_hold_is_mistyped(wrong: object) -> None:
    found = summarise(series(4, wrong), SONGS)
    assert (found.mistyped, found.valid, found.nulls) == (1, 1, 0)


def test_a_real_feature_holds_fractions() -> None:
    assert summarise(pd.Series([1.5, 2.0]), MINUTES).mistyped == 0


@pytest.mark.parametrize("wrong", [3, 2.5, True, ["Windows"]])
def test_what_is_not_text_is_no_category(wrong: object) -> None:
    found = summarise(series("Windows", wrong), OS)
    assert (found.mistyped, found.labels) == (1, ("Windows",))


def test_a_numeric_column_in_place_of_a_category_is_mistyped_throughout() -> None:
    assert summarise(pd.Series([1, 2, 2]), LEVEL).mistyped == 3


def test_a_column_of_text_in_place_of_numbers_is_mistyped_throughout() -> None:
    assert summarise(pd.Series(["1", "2"], dtype="string"), SONGS).mistyped == 2


def test_a_column_of_booleans_in_place_of_numbers_is_mistyped_throughout() -> None:
    assert summarise(pd.Series([True, False]), SONGS).mistyped == 2


def test_true_and_false_are_labels_where_the_feature_lists_them() -> None:
    found = summarise(pd.Series([True, False, False]), WILL_CHURN)
    assert (found.labels, found.counts.tolist(), found.mistyped) == (("false", "true"), [2, 1], 0)


def test_values_beyond_the_bounds_are_outside_and_still_counted() -> None:
    found = summarise(pd.Series([-1, 5, 70_001]), SONGS)
    assert (found.outside, found.valid, found.mistyped) == (2, 3, 0)


def test_a_value_outside_a_closed_set_is_outside_and_one_of_an_open_set_is_not() -> None:
    assert summarise(series("free", "platinum"), LEVEL).outside == 1
    assert summarise(series("Windows", "TempleOS"), OS).outside == 0


def test_pandas_categories_are_read_as_their_values() -> None:
    assert summarise(pd.Series(["free", "paid", "paid"], dtype="category"), LEVEL).counts.tolist() == [1, 2]


def test_an_empty_column_is_a_summary_of_no_rows() -> None:
    assert summarise(pd.Series([], dtype=float), SONGS).rows == 0
    assert summarise(series(), LEVEL).valid == 0


def test_a_frame_is_summarised_by_the_features_it_has() -> None:
    frame = pd.DataFrame([example_customer()]).drop(columns="gender")
    found = summarise_frame(frame, FEATURES)
    assert set(found.columns) == {feature.name for feature in FEATURES} - {"gender"}
    assert all(column.mistyped == column.outside == 0 for column in found.columns.values())


def test_the_index_of_a_frame_does_not_matter() -> None:
    column = pd.Series([1, "x", None, 3], index=[7, 7, 2, 1], dtype=object)
    found = summarise(column, SONGS)
    assert (found.numbers.tolist(), found.mistyped, found.nulls) == ([1, 3], 1, 1)


anything = st.one_of(st.none(), st.booleans(), st.integers(-5, 90_000), st.floats(), st.text(max_size=3))


@given(st.lists(anything, max_size=40))
def test_every_row_is_null_mistyped_or_counted(values: list[Any]) -> None:
    for feature in (SONGS, MINUTES, LEVEL, OS):
        found = summarise(series(*values), feature)
        assert found.nulls + found.mistyped + found.valid == found.rows == len(values)
        assert 0 <= found.outside <= found.valid


def test_counts_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="counts add up to 3, expected rows - nulls - mistyped = 5 - 1 - 0"):
        ColumnSummary(SONGS, rows=5, nulls=1, numbers=np.array([1.0, 2.0]), counts=np.array([1, 2]))


def test_numbers_that_repeat_are_refused() -> None:
    with pytest.raises(ValueError, match="ascend without repeats"):
        ColumnSummary(SONGS, rows=2, numbers=np.array([2.0, 2.0]), counts=np.array([1, 1]))


def test_labels_for_a_number_are_refused() -> None:
    with pytest.raises(ValueError, match="1 counts for 0 values"):
        ColumnSummary(SONGS, rows=1, labels=("a",), counts=np.array([1]))


def test_a_column_of_another_length_than_its_population_is_refused() -> None:
    with pytest.raises(ValueError, match="2 rows in a population of 3"):
        Population(3, {"songs_7d": summarise(pd.Series([1, 2]), SONGS)})


def test_a_step_is_a_thousandth_of_the_deviation_whatever_a_few_outliers_say() -> None:
    values = np.random.default_rng(0).normal(1_000, 100, 10_000)
    values[:5] = 1e9
    assert rounding_step(summarise(pd.Series(values), MINUTES)) == pytest.approx(0.1, rel=0.05)


def test_counts_are_not_cut_finer_than_one() -> None:
    assert rounding_step(summarise(pd.Series(np.arange(50)), SONGS)) == 1.0


def test_rounding_keeps_every_row_and_merges_neighbours() -> None:
    found = summarise(pd.Series([1.01, 1.02, 1.4, 2.6]), MINUTES).rounded(0.5)
    assert (found.numbers.tolist(), found.counts.tolist()) == ([1.0, 1.5, 2.5], [2, 1, 1])


def test_a_column_without_spread_has_a_step_and_a_category_is_left_alone() -> None:
    assert rounding_step(summarise(pd.Series([4.0, 4.0]), MINUTES)) == 1.0
    labels = summarise(series("free", "paid"), LEVEL)
    assert labels.rounded(rounding_step(labels)) is labels
