"""The two-sample tests agree with SciPy where it has them, and with brute force where it has not."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from monitoring.drift import two_sample
from monitoring.drift.two_sample import Pool
from tests.support.examples import examples

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DRAWS = 10_000


def pooled(reference: npt.ArrayLike, current: npt.ArrayLike) -> Pool:
    sides = [np.unique(np.asarray(sample, dtype=np.float64), return_counts=True) for sample in (reference, current)]
    return two_sample.pool(*sides[0], *sides[1])


def split(total: IntArray, current_rows: int, generator: np.random.Generator) -> tuple[IntArray, IntArray]:
    """A random division of pooled counts: the null of every test here."""
    current = generator.multivariate_hypergeometric(total, current_rows, method="marginals")
    return total - current, current


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


samples = st.lists(st.integers(0, 12), min_size=2, max_size=60)


@given(samples, samples)
def test_distances_are_those_of_scipy(reference: list[int], current: list[int]) -> None:
    pool = pooled(reference, current)
    assert two_sample.wasserstein_distance(pool) == pytest.approx(stats.wasserstein_distance(reference, current))
    expected = stats.ks_2samp(reference, current, method="asymp").statistic
    assert two_sample.kolmogorov_smirnov(pool).statistic == pytest.approx(expected)


@given(samples, samples)
def test_neither_sample_is_special(reference: list[int], current: list[int]) -> None:
    there, back = pooled(reference, current), pooled(current, reference)
    assert two_sample.kolmogorov_smirnov(there).p == pytest.approx(two_sample.kolmogorov_smirnov(back).p)
    assert two_sample.wasserstein(there, generator(), 500).p == two_sample.wasserstein(back, generator(), 500).p


def test_the_kolmogorov_smirnov_p_is_near_the_exact_one() -> None:
    draw = generator(3)
    reference, current = draw.normal(0, 1, 500), draw.normal(0.2, 1, 300)
    expected = stats.ks_2samp(reference, current, method="exact").pvalue
    assert two_sample.kolmogorov_smirnov(pooled(reference, current)).p == pytest.approx(expected, rel=0.3)


def test_the_same_counts_in_both_samples_are_no_evidence() -> None:
    pool = pooled([1, 2, 3] * 20, [1, 2, 3] * 10)
    assert two_sample.wasserstein(pool, generator(), DRAWS) == two_sample.Outcome(0.0, 1.0)
    assert two_sample.kolmogorov_smirnov(pool).p == 1.0


def test_one_value_everywhere_is_no_evidence() -> None:
    pool = pooled([4.0] * 30, [4.0] * 40)
    assert pool.is_constant
    assert two_sample.wasserstein(pool, generator(), DRAWS).p == 1.0


@given(st.floats(0.01, 1_000), st.floats(-1_000, 1_000))
@examples(30)
def test_the_unit_of_a_number_does_not_change_the_p(scale: float, shift: float) -> None:
    draw = generator(1)
    reference, current = draw.poisson(3, 300), draw.poisson(3.4, 200)
    plain = two_sample.wasserstein(pooled(reference, current), generator(), 500)
    moved = two_sample.wasserstein(pooled(reference * scale + shift, current * scale + shift), generator(), 500)
    assert moved.p == plain.p
    assert moved.statistic == pytest.approx(plain.statistic * scale, rel=1e-6)


def test_the_same_generator_gives_the_same_p() -> None:
    pool = pooled(generator(1).normal(0, 1, 400), generator(2).normal(0.1, 1, 300))
    assert two_sample.wasserstein(pool, generator(5), DRAWS) == two_sample.wasserstein(pool, generator(5), DRAWS)


SHAPES: dict[str, Callable[[np.random.Generator, int], FloatArray]] = {
    "normal": lambda draw, rows: np.round(draw.normal(0, 1, rows), 1),
    "log-normal": lambda draw, rows: np.round(draw.lognormal(0, 1.2, rows), 1),
    "count": lambda draw, rows: draw.poisson(2, rows).astype(np.float64),
    "rare": lambda draw, rows: ((draw.random(rows) < 0.004) * draw.poisson(2, rows)).astype(np.float64),
    "mostly zero": lambda draw, rows: (draw.random(rows) < 0.2) * np.round(draw.lognormal(0, 1, rows), 1),
}


def null_p(shape: str, current_rows: int, repetitions: int) -> FloatArray:
    """p-values of the Wasserstein test where nothing differs."""
    draw = generator(7)
    values, total = np.unique(SHAPES[shape](draw, 5_000 + current_rows), return_counts=True)
    found = []
    for _ in range(repetitions):
        pool = two_sample.clipped(Pool(values, *split(total, current_rows, draw)))
        found.append(two_sample.wasserstein(pool, draw, DRAWS).p)
    return np.array(found)


@pytest.mark.parametrize("current_rows", [500, 2_000, 100_000])
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_p_values_are_uniform_where_nothing_differs(shape: str, current_rows: int) -> None:
    p = null_p(shape, current_rows, repetitions=600)
    for level in (0.2, 0.05, 0.01):
        unlucky = stats.binom.ppf(0.999, len(p), level)  # of 15 × 3 seeded figures, none should be beyond
        assert (p <= level).sum() <= unlucky
    if shape != "rare":  # twenty rows that are not zero leave few possible p-values
        assert (p <= 0.2).mean() > 0.12  # not bought with conservatism


@pytest.mark.parametrize("current_rows", [500, 2_000, 100_000])
@pytest.mark.parametrize("shape", ["count", "rare", "mostly zero"])
def test_the_tail_is_right_to_one_in_ten_thousand(shape: str, current_rows: int) -> None:
    """Brute force: the distance that 1 in 10,000 of 300,000 permutations reaches must get about that p."""
    draw = generator(11)
    values, total = np.unique(SHAPES[shape](draw, 5_000 + current_rows), return_counts=True)
    pool = two_sample.coarsened(two_sample.clipped(Pool(values, *split(total, current_rows, draw))), bins=16)
    every = np.sort(np.concatenate([two_sample._distance_draws(pool, draw)(10_000) for _ in range(30)]))
    observed = float(every[-30])
    truth = float((every >= observed * (1 - 1e-12)).mean())
    found = two_sample.permutation_p(
        observed, two_sample._distance_draws(pool, draw), two_sample._mean_tail(pool), DRAWS
    )
    assert truth / 2.5 <= found <= truth * 2.5


def test_a_tiny_p_needs_no_more_draws_than_a_small_one() -> None:
    drawn: list[int] = []

    def draw(size: int) -> FloatArray:
        drawn.append(size)
        return np.abs(generator(len(drawn)).normal(size=size))

    p = two_sample.permutation_p(9.0, draw, two_sample._pearson_tail(1.0, 0.0), DRAWS)
    assert sum(drawn) == 450
    assert 1e-22 < p < 1e-17  # the normal's is 2e-19


def test_draws_stop_at_the_number_asked_for() -> None:
    drawn: list[int] = []

    def draw(size: int) -> FloatArray:
        drawn.append(size)
        return np.abs(generator(len(drawn)).normal(size=size))

    p = two_sample.permutation_p(4.0, draw, two_sample._pearson_tail(1.0, 0.0), 3_000)
    assert sum(drawn) == 3_000
    assert 2e-5 < p < 2e-4  # the normal's is 6e-5


def test_a_skewed_tail_is_heavier_and_its_inverse_leads_back() -> None:
    flat, skewed = (two_sample._pearson_tail(2.0, skewness) for skewness in (0.0, 0.8))
    assert skewed.survival(8.0) > 5 * flat.survival(8.0)
    for tail in (flat, skewed):
        assert tail.survival(tail.inverse(1e-3)) == pytest.approx(1e-3)


def test_the_tail_has_the_mean_difference_s_permutation_variance_and_skewness() -> None:
    pool = pooled([0.0] * 40 + [1.0] * 4 + [5.0], [0.0] * 9 + [5.0])
    total, draw = pool.total, generator(2)
    current = draw.multivariate_hypergeometric(total, 10, size=200_000)
    differences = current @ pool.values / 10 - (total - current) @ pool.values / 45
    variance, skewness = differences.var(), abs(float(stats.skew(differences)))
    tail, expected = two_sample._mean_tail(pool), two_sample._pearson_tail(float(np.sqrt(variance)), skewness)
    assert tail.survival(2.0) == pytest.approx(expected.survival(2.0), rel=0.06)


def test_a_wider_spread_is_found_where_the_distance_alone_is_weak() -> None:
    draw = generator(4)
    pool = two_sample.clipped(pooled(draw.normal(0, 1, 5_000), draw.normal(0, 1.14, 2_000)))
    spread = two_sample.folded(pool)
    assert spread is not None
    assert two_sample.wasserstein(spread, draw, DRAWS).p < 1e-7
    assert two_sample.wasserstein(pool, draw, DRAWS).p > 1e-7


def test_folding_at_an_end_changes_nothing_and_is_left_out() -> None:
    assert two_sample.folded(pooled([0, 0, 0, 1, 2], [0, 0, 3])) is None


def test_folded_values_are_distances_from_the_pooled_median() -> None:
    found = two_sample.folded(pooled([1, 2, 3], [3, 4, 6]))
    assert found is not None
    assert found.values.tolist() == [0, 1, 2, 3]
    assert (found.reference.tolist(), found.current.tolist()) == ([1, 1, 1, 0], [1, 1, 0, 1])


@given(samples, samples)
def test_reshaping_loses_no_row(reference: list[int], current: list[int]) -> None:
    pool = pooled(reference, current)
    for reshaped in (two_sample.clipped(pool, 0.1), two_sample.coarsened(pool, 4), two_sample.folded(pool)):
        if reshaped is not None:
            assert reshaped.sizes == (len(reference), len(current))
            assert np.all(np.diff(reshaped.values) > 0)
    assert len(two_sample.coarsened(pool, 4).values) <= 4


def test_pooling_into_bins_keeps_the_distance() -> None:
    draw = generator(6)
    pool = pooled(draw.normal(0, 1, 5_000), draw.normal(0.2, 1, 2_000))
    exact, coarse = (two_sample.wasserstein_distance(p) for p in (pool, two_sample.coarsened(pool)))
    assert coarse == pytest.approx(exact, rel=0.02)


def test_a_column_that_is_mostly_zero_keeps_its_bins_for_the_rest() -> None:
    draw = generator(6)
    values = np.where(draw.random(5_000) < 0.9, 0.0, draw.random(5_000))
    assert len(two_sample.coarsened(pooled(values[:4_000], values[4_000:])).values) > two_sample.BINS / 2


def test_one_wild_value_is_pulled_in() -> None:
    draw = generator(8)
    calm = draw.normal(0, 1, 5_000)
    wild = np.append(draw.normal(0, 1, 1_999), 1e12)
    assert two_sample.wasserstein_distance(two_sample.clipped(pooled(calm, wild))) < 0.1


def test_ten_million_rows_are_tested_from_their_counts() -> None:
    share = np.full(200, 1 / 200)
    draw = generator(9)
    reference, current = draw.multinomial(5_000, share), draw.multinomial(10_000_000, share)
    pool = Pool(np.arange(200.0), reference, current)
    assert 0.001 < two_sample.wasserstein(pool, draw, DRAWS).p <= 1
    moved = Pool(np.arange(200.0), np.sort(reference), current)
    assert two_sample.wasserstein(moved, draw, DRAWS).p < 1e-7


def test_a_two_by_two_table_is_tested_exactly() -> None:
    p = two_sample.proportions(3, 100, 12, 90)
    table = stats.hypergeom(190, 15, 90)
    assert p == pytest.approx(2 * table.sf(11))
    counts = np.array([97, 3]), np.array([78, 12])
    assert two_sample.chi_square(*counts, generator(), DRAWS).p == pytest.approx(p)


@given(st.integers(0, 40), st.integers(0, 60))
def test_proportions_do_not_mind_which_sample_or_outcome_comes_first(first: int, second: int) -> None:
    p = two_sample.proportions(first, 40, second, 60)
    assert p == pytest.approx(two_sample.proportions(second, 60, first, 40))
    assert p == pytest.approx(two_sample.proportions(40 - first, 40, 60 - second, 60))
    assert 0 < p <= 1


def test_large_proportions_take_the_normal_law_and_meet_the_exact_one() -> None:
    exact = two_sample.proportions(2_400, 24_000, 950, 9_000)
    normal = two_sample._normal_proportions(2_400, 24_000, 950, 9_000)
    assert normal == pytest.approx(exact, rel=0.05)
    assert two_sample.proportions(1_000_000, 10_000_000, 1_003_000, 10_000_000) == pytest.approx(0.0254, rel=0.01)


def test_no_hits_or_nothing_but_hits_are_no_evidence() -> None:
    assert two_sample.proportions(0, 100, 0, 50) == two_sample.proportions(100, 100, 50, 50) == 1.0


def test_the_chi_square_statistic_is_scipys() -> None:
    reference, current = np.array([500, 300, 150, 50]), np.array([90, 70, 25, 15])
    expected = stats.chi2_contingency(np.array([reference, current]), correction=False)
    found = two_sample.chi_square(reference, current, generator(), DRAWS)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, rel=0.6)


def test_chi_square_p_values_are_uniform_where_nothing_differs() -> None:
    draw = generator(13)
    total = np.array([3_000, 1_500, 600, 200, 100, 60, 30, 8, 2])
    p = np.array([two_sample.chi_square(*split(total, 500, draw), draw, DRAWS).p for _ in range(1_000)])
    for level in (0.2, 0.05, 0.01):
        assert (p <= level).sum() <= stats.binom.ppf(0.999, len(p), level)
    assert (p <= 0.2).mean() > 0.12


def test_rare_categories_are_tested_as_one() -> None:
    reference, current = np.array([900, 80, 1, 2, 1, 3, 1, 2]), np.array([95, 9, 1, 0, 1, 1, 0, 0])
    merged = two_sample._rare_merged(reference, current)
    assert (merged[0].tolist(), merged[1].tolist()) == ([900, 90], [95, 12])  # even together too rare: joined by one


def test_a_category_alone_is_no_evidence() -> None:
    assert two_sample.chi_square(np.array([50]), np.array([70]), generator(), DRAWS).p == 1.0
    assert two_sample.chi_square(np.array([50, 1]), np.array([70, 0]), generator(), DRAWS).p == 1.0


def test_the_category_that_moved_is_named_and_pays_for_being_picked() -> None:
    reference = np.array([2_500, 2_000, 500, 0, 0])
    current = np.array([960, 750, 290, 0, 0])
    at, p = two_sample.likeliest_moved(reference, current)
    assert at == 2
    assert p == pytest.approx(3 * two_sample.proportions(500, 5_000, 290, 2_000))


def test_total_variation_is_the_share_that_moved() -> None:
    assert two_sample.total_variation(np.array([50, 50, 0]), np.array([40, 40, 20])) == pytest.approx(0.2)
