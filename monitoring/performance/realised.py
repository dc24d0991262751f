"""How good predictions were, once it is known who left: figures with 95 % intervals, clustered by customer."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.quality.figure import Figure
from churn.quality.intervals import RESAMPLES, cluster_weights, decision_intervals, distance_interval, percentile
from churn.quality.measures import LABEL, METRICS, Judged, calibration_gaps

REALISED: Final = ("auc", "f1", "precision", "recall", "brier", "calibration_error")

Vector = NDArray[np.float64]


def figures(rows: pd.DataFrame, seed: int = 0, resamples: int = RESAMPLES) -> dict[str, Figure]:
    """The measures of predictions whose outcomes are known.

    Args:
        rows: `cluster` (the customer, or a group of them, drawn together), `probability`,
            `flagged`, `churned`, and `rows`, how many equal predictions each stands for.
        seed: of the bootstrap.
        resamples: how often the clusters are drawn.
    """
    count = rows["rows"].to_numpy(np.float64)
    probability, flagged, churned = (rows[name].to_numpy(np.float64) for name in ("probability", "flagged", LABEL))
    judged = Judged(churned, probability, probability, flagged, count)
    drawn, gaps = [], []
    for weight in cluster_weights(rows["cluster"], seed, resamples):
        drawn.append(measures(judged, weight * count, REALISED))
        gaps.append(calibration_gaps(judged, weight * count))
    bounds = {name: bounds_of(np.array([one[name] for one in drawn])) for name in REALISED}
    bounds |= decision_intervals(rows["cluster"], churned, flagged, count)
    bounds["calibration_error"] = distance_interval(calibration_gaps(judged, count), np.array(gaps))
    values = measures(judged, count, REALISED)
    return {name: Figure.of(values[name], bounds[name]) for name in REALISED}


def measures(rows: Judged, weight: Vector, names: tuple[str, ...]) -> dict[str, float]:
    """The measures by name; not a number where one does not exist: nobody churned, stayed, or was flagged."""
    churned, everyone = (weight * rows.churned).sum(), weight.sum()
    flagged = (weight * rows.flagged).sum()
    missing = {
        "auc": churned in (0, everyone),
        "recall": churned == 0,
        "precision": flagged == 0,
        "f1": churned + flagged == 0,
    }
    return {name: np.nan if missing.get(name, False) else METRICS[name](rows, weight) for name in names}


def bounds_of(drawn: Vector) -> tuple[float, float]:
    """The interval of the draws in which the figure exists."""
    drawn = drawn[~np.isnan(drawn)]
    return percentile(drawn) if len(drawn) else (np.nan, np.nan)
