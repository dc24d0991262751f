from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from churn.activity.features import DAY_MS
from churn.errors import SettingError
from tests.support import synthetic
from training.forest.fit import ForestSettings, fit_unchecked
from training.forest.search import Candidate, SearchSettings, choose, search, search_forests
from training.table.split import split

BASE = ForestSettings(seed=3, jobs=1)
SMALL = SearchSettings(trees=(10, 20), depths=(2, 5), leaves=(10,), folds=2)


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic.training_table(snapshots=8)


def candidate(nodes: int, auc: float, loss: float, error: float) -> Candidate:
    return Candidate(10, 2, 10, nodes, auc, loss, error)


def test_the_smallest_of_the_equally_good_is_chosen() -> None:
    best, equal, worse = candidate(900, 0.70, 0, 0), candidate(300, 0.69, 0.01, 0.012), candidate(50, 0.6, 0.1, 0.02)
    assert choose((worse, equal, best), 1.0) == equal
    assert choose((worse, replace(equal, loss_error=0.004), best), 1.0) == best
    assert choose((worse, equal, best), 0.5) == best


def test_a_loss_that_does_not_matter_is_none() -> None:
    best, near = candidate(900, 0.70, 0, 0), candidate(300, 0.698, 0.002, 0.0001)
    assert choose((near, best), 0.5) == near


def test_the_curve_has_every_forest_and_the_choice_is_on_it(table: pd.DataFrame) -> None:
    told: list[str] = []
    found = search(table, BASE, SMALL, told.append)
    assert {(c.trees, c.depth, c.leaf) for c in found.curve} == {(10, 2, 10), (20, 2, 10), (10, 5, 10), (20, 5, 10)}
    assert [c.nodes for c in found.curve] == sorted(c.nodes for c in found.curve)
    assert min(c.loss for c in found.curve) == 0
    assert (found.chosen.trees, found.chosen.depth) == (found.winner.trees, found.winner.depth)
    assert (found.chosen.seed, found.chosen.jobs) == (3, 1)
    assert len(told) == 2
    assert found.to_dict()["chosen"]["auc"] == found.winner.auc


def test_the_first_trees_are_the_smaller_forest(table: pd.DataFrame) -> None:
    """What the curve takes for ten of twenty trees is the forest of ten."""
    small, large = (fit_unchecked(table, replace(BASE, trees=count, depth=4)) for count in (10, 20))
    matrix = small.encoder.frame(table)
    first = np.mean([tree.predict_proba(matrix)[:, 1] for tree in large.classifier.estimators_[:10]], axis=0)
    assert np.abs(first - small.score(matrix)).max() < 1e-6


def test_the_same_seed_searches_the_same(table: pd.DataFrame) -> None:
    assert search(table, BASE, SMALL, quiet) == search(table, replace(BASE, jobs=1), SMALL, quiet)
    two = search(table, replace(BASE, jobs=2), SMALL, quiet)
    assert two.curve == search(table, BASE, SMALL, quiet).curve


def test_a_large_table_is_searched_on_some_customers_with_all_their_rows(table: pd.DataFrame) -> None:
    found = search(table, BASE, replace(SMALL, rows=800), quiet)
    assert found.rows == 800
    assert found.customers == 100


def test_the_search_never_sees_the_test(table: pd.DataFrame) -> None:
    """Turn every outcome after the first tested date minus the horizon round: the search finds the same."""
    parts = split(table, 30, 1)
    unseen = table.as_of > min(parts.origins) - 30 * DAY_MS
    turned = table.assign(churned=table.churned.where(~unseen, 1 - table.churned))
    first, second = (search_forests(frame, parts, 30, BASE, SMALL, quiet) for frame in (table, turned))
    assert first == second
    assert first.by_fold == {}


def test_without_a_gap_in_time_each_fold_searches_on_the_others() -> None:
    table = synthetic.training_table(snapshots=3)
    parts = split(table, 30, 1, folds=2)
    found = search_forests(table, parts, 30, BASE, SMALL, quiet)
    fold = parts.folds[0]
    turned = table.copy()
    turned.loc[fold.test, "churned"] = 1 - turned.loc[fold.test, "churned"]
    assert set(found.by_fold) == {0, 1}
    assert search_forests(turned, parts, 30, BASE, SMALL, quiet).by_fold[0] == found.by_fold[0]
    assert found.of(fold) == found.by_fold[0]
    assert set((found.to_dict() or {})["by_fold"]) == {"0", "1"}


@pytest.mark.parametrize("wrong", [{"trees": ()}, {"depths": ()}, {"leaves": ()}, {"rows": 0}])
def test_nothing_to_try_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        SearchSettings(**wrong)  # type: ignore[arg-type]  # the name is the case
