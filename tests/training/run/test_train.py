import argparse
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn.errors import NotEnoughDataError, PrecisionTargetError, SettingError
from churn.model.artifact import MODEL_NAME, sha256
from churn.model.champion import Champion, read_champion, write_champion
from churn.model.scoring import calibrated
from tests.support import synthetic
from training.evaluation.evaluate import cross_fitted
from training.forest.fit import ForestSettings, scored
from training.forest.policy import PolicySettings
from training.forest.search import VERSION_1, SearchSettings
from training.model.kept_evaluation import EVALUATION, HELD_OUT, keep_evaluation, kept_evaluation
from training.model.manifest import ModelFacts, model_facts, policy_facts
from training.model.store import Decision, store
from training.model.trained import TrainedModel, TrainingSettings
from training.run.run import RunResult, RunSettings, run_training
from training.run.train import train
from training.table.folder import TRAINING, DataFolder
from training.table.split import split
from training.train import settings_from, summary

SETTINGS = TrainingSettings("either", 30, folds=2, origins=1, forest=ForestSettings(10, 4, 10, jobs=1))


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic.training_table(snapshots=7)


def arguments(**changes: Any) -> argparse.Namespace:
    names = ("search", "trees", "depth", "leaf", "fallback_policy", "target_precision")
    numbers = ("offer_cost", "kept_value", "success_rate", "top_share")
    plain = dict.fromkeys((*names, *numbers)) | {"seed": 7, "without": "", "policy": "f1"}
    return argparse.Namespace(**(plain | changes))


FACTS = synthetic.table_facts(synthetic.training_table(20, 1))


def test_held_out_predictions_are_the_rows_that_the_split_tests(trained: TrainedModel) -> None:
    rows = trained.held_out
    parts = split(trained.table, 30, trained.settings.seed, folds=2, origins=1)
    assert rows.index.tolist() == sorted(np.concatenate([fold.test for fold in parts.folds]))
    assert {"customer_id", "as_of", "fold", "churned", "score", "probability", "flagged"} <= set(rows.columns)
    same = ["customer_id", "as_of", "churned"]
    pd.testing.assert_frame_equal(rows[same], trained.table.loc[rows.index, same])
    assert trained.evaluation.rows == len(rows)


def test_the_future_cannot_change_what_was_known_before_it(table: pd.DataFrame) -> None:
    """Turn the tested outcomes round: not one held-out score, probability or flag moves."""
    turned = table.copy()
    tested = turned.as_of == turned.as_of.max()
    turned.loc[tested, "churned"] = 1 - turned.loc[tested, "churned"]
    parts = split(table, 30, SETTINGS.seed, 2, 1)
    assert parts.kind == "time and customers"
    first, second = train(table, SETTINGS, quiet).held_out, _with_folds_of(table, turned)
    assert (first["score"] == second["score"]).all()
    assert (first["probability"] == second["probability"]).all()
    assert (first["flagged"] == second["flagged"]).all()


def _with_folds_of(table: pd.DataFrame, turned: pd.DataFrame) -> pd.DataFrame:
    """Training deals churners evenly, so other outcomes would make other folds: the folds are kept here."""
    parts = split(table, 30, SETTINGS.seed, 2, 1)
    return cross_fitted(scored(turned, parts.folds, lambda _: SETTINGS.forest, quiet), SETTINGS.policy)


def test_the_reference_is_the_newest_snapshot_with_the_models_probabilities(trained: TrainedModel) -> None:
    newest = trained.table[trained.table.as_of == trained.table.as_of.max()]
    assert trained.reference.customer_id.tolist() == sorted(newest.customer_id)
    expected = calibrated(trained.reference["score"].to_numpy(), trained.calibration)
    assert trained.reference["probability"].to_numpy() == pytest.approx(expected)


def test_the_manifest_names_policy_threshold_and_search(trained: TrainedModel, facts: ModelFacts) -> None:
    policy = facts.policy
    assert policy.name == "f1"
    assert policy.asked_for == {"name": "f1"}
    for name in ("precision", "recall", "f1"):
        figure = getattr(policy, name)
        assert figure == facts.metrics.figures[name]
        assert figure.low <= figure.value <= figure.high
    assert policy.flagged_share == trained.held_out.flagged.mean()
    assert "net_value_per_1000" not in policy.model_dump()
    assert facts.training.search is None
    assert facts.threshold == trained.choice.threshold
    assert sum(facts.importance.values()) == pytest.approx(1, abs=1e-6)


def test_a_search_is_reported_with_its_curve(table: pd.DataFrame) -> None:
    tried = SearchSettings(trees=(10, 20), depths=(2, 4), leaves=(20,), folds=2)
    found = train(table, replace(SETTINGS, search=tried), quiet)
    searched = model_facts(found, synthetic.table_facts(table)).training.search
    assert searched is not None
    assert len(searched["curve"]) == 4
    assert found.settings.forest.trees == searched["chosen"]["trees"]
    assert len(found.fitted.classifier.estimators_) == searched["chosen"]["trees"]


def test_the_cost_policy_says_what_it_brings(table: pd.DataFrame) -> None:
    policy = PolicySettings("cost", offer_cost=5, kept_value=100, success_rate=0.5)
    found = train(table, replace(SETTINGS, policy=policy), quiet)
    written = policy_facts(found)
    rows = found.held_out
    by_hand = 1000 * (rows.flagged * (50 * rows.churned - 5)).mean()
    assert written.net_value_per_1000 is not None
    assert written.net_value_per_1000.value == pytest.approx(by_hand)
    assert written.model_dump()["net_value_per_1000"]["value"] == pytest.approx(by_hand)
    assert written.asked_for["kept_value"] == 100
    assert found.threshold == pytest.approx(0.1, abs=0.02)


def test_a_fallback_is_in_the_manifest(table: pd.DataFrame) -> None:
    policy = PolicySettings("precision", target_precision=0.99, fallback="f1")
    written = policy_facts(train(table, replace(SETTINGS, policy=policy), quiet))
    assert written.name == "f1"
    assert written.asked_for["name"] == "precision"
    assert "precision 0.99 cannot be promised" in written.reason


REPRODUCE = """
import json, sys
from pydantic import BaseModel
from churn.model.artifact import sha256
from tests.support import synthetic
from training.forest.fit import ForestSettings
from training.model.manifest import model_facts
from training.model.trained import TrainingSettings
from training.run.train import train

jobs = int(sys.argv[1])
settings = TrainingSettings("either", 30, folds=2, origins=1, forest=ForestSettings(10, 4, 10, jobs=jobs))
table = synthetic.training_table(snapshots=7)
trained = train(table, settings, lambda _: None)
facts = model_facts(trained, synthetic.table_facts(table))
manifest = {
    name: value.model_dump() if isinstance(value, BaseModel) else value
    for name, value in (vars(facts) | {"columns": None}).items()
}
manifest["columns"] = [column.model_dump() for column in facts.columns]
hashes = {name: sha256(content) for name, content in trained.files().items()}
print(json.dumps([hashes, manifest], sort_keys=True, default=BaseModel.model_dump))
"""


@pytest.mark.integration
def test_the_same_table_and_seed_give_the_same_model_on_one_core_or_two() -> None:
    """Every file and the manifest, in processes that hash text differently."""
    made = [
        subprocess.run(
            [sys.executable, "-c", REPRODUCE, str(jobs)],
            cwd=Path(__file__).parent.parent.parent.parent,
            env=os.environ | {"PYTHONHASHSEED": str(jobs)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for jobs in (1, 2)
    ]
    assert made[0] == made[1]
    assert len(json.loads(made[0])[0]) == 3


def test_another_seed_gives_another_model(table: pd.DataFrame) -> None:
    first, second = (
        train(table, replace(SETTINGS, forest=replace(SETTINGS.forest, seed=seed)), quiet).files() for seed in (1, 2)
    )
    assert first["forest.onnx"] != second["forest.onnx"]


def _models() -> set[str]:
    import bentoml  # noqa: PLC0415  # reads BENTOML_HOME when it is imported

    return {str(model.tag) for model in bentoml.models.list() if model.tag.name == MODEL_NAME}


@pytest.mark.parametrize(
    ("spoil", "settings", "error"),
    [
        (lambda t: t[t.customer_id.astype(int) < 20], SETTINGS, NotEnoughDataError),
        (lambda t: t.assign(churned=0), SETTINGS, NotEnoughDataError),
        (lambda t: t.assign(churned=1), SETTINGS, NotEnoughDataError),
        (lambda t: t.head(0), SETTINGS, NotEnoughDataError),
        (lambda t: t, replace(SETTINGS, folds=1), SettingError),
        (lambda t: t, replace(SETTINGS, policy=PolicySettings("precision", 0.999)), PrecisionTargetError),
    ],
)
def test_what_cannot_be_trained_leaves_no_model_and_the_champion_alone(
    table: pd.DataFrame, tmp_path: Path, spoil: Any, settings: TrainingSettings, error: type[Exception]
) -> None:
    pointer = tmp_path / "champion.json"
    write_champion(pointer, Champion("churn:good", "0" * 64))
    before = _models()
    folder = DataFolder(tmp_path)
    folder.write_table(TRAINING, spoil(table))
    folder.write_facts(synthetic.table_facts(table))
    with pytest.raises(error):
        run_training(folder, RunSettings(settings, pointer, tmp_path / "cards", promote=True, tracking=False), quiet)
    assert _models() == before
    assert read_champion(pointer) == Champion("churn:good", "0" * 64)


def test_a_failure_while_saving_leaves_no_half_model(
    trained: TrainedModel, facts: ModelFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pointer = tmp_path / "champion.json"
    write_champion(pointer, Champion("churn:good", "0" * 64))
    before = _models()

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("churn.model.store.write", full)
    with pytest.raises(OSError, match="No space left"):
        store(facts, trained.files(), pointer, True, {})
    assert _models() == before
    assert read_champion(pointer) == Champion("churn:good", "0" * 64)


def test_the_evaluation_is_kept_beside_the_table(trained: TrainedModel, tmp_path: Path) -> None:
    kept = keep_evaluation(trained, policy_facts(trained), DataFolder(tmp_path))
    assert json.loads((tmp_path / EVALUATION).read_text())["figures"]["auc"]["value"] == kept.facts.figures["auc"].value
    again = kept_evaluation(tmp_path, kept.facts.fingerprint)
    assert again is not None
    assert again.facts == kept.facts
    assert kept_evaluation(tmp_path, "of another table") is None
    rows = pd.read_parquet(tmp_path / HELD_OUT)
    assert rows["score"].tolist() == trained.held_out["score"].tolist()
    assert (tmp_path / HELD_OUT).stat().st_mode & 0o777 == 0o600


def test_the_summary_has_every_figure_and_warning(trained: TrainedModel) -> None:
    champion, decision = Champion("churn:x", "ab" * 32), Decision(True, "no champion yet")
    lines = summary(RunResult(trained, champion, decision, Path("card")))
    text = "\n".join(lines)
    for name in trained.evaluation.figures:
        assert name.replace("_", " ") in text
    assert "now champion: no champion yet" in text
    assert sum(line.startswith("warning:") for line in lines) == len(trained.evaluation.warnings)


def test_a_forest_that_is_given_is_not_searched_for() -> None:
    assert settings_from(arguments(), FACTS).search == SearchSettings()
    assert settings_from(arguments(search="off"), FACTS).search is None
    assert settings_from(arguments(search="version-1"), FACTS).search == VERSION_1
    given = settings_from(arguments(depth=5, without="gender, os"), FACTS)
    assert given.search is None
    assert (given.forest.depth, given.forest.without) == (5, ("gender", "os"))
    with pytest.raises(SettingError, match="search='on': expected off where depth is set"):
        settings_from(arguments(search="on", depth=5), FACTS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search": "maybe"}, "search='maybe'"),
        ({"trees": 3}, "trees=3"),
        ({"seed": -1}, "seed=-1"),
        ({"policy": "best"}, "policy='best'"),
        ({"policy": "precision"}, "target_precision=None"),
        ({"without": "songs_7d"}, "without='songs_7d'"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_done(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        settings_from(arguments(**changes), FACTS)


def test_stored_bytes_are_those_that_were_fitted(trained: TrainedModel) -> None:
    files = trained.files()
    assert sha256(files["forest.onnx"]) == hashlib.sha256(trained.fitted.onnx).hexdigest()
    assert b"customer_id" not in files["reference.parquet"]
