"""The models whose predictions are watched: from the BentoML store, verified, with their reference."""

import io
import math
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import pandas as pd

from churn.activity.features import DAY_MS
from churn.activity.labels import Definition
from churn.contract import Feature
from churn.errors import ModelStoreError
from churn.model.artifact import StoredModel
from churn.model.champion import champion_path, read_champion
from churn.model.store import stored_model
from churn.moments import epoch_ms
from churn.quality.figure import Figure
from monitoring.drift.column_summary import Population, rounding_step, summarise_frame
from monitoring.drift.decision import CHURN_PROBABILITY, MONITORED, OUTPUTS, WILL_CHURN


@dataclass(frozen=True)
class Watched:
    """A model, and what its predictions are compared with.

    `reference` has one row per customer: the columns of `monitoring.drift.decision.MONITORED`, with
    out-of-fold probabilities, and `churned`.
    """

    model: StoredModel
    reference: pd.DataFrame

    @cached_property
    def population(self) -> Population:
        return summarise_frame(self.reference, MONITORED)

    @cached_property
    def rounded(self) -> Population:
        """The same with numbers rounded as the log's are."""
        columns = {name: column.rounded(rounding_step(column)) for name, column in self.population.columns.items()}
        return Population(self.population.rows, columns)

    @property
    def monitored(self) -> tuple[Feature, ...]:
        """The features that the model uses, and its outputs: what changes elsewhere cannot change its answers."""
        used = {column.feature for column in self.model.manifest.columns} | {output.name for output in OUTPUTS}
        return tuple(feature for feature in MONITORED if feature.name in used)

    @property
    def definition(self) -> Definition:
        """Of churn: what the model was trained to foresee, and how far ahead."""
        training = self.model.training
        return Definition(training.label, training.horizon_days)  # type: ignore[arg-type]  # checked by Definition

    @property
    def figures(self) -> dict[str, Figure]:
        """How good it was on held-out rows; empty for a model that was not evaluated."""
        evaluated = self.model.manifest.metrics
        figures = {} if evaluated is None else evaluated.figures
        return {name: Figure(figure.value, figure.low, figure.high) for name, figure in figures.items()}

    @property
    def reference_as_of(self) -> str:
        """The moment the reference describes: the newest labelled snapshot of the training log."""
        return self.model.training.reference_as_of

    def days_since_reference(self, moment: int) -> float:
        """Days from the reference to a moment (UTC epoch milliseconds), 0 before it; infinite where none is known."""
        try:
            reference = epoch_ms(datetime.fromisoformat(self.reference_as_of))
        except ValueError:
            return math.inf
        return max(0.0, (moment - reference) / DAY_MS)


def champion_tag() -> str | None:
    """The model in use, or None when no pointer can be read."""
    try:
        return read_champion(champion_path()).tag
    except ModelStoreError:
        return None


def watched(tag: str, *, any_contract: bool = False) -> Watched:
    """A model of the store.

    One of `any_contract` has its definition of churn and its probabilities; its features
    cannot be compared with ours.

    Raises:
        ModelStoreError: it is not there.
        ArtifactError: it was altered.
        ContractMismatchError: it was made for another feature contract.
    """
    model = stored_model(tag, any_contract=any_contract)
    return Watched(model, reference_frame(pd.read_parquet(io.BytesIO(model.reference())), model.manifest.threshold))


def reference_frame(stored: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """A stored reference with the monitored columns: its out-of-fold probabilities, and who they flag."""
    probability = stored["probability"]
    return stored.assign(**{CHURN_PROBABILITY.name: probability, WILL_CHURN.name: probability >= threshold})
