"""The class-balanced random forest: fitted, scores of held-out rows, calibration."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.ensemble import RandomForestClassifier

from churn.contract import CATEGORICAL, FEATURES, GROUPS, OTHER
from churn.errors import ArtifactError, NotEnoughDataError, SettingError
from churn.model.artifact import Calibration, Column, Forest
from churn.model.scoring import Encoder, Matrix, open_session, run_session
from churn.quality.measures import LABEL
from training.forest.export import forest_arrays, onnx_graph
from training.table.split import Fold

AGREEMENT: Final = 1e-5
MINIMUM_SHARE: Final = 0.01
"""A category rarer than this among the training rows has no column of its own: it is `other`."""

Vector = NDArray[np.float64]

RANGES: Final = {"trees": (10, 2000), "depth": (1, 30), "leaf": (1, 1000), "seed": (0, 2**32 - 1)}

PROFILE: Final = "profile"
"""The group of features that every forest sees."""

DEFAULT_GROUPS: Final = ("windows",)
"""The groups that a forest sees beside it where nothing was searched."""

COLUMN_SHARE: Final = 0.2
"""Columns of the matrix that are drawn anew at each split."""


@dataclass(frozen=True)
class ForestSettings:
    """Size and shape. Small leaves overfit customers; size drives the cost of explaining.

    Attributes:
        trees: how many.
        depth: of a tree, at most.
        leaf: rows in a leaf, at least. A customer has a row a week.
        seed: of the draws of rows and columns.
        jobs: processor cores; -1 is all. The forest is the same on any number.
        without: categories the forest must not see, such as gender: the contract keeps
            them, the matrix has no column for them.
        groups: groups of the contract's features that the forest sees beside `profile`.

    Raises:
        SettingError: a setting is out of its range, `without` names what is not a category, or `groups` what is not
            a group.
    """

    trees: int = 100
    depth: int = 6
    leaf: int = 20
    seed: int = 7
    jobs: int = -1
    without: tuple[str, ...] = ()
    groups: tuple[str, ...] = DEFAULT_GROUPS

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise SettingError(name, getattr(self, name), f"{low} to {high}")
        for name in self.without:
            if name not in CATEGORICAL:
                raise SettingError("without", name, f"one of {', '.join(CATEGORICAL)}")
        known = [group.name for group in GROUPS if group.name != PROFILE]
        for name in self.groups:
            if name not in known:
                raise SettingError("groups", name, f"some of {', '.join(known)}")


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


def columns_for(table: pd.DataFrame, settings: ForestSettings) -> list[Column]:
    """The matrix's columns: numbers as they are, a column per category that is common enough."""
    columns: list[Column] = []
    for feature in FEATURES:
        if feature.group not in (PROFILE, *settings.groups):
            continue
        if not feature.is_category:
            columns.append(Column(feature=feature.name))
        elif feature.name not in settings.without:
            known = feature.categories or (*_common(table[feature.name]), OTHER)
            columns.extend(Column(feature=feature.name, category=category) for category in known)
    return columns


def _common(values: "pd.Series[str]") -> list[str]:
    counts = Counter(values.dropna())
    return sorted(category for category, count in counts.items() if count >= MINIMUM_SHARE * len(values))


def fit(table: pd.DataFrame, settings: ForestSettings) -> FittedForest:
    """Fit on all rows of `table`; categories are learned from it too. Ready to be stored.

    Raises:
        ArtifactError: ONNX Runtime and scikit-learn disagree by more than 1e-5 on a row.
        NotEnoughDataError: all rows have the same label.
    """
    fitted = fit_unchecked(table, settings)
    _check_agreement(fitted, with_nulls(table))
    return fitted


def fit_unchecked(table: pd.DataFrame, settings: ForestSettings) -> FittedForest:
    """As `fit`, for a forest that is asked once and thrown away."""
    encoder = Encoder(columns_for(table, settings))
    matrix = encoder.frame(table)
    classifier = fit_classifier(matrix, table[LABEL].to_numpy(), settings)
    arrays = forest_arrays(classifier)
    return FittedForest(classifier, encoder, arrays, onnx_graph(arrays, matrix.shape[1]))


def columns_at_a_split(columns: int) -> int:
    """How many columns are drawn at each split: the square root of all, and at least a fifth.

    Many of the columns are windows of one measure; the square root alone often draws none
    that tells something (docs/decisions/evaluation.md).
    """
    return max(math.isqrt(columns - 1) + 1, math.ceil(COLUMN_SHARE * columns))


def fit_classifier(matrix: Matrix, churned: NDArray[np.int64], settings: ForestSettings) -> RandomForestClassifier:
    """The one place that says what kind of forest it is."""
    if len(np.unique(churned)) < 2:
        raise NotEnoughDataError(
            f"all {len(churned)} rows to fit on have the same label ({churned[0] if len(churned) else 'none'}); "
            "take a longer or larger log"
        )
    return RandomForestClassifier(
        n_estimators=settings.trees,
        max_depth=settings.depth,
        min_samples_leaf=settings.leaf,
        max_features=columns_at_a_split(matrix.shape[1]),
        class_weight="balanced",
        random_state=settings.seed,
        n_jobs=settings.jobs,
    ).fit(matrix, churned)


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


@dataclass(frozen=True)
class ScoredRows:
    """Scores of rows that their forests have not seen.

    Both frames: index: the row of the training table; columns `customer_id`, `as_of`,
    `origin`, `fold`, `churned`, `score`. `tested` are the rows to judge; `known` those
    whose labels were known at `origin` (a row comes once per origin).
    """

    tested: pd.DataFrame
    known: pd.DataFrame


def scored(
    table: pd.DataFrame,
    folds: Sequence[Fold],
    settings: Callable[[Fold], ForestSettings],
    progress: Callable[[str], None],
) -> ScoredRows:
    """Score each fold's `test` and `known` rows with a forest that saw only its `train` rows.

    Args:
        table: the training table.
        folds: of `training.table.split`.
        settings: the forest to fit for a fold.
        progress: told a line per forest.
    """
    tested, known = [], []
    for count, fold in enumerate(folds, 1):
        progress(f"held-out forest {count} of {len(folds)}")
        fitted = fit_unchecked(table.iloc[fold.train], settings(fold))
        tested.append(_scores(fitted, table.iloc[fold.test], fold))
        known.append(_scores(fitted, table.iloc[fold.known], fold))
    return ScoredRows(pd.concat(tested).sort_index(), pd.concat(known))


def _scores(fitted: FittedForest, rows: pd.DataFrame, fold: Fold) -> pd.DataFrame:
    score = fitted.score(fitted.encoder.frame(rows)) if len(rows) else np.empty(0)
    placed = rows[["customer_id", "as_of"]].assign(origin=fold.origin, fold=fold.number)
    placed[LABEL] = rows[LABEL]
    return placed.assign(score=score)


def held_out_scores(
    table: pd.DataFrame, folds: Sequence[Fold], settings: ForestSettings, progress: Callable[[str], None]
) -> pd.DataFrame:
    """The `tested` rows of `scored`, with one forest for all folds."""
    return scored(table, [replace(fold, known=fold.known[:0]) for fold in folds], lambda _: settings, progress).tested


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
