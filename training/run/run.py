"""One training run: train, describe, store and track a model, and leave its evaluation in the data folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from churn.code_version import code_version
from churn.model.champion import Champion
from training.card.model_card import card, gender_cost, write_card
from training.model.kept_evaluation import KeptEvaluation, keep_evaluation, kept_evaluation
from training.model.manifest import model_facts, policy_facts
from training.model.store import Decision, store
from training.model.trained import TrainedModel, TrainingSettings
from training.run.train import train
from training.table.folder import DataFolder
from training.tracking.runs import labels_of, record_facts, record_model, tracked


@dataclass(frozen=True)
class RunSettings:
    """How a model is trained, and where its traces go.

    Attributes:
        training: settings of the training itself.
        pointer: file of the champion pointer.
        cards: folder of the model cards.
        promote: make the new model champion although there is one.
        tracking: log the run to MLflow.
        gender_cost: measure how much AUC the model loses without gender.
    """

    training: TrainingSettings
    pointer: Path
    cards: Path
    promote: bool = False
    tracking: bool = True
    gender_cost: bool = True


@dataclass(frozen=True)
class RunResult:
    """The stored model, the decision about it, and the folder of its card."""

    trained: TrainedModel
    model: Champion
    decision: Decision
    card: Path


def run_training(folder: DataFolder, settings: RunSettings, progress: Callable[[str], None]) -> RunResult:
    """Train on the table in `folder`, and store the model with its card and its evaluation.

    Raises:
        NotEnoughDataError: no training table, or too few customers, churners or stayers.
        PrecisionTargetError: the policy asks for a precision that cannot be promised.
        TrackingError: the run is to be tracked, and MLflow does not answer.
    """
    table, about_the_table = folder.training_table()
    with tracked("train", folder.path, settings.tracking, progress) as tracked_run:
        trained = train(table, settings.training, progress)
        facts = model_facts(trained, about_the_table)
        cost = gender_cost(trained, progress) if settings.gender_cost else None
        made = card(trained, facts, code_version(), tracked_run.id, cost, progress)
        record_facts(tracked_run, facts)
        model, decision = store(facts, trained.files(), settings.pointer, settings.promote, labels_of(tracked_run))
        keep_evaluation(trained, facts.policy, folder)
        page = write_card(made, model, settings.cards / model.tag.split(":")[1])
        record_model(tracked_run, model, decision, page, progress)
    return RunResult(trained, model, decision, page)


def evaluation_of(folder: DataFolder, progress: Callable[[str], None]) -> KeptEvaluation:
    """The evaluation that the last run left of the table in `folder`; made with the standard forest if there is none.

    Raises:
        NotEnoughDataError: no training table, or too few customers, churners or stayers.
        StoredFileError: a file of the folder is damaged.
    """
    table, about_the_table = folder.training_table()
    kept = kept_evaluation(folder.path, about_the_table.fingerprint)
    if kept is not None:
        return kept
    progress(f"no evaluation of this table in {folder.path}: making it with the standard forest")
    trained = train(table, TrainingSettings(about_the_table.label, about_the_table.horizon_days), progress)
    return keep_evaluation(trained, policy_facts(trained), folder)
