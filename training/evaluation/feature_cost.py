"""The cost in AUC of leaving a feature out: the same held-out rows, scored by forests that never saw it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from churn.quality.figure import Figure
from churn.quality.measures import LABEL
from churn.quality.paired import paired
from training.forest.fit import ForestSettings, scored
from training.table.split import Fold


@dataclass(frozen=True)
class FeatureCost:
    """AUC of forests that see the feature and of forests that do not, on the same rows.

    `difference`: without minus with; negative is what leaving it out costs. `left_out`:
    whether the model of this card is one without it.
    """

    feature: str
    seen: Figure
    unseen: Figure
    difference: Figure
    left_out: bool

    @property
    def sentence(self) -> str:
        sure = self.difference.low > 0 or self.difference.high < 0
        value, low, high = (
            f"{end:+.4f}".replace("-", "−")
            for end in (self.difference.value, self.difference.low, self.difference.high)
        )
        figures = f"{value} AUC (95 % interval {low} to {high})"
        state = "is left out of this model" if self.left_out else "is one of this model's features"
        effect = "costs" if self.difference.value < 0 else "gains"
        told = f"leaving it out {effect}" if sure else "leaving it out makes no difference that these rows can show:"
        return f"{self.feature.capitalize()} {state}; {told} {figures}."


def feature_cost(
    feature: str,
    table: pd.DataFrame,
    folds: Sequence[Fold],
    settings: Callable[[Fold], ForestSettings],
    held_out: pd.DataFrame,
    seed: int,
    progress: Callable[[str], None],
) -> FeatureCost:
    """Fit the held-out forests once more, the other way about, and compare.

    Args:
        feature: a category of the contract.
        table: the training table.
        folds: those that `held_out` was scored in.
        settings: of the forest behind each fold's rows of `held_out`.
        held_out: `score`, `customer_id` and `churned` of each held-out row; its index is the row of `table`.
        seed: of the bootstrap.
        progress: is told about each forest.

    Raises:
        SettingError: `feature` is not a category.
    """
    left_out = feature in settings(folds[0]).without

    def other_way(fold: Fold) -> ForestSettings:
        here = settings(fold)
        others = tuple(name for name in here.without if name != feature)
        return replace(here, without=others if left_out else (*others, feature))

    name = f"{'with' if left_out else 'without'} {feature}"
    tested = [replace(fold, known=fold.known[:0]) for fold in folds]
    there = scored(table, tested, other_way, lambda text: progress(f"{name}: {text}")).tested
    both = pd.DataFrame({"here": held_out["score"], "there": there["score"]})
    judged = paired(both, held_out[LABEL].to_numpy(np.float64), held_out.customer_id, seed)
    seen, unseen = ("there", "here") if left_out else ("here", "there")
    return FeatureCost(feature, judged.figure(seen), judged.figure(unseen), judged.difference(unseen, seen), left_out)
