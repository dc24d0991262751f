import numpy as np
import pandas as pd
import pytest

from churn.activity.features import DAY_MS
from churn.errors import NotEnoughDataError, SettingError
from tests.support import synthetic
from training.table.split import before, check_enough, customer_folds, everything, split

HORIZON = 30 * DAY_MS


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic.training_table(snapshots=10)


def test_a_long_log_is_split_by_time_and_customer(table: pd.DataFrame) -> None:
    """The rule, row by row: another customer, and a label known when the tested row was asked."""
    parts = split(table, 30, seed=1)
    assert parts.kind == "time and customers"
    for fold in parts.folds:
        train, test, known = (table.iloc[rows] for rows in (fold.train, fold.test, fold.known))
        assert set(test.as_of) == {fold.origin}
        assert (train.as_of + HORIZON <= fold.origin).all()
        assert (known.as_of + HORIZON <= fold.origin).all()
        assert not set(train.customer_id) & set(test.customer_id)
        assert not set(train.customer_id) & set(known.customer_id)


def test_every_customer_at_a_tested_date_is_tested_once(table: pd.DataFrame) -> None:
    parts = split(table, 30, seed=1)
    tested = np.concatenate([fold.test for fold in parts.folds])
    assert sorted(tested) == np.flatnonzero(table.as_of.isin(parts.origins)).tolist()
    assert parts.origins == tuple(sorted(table.as_of.unique(), reverse=True)[: len(parts.origins)])


def test_a_short_log_is_split_by_customer_and_says_so() -> None:
    table = synthetic.training_table(snapshots=3)
    parts = split(table, 30, seed=1)
    assert parts.kind == "customers"
    assert "too short for a gap" in parts.sentence
    assert len(parts.folds) == 5
    for fold in parts.folds:
        assert not set(table.customer_id.iloc[fold.train]) & set(table.customer_id.iloc[fold.test])
    tested = np.concatenate([fold.test for fold in parts.folds])
    assert sorted(tested) == list(range(len(table)))


def test_short_snapshots_are_trained_on_but_not_tested() -> None:
    table = synthetic.training_table(snapshots=10)
    table["short"] = table.as_of > table.as_of.max() - 8 * DAY_MS
    parts = split(table, 30, seed=1)
    assert not table.short[table.as_of.isin(parts.origins)].any()


def test_only_short_snapshots_test_the_newest() -> None:
    parts = split(synthetic.training_table(snapshots=3).assign(short=True), 30, seed=1)
    assert parts.origins == (synthetic.NEWEST,)


def test_churners_are_dealt_evenly(table: pd.DataFrame) -> None:
    number = pd.Series(customer_folds(table, 5, 3))
    assert number.groupby(table.customer_id).nunique().max() == 1
    ever = table.groupby("customer_id").churned.max()
    fold_of = number.groupby(table.customer_id).first()
    churners = ever.groupby(fold_of).sum()
    assert churners.max() - churners.min() <= 1
    sizes = fold_of.value_counts()
    assert sizes.max() - sizes.min() <= 1


def test_the_order_of_the_rows_decides_nothing(table: pd.DataFrame) -> None:
    number = pd.Series(customer_folds(table, 5, 3), index=table.index)
    shuffled = table.sample(frac=1, random_state=0)
    assert pd.Series(customer_folds(shuffled, 5, 3), index=shuffled.index).sort_index().equals(number)


def test_nothing_before_the_test_has_seen_it(table: pd.DataFrame) -> None:
    parts = split(table, 30, seed=1)
    seen = table.iloc[before(table, parts, 30)]
    assert (seen.as_of + HORIZON <= min(parts.origins)).all()
    assert len(seen)


def test_everything_holds_out_customers_only(table: pd.DataFrame) -> None:
    number = customer_folds(table, 4, 0)
    folds = everything(table, number)
    assert sorted(np.concatenate([fold.known for fold in folds])) == list(range(len(table)))
    for fold in folds:
        assert (number[fold.test] == fold.number).all()
        assert (number[fold.train] != fold.number).all()
        assert len(fold.train) == (number != fold.number).sum()


def _with_churners(table: pd.DataFrame, count: int) -> pd.DataFrame:
    some = sorted(table.customer_id.unique())[:count]
    return table.assign(churned=table.customer_id.isin(some).astype(int))


def test_too_few_churners_are_refused_with_numbers(table: pd.DataFrame) -> None:
    with pytest.raises(NotEnoughDataError, match="200 customers at risk, 9 with a churn"):
        split(_with_churners(table, 9), 30, seed=1)


def test_too_few_stayers_are_refused(table: pd.DataFrame) -> None:
    with pytest.raises(NotEnoughDataError, match="and 9 without"):
        split(_with_churners(table, 191), 30, seed=1)


def test_too_few_customers_are_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="20 customers at risk"):
        split(synthetic.training_table(customers=20), 30, seed=1)


def test_an_empty_table_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(NotEnoughDataError, match="0 customers at risk"):
        check_enough(table.head(0))


def test_too_few_churners_at_the_tested_dates_are_refused() -> None:
    """Enough churners in all, nearly none of them where the test is."""
    table = synthetic.training_table(snapshots=3)
    table.loc[table.as_of > table.as_of.min(), "churned"] = 0
    table["short"] = table.as_of < table.as_of.max()
    with pytest.raises(NotEnoughDataError, match=r"at the tested dates .*, 0 with a churn"):
        split(table, 30, seed=1)


@pytest.mark.parametrize("folds", [1, 21])
def test_folds_out_of_range_are_refused(table: pd.DataFrame, folds: int) -> None:
    with pytest.raises(SettingError, match=f"folds={folds}"):
        split(table, 30, seed=1, folds=folds)


def test_origins_out_of_range_are_refused(table: pd.DataFrame) -> None:
    with pytest.raises(SettingError, match="origins=0"):
        split(table, 30, seed=1, origins=0)
