"""The drift decision: whether the scored population has moved away from the one the model learned from.

Pure: summaries of two samples in, a decision with its grounds out; no file, no model, no
Evidently, no clock. What is tested stands in `comparison`, how in `two_sample`; here the
p-values of a report become one verdict whose error rate is known.

* **Page**: beyond chance by Holm over the whole paging family (every test of every feature
  of the whole population against the training reference), and past the effect gate. In an
  unchanged world at most `false_alarm_rate` of the reports have one.
* **Warning**: past the gate and beyond chance by Benjamini-Hochberg only, or a value that
  breaks the contract, however rare. In an unchanged world, pages and warnings together stay
  within the same rate.
* A feature that ages (`Feature.ages_days`) is compared with the reference as it would be at the time of the current
  sample, against a wider gate; all else about it is tested like any other column.
* Everything else, segments and the previous week, goes through `rank`, which never alarms.

>>> import numpy, pandas
>>> from churn.contract import BY_NAME
>>> from monitoring.drift import wording
>>> from monitoring.drift.column_summary import summarise_frame
>>> features = [BY_NAME["session_minutes_14d"], BY_NAME["os"], WILL_CHURN]  # a report takes MONITORED
>>> def week(rows, minutes, seed):  # one row per customer: the newest of the week
...     draw = numpy.random.default_rng(seed)
...     frame = {"session_minutes_14d": draw.normal(minutes, 60, rows), "os": draw.choice(["Windows", "Mac"], rows)}
...     return summarise_frame(pandas.DataFrame(frame | {"will_churn": draw.random(rows) < 0.05}), features)
>>> reference, last_week, this_week = week(5_000, 240, 1), week(2_000, 240, 2), week(2_000, 200, 3)
>>> decide(reference, last_week, features).verdict
'ok'
>>> decision = decide(reference, this_week, features, importance={"session_minutes_14d": 0.12})
>>> decision.verdict, wording.sentence(decision)
('drift', 'drift in 1 of 3 features (session_minutes_14d); no further warning')
>>> decision.leading("session_minutes_14d").measure.statistic  # the test that says most about one feature
'mean'
>>> ranking = rank({PREVIOUS_WEEK: (last_week, this_week)}, features)  # and segments; never alarms
>>> onset(decision, ranking)
{'session_minutes_14d': 'sudden'}

The reference's probabilities must be out-of-fold ones: those of rows the forest was fitted
to are drawn to the ends, and every week would differ from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from scipy import stats

from churn.contract import FEATURES, Feature
from churn.errors import SettingError
from monitoring.drift.column_summary import Population
from monitoring.drift.comparison import Drawing, Gates, compare
from monitoring.drift.multiplicity import holm
from monitoring.findings.drift import (
    PREVIOUS_WEEK,
    SEVERITIES,
    Comparison,
    DriftDecision,
    Grounds,
    Onset,
    RankedTest,
    Ranking,
    Severity,
    TestResult,
)

CHURN_PROBABILITY: Final = Feature(
    "churn_probability", "real", "Calibrated probability that the customer leaves.", "{value}", 0.2, maximum=1.0
)
WILL_CHURN: Final = Feature(
    "will_churn",
    "category",
    "Whether the probability is past the model's threshold.",
    "{value}",
    "false",
    categories=("false", "true"),
)
OUTPUTS: Final = (CHURN_PROBABILITY, WILL_CHURN)
MONITORED: Final = (*FEATURES, *OUTPUTS)
"""What a report tests: the contract's features, then what the model made of them."""

FEWEST_ROWS: Final = 200


@dataclass(frozen=True)
class DriftSettings:
    """How careful the decision is.

    `false_alarm_rate`: share of reports on an unchanged world that may alarm.
    `minimum_rows`: with fewer rows in a sample there is no verdict.
    `gates`: the smallest effects that count; `feature_gates` overrides them by feature name.
    `drawing`: how the permutations are drawn; the same settings give the same decision.

    Raises SettingError for a value out of its range.
    """

    false_alarm_rate: float = 0.05
    minimum_rows: int = FEWEST_ROWS
    gates: Gates = field(default_factory=Gates)
    feature_gates: Mapping[str, Gates] = field(default_factory=dict)
    drawing: Drawing = field(default_factory=Drawing)

    def __post_init__(self) -> None:
        if not 0 < self.false_alarm_rate < 1:
            raise SettingError("false_alarm_rate", self.false_alarm_rate, "a share between 0 and 1")
        if self.minimum_rows < 1:
            raise SettingError("minimum_rows", self.minimum_rows, "at least 1")
        if self.drawing.draws < FEWEST_ROWS:
            raise SettingError("draws", self.drawing.draws, f"at least {FEWEST_ROWS} permutations")
        for gates in (self.gates, *self.feature_gates.values()):
            if min(gates.distance, gates.variation, gates.points, gates.ageing) < 0:
                raise SettingError("gates", gates, "effects of at least 0")

    def gates_of(self, feature: str) -> Gates:
        return self.feature_gates.get(feature, self.gates)


def decide(
    reference: Population,
    current: Population,
    features: Sequence[Feature] = MONITORED,
    settings: DriftSettings | None = None,
    importance: Mapping[str, float] | None = None,
    elapsed_days: float = 0,
) -> DriftDecision:
    """The verdict on `current`, the whole scored population, against the training `reference`.

    `elapsed_days` lie between the two: what they explain in a feature that ages is no drift.
    `importance` maps a feature to its share in the model's decisions (mean absolute SHAP
    value, summing to 1): it orders the reasons and changes no verdict. The model's own
    outputs count 1. Raises SettingError for gates of a feature that is not tested.
    """
    settings = _checked(settings, features)
    if min(reference.rows, current.rows) < settings.minimum_rows:
        return _decision((), reference, current, len(features), settings).model_copy(update={"verdict": "too few"})
    adjusted = _adjusted(_compared(reference, current, features, settings, importance or {}, elapsed_days))
    tests = tuple(sorted((_judged(test, settings) for test in adjusted), key=_most_pressing_first))
    return _decision(tests, reference, current, len(features), settings)


def _checked(settings: DriftSettings | None, features: Sequence[Feature]) -> DriftSettings:
    settings = settings or DriftSettings()
    unknown = set(settings.feature_gates) - {feature.name for feature in features}
    if unknown:
        raise SettingError("feature_gates", sorted(unknown), "names of features that are tested")
    return settings


def _compared(
    reference: Population,
    current: Population,
    features: Sequence[Feature],
    settings: DriftSettings,
    importance: Mapping[str, float],
    elapsed_days: float = 0,
) -> list[TestResult]:
    outputs = {feature.name: 1.0 for feature in OUTPUTS}
    return [
        _changed(test, importance=importance.get(feature.name, outputs.get(feature.name)))
        for feature in features
        for test in compare(
            feature,
            reference.columns.get(feature.name),
            current.columns.get(feature.name),
            settings.gates_of(feature.name),
            settings.drawing,
            elapsed_days,
        )
    ]


def _adjusted(tests: Sequence[TestResult]) -> list[TestResult]:
    """The tests with their p-values corrected over the paging family."""
    family = [i for i, test in enumerate(tests) if test.p is not None]
    p = [_p(tests[i]) for i in family]
    adjusted = list(tests)
    for i, strict, discovery in zip(family, holm(p).tolist(), _discovery(p), strict=True):
        adjusted[i] = _changed(tests[i], adjusted_p=strict, discovery_p=discovery)
    return adjusted


def _discovery(p: Sequence[float]) -> list[float]:
    """Adjusted p-values that bound the expected share of false ones among those picked.

    Benjamini and Hochberg (1995), *Controlling the false discovery rate*. With nothing to
    find, that is the chance of picking any.
    """
    adjusted: list[float] = stats.false_discovery_control(p).tolist()
    return adjusted


def _p(test: TestResult) -> float:
    return 1.0 if test.p is None else test.p


def _judged(test: TestResult, settings: DriftSettings) -> TestResult:
    severity, grounds = _severity(test, settings.false_alarm_rate)
    return _changed(test, severity=severity, drifted=severity != "none", grounds=grounds)


def _severity(test: TestResult, rate: float) -> tuple[Severity, Grounds]:
    if test.test == "absent":
        return ("warning" if test.before is None else "page"), "the column is missing"
    if test.effect >= test.gate and _at_most(test.adjusted_p, rate):
        return "page", "certain and large"
    if test.effect >= test.gate and _at_most(test.discovery_p, rate):
        return "warning", "likely and large"
    if test.test in ("mistyped", "outside") and not test.before:
        return "warning", "the contract is broken"
    trifle = test.effect < test.gate and _at_most(test.discovery_p, rate)
    return "none", "a trifle" if trifle else "within chance"


def _changed(test: TestResult, **fields: Any) -> TestResult:
    return test.model_copy(update=fields)


def _at_most(p: float | None, rate: float) -> bool:
    return p is not None and p <= rate


def _most_pressing_first(test: TestResult) -> tuple[int, float, float, float, str, str]:
    importance = -(test.importance or 0.0)
    return SEVERITIES.index(test.severity), importance, -test.strength, _p(test), test.feature, test.test


def _decision(
    tests: tuple[TestResult, ...],
    reference: Population,
    current: Population,
    features: int,
    settings: DriftSettings,
) -> DriftDecision:
    severity: Severity = tests[0].severity if tests else "none"
    return DriftDecision(
        verdict="drift" if severity == "page" else "ok",
        severity=severity,
        tests=tests,
        features=features,
        reference_rows=reference.rows,
        current_rows=current.rows,
        minimum_rows=settings.minimum_rows,
        family=sum(test.adjusted_p is not None for test in tests),
        false_alarm_rate=settings.false_alarm_rate,
    )


def rank(
    comparisons: Mapping[Comparison, tuple[Population, Population]],
    features: Sequence[Feature] = MONITORED,
    settings: DriftSettings | None = None,
    importance: Mapping[str, float] | None = None,
) -> Ranking:
    """Order everything outside the paging family: each comparison with the populations before and after."""
    settings = _checked(settings, features)
    enough = {
        name: (reference, current)
        for name, (reference, current) in comparisons.items()
        if min(reference.rows, current.rows) >= settings.minimum_rows
    }
    tests = [
        RankedTest(comparison=name, result=test)
        for name, (reference, current) in enough.items()
        for test in _compared(reference, current, features, settings, importance or {})
        if test.p is not None
    ]
    adjusted = _discovery([_p(test.result) for test in tests])
    ranked = [_ranked(test, p, settings.false_alarm_rate) for test, p in zip(tests, adjusted, strict=True)]
    ranked.sort(key=lambda test: (not test.result.drifted, *_most_pressing_first(test.result), str(test.comparison)))
    return Ranking(tests=tuple(ranked), too_few=tuple(name for name in comparisons if name not in enough))


def _ranked(test: RankedTest, p: float, rate: float) -> RankedTest:
    result = test.result
    drifted = p <= rate and result.effect >= result.gate
    changed = _changed(result, adjusted_p=p, discovery_p=p, drifted=drifted)
    return RankedTest(comparison=test.comparison, result=changed)


def onset(decision: DriftDecision, ranking: Ranking) -> dict[str, Onset]:
    """Tell a sudden change from a slow one, for every feature that pages.

    "sudden": it also differs from the week before; "gradual": it differs from the reference,
    but hardly from last week, so it came step by step, or came earlier and stayed. Empty
    where the previous week was not ranked or had too few rows.
    """
    if PREVIOUS_WEEK not in ranking.compared:
        return {}
    fresh = ranking.drifted(PREVIOUS_WEEK)
    return {feature: "sudden" if feature in fresh else "gradual" for feature in decision.drifted_features}
