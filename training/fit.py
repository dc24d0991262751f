"""The class-balanced random forest: fitted, held-out scores, calibration, threshold."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.ensemble import RandomForestClassifier

from churn.artifact import Calibration, Column, Forest
from churn.contract import CATEGORICAL, FEATURES, OTHER
from churn.errors import ArtifactError, SettingError
from churn.scoring import Encoder, Matrix, open_session, run_session
from training.dataset import LABEL
from training.export import forest_arrays, onnx_graph
from training.split import Fold

AGREEMENT: Final = 1e-5
MINIMUM_SHARE: Final = 0.01
"""A category rarer than this among the training rows has no column of its own: it is `other`."""

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ForestSettings:
    """Size and shape. Small leaves overfit customers; size drives the cost of explaining.

    `without` names categories the forest must not see (gender, say): the contract keeps
    them, the matrix has no column for them.

    Raises:
        SettingError: `without` names what is not a category of the contract.
    """

    trees: int = 200
    depth: int = 8
    leaf: int = 20
    seed: int = 7
    jobs: int = -1
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.without:
            if name not in CATEGORICAL:
                raise SettingError("without", name, f"one of {', '.join(CATEGORICAL)}")


@dataclass(frozen=True)
class FittedForest:
    """A forest with everything that serving needs of it."""

    classifier: RandomForestClassifier
    encoder: Encoder
    arrays: Forest
    onnx: bytes

    def score(self, matrix: Matrix) -> Vector:
        """Scores as the service computes them: by ONNX Runtime, on one thread."""
        return run_session(open_session(self.onnx), matrix)


def columns_for(table: pd.DataFrame, without: Collection[str] = ()) -> list[Column]:
    """The matrix's columns: numbers as they are, a column per category that is common enough."""
    columns: list[Column] = []
    for feature in FEATURES:
        if feature.name in without:
            continue
        if not feature.is_category:
            columns.append(Column(feature=feature.name))
            continue
        known = feature.categories or (*_common(table[feature.name]), OTHER)
        columns.extend(Column(feature=feature.name, category=category) for category in known)
    return columns


def _common(values: "pd.Series[str]") -> list[str]:
    counts = Counter(values.dropna())
    return sorted(category for category, count in counts.items() if count >= MINIMUM_SHARE * len(values))


def fit(table: pd.DataFrame, settings: ForestSettings) -> FittedForest:
    """Fit on all rows of `table`; categories are learned from it too.

    Raises:
        ArtifactError: ONNX Runtime and scikit-learn disagree by more than 1e-5 on a row.
    """
    encoder = Encoder(columns_for(table, settings.without))
    matrix = encoder.frame(table)
    classifier = RandomForestClassifier(
        n_estimators=settings.trees,
        max_depth=settings.depth,
        min_samples_leaf=settings.leaf,
        class_weight="balanced",
        random_state=settings.seed,
        n_jobs=settings.jobs,
    ).fit(matrix, table[LABEL].to_numpy())
    arrays = forest_arrays(classifier)
    fitted = FittedForest(classifier, encoder, arrays, onnx_graph(arrays, matrix.shape[1]))
    _check_agreement(fitted, with_nulls(table))
    return fitted


def with_nulls(table: pd.DataFrame) -> pd.DataFrame:
    """The rows, and once more with every nullable value missing."""
    nulls = table.copy()
    for feature in FEATURES:
        if feature.nullable:
            nulls[feature.name] = None if feature.is_category else np.nan
    return pd.concat([table, nulls], ignore_index=True)


def _check_agreement(fitted: FittedForest, table: pd.DataFrame) -> None:
    matrix = fitted.encoder.frame(table)
    gap = np.abs(fitted.score(matrix) - fitted.classifier.predict_proba(matrix)[:, 1])
    if gap.max() > AGREEMENT:
        raise ArtifactError(
            f"ONNX Runtime and scikit-learn differ by {gap.max():.2g} on row {gap.argmax()} (at most {AGREEMENT}); "
            "nothing was stored"
        )


def held_out_scores(
    table: pd.DataFrame, folds: tuple[Fold, ...], settings: ForestSettings, progress: Callable[[str], None]
) -> pd.DataFrame:
    """Score each fold's test rows with a forest that saw only its train rows.

    Returns:
        Index: the row of `table`. Columns: `customer_id`, `as_of`, `fold`, `churned`, `score`.
    """
    parts = []
    for count, fold in enumerate(folds, 1):
        progress(f"held-out forest {count} of {len(folds)}")
        if not len(fold.test):
            continue
        rows = table.iloc[fold.test]
        fitted = fit(table.iloc[fold.train], settings)
        part = rows[["customer_id", "as_of", LABEL]].assign(
            fold=fold.number, score=fitted.score(fitted.encoder.frame(rows))
        )
        parts.append(part)
    return pd.concat(parts).sort_index()


def calibrate(score: Vector, churned: NDArray[np.int64]) -> Calibration:
    """Platt's sigmoid with his smoothed targets; strictly increasing.

    Source: Platt 1999, "Probabilistic outputs for support vector machines".
    """
    positives, negatives = int(churned.sum()), int(len(churned) - churned.sum())
    target = np.where(churned == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    target = target.astype(np.float64)

    def loss(parameters: Vector) -> tuple[float, Vector]:
        logit = np.exp(parameters[0]) * score + parameters[1]
        value = float(np.mean(np.logaddexp(0, logit) - target * logit))
        residual = (expit(logit) - target) / len(score)
        return value, np.array([np.sum(residual * score) * np.exp(parameters[0]), residual.sum()])

    start = np.array([np.log(5.0), -5.0 * float(np.mean(score)) + np.log((positives + 1) / (negatives + 1))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(np.log(1e-3), np.log(1e3)), (None, None)])
    return Calibration(slope=float(np.exp(found.x[0])), intercept=float(found.x[1]))


def f1_threshold(probability: Vector, churned: NDArray[np.int64]) -> float:
    """The threshold of highest F1, midway between two observed probabilities.

    Midway, because at an observed one the last digit of a sum would decide.
    """
    order = np.argsort(-probability, kind="stable")
    ranked, hits = probability[order], np.cumsum(churned[order])
    flagged = np.arange(1, len(ranked) + 1)
    last_of_ties = np.append(ranked[:-1] != ranked[1:], True)
    f1 = np.where(last_of_ties, 2 * hits / (flagged + churned.sum()), -1.0)
    best = int(np.argmax(f1))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)
