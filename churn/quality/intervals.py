"""95 % intervals that know that a customer has several rows: all of them are drawn together."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

LEVEL: Final = 0.95
RESAMPLES: Final = 1_000
Z: Final = float(norm.ppf((1 + LEVEL) / 2))

Vector = NDArray[np.float64]


def cluster_weights(customer_id: "pd.Series[str]", seed: int, resamples: int = RESAMPLES) -> Iterator[Vector]:
    """Bootstrap weights of the rows: customers are drawn with replacement, each with all its rows."""
    codes, customers = pd.factorize(customer_id, sort=True)
    generator = np.random.default_rng(seed)
    even = np.full(len(customers), 1 / len(customers))
    for _ in range(resamples):
        yield generator.multinomial(len(customers), even)[codes].astype(np.float64)


def percentile(drawn: Vector) -> tuple[float, float]:
    """The percentile interval: the middle 95 % of the bootstrap draws (Efron 1979)."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def distance_interval(found: Vector, drawn: Vector) -> tuple[float, float]:
    """Interval of the sum of the absolute values of `found`, which noise can only add to.

    The mean of that sum lies above the truth, so the percentiles of its draws do too. Below,
    the true sum is no further away than the noise's own sum (triangle inequality); above,
    no further than the sum itself varies. Conservative near 0.

    Args:
        found: the differences found, [k].
        drawn: the same in each bootstrap draw, [draws, k].
    """
    total, totals = np.abs(found).sum(), np.abs(drawn).sum(axis=1)
    noise = np.quantile(np.abs(drawn - found).sum(axis=1), (1 + LEVEL) / 2)
    above = np.quantile(totals - totals.mean(), (1 + LEVEL) / 2)
    return float(max(0.0, total - noise)), float(total + above)


def wilson(share: Vector, size: Vector) -> tuple[Vector, Vector]:
    """Interval of a share found in `size` independent cases (Wilson 1927); never of width zero."""
    middle = (share + Z**2 / (2 * size)) / (1 + Z**2 / size)
    half = Z / (1 + Z**2 / size) * np.sqrt(share * (1 - share) / size + Z**2 / (4 * size**2))
    return middle - half, middle + half


def effective_size(share: Vector, variance: Vector, customers: Vector, rows: Vector) -> Vector:
    """How many independent cases would know the share as well as these rows of repeating customers do.

    Args:
        share: found among the rows.
        variance: of `share`, between customers.
        customers: how many the rows are of; the answer when all rows agree, and no variance can be seen.
        rows: how many; no more than these are independent.
    """
    seen = variance > 1e-12  # what is less is rounding
    size = np.divide(share * (1 - share), variance, out=customers.astype(np.float64), where=seen)
    return np.minimum(size, rows)


def share_interval(hits: Vector, cases: Vector) -> tuple[float, float]:
    """Interval of `hits.sum() / cases.sum()`, both counted per customer; (0, 1) without a case.

    A percentile bootstrap calls a precision of 2 of 2 certain; this does not.
    Source: the variance of a ratio between clusters, Cochran 1977, "Sampling Techniques", 9.
    """
    hits, cases = hits[cases > 0], cases[cases > 0]
    if not len(cases):
        return 0.0, 1.0
    share = hits.sum() / cases.sum()
    correction = len(cases) / max(len(cases) - 1, 1)
    variance = correction * np.sum((hits - share * cases) ** 2) / cases.sum() ** 2
    size = effective_size(*(np.array([x], dtype=np.float64) for x in (share, variance, len(cases), cases.sum())))
    low, high = wilson(np.array([share]), size)
    return float(low[0]), float(high[0])


def decision_intervals(
    cluster: "pd.Series[str]", churned: Vector, flagged: Vector, count: Vector | float = 1.0
) -> dict[str, tuple[float, float]]:
    """Intervals of `precision` and `recall` by `share_interval`.

    Args:
        cluster: whose row it is; the rows of one are no independent cases.
        churned: 0 or 1.
        flagged: 0 or 1.
        count: how many equal rows each stands for.
    """
    counts = pd.DataFrame({"hits": flagged * churned * count, "flagged": flagged * count, "churned": churned * count})
    summed = counts.groupby(cluster.to_numpy()).sum()
    hits = summed["hits"].to_numpy()
    return {
        "precision": share_interval(hits, summed["flagged"].to_numpy()),
        "recall": share_interval(hits, summed["churned"].to_numpy()),
    }
