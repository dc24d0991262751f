"""The corrections give the textbook figures and keep their order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.drift.multiplicity import benjamini_hochberg, holm

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_holm_multiplies_the_smallest_by_all_and_never_descends() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_benjamini_hochberg_divides_by_the_rank() -> None:
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_no_tests_have_no_adjusted_values() -> None:
    assert holm([]).tolist() == benjamini_hochberg([]).tolist() == []


@given(p_values)
def test_holm_is_at_least_benjamini_hochberg_which_is_at_least_p(p: list[float]) -> None:
    strict, discovery = holm(p), benjamini_hochberg(p)
    tolerance = 1e-12
    assert np.all(strict >= discovery - tolerance)
    assert np.all(discovery >= np.array(p) - tolerance)
    assert np.all(strict <= 1)


@given(p_values, st.integers(0, 1_000))
def test_the_order_of_the_tests_does_not_matter(p: list[float], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(p))
    shuffled = [p[i] for i in order]
    assert holm(shuffled).tolist() == pytest.approx(holm(p)[order].tolist())
    assert benjamini_hochberg(shuffled).tolist() == pytest.approx(benjamini_hochberg(p)[order].tolist())


@given(p_values)
def test_holm_rejects_anything_exactly_when_bonferroni_does(p: list[float]) -> None:
    assert holm(p).min() == pytest.approx(min(1.0, len(p) * min(p)))
