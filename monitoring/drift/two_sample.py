"""Two-sample tests on counts: whether two samples come from the same population.

Every test takes counts, not rows, so that a column in memory and a `GROUP BY` over ten
million rows are tested by the same code. Every null distribution is the permutation one
(given the two samples together, each division into two of these sizes is equally likely),
either in closed form or by drawing from it:

* Kolmogorov-Smirnov: largest difference of the two distribution functions, limit law
  (conservative with ties).
* Wasserstein: area between the two distribution functions. Permuting rows moves counts
  between the samples by a multivariate hypergeometric draw, so a permutation costs a few
  microseconds however many rows there are, after values are pooled into at most
  `BINS` bins (the same bins, made from both samples, for the observed and the permuted
  distance: pooling costs power, never validity).
* Chi-square on a two-row table, its null drawn likewise; with two categories the exact
  hypergeometric test.
* The single category that moved most surely, corrected for having been picked.
* Two proportions: exact hypergeometric, normal once every expected count is large.

**p-values by permutation** (`permutation_p`). Draws come in growing batches and stop as
soon as `ENOUGH` of them reach the observed value (Besag and Clifford 1991, *Sequential
Monte Carlo p-values*): most columns of an unchanged world cost a few dozen draws. Where
all draws are used up, the p-value is read off the tail: the `ANCHOR`-th largest draw has a
known p-value, and from there the p-value falls as the tail of the *mean difference* does,

    p(w) = S(S⁻¹(p₀) + w − w₀),

S being a Pearson III law with the mean difference's exact permutation variance and
skewness. Why that tail: the distance is the norm of a vector that is Gaussian in the
limit, so Φ⁻¹(P(W ≤ w)) is concave (Ehrhard 1983, *Symétrisation dans l'espace de Gauss*)
and its slope falls to 1/σ, where σ² is the largest variance of a linear functional below
the norm: here that of the mean difference, since all covariances are positive. The
straight line with that slope is therefore an upper bound of p in the limit; the skewness
carries the bound over to small, lopsided samples. `docs/drift.md` has its measured error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special, stats

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Draw = Callable[[int], FloatArray]

BINS: Final = 64
CLIPPED_SHARE: Final = 0.001
"""Rows at each end of the pooled sample whose value is pulled in: no single row decides."""

ENOUGH: Final = 6
ANCHOR: Final = 20
FIRST_BATCH: Final = 30
GROWTH: Final = 2
SETTLED_AFTER: Final = 400
BEYOND_DOUBT: Final = 1e-7
"""After `SETTLED_AFTER` draws, a tail p-value below this ends the drawing: more draws would not change any decision."""

MERGED_BELOW: Final = 5.0
"""Categories expected fewer times than this in the smaller sample are tested as one."""

EXACT_UP_TO: Final = 1_000.0
"""Two proportions are compared exactly while some cell's expected count is at most this."""


@dataclass(frozen=True)
class Outcome:
    """A test's statistic and its p-value."""

    statistic: float
    p: float


@dataclass(frozen=True, eq=False)
class Pool:
    """Two samples on the same axis: ascending distinct `values`, and how often each sample has them.

    Values are float64[k], counts int64[k]; no value has a count of zero in both samples.
    """

    values: FloatArray
    reference: IntArray
    current: IntArray

    @property
    def total(self) -> IntArray:
        return self.reference + self.current

    @property
    def sizes(self) -> tuple[int, int]:
        return int(self.reference.sum()), int(self.current.sum())

    @property
    def is_constant(self) -> bool:
        return len(self.values) < 2


def pool(
    reference_values: FloatArray, reference_counts: IntArray, current_values: FloatArray, current_counts: IntArray
) -> Pool:
    """Put two samples on one axis. Values are finite, and far enough from the ends of float64 to be cubed."""
    values, position = np.unique(np.concatenate([reference_values, current_values]), return_inverse=True)
    split = len(reference_values)
    return Pool(
        values,
        _placed(position[:split], reference_counts, len(values)),
        _placed(position[split:], current_counts, len(values)),
    )


def _placed(position: npt.NDArray[np.intp], counts: IntArray, length: int) -> IntArray:
    placed = np.zeros(length, dtype=np.int64)
    np.add.at(placed, position, counts)
    return placed


def _regrouped(samples: Pool, values: FloatArray, group: npt.NDArray[np.intp]) -> Pool:
    """Row `i` of the pool goes to `values[group[i]]`; groups that stay empty are dropped."""
    reference = _placed(group, samples.reference, len(values))
    current = _placed(group, samples.current, len(values))
    kept = (reference + current) > 0
    return Pool(values[kept], reference[kept], current[kept])


def clipped(samples: Pool, share: float = CLIPPED_SHARE) -> Pool:
    """The pool with values beyond the pooled `share` and `1 - share` quantiles pulled in to them."""
    below = np.cumsum(samples.total)
    low, high = np.searchsorted(below, [share * below[-1], (1 - share) * below[-1]])
    group = np.clip(np.arange(len(below)), low, high)
    return _regrouped(samples, samples.values, group)


def coarsened(samples: Pool, bins: int = BINS) -> Pool:
    """At most `bins` values, each the pooled mean of its bin; bins hold about equal numbers of rows.

    A value that is more frequent than a bin is wide counts as one bin's worth, so that a
    column that is mostly zero keeps its bins for the rest.
    """
    if len(samples.values) <= bins:
        return samples
    total = samples.total.astype(np.float64)
    weight = np.minimum(total, total.sum() / bins)
    position = (np.cumsum(weight) - weight / 2) / weight.sum()
    group = np.minimum((position * bins).astype(np.intp), bins - 1)
    rows = np.bincount(group, total, bins)
    with np.errstate(invalid="ignore"):  # an empty bin has no mean, and is dropped below
        means = np.bincount(group, total * samples.values, bins) / rows
    return _regrouped(samples, means, group)


def folded(samples: Pool) -> Pool | None:
    """Distances from the pooled median: a change of spread becomes a shift.

    None where the median is the smallest or largest value: folding would change nothing.
    """
    total = samples.total
    middle = int(np.searchsorted(np.cumsum(total), total.sum() / 2))
    if middle in (0, len(total) - 1):
        return None
    distances, group = np.unique(np.abs(samples.values - samples.values[middle]), return_inverse=True)
    return _regrouped(samples, distances, group)


def distribution_gaps(samples: Pool) -> FloatArray:
    """Current minus reference distribution function at each pooled value, float64[k]."""
    reference_rows, current_rows = samples.sizes
    return np.cumsum(samples.current) / current_rows - np.cumsum(samples.reference) / reference_rows


def kolmogorov_smirnov(samples: Pool) -> Outcome:
    """Largest gap between the distribution functions; p from Kolmogorov's limit law."""
    reference_rows, current_rows = samples.sizes
    statistic = float(np.abs(distribution_gaps(samples)).max())
    effective = reference_rows * current_rows / (reference_rows + current_rows)
    return Outcome(statistic, float(special.kolmogorov(np.sqrt(effective) * statistic)))


def wasserstein_distance(samples: Pool) -> float:
    """Area between the distribution functions, in the unit of the values."""
    return float(np.abs(distribution_gaps(samples)[:-1]) @ np.diff(samples.values))


def wasserstein(samples: Pool, generator: np.random.Generator, draws: int, bins: int = BINS) -> Outcome:
    """Wasserstein distance with a permutation p-value, from at most about `draws` permutations."""
    if samples.is_constant:
        return Outcome(0.0, 1.0)
    coarse = coarsened(samples, bins)
    p = permutation_p(wasserstein_distance(coarse), _distance_draws(coarse, generator), _mean_tail(coarse), draws)
    return Outcome(wasserstein_distance(samples), p)


def _distance_draws(samples: Pool, generator: np.random.Generator) -> Draw:
    total, smaller = samples.total, min(samples.sizes)
    larger = int(total.sum()) - smaller
    expected = np.cumsum(total)[:-1] / larger
    widths = np.diff(samples.values)

    def draw(size: int) -> FloatArray:
        moved = generator.multivariate_hypergeometric(total, smaller, size=size, method="marginals")
        below = np.cumsum(moved, axis=1)[:, :-1] * (1 / smaller + 1 / larger)
        distances: FloatArray = np.abs(below - expected) @ widths
        return distances

    return draw


@dataclass(frozen=True)
class Tail:
    """The shape of a null distribution's upper tail: survival function and its inverse."""

    survival: Callable[[float], float]
    inverse: Callable[[float], float]

    def extended(self, p: float, value: float, observed: float) -> float:
        """p-value of `observed`, given that of `value`."""
        return self.survival(self.inverse(p) + observed - value)


def _mean_tail(samples: Pool) -> Tail:
    """Pearson III with the permutation variance and skewness of the difference of the means."""
    total = samples.total.astype(np.float64)
    rows, smaller = float(total.sum()), float(min(samples.sizes))
    larger = rows - smaller
    centred = samples.values - total @ samples.values / rows
    variance = float(total @ centred**2 / rows)
    third = float(total @ centred**3 / rows) / variance**1.5
    deviation = float(np.sqrt(variance * rows**2 / ((rows - 1) * smaller * larger)))
    skewness = abs(third) * (larger - smaller) / (rows - 2) * float(np.sqrt((rows - 1) / (smaller * larger)))
    return _pearson_tail(deviation, skewness)


def _pearson_tail(deviation: float, skewness: float) -> Tail:
    if skewness < 1e-3:
        return Tail(lambda w: float(special.ndtr(-w / deviation)), lambda p: float(-special.ndtri(p)) * deviation)
    shape = 4 / skewness**2
    root = float(np.sqrt(shape))
    return Tail(
        lambda w: float(special.gammaincc(shape, max(0.0, shape + root * w / deviation))),
        lambda p: float(special.gammainccinv(shape, p) - shape) / root * deviation,
    )


def permutation_p(observed: float, draw: Draw, tail: Tail, draws: int) -> float:
    """p-value of `observed` under the distribution that `draw(size)` draws from (see the module's text)."""
    reached = observed * (1 - 1e-12)  # the same sum in another order may differ in the last digit
    seen: FloatArray = np.empty(0)
    size = FIRST_BATCH
    while True:
        seen = np.concatenate([seen, draw(size)])
        as_large = int((seen >= reached).sum())
        if as_large >= ENOUGH:
            return (as_large + 1) / (len(seen) + 1)
        p = _tail_p(observed, seen, tail)
        if len(seen) >= draws or (len(seen) >= SETTLED_AFTER and p < BEYOND_DOUBT):
            return p
        size = min(size * GROWTH, draws - len(seen))


def _tail_p(observed: float, seen: FloatArray, tail: Tail) -> float:
    anchor = min(ANCHOR, len(seen) // 2)
    value = float(np.partition(seen, -anchor)[-anchor])
    return min(tail.extended(anchor / (len(seen) + 1), value, observed), 1.0)


def total_variation(reference: IntArray, current: IntArray) -> float:
    """Half the sum of the absolute differences of the shares: the share of rows that changed category."""
    return float(np.abs(reference / reference.sum() - current / current.sum()).sum() / 2)


def chi_square(reference: IntArray, current: IntArray, generator: np.random.Generator, draws: int) -> Outcome:
    """Both samples' counts per category: homogeneity, rare categories as one.

    With two categories left the p-value is exact, otherwise by permutation.
    """
    reference, current = _rare_merged(reference, current)
    if len(reference) < 2:
        return Outcome(0.0, 1.0)
    total, smaller = reference + current, min(int(reference.sum()), int(current.sum()))
    rows = int(total.sum())
    expected = total * (smaller / rows)
    scale = rows / (rows - smaller)

    def statistic(counts: IntArray) -> FloatArray:
        values: FloatArray = ((counts - expected) ** 2 / expected).sum(axis=-1) * scale
        return values

    def draw(size: int) -> FloatArray:
        return statistic(generator.multivariate_hypergeometric(total, smaller, size=size, method="marginals"))

    observed = float(statistic(reference if int(reference.sum()) == smaller else current))
    if len(total) == 2:
        p = proportions(int(reference[0]), int(reference.sum()), int(current[0]), int(current.sum()))
    else:
        p = permutation_p(observed, draw, _chi_square_tail(len(total) - 1), draws)
    return Outcome(observed, p)


def _rare_merged(reference: IntArray, current: IntArray) -> tuple[IntArray, IntArray]:
    """Categories by size, those too rare to test as one; which are rare depends on both samples together."""
    total = reference + current
    order = np.argsort(-total, kind="stable")
    expected = total[order] * (min(reference.sum(), current.sum()) / total.sum())
    kept = int((expected >= MERGED_BELOW).sum())
    if expected[kept:].sum() < MERGED_BELOW:
        kept -= 1  # the rest is too rare even together: the smallest of the others joins it
    kept = max(kept, 0)
    starts = np.unique(np.minimum(np.arange(len(order)), kept))
    return np.add.reduceat(reference[order], starts), np.add.reduceat(current[order], starts)


def likeliest_moved(reference: IntArray, current: IntArray) -> tuple[int, float]:
    """Which single category's share differs most surely, and the p-value of that.

    One category that moves while many stay drowns in a chi-square with their degrees of
    freedom; here it is compared alone, exactly, and its p-value multiplied by the number of
    categories that are frequent enough to be compared.
    """
    total, sizes = reference + current, (int(reference.sum()), int(current.sum()))
    frequent = np.flatnonzero(total * (min(sizes) / sum(sizes)) >= MERGED_BELOW)
    if len(frequent) == 0:
        return int(total.argmax()), 1.0
    p = [proportions(int(reference[i]), sizes[0], int(current[i]), sizes[1]) for i in frequent]
    surest = int(np.argmin(p))
    return int(frequent[surest]), min(1.0, p[surest] * len(frequent))


def _chi_square_tail(freedom: int) -> Tail:
    return Tail(
        lambda w: float(special.chdtrc(freedom, max(w, 0.0))),
        lambda p: float(special.chdtri(freedom, p)),
    )


def proportions(reference_hits: int, reference_rows: int, current_hits: int, current_rows: int) -> float:
    """Two-sided p-value that two shares are the same: twice the smaller hypergeometric tail."""
    hits, rows = reference_hits + current_hits, reference_rows + current_rows
    if hits in (0, rows):
        return 1.0
    if 2 * hits > rows:
        return proportions(reference_rows - reference_hits, reference_rows, current_rows - current_hits, current_rows)
    if hits * min(reference_rows, current_rows) / rows > EXACT_UP_TO:
        return _normal_proportions(reference_hits, reference_rows, current_hits, current_rows)
    found, drawn = (current_hits, current_rows) if current_rows <= reference_rows else (reference_hits, reference_rows)
    law = (rows, max(hits, drawn), min(hits, drawn))
    return min(1.0, 2 * float(min(stats.hypergeom.cdf(found, *law), stats.hypergeom.sf(found - 1, *law))))


def _normal_proportions(reference_hits: int, reference_rows: int, current_hits: int, current_rows: int) -> float:
    share = (reference_hits + current_hits) / (reference_rows + current_rows)
    deviation = np.sqrt(share * (1 - share) * (1 / reference_rows + 1 / current_rows))
    difference = abs(current_hits / current_rows - reference_hits / reference_rows)
    return 2 * float(special.ndtr(-difference / deviation))
