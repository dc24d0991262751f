"""The corrections give the textbook figures and keep their order."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.drift import multiplicity
from monitoring.drift.decision import _discovery
from monitoring.drift.multiplicity import holm

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def benjamini_hochberg(p: list[float]) -> np.ndarray:
    """By the definition, step by step."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * len(values) / np.arange(1, len(values) + 1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def test_holm_multiplies_the_smallest_by_all_and_never_descends() -> None:
    assert doctest.testmod(multiplicity) == (0, 1)


def test_the_smallest_is_multiplied_by_all_and_divided_by_its_rank() -> None:
    assert _discovery([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])


@given(p_values)
def test_discoveries_are_those_of_benjamini_and_hochberg(p: list[float]) -> None:
    assert _discovery(p) == pytest.approx(benjamini_hochberg(p).tolist(), rel=1e-14, abs=1e-300)


def test_no_tests_have_no_adjusted_values() -> None:
    assert holm([]).tolist() == _discovery([]) == []


@given(p_values)
def test_holm_is_at_least_the_rate_of_discoveries_which_is_at_least_p(p: list[float]) -> None:
    strict, discovery = holm(p), np.array(_discovery(p))
    tolerance = 1e-12
    assert np.all(strict >= discovery - tolerance)
    assert np.all(discovery >= np.array(p) - tolerance)
    assert np.all(strict <= 1)


@given(p_values, st.integers(0, 1_000))
def test_the_order_of_the_tests_does_not_matter(p: list[float], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(p))
    shuffled = [p[i] for i in order]
    assert holm(shuffled).tolist() == pytest.approx(holm(p)[order].tolist())
    assert _discovery(shuffled) == pytest.approx(np.array(_discovery(p))[order].tolist())


@given(p_values)
def test_holm_rejects_anything_exactly_when_bonferroni_does(p: list[float]) -> None:
    assert holm(p).min() == pytest.approx(min(1.0, len(p) * min(p)))
