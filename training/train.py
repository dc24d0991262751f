"""`make train`: the training table to a stored, verified, evaluated model."""

import argparse
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from churn.code_version import code_version
from churn.command import run, say, show
from churn.contract import FEATURES, NAMES
from churn.errors import SettingError
from churn.files import replace_file
from churn.model.artifact import FOREST, ONNX, REFERENCE, Calibration
from churn.model.champion import Champion, champion_path
from churn.model.explaining import Explainer
from churn.model.scoring import NULL_VALUE, calibrated
from churn.model.store import save
from churn.moments import iso
from churn.quality.intervals import cluster_weights, percentile
from churn.quality.measures import LABEL
from churn.settings import Setting, switch
from training.card.model_card import card, gender_cost, write_card
from training.evaluation.evaluate import Evaluation, cross_fitted, evaluate
from training.forest.fit import FittedForest, ForestSettings, Scored, calibrate, fit, scored
from training.forest.policy import POLICIES, Choice, PolicySettings, check, choose, net_value
from training.forest.search import Forests, SearchSettings, search_forests
from training.model.store import Decision, promote
from training.options import add_option, parse
from training.table.dataset import fingerprint
from training.table.folder import DataFolder, parquet_bytes
from training.table.split import FOLDS, ORIGINS, Split, customer_folds, everything, split
from training.tracking.runs import labels_of, record_manifest, record_model, tracked

REFERENCE_ROWS: Final = 20_000
HELD_OUT: Final = "held_out.parquet"
EVALUATION: Final = "evaluation.json"
PROMOTE: Final = Setting("CHURN_PROMOTE", "0", "1 makes the model the champion.")
POLICY_NUMBERS: Final = ("target_precision", "offer_cost", "kept_value", "success_rate", "top_share")
SEARCH_ON: Final = ("on", "1")
SEARCH_OFF: Final = ("off", "0")
LIBRARIES: Final = ("numpy", "onnx", "onnxruntime", "pandas", "scikit-learn")


@dataclass(frozen=True)
class TrainingSettings:
    """What a run is asked for; recorded in the manifest.

    `search`: which forests to try before one is chosen; None takes `forest` as it is, and
    of it only seed, cores and left-out categories otherwise.

    Raises:
        SettingError: the policy lacks or exceeds what it needs.
    """

    label: str
    horizon_days: int
    seed: int = 7
    folds: int = FOLDS
    origins: int = ORIGINS
    forest: ForestSettings = field(default_factory=ForestSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    search: SearchSettings | None = None

    def __post_init__(self) -> None:
        check(self.policy)


@dataclass(frozen=True)
class Trained:
    """A model ready to be stored.

    `held_out` holds the predictions the evaluation rests on, each by a forest, calibration
    and threshold that saw other customers only: `customer_id`, `as_of`, `origin`, `fold`,
    `churned`, `score`, `probability`, `flagged`; its index is the row of `table`.
    `settings.forest` is the forest that was fitted, `searched` how it was found (None: it
    was given), `choice` the threshold with the policy it follows and why.
    """

    fitted: FittedForest
    calibration: Calibration
    threshold: float
    evaluation: Evaluation
    reference: pd.DataFrame
    settings: TrainingSettings
    table: pd.DataFrame
    held_out: pd.DataFrame
    choice: Choice
    searched: dict[str, Any] | None

    def manifest(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The fields of `churn.model.artifact.Manifest` that training knows."""
        return {
            "columns": self.fitted.encoder.columns,
            "null_value": NULL_VALUE,
            "threshold": self.threshold,
            "policy": policy_facts(self),
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
    return Trained(
        fitted=fit(table, forests.final),
        calibration=calibration,
        threshold=choice.threshold,
        evaluation=evaluation,
        reference=_reference(table, _probable(whole.known, calibration), settings.seed),
        settings=replace(settings, forest=forests.final),
        table=table,
        held_out=predictions,
        choice=choice,
        searched=forests.to_dict(),
    )


def _forests(table: pd.DataFrame, parts: Split, settings: TrainingSettings, progress: Callable[[str], None]) -> Forests:
    if settings.search is None:
        return Forests(settings.forest)
    return search_forests(table, parts, settings.horizon_days, settings.forest, settings.search, progress)


def _out_of_fold(
    table: pd.DataFrame, forests: Forests, settings: TrainingSettings, progress: Callable[[str], None]
) -> Scored:
    """Scores of all customers by forests like the stored one, each fitted on the other folds' customers."""
    folds = everything(table, customer_folds(table, settings.folds, settings.seed))
    return scored(table, folds, lambda _: forests.final, lambda text: progress(f"calibration: {text}"))


def _tested(
    table: pd.DataFrame, parts: Split, forests: Forests, whole: Scored, progress: Callable[[str], None]
) -> Scored:
    """The rows to judge; where only customers are held out, and one forest serves all, they are scored already."""
    if parts.kind == "customers" and not forests.by_fold:
        return Scored(whole.tested[whole.tested.as_of.isin(parts.origins)], whole.known)
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


def policy_facts(trained: Trained) -> dict[str, Any]:
    """The policy, why its threshold is what it is, and what it is expected to do (cross-fitted, with intervals)."""
    figures = trained.evaluation.to_dict()["figures"]
    facts = {
        "name": trained.choice.policy,
        "reason": trained.choice.reason,
        "asked_for": trained.settings.policy.given(),
        "flagged_share": float(trained.held_out["flagged"].mean()),
        **{name: figures[name] for name in ("precision", "recall", "f1")},
    }
    return facts | ({"net_value_per_1000": _net_value(trained)} if trained.choice.policy == "cost" else {})


def _net_value(trained: Trained) -> dict[str, float]:
    """What the offers bring per 1,000 customers and week, with its interval."""
    rows = trained.held_out
    value = 1000 * net_value(
        rows["flagged"].to_numpy(np.float64), rows[LABEL].to_numpy(np.float64), trained.settings.policy
    )
    drawn = [
        float(np.average(value, weights=weight)) for weight in cluster_weights(rows.customer_id, trained.settings.seed)
    ]
    low, high = percentile(np.array(drawn))
    return {"value": float(value.mean()), "low": low, "high": high}


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
    shares = mean / max(mean.sum(), 1e-300)
    # Rounded: the compiled and the NumPy explainer differ in the last digits.
    return {name: round(float(share), 9) for name, share in zip(NAMES, shares, strict=True)}


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
        "forest": asdict(settings.forest)
        | {
            "nodes": len(trained.fitted.arrays.left),
            "columns_at_a_split": trained.fitted.classifier.max_features,
            "jobs": None,
        },
        "search": trained.searched,
        "versions": {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()},
    }


def store(
    trained: Trained, facts: dict[str, Any], pointer: Path, forced: bool, more_labels: Mapping[str, str] | None = None
) -> tuple[Champion, Decision]:
    """Save the model and, where it is to be champion, point to it."""
    manifest = trained.manifest(facts)
    labels = {
        "label": trained.settings.label,
        "fingerprint": manifest["training"]["fingerprint"][:12],
        **(more_labels or {}),
    }
    versions = {name: version(name) for name in ("onnx", "onnxruntime")}
    challenger = save(manifest, trained.files(), labels, versions)
    return challenger, promote(pointer, challenger, forced)


def keep_evaluation(trained: Trained, folder: DataFolder) -> None:
    """Leave the held-out predictions and their figures in the data folder, for `make evaluate`."""
    folder.write_table(HELD_OUT, trained.held_out)
    found = trained.evaluation.to_dict() | {
        "fingerprint": fingerprint(trained.table),
        "seed": trained.settings.seed,
        "forest": {name: getattr(trained.settings.forest, name) for name in ("trees", "depth", "leaf")},
        "policy": policy_facts(trained),
    }
    replace_file(folder.path / EVALUATION, (json.dumps(found, indent=1) + "\n").encode())


def main() -> None:
    arguments = _arguments()
    folder = DataFolder(arguments.data)
    table, facts = folder.training_table(), folder.facts()
    settings = settings_from(arguments, facts)
    with tracked("train", arguments.data, arguments.tracking, say) as tracked_run:
        trained = train(table, settings, say)
        manifest = trained.manifest(facts)
        cost = gender_cost(trained, say) if arguments.gender_cost else None
        made = card(trained, manifest, code_version(), tracked_run.id, cost, say)
        record_manifest(tracked_run, manifest)
        model, decision = store(trained, facts, champion_path(), arguments.promote, labels_of(tracked_run))
        keep_evaluation(trained, folder)
        page = write_card(made, model, arguments.card / model.tag.split(":")[1])
        record_model(tracked_run, model, decision, page, say)
    for line in summary(trained, model, decision):
        show(line)
    show(f"model card in {page}")


def summary(trained: Trained, model: Champion, decision: Decision) -> list[str]:
    """What a person wants to know after training."""
    found, forest = trained.evaluation, trained.settings.forest
    return [
        (
            f"held out: {found.rows} rows of {found.customers} customers ({found.churners} churned) "
            f"at {', '.join(found.dates)}; {found.split}"
        ),
        *(f"  {name.replace('_', ' '):18} {figure}" for name, figure in found.figures.items()),
        f"  threshold          {trained.threshold:.3f} (policy {trained.choice.policy}: {trained.choice.reason})",
        (
            f"forest: {forest.trees} trees of depth {forest.depth}, at least {forest.leaf} rows in a leaf, "
            f"{len(trained.fitted.arrays.left)} nodes ({'searched' if trained.searched else 'as set'})"
        ),
        f"model {model.tag}, sha256 {model.sha256[:12]}…; "
        + ("now champion: " if decision.promote else "not champion: ")
        + decision.reason,
        *(f"warning: {text}" for text in found.warnings),
    ]


def settings_from(arguments: argparse.Namespace, facts: dict[str, Any]) -> TrainingSettings:
    """The settings of a run, checked.

    Raises:
        SettingError: one is out of its range, or contradicts another.
    """
    shape = {name: getattr(arguments, name) for name in ("trees", "depth", "leaf")}
    given = {name: value for name, value in shape.items() if value is not None}
    if arguments.search not in {*SEARCH_ON, *SEARCH_OFF, None}:
        raise SettingError("search", arguments.search, "on or off")
    if arguments.search in SEARCH_ON and given:
        raise SettingError("search", "on", f"off where {', '.join(given)} is set: a forest is searched for or given")
    without = tuple(name.strip() for name in arguments.without.split(",") if name.strip())
    return TrainingSettings(
        label=facts["label"],
        horizon_days=facts["horizon_days"],
        seed=arguments.seed,
        forest=ForestSettings(**given, seed=arguments.seed, without=without),
        policy=PolicySettings(
            name=arguments.policy,
            fallback=arguments.fallback_policy,
            **{name: getattr(arguments, name) for name in POLICY_NUMBERS},
        ),
        search=None if arguments.search in SEARCH_OFF or given else SearchSettings(),
    )


def _arguments() -> argparse.Namespace:
    default = ForestSettings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder that `make featurize` wrote to")
    parser.add_argument("--promote", action="store_true", default=switch(PROMOTE), help="make it the champion")
    parser.add_argument("--card", type=Path, default=Path("reports/model_card"), help="folder of the model cards")
    parser.add_argument("--no-tracking", dest="tracking", action="store_false", help="log nothing to MLflow")
    parser.add_argument(
        "--gender-cost",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fit the held-out forests without gender too, to say what leaving it out costs",
    )
    settings: tuple[tuple[str, type, Any, str], ...] = (
        ("seed", int, default.seed, "of every draw"),
        ("search", str, None, "on: search for the smallest good forest (the default); off: take the one given"),
        ("trees", int, None, f"10 to 2000 ({default.trees}); with this, depth or leaf nothing is searched"),
        ("depth", int, None, f"1 to 30 ({default.depth})"),
        ("leaf", int, None, f"rows in a leaf at least, 1 to 1000 ({default.leaf})"),
        ("without", str, "", "categories the model must not see, such as gender"),
        ("policy", str, "f1", f"of the threshold: {', '.join(POLICIES)}"),
        ("target-precision", float, None, "for the policy precision"),
        ("fallback-policy", str, None, "where that precision cannot be promised"),
        ("offer-cost", float, None, "of one offer, for the policy cost"),
        ("kept-value", float, None, "of a customer who stays for it, in the same money"),
        ("success-rate", float, None, "share of those about to leave who stay for it"),
        ("top-share", float, None, "share of the customers to flag, for the policy top_share"),
    )
    for name, kind, value, text in settings:
        add_option(parser, name, kind, value, text)
    return parse(parser)


if __name__ == "__main__":
    run(main)
