"""How good held-out predictions are: every figure with its interval, and how much it rests on."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.errors import NotEnoughDataError, PrecisionTargetError
from churn.model.facts import EvaluationFacts, FigureFacts
from churn.model.scoring import calibrated
from churn.moments import iso
from churn.quality.figure import Figure
from churn.quality.intervals import RESAMPLES, cluster_weights, decision_intervals, distance_interval, percentile
from churn.quality.measures import LABEL, METRICS, TOP_SHARES, Judged, calibration_gaps
from training.forest.fit import ScoredRows, calibrate
from training.forest.policy import PolicySettings, choose

FEW_CHURNERS: Final = 30
FEW_CUSTOMERS: Final = 100
FEW_FLAGGED: Final = 30

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Support:
    """How many different customers a figure rests on, and how many of them churned."""

    customers: int
    churners: int


@dataclass(frozen=True)
class Evaluation:
    """Figures on held-out rows, what each rests on, and which rows they are."""

    figures: dict[str, Figure]
    rows: int
    customers: int
    churners: int
    dates: tuple[str, ...]
    split: str
    support: dict[str, Support]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why these figures conclude less than they seem to."""
        return tuple(self._too_few())

    def facts(self) -> EvaluationFacts:
        """The evaluation as the manifest records it."""
        return EvaluationFacts(
            figures={
                name: FigureFacts(**asdict(figure), **asdict(self.support[name]))
                for name, figure in self.figures.items()
            },
            rows=self.rows,
            customers=self.customers,
            churners=self.churners,
            dates=self.dates,
            split=self.split,
            warning="; ".join(self.warnings) or None,
            warnings=self.warnings,
        )

    def _too_few(self) -> Iterable[str]:
        if self.churners < FEW_CHURNERS:
            yield f"only {self.churners} churners were held out: too few to conclude anything from these figures"
        if self.customers < FEW_CUSTOMERS:
            yield f"only {self.customers} customers were held out: too few to conclude anything from these figures"
        flagged = self.support["precision"]
        if flagged.customers < FEW_FLAGGED:
            yield (
                f"precision rests on {flagged.customers} flagged customers, {flagged.churners} of whom churned: "
                "too few to conclude anything from it"
            )
        if self.figures["auc"].low <= 0.5:
            yield "the interval of the AUC reaches 0.5: these rows do not show that the model knows anything"


def cross_fitted(scored: ScoredRows, policy: PolicySettings) -> pd.DataFrame:
    """Add `probability` and `flagged` to the tested rows, with what was known of other customers at their origin.

    For each origin and fold, calibration and threshold come from the scores of the other
    folds' customers at dates whose labels were known at the origin; so they are judged on
    rows, customers and (where the log is long enough) a time that they have not seen.
    Where a fold cannot promise the precision asked for, it takes the threshold next to it.
    """
    parts = []
    for (origin, fold), rows in scored.tested.groupby(["origin", "fold"]):
        others = scored.known[(scored.known["origin"] == origin) & (scored.known["fold"] != fold)]
        calibration = calibrate(others["score"].to_numpy(), others[LABEL].to_numpy())
        threshold = _nearest_threshold(
            others.assign(probability=calibrated(others["score"].to_numpy(), calibration)), policy
        )
        probability = calibrated(rows["score"].to_numpy(), calibration)
        parts.append(rows.assign(probability=probability, flagged=probability >= threshold))
    together: pd.DataFrame = pd.concat(parts)
    return together.sort_index()


def _nearest_threshold(predictions: pd.DataFrame, policy: PolicySettings) -> float:
    try:
        return choose(predictions, policy).threshold
    except PrecisionTargetError as error:
        if error.best is None:
            raise
        return error.best


def evaluate(predictions: pd.DataFrame, split: str, seed: int, resamples: int = RESAMPLES) -> Evaluation:
    """Judge held-out predictions.

    Args:
        predictions: columns `customer_id`, `as_of`, `churned`, `score`, `probability`, `flagged`.
        split: what separates the rows from those their models were fitted on.
        seed: of the bootstrap.
        resamples: bootstrap samples of customers.

    Raises:
        NotEnoughDataError: nobody churned, or everybody did.
    """
    check_both_outcomes(predictions)
    support = _support(predictions)
    return Evaluation(
        figures=_with_intervals(predictions, seed, resamples),
        rows=len(predictions),
        customers=support["auc"].customers,
        churners=support["auc"].churners,
        dates=tuple(iso(int(date)) for date in sorted(predictions.as_of.unique())),
        split=split,
        support=support,
    )


def check_both_outcomes(rows: pd.DataFrame) -> None:
    """Raise `NotEnoughDataError` where `churned` has one value only."""
    found = rows[LABEL].unique()
    if len(found) < 2:
        what = "nobody churned" if 0 in found else "everybody churned"
        raise NotEnoughDataError(
            f"{what} among the {len(rows)} rows to be judged: take a longer log, or another label or horizon"
        )


def _usable(weights: Iterable[Vector], churned: Vector) -> Iterable[Vector]:
    """The draws that hold churners and others; without both, few of the measures exist."""
    return (weight for weight in weights if 0 < (weight * churned).sum() < weight.sum())


def _with_intervals(predictions: pd.DataFrame, seed: int, resamples: int) -> dict[str, Figure]:
    judged = Judged.of(predictions)
    even = np.ones(len(predictions))
    drawn: dict[str, list[float]] = {name: [] for name in METRICS}
    gaps = []
    for weight in _usable(cluster_weights(predictions.customer_id, seed, resamples), judged.churned):
        for name, metric in METRICS.items():
            drawn[name].append(metric(judged, weight))
        gaps.append(calibration_gaps(judged, weight))
    bounds = {name: percentile(np.array(values)) for name, values in drawn.items()}
    bounds |= decision_intervals(predictions.customer_id, judged.churned, judged.flagged)
    bounds["calibration_error"] = distance_interval(calibration_gaps(judged, even), np.array(gaps))
    return {name: Figure(metric(judged, even), *bounds[name]) for name, metric in METRICS.items()}


def _support(predictions: pd.DataFrame) -> dict[str, Support]:
    everyone = _count(predictions, np.ones(len(predictions), dtype=np.bool_))
    rank = predictions["score"].rank(ascending=False, method="first")
    tops = {f"lift_top_{round(100 * s)}": (rank <= np.ceil(s * len(rank))).to_numpy(np.bool_) for s in TOP_SHARES}
    flagged = predictions["flagged"].to_numpy(np.bool_)
    some = {"precision": flagged} | tops
    return {name: _count(predictions, some[name]) if name in some else everyone for name in METRICS}


def _count(predictions: pd.DataFrame, some: Flags) -> Support:
    rows = predictions[some]
    return Support(int(rows.customer_id.nunique()), int(rows.customer_id[rows[LABEL] == 1].nunique()))
