"""The evaluation that training leaves in the data folder, for `make evaluate`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
from pydantic import BaseModel, ConfigDict

from churn.files import replace_file
from churn.model.facts import EvaluationFacts, PolicyFacts
from churn.stored_json import read_json
from training.model.trained import TrainedModel
from training.table.dataset import fingerprint
from training.table.folder import DataFolder

HELD_OUT: Final = "held_out.parquet"
EVALUATION: Final = "evaluation.json"


class ForestShape(BaseModel):
    """Size and shape of the evaluated forest."""

    model_config = ConfigDict(frozen=True)

    trees: int
    depth: int
    leaf: int


class KeptFacts(EvaluationFacts):
    """The figures, and the table, seed, forest and policy behind them. `fingerprint`: of the training table."""

    fingerprint: str
    seed: int
    forest: ForestShape
    policy: PolicyFacts


@dataclass(frozen=True)
class KeptEvaluation:
    """The figures, and the held-out predictions they rest on (`TrainedModel.held_out`)."""

    facts: KeptFacts
    held_out: pd.DataFrame


def keep_evaluation(trained: TrainedModel, policy: PolicyFacts, folder: DataFolder) -> KeptEvaluation:
    """Write the held-out predictions and their figures into the data folder."""
    shape = trained.settings.forest
    facts = KeptFacts(
        **dict(trained.evaluation.facts()),
        fingerprint=fingerprint(trained.table),
        seed=trained.settings.seed,
        forest=ForestShape(trees=shape.trees, depth=shape.depth, leaf=shape.leaf),
        policy=policy,
    )
    folder.write_table(HELD_OUT, trained.held_out)
    content = json.dumps(facts.model_dump(mode="json"), indent=1) + "\n"
    replace_file(folder.path / EVALUATION, content.encode())
    return KeptEvaluation(facts, trained.held_out)


def kept_evaluation(folder: Path, table_fingerprint: str) -> KeptEvaluation | None:
    """The evaluation of the table with this fingerprint; None when there is none.

    Raises:
        StoredFileError: the file is damaged.
    """
    path = folder / EVALUATION
    if not path.exists():
        return None
    facts = read_json(path, KeptFacts, "run `make train` again")
    if facts.fingerprint != table_fingerprint:
        return None
    return KeptEvaluation(facts, pd.read_parquet(folder / HELD_OUT))
