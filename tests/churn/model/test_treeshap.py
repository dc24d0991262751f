"""Both engines against shap, and against Shapley's formula itself."""

import itertools
from math import factorial
from typing import Any

import numpy as np
import pytest
import shap
from hypothesis import given
from hypothesis import strategies as st

from churn.model import native
from churn.model.native import NativeTreeShap
from churn.model.treeshap import TreeShap, base_value, paths, quadrature
from tests.support import forests, kernel

SHAPES: dict[str, dict[str, Any]] = {
    "default": {},
    "depth 1": {"max_depth": 1},
    "depth 8": {"max_depth": 8, "min_samples_leaf": 5},
    "deep": {"min_samples_leaf": 1, "train": 1500},
    "one random column per split": {"max_features": 1},
    "few columns, repeated on a path": {"columns": 4, "min_samples_leaf": 1},
    "many columns": {"columns": 60},
    "unbalanced": {"class_weight": None},
    "no bootstrap": {"bootstrap": False},
    "one tree": {"n_estimators": 1},
    "no split at all": {"min_samples_leaf": 200},
    "some trees without a split": {"min_samples_leaf": 140, "columns": 5, "max_features": 1},
}


def engines(forest, columns):
    return TreeShap(forest, columns), NativeTreeShap(forest, columns, native.load(kernel.folder()))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_every_column_equals_shap(shape: str, seed: int) -> None:
    model = forests.fitted(seed, **SHAPES[shape])
    explainer = shap.TreeExplainer(model.classifier, feature_perturbation="tree_path_dependent")
    expected = explainer.shap_values(model.rows, check_additivity=False)[..., 1]
    for engine in engines(model.arrays, model.rows.shape[1]):
        assert np.abs(engine(model.rows) - expected).max() < 1e-8
    assert base_value(paths(model.arrays)) == pytest.approx(explainer.expected_value[1], abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_base_value_and_contributions_add_up_to_the_score(shape: str) -> None:
    model = forests.fitted(7, **SHAPES[shape])
    score = model.classifier.predict_proba(model.rows)[:, 1]
    for engine in engines(model.arrays, model.rows.shape[1]):
        total = base_value(paths(model.arrays)) + engine(model.rows).sum(axis=1)
        assert np.abs(total - score).max() < 1e-12


rows = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0]), min_size=4, max_size=4)


@given(forests.small_forests(columns=4), rows)
def test_equals_shapley_by_definition_on_trees_of_any_shape(forest, row) -> None:
    """Covers of 0, covers that do not add up, splits that no row can satisfy: the formula still holds."""
    matrix = np.array([row], dtype=np.float32)
    expected = shapley(forest, matrix[0])
    for engine in engines(forest, 4):
        assert np.abs(engine(matrix)[0] - expected).max() < 1e-12
    assert abs(base_value(paths(forest)) - known(forest, matrix[0], frozenset())) < 1e-12


def shapley(forest, row):
    """Lundberg's game, by the definition of the Shapley value: every coalition of columns."""
    players = range(len(row))
    value = {
        coalition: known(forest, row, coalition)
        for size in range(len(row) + 1)
        for coalition in map(frozenset, itertools.combinations(players, size))
    }
    return [
        sum(
            factorial(len(others)) * factorial(len(row) - 1 - len(others)) / factorial(len(row)) * gain
            for others, gain in (
                (others, value[others | {player}] - value[others]) for others in value if player not in others
            )
        )
        for player in players
    ]


def known(forest, row, coalition):
    """The expected score when only the columns of the coalition are known: Algorithm 1 of Lundberg et al. (2020)."""

    def below(node):
        left, right = forest.left[node], forest.right[node]
        if left < 0:
            return forest.value[node]
        if forest.column[node] in coalition:
            return below(left if row[forest.column[node]] <= forest.threshold[node] else right)
        cover = forest.cover[node]
        return sum(forest.cover[child] / cover * below(child) for child in (left, right)) if cover else 0.0

    return sum(below(root) for root in forest.roots) / len(forest.roots)


@given(forests.small_forests(columns=3), st.lists(rows, min_size=1, max_size=20))
def test_numpy_and_native_agree(forest, many) -> None:
    matrix = np.array(many, dtype=np.float32)
    reference, kernel_answer = (engine(matrix) for engine in engines(forest, 4))
    assert np.abs(reference - kernel_answer).max() < 1e-13


def test_a_column_that_no_tree_splits_on_contributes_nothing() -> None:
    forest = forests.chain(3)
    for engine in engines(forest, 5):
        assert (engine(np.ones((2, 5), dtype=np.float32))[:, 3:] == 0).all()


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 33, 60])
def test_long_paths_stay_exact(length: int) -> None:
    """Up to 16 columns the kernel is compiled for the very number of quadrature nodes; beyond, for any."""
    forest, matrix = forests.chain(length), np.ones((3, length), dtype=np.float32)
    matrix[1, ::2], matrix[2] = -1, -1
    expected = [forests.score(forest, row) for row in matrix]
    reference, kernel_answer = (engine(matrix) for engine in engines(forest, length))
    assert np.abs(reference - kernel_answer).max() < 1e-12
    assert np.abs(base_value(paths(forest)) + kernel_answer.sum(axis=1) - expected).max() < 1e-12


def test_a_row_is_explained_alike_in_any_company() -> None:
    model = forests.fitted(1, rows=50)
    for engine in engines(model.arrays, model.rows.shape[1]):
        together = engine(model.rows)
        assert (together == np.concatenate([engine(row[None]) for row in model.rows])).all()


def test_no_rows_give_no_contributions() -> None:
    for engine in engines(forests.chain(3), 3):
        assert engine(np.empty((0, 3), dtype=np.float32)).shape == (0, 3)


def test_a_value_at_the_threshold_goes_left() -> None:
    forest = forests.chain(1)  # 0 at or below 0, else 1
    for engine in engines(forest, 1):
        contributions = engine(np.array([[0.0], [np.nextafter(np.float32(0), np.float32(1))]], dtype=np.float32))
        assert contributions[:, 0].tolist() == [-0.5, 0.5]


@pytest.mark.parametrize("nodes", [1, 2, 5, 10])
def test_the_quadrature_integrates_the_powers_it_must(nodes: int) -> None:
    points, weights = quadrature(nodes)
    for power in range(2 * nodes):
        assert weights @ points**power == pytest.approx(1 / (power + 1), abs=1e-14)
