"""The facts of a manifest: what a model was trained on, how good it is, and which policy chose its threshold.

The fields stand in the order in which the manifest has them: its bytes, and so its sha256,
depend on it.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Facts(BaseModel):
    """Facts about a model; a field that a newer version added is kept."""

    model_config = ConfigDict(extra="allow", frozen=True)


class IntervalFacts(Facts):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class FigureFacts(IntervalFacts):
    """A figure with its interval, and how many customers and churners it rests on."""

    customers: int
    churners: int


class EvaluationFacts(Facts):
    """Figures on held-out rows.

    `dates`: the tested moments, ISO 8601. `split`: what separates the rows from those that
    their forests were fitted on. `warning`: all `warnings` in one text.
    """

    figures: dict[str, FigureFacts]
    rows: int
    customers: int
    churners: int
    dates: tuple[str, ...]
    split: str
    warning: str | None
    warnings: tuple[str, ...]


class PolicyFacts(Facts):
    """The policy that chose the threshold, and what to expect of it.

    `asked_for`: the settings that were given. `flagged_share`: of the held-out rows.
    `net_value_per_1000`: what the offers bring per 1,000 customers and week; known to the
    policy `cost` only.
    """

    name: str
    reason: str
    asked_for: dict[str, Any]
    flagged_share: float
    precision: FigureFacts
    recall: FigureFacts
    f1: FigureFacts
    net_value_per_1000: IntervalFacts | None = Field(default=None, exclude_if=lambda value: value is None)


class PeerFacts(Facts):
    """Customers of one plan and band of tenure who stayed.

    `typical`: as the manifest's, what adds up over a window as if all of it had been seen. `spread`: the standard
    deviation of the contributions of each topic (`churn.retention.peers`).
    """

    customers: int
    typical: dict[str, float | dict[str, float] | None]
    spread: dict[str, float]


class TrainingFacts(Facts):
    """The data and the settings that a model was trained with.

    Moments are UTC: `first_ts` and `log_end` in epoch milliseconds, the others ISO 8601.
    `snapshots` are those of the training table, `short_snapshots` those among them with
    less history than the features look back; `reference_as_of` is the newest of them.
    `forest` is the forest that was fitted, `search` the search that found its size (None:
    it was given).
    """

    source: str
    first_ts: int
    log_end: int
    label: str
    horizon_days: int
    seed: int
    snapshots: tuple[str, ...]
    short_snapshots: tuple[str, ...]
    reference_as_of: str
    rows: int
    customers: int
    churn_rate: float
    fingerprint: str
    forest: dict[str, Any]
    search: dict[str, Any] | None
    versions: dict[str, str]
