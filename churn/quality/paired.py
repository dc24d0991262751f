"""Models judged on the same rows: the interval of a difference, which is far narrower than either's own."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.quality.figure import Figure
from churn.quality.intervals import RESAMPLES, cluster_weights, percentile
from churn.quality.measures import Judged, Metric, auc

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Paired:
    """One metric of several models on the same rows.

    Attributes:
        names: of the models.
        points: the metric on all rows, [models].
        draws: the metric in each bootstrap draw of customers, [draws, models]. A draw is the
            same for all models, so that what makes a draw easy cancels in a difference.
    """

    names: tuple[str, ...]
    points: Vector
    draws: Vector

    def figure(self, name: str) -> Figure:
        """The metric of one model with its interval."""
        at = self.names.index(name)
        return Figure(float(self.points[at]), *percentile(self.draws[:, at]))

    def difference(self, name: str, other: str) -> Figure:
        """The metric of `name` minus that of `other`, with the interval of the difference."""
        at, base = self.names.index(name), self.names.index(other)
        return Figure(float(self.points[at] - self.points[base]), *percentile(self.draws[:, at] - self.draws[:, base]))


def paired(
    scores: pd.DataFrame,
    churned: Vector,
    customer_id: "pd.Series[str]",
    seed: int,
    metric: Metric = auc,
    resamples: int = RESAMPLES,
) -> Paired:
    """Judge each column of `scores` by `metric`; draws without a churner or a stayer are left out.

    Args:
        scores: one column per model, one row per held-out row; ranks are all that counts.
        churned: 0 or 1 for each row, float64.
        customer_id: of each row; customers are drawn with all their rows.
        seed: of the bootstrap.
        metric: of `churn.quality.measures`.
        resamples: bootstrap draws.
    """
    judged = [Judged(churned, values, values, values) for values in scores.to_numpy(np.float64).T]
    draws = [
        [metric(model, weight) for model in judged]
        for weight in cluster_weights(customer_id, seed, resamples)
        if 0 < (weight * churned).sum() < weight.sum()
    ]
    one = np.ones(len(churned))
    return Paired(tuple(map(str, scores.columns)), np.array([metric(model, one) for model in judged]), np.array(draws))
