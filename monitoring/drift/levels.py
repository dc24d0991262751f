"""Decide whom a week's report is for, by the consequences of what it found.

The statistics say that something moved beyond chance and beyond a trifle (`decision`). In a
service that lives, that is so in most weeks: customers age, and those who are annoyed leave
first. It is a ticket. It becomes a page only with a consequence: data broke, the answers
moved, the model became worse, most of what the model looks at moved, or something that
matters to it changed within a week.

>>> from monitoring.findings.drift import Measure, TestResult
>>> lost = TestResult(feature="errors_7d", test="nulls", statistic=0.05, p=1e-9, effect=0.05, unit="of the rows",
...     gate=0.02, measure=Measure(statistic="share null"), before=0.0, after=0.05, severity="page", importance=0.02)
>>> [(found.level, found.kind) for found in conditions([lost])]
[('page', 'broken data'), ('ticket', 'drift')]
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from churn.errors import SettingError
from churn.quality.figure import Figure
from monitoring.drift.decision import CHURN_PROBABILITY, OUTPUTS, WILL_CHURN
from monitoring.drift.wording import plain, told
from monitoring.findings.alarm import Condition, ConditionKind
from monitoring.findings.drift import BROKEN, TestResult
from monitoring.findings.performance import NO_METRICS, Metrics

_OUTPUT_NAMES: Final = frozenset(output.name for output in OUTPUTS)
_HIGHER_IS_BETTER: Final[Mapping[str, bool]] = {"auc": True, "f1": True, "calibration_error": False}
_TWO_SIDED_95: Final = 1.959964
_ONE_SIDED_99: Final = 2.326348


@dataclass(frozen=True)
class LevelSettings:
    """From where on a change pages.

    `flagged_change`: of the flagged share, relative to itself. `probability`: Wasserstein
    distance of the probabilities. Features with `moved_weight` of the model's weight that
    moved by `moved` each, and one with `sudden_weight` that moved by `sudden` within a week.
    Distances are in standard deviations of the reference, of categories the share of rows that
    changed. `unit_factor`: a mean that many times as large or small is another unit.
    `critical` features page on their own at their gate.

    Raises SettingError for a value out of its range.
    """

    flagged_change: float = 0.25
    probability: float = 0.2
    moved: float = 0.1
    moved_weight: float = 0.5
    sudden: float = 0.2
    sudden_weight: float = 0.05
    unit_factor: float = 10.0
    critical: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name != "critical" and not value > 0:
                raise SettingError(name, value, "above 0")


@dataclass(frozen=True)
class ModelQuality:
    """How good the model was when it was made, and how good it is: estimated, and of the newest labelled week."""

    reference: Mapping[str, Figure] = field(default_factory=dict)
    estimated: Metrics = NO_METRICS
    realised: Metrics = NO_METRICS


def conditions(
    tests: Sequence[TestResult],
    since_last_week: Sequence[TestResult] = (),
    quality: ModelQuality | None = None,
    settings: LevelSettings | None = None,
) -> tuple[Condition, ...]:
    """Every condition that is met, the pages first.

    Args:
        tests: of the week against the training reference.
        since_last_week: of the week against the one before; `drifted` says which are no chance.
        quality: None where the model's figures are not known.
        settings: from where on a change pages.
    """
    settings = settings or LevelSettings()
    certain = [test for test in tests if test.severity == "page"]
    return (
        *_broken(certain),
        *_other_unit(certain, settings),
        *_outputs(certain, settings),
        *_worse(quality or ModelQuality()),
        *_weight_moved(certain, settings),
        *_sudden(since_last_week, settings),
        *_critical(certain, settings),
        *_drift(certain),
    )


def _by_feature(tests: Sequence[TestResult]) -> list[TestResult]:
    """Keep the first test of each feature."""
    first: dict[str, TestResult] = {}
    for test in tests:
        first.setdefault(test.feature, test)
    return list(first.values())


def _used(test: TestResult) -> bool:
    """True if the model looks at the column; without a known weight, it may."""
    return test.importance is None or test.importance > 0


def _page(kind: ConditionKind, subject: str, found: float, limit: float, sentence: str) -> Condition:
    return Condition(level="page", kind=kind, subjects=(subject,), found=found, limit=limit, sentence=sentence)


def _broken(certain: Sequence[TestResult]) -> Iterator[Condition]:
    for test in _by_feature([test for test in certain if test.test in BROKEN and _used(test)]):
        sentence = f"data is broken in a column that the model uses: {told(test)}"
        yield _page("broken data", test.feature, test.effect, test.gate, sentence)


def _other_unit(certain: Sequence[TestResult], settings: LevelSettings) -> Iterator[Condition]:
    for test in certain:
        factor = _factor(test)
        if test.test == "wasserstein" and factor >= settings.unit_factor and _used(test):
            sentence = f"a column that the model uses may have another unit: {told(test)}"
            yield _page("other unit", test.feature, factor, settings.unit_factor, sentence)


def _factor(test: TestResult) -> float:
    """By how much a mean grew or shrank; 0 where it was or became nothing."""
    before, after = test.before or 0.0, test.after or 0.0
    return 0.0 if before * after <= 0 else max(after / before, before / after)


def _outputs(certain: Sequence[TestResult], settings: LevelSettings) -> Iterator[Condition]:
    for test in _by_feature([test for test in certain if test.feature == WILL_CHURN.name]):
        before, after = _flagged(test)
        change = abs(after / before - 1) if before else math.inf
        if change > settings.flagged_change:
            sentence = f"the flagged share went from {before:.1%} to {after:.1%}, which changes the week's work"
            yield _page("flagged share", test.feature, change, settings.flagged_change, sentence)
    probability = [test for test in certain if (test.feature, test.test) == (CHURN_PROBABILITY.name, "wasserstein")]
    for test in probability:
        if test.effect >= settings.probability:
            sentence = f"the probabilities moved: {told(test)}"
            yield _page("probability", test.feature, test.effect, settings.probability, sentence)


def _flagged(test: TestResult) -> tuple[float, float]:
    """The flagged share before and after, whichever of the two categories the test names."""
    before, after = test.before or 0.0, test.after or 0.0
    return (before, after) if test.measure.category == "true" else (1 - before, 1 - after)


def _worse(quality: ModelQuality) -> Iterator[Condition]:
    kinds: dict[ConditionKind, Metrics] = {
        "estimated performance": quality.estimated,
        "realised performance": quality.realised,
    }
    for kind, metrics in kinds.items():
        for name, now in metrics.named():
            if name not in _HIGHER_IS_BETTER or name not in quality.reference:
                continue
            before = quality.reference[name]
            loss = _certain_loss(before, now) if _HIGHER_IS_BETTER[name] else _certain_loss(now, before)
            if loss > 0:
                sentence = f"{kind}: {name} is {now}, when the model was made {before}; that is no chance"
                yield _page(kind, name, now.value, before.value, sentence)


def _certain_loss(before: Figure, after: Figure) -> float:
    """The lower end of the one-sided 99 % interval of `before` - `after`; not a number where either is unknown.

    The intervals of the two figures are combined as by Zou and Donner (2008), *Construction
    of confidence limits about effect measures* (MOVER), which keeps them lopsided.

    >>> round(_certain_loss(Figure(0.7, 0.66, 0.74), Figure(0.6, 0.57, 0.63)), 4)
    0.0407
    """
    margin = math.hypot(before.value - before.low, after.high - after.value) * _ONE_SIDED_99 / _TWO_SIDED_95
    return before.value - after.value - margin


def _weight_moved(certain: Sequence[TestResult], settings: LevelSettings) -> Iterator[Condition]:
    moved = _by_feature([test for test in _features(certain) if test.effect >= settings.moved])
    weight = sum(test.importance or 0.0 for test in moved)
    if weight >= settings.moved_weight:
        yield Condition(
            level="page",
            kind="weight moved",
            subjects=tuple(test.feature for test in moved),
            found=weight,
            limit=settings.moved_weight,
            sentence=f"features with {weight:.0%} of the model's weight moved by {plain(settings.moved)} or more",
        )


def _features(tests: Sequence[TestResult]) -> list[TestResult]:
    """How features are distributed; neither what breaks them nor the model's outputs."""
    return [test for test in tests if test.test not in BROKEN and test.feature not in _OUTPUT_NAMES]


def _sudden(since_last_week: Sequence[TestResult], settings: LevelSettings) -> Iterator[Condition]:
    moved = [
        test
        for test in _features(since_last_week)
        if test.drifted and test.effect >= settings.sudden and (test.importance or 0.0) >= settings.sudden_weight
    ]
    for test in _by_feature(moved):
        sentence = f"it changed within a week, with {test.importance:.0%} of the model's weight: {told(test)}"
        yield _page("sudden change", test.feature, test.effect, settings.sudden, sentence)


def _critical(certain: Sequence[TestResult], settings: LevelSettings) -> Iterator[Condition]:
    for test in _by_feature([test for test in certain if test.feature in settings.critical]):
        sentence = f"a feature that CRITICAL_FEATURES names: {told(test)}"
        yield _page("critical feature", test.feature, test.effect, test.gate, sentence)


def _drift(certain: Sequence[TestResult]) -> Iterator[Condition]:
    names = tuple(test.feature for test in _by_feature(certain))
    if names:
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        sentence = f"beyond chance and past the gate: {shown}"
        yield Condition(
            level="ticket", kind="drift", subjects=names, found=float(len(names)), limit=1.0, sentence=sentence
        )
