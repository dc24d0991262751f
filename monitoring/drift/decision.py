"""The drift decision: whether the scored population has moved away from the one the model learned from.

Pure: summaries of two samples in, a decision with its reasons out; no file, no model, no
Evidently, no clock. What is tested stands in `comparison`, how in `two_sample`; here the
p-values of a report become one verdict whose error rate is known.

* **Page**: beyond chance by Holm over the whole paging family (every test of every feature
  of the whole population against the training reference), and past the effect gate. In an
  unchanged world at most `false_alarm_rate` of the reports have one.
* **Warning**: past the gate and beyond chance by Benjamini-Hochberg only, or a value that
  breaks the contract, however rare. In an unchanged world, pages and warnings together stay
  within the same rate.
* A feature that ages (`Feature.ages`) is tested and shown, and alarms for nothing but its absence.
* Everything else, segments and the previous week, goes through `rank`, which never alarms.

>>> import json, numpy, pandas
>>> from dataclasses import asdict
>>> from churn.contract import BY_NAME
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
>>> decision.verdict, decision.sentence
('drift', 'drift in 1 of 3 features (session_minutes_14d); no further warning')
>>> decision.leading("session_minutes_14d").measured  # the test that says most about one feature
'mean'
>>> ranking = rank({"previous week": (last_week, this_week)}, features)  # and segments; never alarms
>>> onset(decision, ranking)
{'session_minutes_14d': 'sudden'}
>>> summary = json.dumps({"drift": asdict(decision), "ranking": asdict(ranking)})  # summary.json

The reference's probabilities must be out-of-fold ones: those of rows the forest was fitted
to are drawn to the ends, and every week would differ from them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from churn.contract import FEATURES, Feature
from churn.errors import SettingError
from monitoring.drift.column_summary import Population
from monitoring.drift.comparison import Drawing, Gates, Severity, TestResult, compare, plain
from monitoring.drift.multiplicity import benjamini_hochberg, holm

Verdict = Literal["ok", "drift", "too few"]
Onset = Literal["sudden", "gradual"]

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
SEVERITIES: Final[tuple[Severity, ...]] = ("page", "warning", "none")


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
            if min(gates.distance, gates.variation, gates.points) < 0:
                raise SettingError("gates", gates, "effects of at least 0")

    def gates_of(self, feature: str) -> Gates:
        return self.feature_gates.get(feature, self.gates)


@dataclass(frozen=True)
class DriftDecision:
    """The verdict on one report. All fields are plain: `dataclasses.asdict` of it is JSON.

    `verdict`: "drift" when something pages, "too few" when there are not enough rows for
    any verdict (then `tests` is empty). `severity`: the worst of all tests. `sentence` says
    both in plain words; `reasons` has one sentence for each thing that alarms, what
    matters most to the model first. `tests` are in the same order. `family`: how many tests
    the correction accounts for.
    """

    verdict: Verdict
    severity: Severity
    sentence: str
    reasons: tuple[str, ...]
    tests: tuple[TestResult, ...]
    drifted_features: tuple[str, ...]
    reference_rows: int
    current_rows: int
    family: int
    false_alarm_rate: float

    def leading(self, feature: str) -> TestResult | None:
        """The test that says most about one feature: worst severity first, then smallest p; None if untested."""
        tests = [test for test in self.tests if test.feature == feature]
        return min(tests, key=_rank_within_feature, default=None)


def decide(
    reference: Population,
    current: Population,
    features: Sequence[Feature] = MONITORED,
    settings: DriftSettings | None = None,
    importance: Mapping[str, float] | None = None,
) -> DriftDecision:
    """The verdict on `current`, the whole scored population, against the training `reference`.

    `importance` maps a feature to its share in the model's decisions (mean absolute SHAP
    value, summing to 1): it orders the reasons and changes no verdict. The model's own
    outputs count 1. Raises SettingError for gates of a feature that is not tested.
    """
    settings = _checked(settings, features)
    if min(reference.rows, current.rows) < settings.minimum_rows:
        return _too_few(reference, current, settings)
    raw = _compared(reference, current, features, settings, importance or {})
    aging = {feature.name for feature in features if feature.ages}
    adjusted = _adjusted(raw, aging)
    tests = tuple(sorted((_judged(test, aging, settings) for test in adjusted), key=_most_pressing_first))
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
) -> list[TestResult]:
    outputs = {feature.name: 1.0 for feature in OUTPUTS}
    return [
        replace(test, importance=importance.get(feature.name, outputs.get(feature.name)))
        for feature in features
        for test in compare(
            feature,
            reference.columns.get(feature.name),
            current.columns.get(feature.name),
            settings.gates_of(feature.name),
            settings.drawing,
        )
    ]


def _adjusted(tests: Sequence[TestResult], aging: set[str]) -> list[TestResult]:
    """The tests with their p-values corrected over the paging family: all but those of features that age."""
    family = [i for i, test in enumerate(tests) if test.p is not None and test.feature not in aging]
    p = [_p(tests[i]) for i in family]
    adjusted = list(tests)
    for i, strict, discovery in zip(family, holm(p).tolist(), benjamini_hochberg(p).tolist(), strict=True):
        adjusted[i] = replace(tests[i], adjusted_p=strict, discovery_p=discovery)
    return adjusted


def _p(test: TestResult) -> float:
    return 1.0 if test.p is None else test.p


def _judged(test: TestResult, aging: set[str], settings: DriftSettings) -> TestResult:
    severity, why = _severity(test, test.feature in aging, settings.false_alarm_rate)
    return replace(test, severity=severity, drifted=severity != "none", reason=f"{test.reason}; {why}")


def _severity(test: TestResult, ages: bool, rate: float) -> tuple[Severity, str]:
    if test.test == "absent":
        return ("warning" if ages or test.before is None else "page"), "a column is missing"
    if ages:
        return "none", "grows with time by construction: shown, never an alarm"
    chance = f"adjusted p {_shown_p(test.adjusted_p)}"
    if test.effect >= test.gate and _at_most(test.adjusted_p, rate):
        return "page", f"beyond chance ({chance}) and past the gate of {plain(test.gate)}"
    if test.effect >= test.gate and _at_most(test.discovery_p, rate):
        return "warning", f"past the gate of {plain(test.gate)}, and likely no chance ({chance})"
    if test.test in ("mistyped", "outside") and not test.before:
        return "warning", "the contract is broken, though for few rows"
    return "none", _why_not(test, rate, chance)


def _why_not(test: TestResult, rate: float, chance: str) -> str:
    if test.effect < test.gate and _at_most(test.discovery_p, rate):
        return f"a trifle: under the gate of {plain(test.gate)} ({chance})"
    return f"within chance ({chance})"


def _at_most(p: float | None, rate: float) -> bool:
    return p is not None and p <= rate


def _shown_p(p: float | None) -> str:
    if p is None:
        return "unknown"
    return "below 1e-12" if p < 1e-12 else f"{p:.2g}"


def _most_pressing_first(test: TestResult) -> tuple[int, float, float, float, str, str]:
    importance = -(test.importance or 0.0)
    return SEVERITIES.index(test.severity), importance, -test.strength, _p(test), test.feature, test.test


def _rank_within_feature(test: TestResult) -> tuple[int, float, float]:
    return SEVERITIES.index(test.severity), _p(test), -test.strength


def _decision(
    tests: tuple[TestResult, ...],
    reference: Population,
    current: Population,
    features: int,
    settings: DriftSettings,
) -> DriftDecision:
    alarms = [test for test in tests if test.severity != "none"]
    severity = alarms[0].severity if alarms else "none"
    paging = _distinct(test.feature for test in tests if test.severity == "page")
    return DriftDecision(
        verdict="drift" if severity == "page" else "ok",
        severity=severity,
        sentence=_sentence(paging, _distinct(test.feature for test in alarms), features),
        reasons=_reasons(alarms),
        tests=tests,
        drifted_features=paging,
        reference_rows=reference.rows,
        current_rows=current.rows,
        family=sum(test.adjusted_p is not None for test in tests),
        false_alarm_rate=settings.false_alarm_rate,
    )


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _reasons(alarms: Sequence[TestResult]) -> tuple[str, ...]:
    """One sentence for each feature and kind of effect: three tests that see the same shift say it once."""
    first: dict[tuple[str, str], TestResult] = {}
    for test in alarms:
        first.setdefault((test.feature, test.unit), test)
    return tuple(test.reason for test in first.values())


def _sentence(paging: tuple[str, ...], alarming: tuple[str, ...], features: int) -> str:
    only_warned = len(alarming) - len(paging)
    warnings = f"{only_warned} more with a warning" if only_warned else "no further warning"
    if paging:
        names = ", ".join(paging[:3]) + (", …" if len(paging) > 3 else "")
        return f"drift in {len(paging)} of {features} features ({names}); {warnings}"
    if only_warned:
        return f"no drift in {features} features; {only_warned} with a warning"
    return f"no drift in {features} features"


def _too_few(reference: Population, current: Population, settings: DriftSettings) -> DriftDecision:
    side, rows = ("current", current.rows) if current.rows < settings.minimum_rows else ("reference", reference.rows)
    sentence = f"too few: {rows} {side} rows, a verdict needs {settings.minimum_rows}"
    return DriftDecision(
        "too few", "none", sentence, (sentence,), (), (), reference.rows, current.rows, 0, settings.false_alarm_rate
    )


@dataclass(frozen=True)
class RankedTest:
    """One test of one comparison (a segment, or the previous week)."""

    comparison: str
    result: TestResult


@dataclass(frozen=True)
class Ranking:
    """Where to look, most telling first; never an alarm. JSON by `dataclasses.asdict`.

    Every `result.severity` is "none"; `result.drifted` says that it is past its gate and
    among the picks of which at most the false-alarm rate are false (Benjamini-Hochberg over
    all comparisons). `too_few` names the comparisons with too few rows on a side.
    """

    tests: tuple[RankedTest, ...]
    too_few: tuple[str, ...]

    def drifted(self, comparison: str) -> frozenset[str]:
        """The features that drifted in one comparison."""
        return frozenset(t.result.feature for t in self.tests if t.comparison == comparison and t.result.drifted)


def rank(
    comparisons: Mapping[str, tuple[Population, Population]],
    features: Sequence[Feature] = MONITORED,
    settings: DriftSettings | None = None,
    importance: Mapping[str, float] | None = None,
) -> Ranking:
    """Order everything outside the paging family: `{"level=paid": (reference part, current part), …}`."""
    settings = _checked(settings, features)
    enough = {
        name: (reference, current)
        for name, (reference, current) in comparisons.items()
        if min(reference.rows, current.rows) >= settings.minimum_rows
    }
    tests = [
        RankedTest(name, test)
        for name, (reference, current) in enough.items()
        for test in _compared(reference, current, features, settings, importance or {})
        if test.p is not None
    ]
    adjusted = benjamini_hochberg([_p(test.result) for test in tests]).tolist()
    ranked = [_ranked(test, p, settings.false_alarm_rate) for test, p in zip(tests, adjusted, strict=True)]
    ranked.sort(key=lambda test: (not test.result.drifted, *_most_pressing_first(test.result), test.comparison))
    return Ranking(tuple(ranked), tuple(name for name in comparisons if name not in enough))


def _ranked(test: RankedTest, p: float, rate: float) -> RankedTest:
    result = test.result
    drifted = p <= rate and result.effect >= result.gate
    return replace(test, result=replace(result, adjusted_p=p, discovery_p=p, drifted=drifted))


def onset(decision: DriftDecision, ranking: Ranking, previous: str = "previous week") -> dict[str, Onset]:
    """Tell a sudden change from a slow one, for every feature that pages.

    "sudden": it also differs from the week before; "gradual": it differs from the reference,
    but hardly from last week, so it came step by step, or came earlier and stayed. Empty
    where the previous week was not ranked or had too few rows.
    """
    if previous in ranking.too_few or not any(test.comparison == previous for test in ranking.tests):
        return {}
    fresh = ranking.drifted(previous)
    return {feature: "sudden" if feature in fresh else "gradual" for feature in decision.drifted_features}
