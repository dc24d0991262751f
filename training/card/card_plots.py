"""Held-out predictions to the curves of the model card, with bands that know customers repeat."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.contract import BY_NAME, NAMES
from churn.model.explaining import Explainer
from churn.quality.figure import Figure
from churn.quality.intervals import LEVEL, cluster_weights, share_interval
from churn.quality.measures import LABEL, Judged, Ranking
from training.card.plots import CHURN, STAY, Bar, Caption, Curve, Plot, bars, beeswarm, curves, reliability, sizes
from training.evaluation.error_analysis import Segment
from training.evaluation.permutation import MeasureImportance
from training.forest.fit import FittedForest
from training.forest.search import Search

DRAWS: Final = 200
BINS: Final = 10
STEPS: Final = 20
FEATURES_SHOWN: Final = 15
MEASURES_SHOWN: Final = 15
ROWS_SHOWN: Final = 500

Vector = NDArray[np.float64]
Traced = Callable[[Vector], Vector]
_GRID: Final = np.linspace(0, 1, 101)


def held_out_plots(rows: pd.DataFrame, threshold: float, seed: int) -> list[Plot]:
    """ROC, precision-recall, gain, calibration, and precision and recall by threshold.

    Args:
        rows: held-out rows: `customer_id`, `churned`, `score`, `probability`, `flagged`.
        threshold: the decision threshold on the probability.
        seed: of the bands.
    """
    weights = list(cluster_weights(rows.customer_id, seed, DRAWS))
    judged = Judged.of(rows)
    return [
        _roc(judged, weights),
        _precision_recall(judged, weights),
        _gain(judged, weights),
        _calibration(rows),
        _by_threshold(judged, weights, threshold),
    ]


def _curve(x: Vector, trace: Traced, weights: Sequence[Vector], label: str = "", colour: str = CHURN) -> Curve:
    """What `trace` gives for all rows, and the middle 95 % of what it gives for each draw of customers."""
    drawn = np.array([trace(weight) for weight in weights])
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Curve(x, trace(np.ones_like(weights[0])), low, high, label, colour)


def _at(grid: Vector, curve: Curve, x: float) -> float:
    return float(np.interp(x, grid, curve.y))


def _roc(judged: Judged, weights: Sequence[Vector]) -> Plot:
    def recall_at(weight: Vector) -> Vector:
        hits, misses = judged.ranking.counts(weight)
        return np.asarray(np.interp(_GRID, misses / misses[-1], hits / hits[-1]))

    curve = _curve(_GRID, recall_at, weights)
    alt = (
        f"ROC curve: with a tenth of the stayers flagged, {_at(_GRID, curve, 0.1):.0%} of the churners are; "
        f"with three tenths, {_at(_GRID, curve, 0.3):.0%}. The diagonal is chance."
    )
    caption = Caption("roc", "ROC: churners caught for stayers flagged", alt)
    return curves(caption, ("share of stayers flagged", "share of churners flagged"), [curve], diagonal=True)


def _precision_recall(judged: Judged, weights: Sequence[Vector]) -> Plot:
    def precision_at(weight: Vector) -> Vector:
        hits, misses = judged.ranking.counts(weight)
        flagged = hits[1:] + misses[1:]
        precision = np.divide(hits[1:], flagged, out=np.ones_like(flagged), where=flagged > 0)
        return np.asarray(np.interp(_GRID[1:], hits[1:] / hits[-1], precision))

    curve = _curve(_GRID[1:], precision_at, weights, "the model")
    base = float(judged.churned.mean())
    alt = (
        f"Precision against recall: {_at(_GRID[1:], curve, 0.2):.0%} of the flagged churn where a fifth of the "
        f"churners is caught, {_at(_GRID[1:], curve, 0.5):.0%} where half is; chance is {base:.0%}."
    )
    caption = Caption("precision-recall", "Precision and recall", alt)
    chance = Curve(np.array([0.0, 1.0]), np.array([base, base]), label="chance", colour=STAY)
    return curves(caption, ("recall (share of churners caught)", "precision"), [curve, chance])


def _gain(judged: Judged, weights: Sequence[Vector]) -> Plot:
    def caught_at(weight: Vector) -> Vector:
        hits, misses = judged.ranking.counts(weight)
        return np.asarray(np.interp(_GRID, (hits + misses) / (hits[-1] + misses[-1]), hits / hits[-1]))

    curve = _curve(_GRID, caught_at, weights)
    alt = (
        f"Gain: among the tenth of customers ranked highest are {_at(_GRID, curve, 0.1):.0%} of the churners, among "
        f"the highest fifth {_at(_GRID, curve, 0.2):.0%}. The diagonal is chance."
    )
    caption = Caption("gain", "Gain: churners caught for customers called", alt)
    return curves(caption, ("share of customers called", "share of churners among them"), [curve], diagonal=True)


def _by_threshold(judged: Judged, weights: Sequence[Vector], threshold: float) -> Plot:
    top = float(judged.probability.max())
    grid = np.linspace(0, top, 101)
    ranking = Ranking.of(judged.probability, judged.churned)
    # How many groups of equal probability are flagged at each threshold.
    ends = np.searchsorted(-judged.probability[ranking.order][ranking.starts], -grid, side="right")

    def precision_at(weight: Vector) -> Vector:
        hits, misses = (counts[ends] for counts in ranking.counts(weight))
        flagged = hits + misses
        return np.divide(hits, flagged, out=np.full_like(flagged, np.nan), where=flagged > 0)

    def recall_at(weight: Vector) -> Vector:
        hits, _ = ranking.counts(weight)
        return np.asarray(hits[ends] / hits[-1])

    precision = _curve(grid, precision_at, weights, "precision", CHURN)
    recall = _curve(grid, recall_at, weights, "recall", STAY)
    alt = (
        f"Precision rises and recall falls with the threshold. At the chosen {threshold:.3f}, precision is "
        f"{_at(grid, precision, threshold):.0%} and recall {_at(grid, recall, threshold):.0%}."
    )

    def mark(axes: Any) -> None:
        axes.axvline(threshold, linestyle="--", color="black", linewidth=1, label=f"threshold {threshold:.3f}")
        axes.set_xlim(0, min(1.0, 1.02 * top))

    caption = Caption("threshold", "Precision and recall by threshold", alt)
    return curves(caption, ("threshold on the probability", "share"), [precision, recall], finish=mark)


def _calibration(rows: pd.DataFrame) -> Plot:
    bins = Judged.of(rows).calibration_bin
    expected, observed = [], []
    for number in np.unique(bins):
        part = rows[bins == number]
        by_customer = part[LABEL].groupby(part.customer_id).agg(["sum", "size"])
        bounds = share_interval(by_customer["sum"].to_numpy(np.float64), by_customer["size"].to_numpy(np.float64))
        expected.append(float(part["probability"].mean()))
        observed.append(Figure(float(part[LABEL].mean()), *bounds))
    share, _ = np.histogram(rows["probability"], bins=STEPS, range=(0, 1))
    alt = (
        "Calibration: mean predicted probability and observed share of churners, bin by bin: "
        + "; ".join(f"{e:.0%} predicted, {o.value:.0%} observed" for e, o in zip(expected, observed, strict=True))
        + ". The diagonal is perfect; grey bars show how many rows have which probability."
    )
    caption = Caption("calibration", "Calibration: what was predicted and what happened", alt)
    return reliability(caption, np.array(expected), observed, share.astype(np.float64))


def shap_summary(fitted: FittedForest, reference: pd.DataFrame, seed: int) -> Plot:
    """Contributions to the score of the reference's customers, feature by feature, most important first."""
    rows = reference.sample(min(ROWS_SHOWN, len(reference)), random_state=seed)
    matrix = fitted.encoder.frame(rows)
    contributions = Explainer(fitted.arrays, fitted.encoder.columns).contributions(matrix)
    order = np.argsort(-np.abs(contributions).mean(axis=0), kind="stable")[:FEATURES_SHOWN]
    names = [NAMES[at] for at in order]
    alt = "Mean absolute contribution to the score: " + "; ".join(
        f"{name} {np.abs(contributions[:, at]).mean():.4f}" for name, at in zip(names, order, strict=True)
    )
    caption = Caption("shap", "What moves the score (SHAP), one dot per customer", alt + ".")
    return beeswarm(caption, names, contributions[:, order], _ranks(rows, names), seed)


def _ranks(rows: pd.DataFrame, names: Sequence[str]) -> Vector:
    """Where each value lies among the feature's values, 0 to 1; NaN for a category or a missing value."""
    columns = [
        np.full(len(rows), np.nan) if BY_NAME[name].is_category else _rank(rows[name].to_numpy(np.float64))
        for name in names
    ]
    return np.column_stack(columns)


def _rank(values: Vector) -> Vector:
    ranks = pd.Series(values).rank().to_numpy(np.float64)
    highest = float(np.nanmax(ranks, initial=2.0))
    return np.asarray((ranks - 1) / (highest - 1), dtype=np.float64)


def permutation_plot(found: Sequence[MeasureImportance]) -> Plot:
    """AUC lost when a measure's values change owners, most important first."""
    shown = found[:MEASURES_SHOWN]
    said = "; ".join(f"{entry.measure.replace('_', ' ')} {entry.loss.value:.3f}" for entry in shown)
    caption = Caption("permutation", "AUC lost without a measure (all its windows shuffled)", f"AUC lost: {said}.")
    rows = [Bar(entry.measure.replace("_", " "), entry.loss) for entry in shown]
    return bars(caption, "AUC lost on held-out rows", rows, reference=0.0)


def segment_plots(found: Sequence[Segment], overall: float) -> list[Plot]:
    """AUC in each kind of rows, one plot per way to divide them, all on the same axis; the line is that of all rows."""
    known = [entry.auc for entry in found if entry.auc is not None]
    ends = [overall, *(figure.low for figure in known), *(figure.high for figure in known)]
    limits = (min(ends) - 0.02, max(ends) + 0.02)
    dimensions = dict.fromkeys(entry.dimension for entry in found)
    return [_segment_plot([e for e in found if e.dimension == name], overall, limits) for name in dimensions]


def _segment_plot(found: Sequence[Segment], overall: float, limits: tuple[float, float]) -> Plot:
    dimension = found[0].dimension
    said = "; ".join(f"{entry.name}, {entry.auc or 'too few to say'}" for entry in found)
    title = "AUC over time" if dimension == "date" else f"AUC by {dimension}"
    caption = Caption(f"auc-by-{dimension.replace(' ', '-')}", title, f"AUC by {dimension}: {said}.")
    rows = [Bar(f"{entry.name} ({entry.churners} of {entry.customers})", entry.auc) for entry in found]
    label = "AUC, 95 % interval (churners of customers in brackets)"
    return bars(caption, label, rows, reference=overall, limits=limits)


def search_plot(search: Search) -> Plot:
    """AUC of every forest that was tried against its number of nodes."""
    curve, chosen = search.curve, search.winner
    nodes = np.array([candidate.nodes for candidate in curve], dtype=np.float64)
    auc = np.array([candidate.auc for candidate in curve], dtype=np.float64)
    alt = (
        f"{len(curve)} forests of {nodes.min():,.0f} to {nodes.max():,.0f} nodes reach an AUC of {auc.min():.3f} to "
        f"{auc.max():.3f}; the chosen one has {chosen.nodes:,} nodes and {chosen.auc:.3f}."
    )
    caption = Caption("search", "Forests tried: quality and size", alt)
    return sizes(caption, ("nodes of all trees", "AUC in the search"), nodes, auc, curve.index(chosen))
