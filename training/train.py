"""`make train`: the training table to a stored, verified, evaluated model."""

import argparse
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from churn.explaining import Explainer

from churn.artifact import FOREST, ONNX, REFERENCE, Calibration, Champion, champion_path
from churn.command import run, say, show
from churn.contract import FEATURES, NAMES
from churn.errors import SettingError
from churn.moments import iso
from churn.scoring import NULL_VALUE, calibrated
from training.dataset import LABEL, fingerprint
from training.evaluate import Evaluation, cross_fitted, evaluate
from training.fit import FittedForest, ForestSettings, calibrate, f1_threshold, fit, held_out_scores
from training.folder import DataFolder, parquet_bytes
from training.split import FOLDS, ORIGINS, Fold, Split, customer_folds, split
from training.store import Decision, promote, save

REFERENCE_ROWS: Final = 20_000
LIBRARIES: Final = ("numpy", "onnx", "onnxruntime", "pandas", "scikit-learn")


@dataclass(frozen=True)
class TrainingSettings:
    """What a run is asked for; recorded in the manifest."""

    label: str
    horizon_days: int
    seed: int = 7
    folds: int = FOLDS
    origins: int = ORIGINS
    forest: ForestSettings = field(default_factory=ForestSettings)


@dataclass(frozen=True)
class Trained:
    """A model ready to be stored.

    `held_out` holds the predictions the evaluation rests on, each by a forest, calibration
    and threshold that saw other customers only: `customer_id`, `as_of`, `fold`, `churned`,
    `score`, `probability`, `flagged`; its index is the row of `table`.
    """

    fitted: FittedForest
    calibration: Calibration
    threshold: float
    evaluation: Evaluation
    reference: pd.DataFrame
    settings: TrainingSettings
    table: pd.DataFrame
    held_out: pd.DataFrame

    def manifest(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The fields of `churn.artifact.Manifest` that training knows."""
        return {
            "columns": self.fitted.encoder.columns,
            "null_value": NULL_VALUE,
            "threshold": self.threshold,
            "policy": {"name": "f1", **{k: asdict(self.evaluation.figures[k]) for k in ("precision", "recall", "f1")}},
            "calibration": self.calibration,
            "typical": typical(self.reference[self.reference[LABEL] == 0]),
            "importance": importance(self.fitted, self.reference),
            "training": _provenance(self, facts),
            "metrics": self.evaluation.to_dict(),
        }

    def files(self) -> dict[str, bytes]:
        return {
            ONNX: self.fitted.onnx,
            FOREST: self.fitted.arrays.to_bytes(),
            REFERENCE: parquet_bytes(self.reference.drop(columns=["customer_id"])),
        }


def train(table: pd.DataFrame, settings: TrainingSettings, progress: Callable[[str], None]) -> Trained:
    """Evaluate on held-out rows, calibrate on them, then fit the forest on all rows."""
    parts = split(table, settings.horizon_days, settings.seed, settings.folds, settings.origins)
    held_out = held_out_scores(table, parts.folds, settings.forest, progress)
    predictions = cross_fitted(held_out)
    evaluation = evaluate(predictions, parts.sentence, settings.seed)
    calibration = calibrate(held_out["score"].to_numpy(), held_out[LABEL].to_numpy())
    threshold = f1_threshold(calibrated(held_out["score"].to_numpy(), calibration), held_out[LABEL].to_numpy())
    progress("fitting the forest on all rows")
    reference = _reference(table, parts, held_out, settings, progress)
    reference["probability"] = calibrated(reference["score"].to_numpy(), calibration)
    return Trained(
        fitted=fit(table, settings.forest),
        calibration=calibration,
        threshold=threshold,
        evaluation=evaluation,
        reference=reference,
        settings=settings,
        table=table,
        held_out=predictions,
    )


def _reference(
    table: pd.DataFrame,
    parts: Split,
    held_out: pd.DataFrame,
    settings: TrainingSettings,
    progress: Callable[[str], None],
) -> pd.DataFrame:
    """The newest labelled snapshot, one row per customer, scored by forests that saw other customers only.

    The stored forest has seen these customers; its scores of them would be more extreme
    than those of the customers it will meet, and monitoring would call that drift.
    """
    newest = int(table.as_of.max())
    if parts.kind == "customers" and newest in parts.origins:
        scores = held_out["score"][held_out.as_of == newest]
    else:
        number, rows = customer_folds(table, settings.folds, settings.seed), (table.as_of == newest).to_numpy()
        folds = tuple(
            Fold(newest, k, np.flatnonzero(number != k), np.flatnonzero(rows & (number == k)))
            for k in range(settings.folds)
        )
        scores = held_out_scores(table, folds, settings.forest, lambda text: progress(f"reference: {text}"))["score"]
    reference = table.loc[scores.index, ["customer_id", *NAMES, LABEL]].assign(score=scores)
    if len(reference) > REFERENCE_ROWS:
        reference = reference.sample(REFERENCE_ROWS, random_state=settings.seed)
    return reference.sort_values("customer_id", ignore_index=True)


def typical(stayed: pd.DataFrame) -> dict[str, float | dict[str, float] | None]:
    """Of the customers who stayed: the median of each number, the share of each category."""
    found: dict[str, float | dict[str, float] | None] = {}
    for feature in FEATURES:
        values = stayed[feature.name].dropna()
        if feature.is_category:
            found[feature.name] = {str(k): float(v) for k, v in (values.value_counts() / max(len(stayed), 1)).items()}
        else:
            found[feature.name] = float(values.median()) if len(values) else None
    return found


def importance(fitted: FittedForest, reference: pd.DataFrame, rows: int = 500) -> dict[str, float]:
    """Each feature's share of the mean absolute contribution (SHAP) on the reference; sums to 1."""
    matrix = fitted.encoder.frame(reference.head(rows))
    contributions = Explainer(fitted.arrays, fitted.encoder.columns).contributions(matrix)
    mean = np.abs(contributions).mean(axis=0)
    return {name: float(share) for name, share in zip(NAMES, mean / max(mean.sum(), 1e-300), strict=True)}


def _provenance(trained: Trained, facts: dict[str, Any]) -> dict[str, Any]:
    table, settings = trained.table, trained.settings
    return {
        "source": facts["source"],
        "first_ts": facts["first_ts"],
        "log_end": facts["log_end"],
        "label": settings.label,
        "horizon_days": settings.horizon_days,
        "seed": settings.seed,
        "snapshots": facts["snapshots"],
        "short_snapshots": facts["short_snapshots"],
        "reference_as_of": iso(int(table.as_of.max())),
        "rows": len(table),
        "customers": int(table.customer_id.nunique()),
        "churn_rate": float(table[LABEL].mean()),
        "fingerprint": fingerprint(table),
        "forest": asdict(settings.forest) | {"nodes": len(trained.fitted.arrays.left), "jobs": None},
        "versions": {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()},
    }


def store(trained: Trained, facts: dict[str, Any], pointer: Path, forced: bool) -> tuple[Champion, Decision]:
    """Save the model and, where it is to be champion, point to it."""
    labels = {"label": trained.settings.label, "fingerprint": trained.manifest(facts)["training"]["fingerprint"][:12]}
    versions = {name: version(name) for name in ("onnx", "onnxruntime")}
    challenger = save(trained.manifest(facts), trained.files(), labels, versions)
    return challenger, promote(pointer, challenger, forced)


def main() -> None:
    arguments = _arguments()
    folder = DataFolder(arguments.data)
    table, facts = folder.training_table(), folder.facts()
    settings = TrainingSettings(
        label=facts["label"],
        horizon_days=facts["horizon_days"],
        seed=arguments.seed,
        forest=ForestSettings(arguments.trees, arguments.depth, arguments.leaf, arguments.seed),
    )
    trained = train(table, settings, say)
    model, decision = store(trained, facts, champion_path(), arguments.promote)
    for line in summary(trained, model, decision):
        show(line)


def summary(trained: Trained, model: Champion, decision: Decision) -> list[str]:
    """What a person wants to know after training."""
    found = trained.evaluation
    lines = [
        (
            f"held out: {found.rows} rows of {found.customers} customers ({found.churners} churned) "
            f"at {', '.join(found.dates)}; {found.split}"
        ),
        *(f"  {name.replace('_', ' '):18} {figure}" for name, figure in found.figures.items()),
        f"  threshold          {trained.threshold:.3f} (policy f1)",
        f"model {model.tag}, sha256 {model.sha256[:12]}…; "
        + ("now champion: " if decision.promote else "not champion: ")
        + decision.reason,
    ]
    return lines if found.warning is None else [*lines, f"warning: {found.warning}"]


def _arguments() -> argparse.Namespace:
    default = ForestSettings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder that `make featurize` wrote to")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--trees", type=int, default=default.trees, help="10 to 2000")
    parser.add_argument("--depth", type=int, default=default.depth, help="1 to 30")
    parser.add_argument("--leaf", type=int, default=default.leaf, help="customers in a leaf at least, 1 to 1000")
    parser.add_argument("--promote", action="store_true", default=os.environ.get("PROMOTE") == "1")
    arguments = parser.parse_args()
    for name, low, high in (("trees", 10, 2000), ("depth", 1, 30), ("leaf", 1, 1000), ("seed", 0, 2**32 - 1)):
        if not low <= getattr(arguments, name) <= high:
            raise SettingError(name, getattr(arguments, name), f"{low} to {high}")
    return arguments


if __name__ == "__main__":
    run(main)
