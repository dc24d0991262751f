"""`summary.json`: what a week's report found, for schedulers, pages and messages. No customer ids."""

import json
import math
from typing import Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, ValidationError

from churn.errors import ReportError
from monitoring.findings.alarm import Condition, Level
from monitoring.findings.drift import Measure, Onset, Segment, Severity, Test, Verdict
from monitoring.findings.performance import Performance
from monitoring.findings.stored import Moment, Number, Stored

SCHEMA: Final = 1
"""Of `summary.json`: grows when a field changes its meaning or goes; new fields may come."""


class Stale(Stored):
    """Predictions made from features that were old when they were asked for."""

    older_than_hours: int
    """From this age on."""
    predictions: int
    """How many."""
    share: Number = None
    """Of all the model's predictions."""


class Reference(Stored):
    """The customers of the training data that the week is compared with."""

    rows: int
    """How many, one row each."""
    as_of: str = ""
    """The moment they are described at; `unknown` for a model that does not tell."""


class BeforeAndNow(Stored):
    """A figure of the training data beside that of the week."""

    reference: Number = None
    """Of the training data."""
    current: Number = None
    """Of the week."""


class Volume(Stored):
    """What the service answered, all models together."""

    predictions: int
    """Answers in the week."""
    customers: int
    """Customers they are about."""
    previous_predictions: int | None = None
    """Answers in the week before; null where that week has no report."""
    change: Number = None
    """Since the week before: 0.1 is a tenth more."""


class ComparedFigures(Stored):
    """A feature by the test that says most about it."""

    feature: str
    """Name of the feature, or of the model's output."""
    test: Test | None = None
    """The test; null where none was made, and then there are no figures."""
    p: Number = None
    """p-value, adjusted for the other tests."""
    effect: Number = None
    """Size of the change."""
    gate: Number = None
    """The smallest effect that counts."""
    unit: str = ""
    """Unit of both."""
    measured: str = ""
    """The figure that `before` and `after` are, in words."""
    before: Number = None
    """That figure in the training data (in a ranking: on the other side)."""
    after: Number = None
    """That figure in the week."""
    importance: Number = None
    """The feature's share in the model's decisions."""
    sentence: str = ""
    """All of it in one sentence."""
    measure: Measure | None = None
    """The same as `measured` in fields: a `statistic`, and the `category` or `bound` that it is of."""

    @property
    def multiple(self) -> float | None:
        """The effect as a multiple of its gate; None where nothing was tested, infinite where any effect counts."""
        if self.effect is None or self.gate is None:
            return None
        if self.gate > 0:
            return self.effect / self.gate
        return math.inf if self.effect > 0 else 0.0


class FeatureSummary(ComparedFigures):
    """A feature of all customers against the training data."""

    leading_fields: ClassVar[tuple[str, ...]] = ("feature", "severity")

    severity: Severity = "none"
    """`page`, `warning` or `none`."""


class RankedFeature(ComparedFigures):
    """A feature that drifted in a part of the customers, or since the week before; never an alarm."""

    leading_fields: ClassVar[tuple[str, ...]] = ("comparison",)

    comparison: str = ""
    """A segment, such as `os=Windows`, or `previous week`."""
    segment: Segment | None = None
    """The segment in fields: a `feature` with its `category`, or `at_least` and `below`; absent for `previous week`."""


class AtRiskCounts(Stored):
    """The list of customers at risk."""

    flagged: int
    """Customers whose newest answer flags them."""
    listed: int
    """Those of them in `at_risk.csv`."""


class LineCounts(Stored):
    """Lines of the prediction log by what they are."""

    predictions: int = 0
    """Predictions of the week under this code's contract."""
    explained: int = 0
    """Lines of the API `explain`."""
    elsewhen: int = 0
    """Predictions of other weeks."""
    partial: int = 0
    """Half lines that a killed process left."""
    foreign: int = 0
    """Lines that no version of this log wrote."""
    erased: int = 0
    """Lines that were erased on request."""
    other_contract: int = 0
    """Predictions of the week made for other features: they count, but their features are not compared."""


class UnusableFile(LineCounts):
    """A file of the log with lines that cannot be used."""

    leading_fields: ClassVar[tuple[str, ...]] = ("file",)

    file: str
    """Its name."""


class LogSummary(LineCounts):
    """What the prediction log held."""

    leading_fields: ClassVar[tuple[str, ...]] = ("files", "lines")

    files: int = 0
    """Files that were read."""
    lines: int = 0
    """Lines in all."""
    unusable: tuple[UnusableFile, ...] = ()
    """The files with `partial` or `foreign` lines."""

    @property
    def left_out(self) -> int:
        """Lines that cannot be used."""
        return self.partial + self.foreign


class ModelSummary(Stored):
    """One model's week."""

    model: str
    """Tag of the model."""
    predictions: int
    """Its answers."""
    customers: int
    """Customers they are about."""
    as_of: tuple[Moment, Moment] | None = None
    """First and last moment of the features."""
    scored: tuple[Moment, Moment] | None = None
    """First and last moment of the answers."""
    stale: Stale | None = None
    """Answers from old features."""
    performance: Performance = Performance()
    """How good the predictions are."""
    verdict: Verdict | None = None
    """`ok`, `drift`, or `too few` (customers for a verdict); null where the model cannot be compared."""
    refused: str | None = None
    """Why the model cannot be compared; absent where it can."""
    severity: Severity | None = None
    """The worst of all tests: `page`, `warning` or `none`."""
    sentence: str = ""
    """The verdict in words."""
    page: str | None = None
    """The HTML file of this model."""
    reference: Reference | None = None
    """What it was trained on."""
    mean_probability: BeforeAndNow = BeforeAndNow()
    """Mean predicted probability."""
    flagged_share: BeforeAndNow = BeforeAndNow()
    """Share of the customers that are flagged."""


class Summary(ModelSummary):
    """A week: the headline's model as in `models`, and what is found of the whole week."""

    leading_fields: ClassVar[tuple[str, ...]] = (
        "schema",
        "week",
        "from",
        "to",
        "contract",
        "verdict",
        "severity",
        "level",
        "conditions",
        "sentence",
        "reasons",
    )

    model_config = ConfigDict(validate_by_name=True)

    schema_version: Literal[1] = Field(validation_alias="schema", serialization_alias="schema")
    """1; grows when a field changes its meaning or goes."""
    week: str
    """ISO week: `2018-W44`."""
    start: Moment | None = Field(default=None, validation_alias="from", serialization_alias="from")
    """The first moment of the week."""
    end: Moment | None = Field(default=None, validation_alias="to", serialization_alias="to")
    """The first moment after it."""
    contract: str = ""
    """Feature contract of the code that made the report."""
    level: Level | None = None
    """`page` (somebody is woken), `ticket` (it waits for the morning) or `shown`; absent in reports made before it."""
    conditions: tuple[Condition, ...] = ()
    """Conditions that brought the level, the most urgent first."""
    reasons: tuple[str, ...] = ()
    """One sentence for each thing that alarms, what matters most to the model first."""
    volume: Volume | None = None
    """What the service answered, all models together."""
    false_alarm_rate: Number = None
    """Share of reports on an unchanged world that may alarm."""
    tests: int | None = None
    """How many tests the correction accounts for."""
    features: tuple[FeatureSummary, ...] = ()
    """Each feature and output of the headline's model by the test that says most."""
    onset: dict[str, Onset] = Field(default_factory=dict)
    """Of each feature that pages, `sudden` (it differs from the week before too) or `gradual`."""
    compared: tuple[str, ...] = ()
    """Comparisons that were made beside that with the training data: segments, and the week before."""
    too_few: tuple[str, ...] = ()
    """Comparisons with too few customers on a side."""
    ranking: tuple[RankedFeature, ...] = ()
    """Where to look, most telling first."""
    models: tuple[ModelSummary, ...]
    """Every model of the week, the headline's first."""
    at_risk: AtRiskCounts | None = None
    """Customers at risk."""
    log: LogSummary = LogSummary()
    """Files and lines of the prediction log."""

    @property
    def urgency(self) -> Level:
        """The level; in a report made before there were levels, drift paged."""
        if self.level is not None:
            return self.level
        return "page" if self.verdict == "drift" else "shown"

    @property
    def all_predictions(self) -> int:
        """Predictions of the week, all models together."""
        return sum(model.predictions for model in self.models) if self.volume is None else self.volume.predictions

    @property
    def all_customers(self) -> int:
        """Customers of the week, all models together where that is known."""
        return self.customers if self.volume is None else self.volume.customers

    @classmethod
    def read(cls, content: bytes, file: object) -> "Summary":
        """The content of a `summary.json`.

        Raises:
            ReportError: it is damaged, or of another schema; the message names `file` and the field.
        """
        try:
            return cls.model_validate(json.loads(content, parse_constant=_refused))
        except ValidationError as error:
            why = _explained(error)
        except (ValueError, RecursionError) as error:
            why = f"no JSON ({type(error).__name__})"
        raise ReportError(f"{file}: {why}; make the report of this week again")

    def to_bytes(self) -> bytes:
        """The file."""
        fields = self.model_dump(by_alias=True, exclude_unset=True)
        return (json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _explained(error: ValidationError) -> str:
    """The first field that is wrong: its place, what was found, and what was expected."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "content"
    if first["type"] == "missing":
        return f"{place}: missing"
    return f"{place}: found {str(first['input'])[:40]!r}, expected {first['msg'].removeprefix('Input should be ')}"
