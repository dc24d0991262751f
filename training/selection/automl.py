"""AutoGluon's models, fitted within a time limit and thrown away once they have scored.

AutoGluon keeps its models as pickles: they live in a temporary folder and never leave it.
"""

import logging
import os
import tempfile
import time
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from churn.contract import CATEGORICAL, FEATURES
from churn.quality.measures import LABEL
from training.forest.fit import PROFILE
from training.table.split import customer_folds

TUNING_FOLDS: Final = 5
"""One customer in this many is kept out of the first fit, to stop boosting and to weight the ensemble."""

PROCESSORS: Final = 2

FITTING_SHARE: Final = 0.5
"""Of the time; the rest is for fitting once more on all rows."""

_ONE_THREAD: Final = {"ag_args_fit": {"num_cpus": 1}}

# Few rounds of boosting, so that on a log of usual size no model is cut off by the clock
# and the leaderboard can be repeated. On one thread, boosting on so few rows is faster.
MODELS: Final[dict[str, list[dict[str, Any]]]] = {
    "GBM": [{"num_boost_round": 300, "learning_rate": 0.03, "num_leaves": 15, "feature_fraction": 0.7, **_ONE_THREAD}],
    "CAT": [{"iterations": 300, "depth": 5, **_ONE_THREAD}],
    "RF": [{}],
    "XT": [{}],
    "LR": [{}],
}
NAMES_FOR_PEOPLE: Final = {
    "LightGBM": "LightGBM",
    "CatBoost": "CatBoost",
    "RandomForest": "random forest as AutoGluon sets it",
    "ExtraTrees": "extremely randomised trees",
    "LinearModel": "logistic regression",
    "WeightedEnsemble_L2": "AutoGluon's ensemble of these",
}


@dataclass(frozen=True)
class ModelScores:
    """Models and what they said of the tested rows.

    Attributes:
        scores: one column per model, the tested rows' index; higher is more likely to churn.
        fit_seconds: to fit each model once.
        score_seconds: to score a thousand rows at once.
        failures: what kept a model from being ready.
    """

    scores: pd.DataFrame
    fit_seconds: Mapping[str, float]
    score_seconds: Mapping[str, float]
    failures: Mapping[str, str]


def automl_scores(
    known: pd.DataFrame, tested: pd.DataFrame, groups: Collection[str], seed: int, seconds: float
) -> ModelScores:
    """Fit AutoGluon's models on `known` and score `tested`.

    Early stopping and the ensemble's weights come from one in five of the known customers;
    then each model is fitted once more on all of them, so that it has seen as many rows
    as the forest it is compared with. Customer and date are not among the features.

    Args:
        known: rows of the training table, with labels.
        tested: rows of other customers; their labels are not looked at.
        groups: of features, beside the profile: those that our forest sees.
        seed: decides who is tuned on.
        seconds: for all of it, as far as AutoGluon keeps to it.

    Returns:
        The models that were ready in time; none where AutoGluon failed, with what it said.
    """
    try:
        return _fitted_and_scored(known, tested, groups, seed, seconds)
    except Exception as error:  # noqa: BLE001  # AutoGluon raises errors of every kind, also for a lack of time
        said = str(error).partition("\n")[0]
        return ModelScores(pd.DataFrame(index=tested.index), {}, {}, {"AutoGluon": f"{type(error).__name__} {said}"})


def _fitted_and_scored(
    known: pd.DataFrame, tested: pd.DataFrame, groups: Collection[str], seed: int, seconds: float
) -> ModelScores:
    from autogluon.tabular import TabularPredictor  # noqa: PLC0415  # slow to import, and only selection needs it

    tuning = customer_folds(known, TUNING_FOLDS, seed) == 0
    with tempfile.TemporaryDirectory(prefix="churn-automl-") as folder, _quiet():
        predictor = TabularPredictor(
            LABEL, problem_type="binary", eval_metric="roc_auc", path=str(Path(folder, "models")), verbosity=0
        )
        predictor.fit(
            features(known[~tuning], groups, LABEL),
            tuning_data=features(known[tuning], groups, LABEL),
            time_limit=FITTING_SHARE * seconds,
            hyperparameters=MODELS,
            excluded_model_types=["NN_TORCH", "FASTAI"],
            num_cpus=min(PROCESSORS, os.cpu_count() or 1),
            num_gpus=0,
            raise_on_no_models_fitted=False,
        )
        return _scored(predictor, features(tested, groups))


def _scored(predictor: Any, rows: pd.DataFrame) -> ModelScores:
    fitted = predictor.model_names()
    final = predictor.refit_full("all") if fitted else {}
    board = predictor.leaderboard(silent=True).set_index("model") if fitted else pd.DataFrame()
    thousand = thousand_rows(rows)
    scores, seconds = {}, {}
    for model in fitted:
        scores[_named(model)] = predictor.predict_proba(rows, model=final[model])[1].to_numpy(dtype=np.float64)
        start = time.perf_counter()
        predictor.predict_proba(thousand, model=final[model])
        seconds[_named(model)] = time.perf_counter() - start
    return ModelScores(
        pd.DataFrame(scores, index=rows.index),
        {_named(model): float(board.loc[model, "fit_time"]) for model in fitted},
        seconds,
        _failures(predictor, fitted),
    )


def _failures(predictor: Any, fitted: Sequence[str]) -> dict[str, str]:
    """Why models are not there; AutoGluon itself is silent about those it found no time for."""
    skipped = {name: "no time was left for it" for model, name in NAMES_FOR_PEOPLE.items() if model not in fitted}
    found = predictor.model_failures()
    return skipped | {_named(row.model): f"{row.exc_type} {row.exc_str}".strip() for row in found.itertuples()}


def _named(model: str) -> str:
    return NAMES_FOR_PEOPLE.get(model, model)


def thousand_rows(tested: pd.DataFrame) -> pd.DataFrame:
    """The rows over and over, so that the time of a call does not depend on how many were held out."""
    return tested.iloc[np.arange(1_000) % len(tested)]


def features(table: pd.DataFrame, groups: Collection[str], *others: str) -> pd.DataFrame:
    """The columns of the groups, and those named besides: nothing that tells one customer or date from another."""
    frame = table[[*(one.name for one in FEATURES if one.group in (PROFILE, *groups)), *others]].copy()
    for name in CATEGORICAL:
        frame[name] = frame[name].astype("category")
    return frame


@contextmanager
def _quiet() -> Iterator[None]:
    """AutoGluon and what it drives warn about torch, presets and their own future with every model."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
