"""A trained model before it is stored, and the settings it was made with."""

from dataclasses import dataclass, field, replace

import pandas as pd

from churn.contract import NAMES
from churn.model.artifact import FOREST, ONNX, REFERENCE, Calibration
from churn.quality.measures import LABEL
from training.evaluation.evaluate import Evaluation
from training.forest.fit import FittedForest, ForestSettings
from training.forest.policy import PolicySettings, ThresholdChoice, check
from training.forest.search import Forests, SearchSettings
from training.table.folder import parquet_bytes
from training.table.split import FOLDS, ORIGINS, Fold, Split, split


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a run; the manifest records them.

    `search`: which forests to try before one is chosen. None takes `forest` as it is; a
    search takes only its seed, cores and left-out categories.

    Raises:
        SettingError: the policy lacks a number it needs, or one is out of its range.
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
class TrainedModel:
    """A model ready to be stored.

    `held_out` holds the predictions the evaluation rests on, each by a forest, calibration
    and threshold that saw other customers only: `customer_id`, `as_of`, `origin`, `fold`,
    `churned`, `score`, `probability`, `flagged`; its index is the row of `table`.
    `settings.forest` is the forest that was fitted, `forests` how it was found, `choice`
    the threshold with its policy and the reason.
    """

    fitted: FittedForest
    calibration: Calibration
    evaluation: Evaluation
    reference: pd.DataFrame
    settings: TrainingSettings
    table: pd.DataFrame
    held_out: pd.DataFrame
    choice: ThresholdChoice
    forests: Forests

    @property
    def threshold(self) -> float:
        return self.choice.threshold

    def files(self) -> dict[str, bytes]:
        """The files of the stored model, without its manifest."""
        return {
            ONNX: self.fitted.onnx,
            FOREST: self.fitted.arrays.to_bytes(),
            REFERENCE: parquet_bytes(self.reference.drop(columns=["customer_id"])),
        }

    def held_out_rows(self) -> pd.DataFrame:
        """Held-out predictions beside the features they were made from."""
        predictions = self.held_out[["score", "probability", "flagged"]]
        return self.table[["customer_id", "as_of", *NAMES, LABEL]].join(predictions, how="inner")

    def split(self) -> Split:
        """The split behind `held_out`."""
        settings = self.settings
        return split(self.table, settings.horizon_days, settings.seed, settings.folds, settings.origins)

    def newest_folds(self) -> list[Fold]:
        """The folds of the newest tested date, with its rows only."""
        parts = self.split()
        newest = parts.origins[0]
        at_newest = (self.table.as_of == newest).to_numpy()
        return [replace(fold, test=fold.test[at_newest[fold.test]]) for fold in parts.folds if fold.origin == newest]
