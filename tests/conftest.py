"""A model store of the tests' own, and a small champion in it."""

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from churn.model.artifact import StoredModel
from churn.model.champion import Champion, write_champion
from churn.model.store import champion_model, save
from tests.support import synthetic
from tests.support.examples import register_profiles
from training.forest.fit import ForestSettings
from training.model.manifest import ModelFacts, model_facts
from training.model.trained import TrainedModel, TrainingSettings
from training.options import SETTINGS as STRAY_NAMES
from training.run.train import train

register_profiles()

# Before anything imports BentoML, which reads it once: no test touches the user's store.
# (Nothing above does: the training module imports it where it saves.)
_HOME = tempfile.TemporaryDirectory(prefix="churn-tests-")
os.environ["BENTOML_HOME"] = str(Path(_HOME.name, "bentoml"))
Path(os.environ["BENTOML_HOME"]).mkdir()
for _name in STRAY_NAMES:
    os.environ.pop(_name, None)  # the training commands refuse them

SETTINGS = TrainingSettings("either", 30, folds=2, origins=1, forest=ForestSettings(trees=30, depth=5, leaf=10, jobs=1))


@dataclass(frozen=True)
class ChampionModel:
    """A trained model in the tests' store, its pointer file, and the rows it was fitted on."""

    home: Path
    pointer: Path
    champion: Champion
    model: StoredModel
    trained: TrainedModel
    table: pd.DataFrame

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to serve it."""
        return {"BENTOML_HOME": str(self.home), "CHURN_CHAMPION": str(self.pointer)}


@pytest.fixture(scope="session")
def trained() -> TrainedModel:
    return train(synthetic.training_table(), SETTINGS, lambda _: None)


@pytest.fixture(scope="session")
def facts(trained: TrainedModel) -> ModelFacts:
    return model_facts(trained, synthetic.table_facts(trained.table))


@pytest.fixture(scope="session")
def champion(trained: TrainedModel, facts: ModelFacts, tmp_path_factory: pytest.TempPathFactory) -> ChampionModel:
    stored = save(vars(facts), trained.files(), {}, {})
    pointer = tmp_path_factory.mktemp("champion") / "champion.json"
    write_champion(pointer, stored)
    return ChampionModel(
        Path(os.environ["BENTOML_HOME"]),
        pointer,
        stored,
        champion_model(pointer),
        trained,
        trained.table,
    )


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process here, so that pytest's summary stays the last lines printed.

    DuckDB 2.0's binding counts what is still referenced when the interpreter is taken
    down, and prints pages of it after a Hypothesis test; nothing of ours is running then.
    """
    status = getattr(config, "churn_exit_status", None)
    if status is None:
        return
    _HOME.cleanup()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.churn_exit_status = int(exitstatus)  # type: ignore[attr-defined]  # carried to the hook above
