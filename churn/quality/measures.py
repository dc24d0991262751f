"""Measures of predictions with weighted rows, fast enough to be drawn a thousand times.

All take `Judged` rows and a weight per row (1, or how often the bootstrap drew the row's
customer). Ranks are those of `score`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LABEL: Final = "churned"
"""The column of what happened: 0 or 1."""

CALIBRATION_BINS: Final = 10
TOP_SHARES: Final = (0.05, 0.10)

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judged:
    """Predictions beside what happened: `churned` and `flagged` 0 or 1, all float64 [n].

    `count`: how many predictions each row stands for, where equal ones are grouped; None is
    one each. The weights of the measures must contain it.
    """

    churned: Vector
    score: Vector
    probability: Vector
    flagged: Vector
    count: Vector | None = None

    @classmethod
    def of(cls, predictions: pd.DataFrame) -> "Judged":
        """From columns `churned`, `score`, `probability`, `flagged`."""
        return cls(*(predictions[name].to_numpy(np.float64) for name in (LABEL, "score", "probability", "flagged")))

    @cached_property
    def ranking(self) -> "Ranking":
        return Ranking.of(self.score, self.churned)

    @cached_property
    def calibration_bin(self) -> NDArray[np.int64]:
        """Assign each row to one of ten bins of equal size, by probability; ties stay together."""
        values, position = np.unique(self.probability, return_inverse=True)
        size = np.bincount(position, weights=self.count, minlength=len(values))
        below = np.cumsum(size) - size
        return np.asarray(below * CALIBRATION_BINS // size.sum(), dtype=np.int64)[position]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows from the highest score to the lowest, equal scores in one group."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    churned: Vector

    @classmethod
    def of(cls, score: Vector, churned: Vector) -> "Ranking":
        order = np.argsort(-score, kind="stable")
        ranked = score[order]
        starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        return cls(order, starts, churned[order])

    def counts(self, weight: Vector) -> tuple[Vector, Vector]:
        """Weight of the churners and of the others down to the end of each group, from 0."""
        ranked = weight[self.order]
        churners = ranked * self.churned
        summed = np.add.reduceat(np.stack([churners, ranked - churners]), self.starts, axis=1).cumsum(axis=1)
        hits, misses = np.concatenate([np.zeros((2, 1)), summed], axis=1)
        return hits, misses


Metric = Callable[[Judged, Vector], float]


def auc(rows: Judged, weight: Vector) -> float:
    """Area under the ROC curve: the chance that a churner is ranked above a stayer, ties half."""
    hits, misses = rows.ranking.counts(weight)
    return float(np.sum(np.diff(misses) * (hits[1:] + hits[:-1])) / 2 / (hits[-1] * misses[-1]))


def average_precision(rows: Judged, weight: Vector) -> float:
    """Precision at each score, weighted with the recall it adds (no interpolation)."""
    hits, misses = rows.ranking.counts(weight)
    flagged = hits[1:] + misses[1:]
    precision = np.divide(hits[1:], flagged, out=np.zeros_like(flagged), where=flagged > 0)
    return float(np.sum(np.diff(hits) * precision) / hits[-1])


def lift(share: float) -> Metric:
    """Share of churners among the `share` ranked highest, as a multiple of that among all; ties shared evenly."""

    def measure(rows: Judged, weight: Vector) -> float:
        hits, misses = rows.ranking.counts(weight)
        found = np.interp(share * (hits[-1] + misses[-1]), hits + misses, hits)
        return float(found / (share * hits[-1]))

    return measure


def precision(rows: Judged, weight: Vector) -> float:
    """Share of churners among the flagged; 0 when nobody is flagged."""
    return _share((weight * rows.flagged * rows.churned).sum(), (weight * rows.flagged).sum())


def recall(rows: Judged, weight: Vector) -> float:
    """Share of the flagged among the churners."""
    return _share((weight * rows.flagged * rows.churned).sum(), (weight * rows.churned).sum())


def f1(rows: Judged, weight: Vector) -> float:
    """Harmonic mean of precision and recall."""
    hits = (weight * rows.flagged * rows.churned).sum()
    return _share(2 * hits, (weight * rows.flagged).sum() + (weight * rows.churned).sum())


def brier(rows: Judged, weight: Vector) -> float:
    """Mean squared distance of the probability from what happened; smaller is better."""
    return _share((weight * (rows.probability - rows.churned) ** 2).sum(), weight.sum())


def calibration_gaps(rows: Judged, weight: Vector) -> Vector:
    """In each bin, mean probability minus share of churners, times the bin's share of the weight."""
    gaps = np.bincount(rows.calibration_bin, weights=weight * (rows.probability - rows.churned))
    return np.asarray(gaps / weight.sum(), dtype=np.float64)


def calibration_error(rows: Judged, weight: Vector) -> float:
    """Mean distance of the mean probability from the share of churners, over ten bins of equal size (ECE)."""
    return float(np.abs(calibration_gaps(rows, weight)).sum())


METRICS: Final[dict[str, Metric]] = {
    "auc": auc,
    "average_precision": average_precision,
    "f1": f1,
    "precision": precision,
    "recall": recall,
    "brier": brier,
    "calibration_error": calibration_error,
    **{f"lift_top_{round(100 * share)}": lift(share) for share in TOP_SHARES},
}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
