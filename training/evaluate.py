"""How good held-out predictions are, each figure with an interval that knows customers repeat."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from churn.moments import iso
from churn.scoring import calibrated
from training.dataset import LABEL
from training.fit import calibrate, f1_threshold

RESAMPLES: Final = 500
LEVEL: Final = 0.95
FEW_CHURNERS: Final = 30

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A metric with its 95 % interval (percentile cluster bootstrap over customers)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} (95 % interval {self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Evaluation:
    """Figures on held-out rows, and which rows they are."""

    figures: dict[str, Figure]
    rows: int
    customers: int
    churners: int
    dates: tuple[str, ...]
    split: str

    @property
    def warning(self) -> str | None:
        if self.churners >= FEW_CHURNERS:
            return None
        return f"only {self.churners} churners were held out: too few to conclude anything from these figures"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"warning": self.warning}


def cross_fitted(held_out: pd.DataFrame) -> pd.DataFrame:
    """Add `probability` and `flagged`, with calibration and threshold from the other folds' customers only.

    A threshold chosen on the rows it is judged on would flatter precision and recall.
    """
    parts = []
    for number in sorted(held_out["fold"].unique()):
        others, rows = held_out[held_out["fold"] != number], held_out[held_out["fold"] == number]
        calibration = calibrate(others["score"].to_numpy(), others[LABEL].to_numpy())
        threshold = f1_threshold(calibrated(others["score"].to_numpy(), calibration), others[LABEL].to_numpy())
        probability = calibrated(rows["score"].to_numpy(), calibration)
        parts.append(rows.assign(probability=probability, flagged=probability >= threshold))
    together: pd.DataFrame = pd.concat(parts)
    return together.sort_index()


def evaluate(predictions: pd.DataFrame, split: str, seed: int, resamples: int = RESAMPLES) -> Evaluation:
    """Judge held-out predictions.

    Args:
        predictions: columns `customer_id`, `as_of`, `churned`, `score`, `probability`, `flagged`.
        split: what separates the rows from those their models were fitted on.
        seed: of the bootstrap.
        resamples: bootstrap samples of customers.
    """
    churners = predictions.customer_id[predictions[LABEL] == 1].nunique()
    return Evaluation(
        figures=_with_intervals(predictions, seed, resamples),
        rows=len(predictions),
        customers=predictions.customer_id.nunique(),
        churners=churners,
        dates=tuple(iso(int(date)) for date in sorted(predictions.as_of.unique())),
        split=split,
    )


Metric = Callable[[Vector, Vector, Vector, Vector, Vector], float]


def _precision(y: Vector, _score: Vector, _probability: Vector, flagged: Vector, weight: Vector) -> float:
    return _share((weight * flagged * y).sum(), (weight * flagged).sum())


def _recall(y: Vector, _score: Vector, _probability: Vector, flagged: Vector, weight: Vector) -> float:
    return _share((weight * flagged * y).sum(), (weight * y).sum())


def _f1(y: Vector, _score: Vector, _probability: Vector, flagged: Vector, weight: Vector) -> float:
    return _share(2 * (weight * flagged * y).sum(), (weight * flagged).sum() + (weight * y).sum())


def _auc(y: Vector, score: Vector, _probability: Vector, _flagged: Vector, weight: Vector) -> float:
    return float(roc_auc_score(y, score, sample_weight=weight))


def _average_precision(y: Vector, score: Vector, _probability: Vector, _flagged: Vector, weight: Vector) -> float:
    return float(average_precision_score(y, score, sample_weight=weight))


def _brier(y: Vector, _score: Vector, probability: Vector, _flagged: Vector, weight: Vector) -> float:
    return float(np.average((probability - y) ** 2, weights=weight))


METRICS: Final[dict[str, Metric]] = {
    "auc": _auc,
    "average_precision": _average_precision,
    "f1": _f1,
    "precision": _precision,
    "recall": _recall,
    "brier": _brier,
}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _with_intervals(predictions: pd.DataFrame, seed: int, resamples: int) -> dict[str, Figure]:
    y = predictions[LABEL].to_numpy(dtype=np.float64)
    score, probability = predictions["score"].to_numpy(), predictions["probability"].to_numpy()
    flagged = predictions["flagged"].to_numpy(dtype=np.float64)
    drawn: dict[str, list[float]] = {name: [] for name in METRICS}
    for weight in cluster_weights(predictions.customer_id, seed, resamples):
        if not 0 < (weight * y).sum() < weight.sum():
            continue
        for name, metric in METRICS.items():
            drawn[name].append(metric(y, score, probability, flagged, weight))
    one = np.ones(len(y))
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return {
        name: Figure(metric(y, score, probability, flagged, one), *map(float, np.quantile(drawn[name], tails)))
        for name, metric in METRICS.items()
    }


def cluster_weights(customer_id: "pd.Series[str]", seed: int, resamples: int) -> list[Vector]:
    """Bootstrap weights of the rows: customers are drawn with replacement, each with all its rows."""
    codes, customers = pd.factorize(customer_id, sort=True)
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(len(customers), np.full(len(customers), 1 / len(customers)), size=resamples)
    return [draw[codes].astype(np.float64) for draw in counts]
