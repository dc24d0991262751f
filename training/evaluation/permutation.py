"""Importance of each measure on unseen customers: the AUC lost when its values change owners.

All windows of a measure are shuffled together: songs of 14 days say nearly what songs of
28 days say, and shuffling one alone would call both unimportant.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.contract import BY_NAME
from churn.model.artifact import Column
from churn.model.scoring import Matrix, open_session, run_session
from churn.quality.figure import Figure
from churn.quality.intervals import percentile
from churn.quality.measures import LABEL
from churn.quality.paired import Paired, paired
from training.forest.fit import FittedForest, ForestSettings, fit_unchecked
from training.table.split import Fold

REPEATS: Final = 3
RESAMPLES: Final = 200
MOST_ROWS: Final = 5_000
"""Most rows to draw: enough for two digits, and the cost of a card stays bounded."""

_INTACT: Final = "intact"


@dataclass(frozen=True)
class MeasureImportance:
    """AUC lost without knowing a measure, with its interval (bootstrap of customers)."""

    measure: str
    loss: Figure


def permutation_importance(
    table: pd.DataFrame,
    folds: Sequence[Fold],
    settings: Callable[[Fold], ForestSettings],
    seed: int,
    progress: Callable[[str], None],
) -> list[MeasureImportance]:
    """Fit each fold's forest, and score its test rows with each measure shuffled among them.

    Args:
        table: the training table.
        folds: of one date, so that values change owners only among customers of that date.
        settings: of each fold's forest.
        seed: of the shuffling and of the bootstrap.
        progress: is told about each fold.

    Returns:
        Most important first.
    """
    generator = np.random.default_rng(seed)
    parts = []
    for number, fold in enumerate(folds, 1):
        progress(f"permutation importance: fold {number} of {len(folds)}")
        if len(fold.test):
            fitted = fit_unchecked(table.iloc[fold.train], settings(fold))
            drawn = generator.permutation(fold.test)[: MOST_ROWS // len(folds)]
            parts.append(_shuffled_scores(fitted, table.iloc[np.sort(drawn)], generator))
    scores = pd.concat(parts)
    rows = table.loc[scores.index]
    judged = paired(scores, rows[LABEL].to_numpy(np.float64), rows.customer_id, seed, resamples=RESAMPLES)
    found = [MeasureImportance(measure, _loss(judged, measure)) for measure in measures(fitted.encoder.columns)]
    return sorted(found, key=lambda entry: -entry.loss.value)


def measures(columns: Sequence[Column]) -> dict[str, NDArray[np.intp]]:
    """The matrix's columns of each measure, in the contract's order."""
    found: dict[str, list[int]] = {}
    for at, column in enumerate(columns):
        found.setdefault(BY_NAME[column.feature].measure, []).append(at)
    return {measure: np.array(at) for measure, at in found.items()}


def _shuffled_scores(fitted: FittedForest, rows: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    matrix, session = fitted.encoder.frame(rows), open_session(fitted.onnx)
    scores = {_INTACT: run_session(session, matrix)}
    for measure, columns in measures(fitted.encoder.columns).items():
        for repeat in range(REPEATS):
            scores[f"{measure} {repeat}"] = run_session(session, _shuffled(matrix, columns, generator))
    return pd.DataFrame(scores, index=rows.index)


def _shuffled(matrix: Matrix, columns: NDArray[np.intp], generator: np.random.Generator) -> Matrix:
    shuffled = matrix.copy()
    shuffled[:, columns] = matrix[generator.permutation(len(matrix))][:, columns]
    return shuffled


def _loss(judged: Paired, measure: str) -> Figure:
    """AUC with everything intact minus the mean AUC of the repeats, in each draw too."""
    repeats = [judged.names.index(f"{measure} {repeat}") for repeat in range(REPEATS)]
    intact = judged.names.index(_INTACT)
    draws = judged.draws[:, intact] - judged.draws[:, repeats].mean(axis=1)
    return Figure(float(judged.points[intact] - judged.points[repeats].mean()), *percentile(draws))
