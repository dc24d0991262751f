"""The training of a model: choose the forest, calibrate it, judge it on held-out rows, fit it on all rows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pandas as pd

from churn.contract import NAMES
from churn.model.artifact import Calibration
from churn.model.scoring import calibrated
from churn.quality.measures import LABEL
from training.evaluation.evaluate import cross_fitted, evaluate
from training.forest.fit import ScoredRows, calibrate, fit, scored
from training.forest.policy import choose
from training.forest.search import Forests, search_forests
from training.model.trained import TrainedModel, TrainingSettings
from training.table.split import Split, customer_folds, everything, split

REFERENCE_ROWS: Final = 20_000


def train(table: pd.DataFrame, settings: TrainingSettings, progress: Callable[[str], None]) -> TrainedModel:
    """Choose the forest, calibrate it, judge all of that on held-out rows, then fit it on all rows.

    Calibration and threshold of the model come from scores of all customers by forests that
    saw other customers only. The evaluation does the same at earlier dates, and judges it
    on rows that it could not know.

    Raises:
        NotEnoughDataError: too few customers, churners or stayers.
        PrecisionTargetError: the policy asks for a precision that cannot be promised.
    """
    parts = split(table, settings.horizon_days, settings.seed, settings.folds, settings.origins)
    forests = _forests(table, parts, settings, progress)
    whole = _out_of_fold(table, forests, settings, progress)
    calibration = calibrate(whole.known["score"].to_numpy(), whole.known[LABEL].to_numpy())
    choice = choose(_probable(whole.known, calibration), settings.policy)
    predictions = cross_fitted(_tested(table, parts, forests, whole, progress), settings.policy)
    evaluation = evaluate(predictions, parts.sentence, settings.seed)
    progress("fitting the forest on all rows")
    return TrainedModel(
        fitted=fit(table, forests.final),
        calibration=calibration,
        evaluation=evaluation,
        reference=_reference(table, _probable(whole.known, calibration), settings.seed),
        settings=replace(settings, forest=forests.final),
        table=table,
        held_out=predictions,
        choice=choice,
        forests=forests,
    )


def _forests(table: pd.DataFrame, parts: Split, settings: TrainingSettings, progress: Callable[[str], None]) -> Forests:
    if settings.search is None:
        return Forests(settings.forest)
    return search_forests(table, parts, settings.horizon_days, settings.forest, settings.search, progress)


def _out_of_fold(
    table: pd.DataFrame, forests: Forests, settings: TrainingSettings, progress: Callable[[str], None]
) -> ScoredRows:
    """Scores of all customers by forests like the stored one, each fitted on the other folds' customers."""
    folds = everything(table, customer_folds(table, settings.folds, settings.seed))
    return scored(table, folds, lambda _: forests.final, lambda text: progress(f"calibration: {text}"))


def _tested(
    table: pd.DataFrame, parts: Split, forests: Forests, whole: ScoredRows, progress: Callable[[str], None]
) -> ScoredRows:
    """The rows to judge; where only customers are held out, and one forest serves all, they are scored already."""
    if parts.kind == "customers" and not forests.by_fold:
        return ScoredRows(whole.tested[whole.tested.as_of.isin(parts.origins)], whole.known)
    return scored(table, parts.folds, forests.of, lambda text: progress(f"evaluation: {text}"))


def _probable(scores: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    return scores.assign(probability=calibrated(scores["score"].to_numpy(), calibration))


def _reference(table: pd.DataFrame, known: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The newest labelled snapshot, one row per customer, scored by forests that saw other customers only.

    The stored forest has seen these customers; its scores of them would be more extreme
    than those of the customers it will meet, and monitoring would call that drift.
    """
    newest = known[known.as_of == table.as_of.max()]
    reference = table.loc[newest.index, ["customer_id", *NAMES, LABEL]]
    reference = reference.assign(score=newest["score"], probability=newest["probability"])
    if len(reference) > REFERENCE_ROWS:
        reference = reference.sample(REFERENCE_ROWS, random_state=seed)
    return reference.sort_values("customer_id", ignore_index=True)
