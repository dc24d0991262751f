"""How good the predictions of a week are: estimated, realised once it is known who left, and what is still open."""

from collections.abc import Iterator
from typing import ClassVar

from churn.quality.figure import Figure
from monitoring.findings.stored import Moment, Number, Stored, StoredFigure


class Metrics(Stored):
    """The measures of a model; an estimate has no Brier score and no calibration error."""

    auc: StoredFigure | None = None
    """Area under the ROC curve."""
    f1: StoredFigure | None = None
    """F1 of the flag."""
    precision: StoredFigure | None = None
    """Share of the flagged who leave."""
    recall: StoredFigure | None = None
    """Share of the leavers who are flagged."""
    brier: StoredFigure | None = None
    """Mean squared error of the probabilities."""
    calibration_error: StoredFigure | None = None
    """Mean distance of the probabilities from the shares that left."""

    def named(self) -> Iterator[tuple[str, Figure]]:
        """Each measure that there is, with its name."""
        for name in type(self).model_fields:
            found = getattr(self, name)
            if found is not None:
                yield name, found


NO_METRICS = Metrics()


class EstimatedPerformance(Stored):
    """What the labels will probably show."""

    customers: int = 0
    """Customers with a prediction."""
    expected_churners: Number = None
    """Sum of their probabilities."""
    metrics: Metrics = NO_METRICS
    """AUC, F1, precision and recall."""
    method: str = ""
    """`CBPE`."""
    blind_spot: str = ""
    """What the estimate cannot see, in one sentence."""


class JudgedCustomers(Stored):
    """Predictions with their outcomes."""

    customers: int = 0
    """Customers that were judged."""
    rows: int = 0
    """Their predictions."""
    churners: int = 0
    """Those of the customers who left."""
    metrics: Metrics = NO_METRICS
    """All measures."""


class RealisedPerformance(JudgedCustomers):
    """How good the predictions of one model in one week proved."""

    leading_fields: ClassVar[tuple[str, ...]] = (
        "customers",
        "rows",
        "churners",
        "labels_until",
        "definition",
        "horizon_days",
    )

    labels_until: Moment | None = None
    """End of the log of events."""
    definition: str = ""
    """The definition of churn that was judged by."""
    horizon_days: int | None = None
    """How far ahead it looks."""
    untreated: JudgedCustomers | None = None
    """Those without an offer; null without a file of treatments."""
    treated: JudgedCustomers | None = None
    """Those with one."""
    notes: tuple[str, ...] = ()
    """What the figures leave out, and what makes them doubtful."""
    inputs: str | None = None
    """Changes with definition and treatments, so that a week is computed again when they do."""


class PendingLabels(Stored):
    """Predictions that cannot be judged yet."""

    customers: int
    """Customers with such a prediction."""
    known_after: Moment
    """When the last of them can be judged."""


class Performance(Stored):
    """How good the predictions are; each part is null where there is nothing to say."""

    estimated: EstimatedPerformance | None = None
    """What the labels will probably show."""
    realised: RealisedPerformance | None = None
    """What the labels showed."""
    pending: PendingLabels | None = None
    """Predictions that cannot be judged yet."""

    @property
    def estimated_metrics(self) -> Metrics:
        return NO_METRICS if self.estimated is None else self.estimated.metrics

    @property
    def realised_metrics(self) -> Metrics:
        return NO_METRICS if self.realised is None else self.realised.metrics
