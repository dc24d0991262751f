"""The facts that a stored model carries about itself: the manifest's fields that training knows."""

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Final

import numpy as np
import pandas as pd

from churn.activity.dataset_facts import TableFacts
from churn.contract import NAMES
from churn.model.artifact import Calibration, Column
from churn.model.explaining import Explainer
from churn.model.facts import EvaluationFacts, IntervalFacts, PeerFacts, PolicyFacts, TrainingFacts
from churn.model.scoring import NULL_VALUE
from churn.moments import iso
from churn.quality.intervals import cluster_weights, percentile
from churn.quality.measures import LABEL
from training.forest.fit import FittedForest
from training.forest.policy import net_value
from training.model.peers import peers
from training.model.trained import TrainedModel
from training.model.typical import typical
from training.table.dataset import fingerprint

LIBRARIES: Final = ("numpy", "onnx", "onnxruntime", "pandas", "scikit-learn")


@dataclass(frozen=True)
class ModelFacts:
    """The fields of `churn.model.artifact.Manifest` that training knows."""

    columns: tuple[Column, ...]
    null_value: float
    threshold: float
    policy: PolicyFacts
    calibration: Calibration
    typical: dict[str, float | dict[str, float] | None]
    importance: dict[str, float]
    peers: dict[str, PeerFacts]
    training: TrainingFacts
    metrics: EvaluationFacts


def model_facts(trained: TrainedModel, facts: TableFacts) -> ModelFacts:
    """The facts of a trained model; `facts` are those of the table it was trained on."""
    return ModelFacts(
        columns=tuple(trained.fitted.encoder.columns),
        null_value=NULL_VALUE,
        threshold=trained.threshold,
        policy=policy_facts(trained),
        calibration=trained.calibration,
        typical=typical(trained.reference[trained.reference[LABEL] == 0]),
        importance=importance(trained.fitted, trained.reference),
        peers=peers(trained.fitted, trained.reference[trained.reference[LABEL] == 0]),
        training=_training_facts(trained, facts),
        metrics=trained.evaluation.facts(),
    )


def policy_facts(trained: TrainedModel) -> PolicyFacts:
    """The policy, the reason for its threshold, and what to expect of it (cross-fitted, with intervals)."""
    figures = trained.evaluation.facts().figures
    return PolicyFacts(
        name=trained.choice.policy,
        reason=trained.choice.reason,
        asked_for=trained.settings.policy.given(),
        flagged_share=float(trained.held_out["flagged"].mean()),
        precision=figures["precision"],
        recall=figures["recall"],
        f1=figures["f1"],
        net_value_per_1000=_net_value(trained) if trained.choice.policy == "cost" else None,
    )


def _net_value(trained: TrainedModel) -> IntervalFacts:
    """What the offers bring per 1,000 customers and week, with its interval."""
    rows = trained.held_out
    value = 1000 * net_value(
        rows["flagged"].to_numpy(np.float64), rows[LABEL].to_numpy(np.float64), trained.settings.policy
    )
    drawn = [
        float(np.average(value, weights=weight)) for weight in cluster_weights(rows.customer_id, trained.settings.seed)
    ]
    low, high = percentile(np.array(drawn))
    return IntervalFacts(value=float(value.mean()), low=low, high=high)


def importance(fitted: FittedForest, reference: pd.DataFrame, rows: int = 500) -> dict[str, float]:
    """Each feature's share of the mean absolute contribution (SHAP) on the reference; sums to 1."""
    matrix = fitted.encoder.frame(reference.head(rows))
    contributions = Explainer(fitted.arrays, fitted.encoder.columns).contributions(matrix)
    mean = np.abs(contributions).mean(axis=0)
    shares = mean / max(mean.sum(), 1e-300)
    # Rounded: the compiled and the NumPy explainer differ in the last digits.
    return {name: round(float(share), 9) for name, share in zip(NAMES, shares, strict=True)}


def _training_facts(trained: TrainedModel, facts: TableFacts) -> TrainingFacts:
    table, settings = trained.table, trained.settings
    fitted = {
        "nodes": len(trained.fitted.arrays.left),
        "columns_at_a_split": trained.fitted.classifier.max_features,
        "jobs": None,  # the forest is the same on any number of cores
    }
    return TrainingFacts(
        source=facts.source,
        first_ts=facts.first_ts,
        log_end=facts.log_end,
        label=settings.label,
        horizon_days=settings.horizon_days,
        seed=settings.seed,
        snapshots=facts.snapshots,
        short_snapshots=facts.short_snapshots,
        reference_as_of=iso(int(table.as_of.max())),
        rows=len(table),
        customers=int(table.customer_id.nunique()),
        churn_rate=float(table[LABEL].mean()),
        fingerprint=fingerprint(table),
        forest=asdict(settings.forest) | fitted,
        search=trained.forests.to_dict(),
        versions={name: version(name) for name in LIBRARIES} | {"python": platform.python_version()},
    )
