"""One column in two samples: every test that fits it, each with its effect in units that mean something.

Nothing is decided here: p-values are not yet adjusted and no severity is given (`drift` does
both). A test whose effect cannot reach its gate, given both samples together, is left out,
so that it does not cost the others power; that depends only on what permuting the rows
leaves unchanged, and so keeps every error rate.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from churn.contract import MAXIMUM_CATEGORY_LENGTH, Feature
from monitoring.drift import two_sample
from monitoring.drift.column_summary import ColumnSummary
from monitoring.findings.drift import Measure, Statistic, Test, TestResult

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
DEVIATIONS: Final = "reference standard deviations"
VARIATION: Final = "share of rows that changed category"
POINTS: Final = "difference of shares"

_QUANTILES: Final = (np.arange(1_000) + 0.5) / 1_000

FEWEST_VALUES: Final = 20
"""With fewer values than this on a side, the distribution of a column is not compared."""


@dataclass(frozen=True)
class Gates:
    """The smallest effects that count: what is smaller is a trifle, however certain.

    `distance`: Wasserstein distance of a number, in standard deviations of the reference.
    `variation`: total variation of a category, and the share of rows with an unseen one.
    `points`: change of the share of nulls, of wrong types, of values outside the contract.
    """

    distance: float = 0.05
    variation: float = 0.03
    points: float = 0.02
    ageing: float = 0.5
    """Takes the place of `distance` for a feature that ages: beyond what time explains, customers of other ages also
    come and go."""

    def of_numbers(self, feature: Feature) -> float:
        return self.ageing if feature.ages_days else self.distance


@dataclass(frozen=True)
class Drawing:
    """How permutations are drawn: at most about `draws` a test, the same ones for the same `seed` and column."""

    draws: int = 10_000
    seed: int = 0

    def generator(self, feature: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(feature.encode())])


def compare(
    feature: Feature,
    reference: ColumnSummary | None,
    current: ColumnSummary | None,
    gates: Gates,
    drawing: Drawing,
    elapsed_days: float = 0,
) -> list[TestResult]:
    """Every test of one column; a summary is None where its sample has no such column.

    The reference of a feature that ages is first moved as far as the `elapsed_days` between the samples explain.
    """
    if reference is None or current is None:
        return [_absent(feature, reference, current)]
    if feature.ages_days:
        reference = reference.moved(explained_by_time(reference, current, min(feature.ages_days, elapsed_days)))
    return [*_distribution(feature, reference, current, gates, drawing), *_shares(reference, current, gates)]


def explained_by_time(reference: ColumnSummary, current: ColumnSummary, most: float) -> float:
    """The number of days, from 0 to `most`, by which the reference must be moved to lie closest to the current sample.

    Closest in the Wasserstein distance, the mean gap between equal quantiles: the median gap makes it smallest.

    >>> import pandas
    >>> from churn.contract import BY_NAME
    >>> from monitoring.drift.column_summary import summarise
    >>> tenure = BY_NAME["tenure_days"]
    >>> before, after = (summarise(pandas.Series(days), tenure) for days in ([10.0, 50.0, 90.0], [17.0, 57.0, 97.0]))
    >>> explained_by_time(before, after, most=14), explained_by_time(before, after, most=5)
    (7.0, 5.0)
    """
    if not reference.valid or not current.valid:
        return 0.0
    gaps = current.quantiles(_QUANTILES) - reference.quantiles(_QUANTILES)
    return float(np.clip(np.median(gaps), 0, most))


def _absent(feature: Feature, reference: ColumnSummary | None, current: ColumnSummary | None) -> TestResult:
    before, after = (None if found is None else 1.0 for found in (reference, current))
    return TestResult(
        feature=feature.name, test="absent", statistic=None, p=None, effect=1.0, unit=POINTS, gate=0.0,
        measure=Measure(statistic="share of rows with the column"), before=before, after=after,
    )  # fmt: skip


def _distribution(
    feature: Feature, reference: ColumnSummary, current: ColumnSummary, gates: Gates, drawing: Drawing
) -> Iterator[TestResult]:
    if min(reference.valid, current.valid) < FEWEST_VALUES:
        return
    generator = drawing.generator(feature.name)
    if feature.is_category:
        yield from _categories(reference, current, gates, generator, drawing.draws)
    else:
        yield from _numbers(reference, current, gates, generator, drawing.draws)


@dataclass(frozen=True)
class _Change:
    """What a distribution test measured, before and after, for a reader."""

    measure: Measure
    before: float
    after: float


def _numbers(
    reference: ColumnSummary, current: ColumnSummary, gates: Gates, generator: np.random.Generator, draws: int
) -> Iterator[TestResult]:
    samples = two_sample.pool(_bounded(reference), reference.counts, _bounded(current), current.counts)
    middle = two_sample.clipped(samples)
    if samples.is_constant:
        return
    scale = _deviation(middle.values, middle.reference) or _deviation(middle.values, middle.total)
    distance = two_sample.wasserstein_distance(middle)
    effect = distance / scale if scale > 0 else 0.0

    def result(test: Test, outcome: two_sample.Outcome, change: _Change) -> TestResult:
        return TestResult(
            feature=reference.feature.name, test=test, statistic=outcome.statistic, p=outcome.p,
            effect=effect, unit=DEVIATIONS, gate=gates.of_numbers(reference.feature),
            measure=change.measure, before=change.before, after=change.after,
        )  # fmt: skip

    yield result("kolmogorov-smirnov", two_sample.kolmogorov_smirnov(samples), _widest_gap(samples))
    if middle.is_constant:
        return
    yield result("wasserstein", two_sample.wasserstein(middle, generator, draws), _means("mean", middle))
    spread = two_sample.folded(middle)
    if spread is not None:
        change = _means("mean distance from the median", spread)
        yield result("spread", two_sample.wasserstein(spread, generator, draws), change)


def _bounded(column: ColumnSummary) -> FloatArray:
    """The numbers, those outside the contract at its bounds: how many they are is a test of its own."""
    bounded: FloatArray = np.clip(column.numbers, column.feature.minimum, column.feature.maximum)
    return bounded


def _deviation(values: FloatArray, counts: IntArray) -> float:
    mean = counts @ values / counts.sum()
    return float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))


def _means(statistic: Statistic, samples: two_sample.Pool) -> _Change:
    before, after = samples.sizes
    return _Change(
        Measure(statistic=statistic),
        float(samples.reference @ samples.values) / before,
        float(samples.current @ samples.values) / after,
    )


def _widest_gap(samples: two_sample.Pool) -> _Change:
    at = int(np.abs(two_sample.distribution_gaps(samples)).argmax())
    before, after = samples.sizes
    return _Change(
        Measure(statistic="share up to a bound", bound=float(samples.values[at])),
        float(samples.reference[: at + 1].sum() / before),
        float(samples.current[: at + 1].sum() / after),
    )


def _categories(
    reference: ColumnSummary, current: ColumnSummary, gates: Gates, generator: np.random.Generator, draws: int
) -> Iterator[TestResult]:
    labels, before, after = _aligned(reference, current)
    if not _variation_reachable(before + after, min(reference.valid, current.valid), gates.variation):
        return
    effect = two_sample.total_variation(before, after)

    def result(test: Test, outcome: two_sample.Outcome, label: int) -> TestResult:
        return TestResult(
            feature=reference.feature.name, test=test, statistic=outcome.statistic, p=outcome.p,
            effect=effect, unit=VARIATION, gate=gates.variation,
            measure=Measure(statistic="share of a category", category=_shown(labels[label])),
            before=float(before[label] / before.sum()), after=float(after[label] / after.sum()),
        )  # fmt: skip

    gaps = np.abs(after / after.sum() - before / before.sum())
    widest = max(range(len(labels)), key=lambda i: (round(float(gaps[i]), 12), -int(before[i] + after[i])))
    yield result("chi-square", two_sample.chi_square(before, after, generator, draws), widest)
    if len(labels) > 2:
        moved, p = two_sample.likeliest_moved(before, after)
        yield result("one category", two_sample.Outcome(float(gaps[moved]), p), moved)
    if reference.feature.categories is None:
        yield _unseen(reference, labels, before, after, gates)


def _shown(label: str) -> str:
    return label[:MAXIMUM_CATEGORY_LENGTH]


def _aligned(reference: ColumnSummary, current: ColumnSummary) -> tuple[list[str], IntArray, IntArray]:
    labels = sorted({*reference.labels, *current.labels})
    before, after = (dict(zip(side.labels, side.counts.tolist(), strict=True)) for side in (reference, current))
    return (
        labels,
        np.array([before.get(label, 0) for label in labels], dtype=np.int64),
        np.array([after.get(label, 0) for label in labels], dtype=np.int64),
    )


def _variation_reachable(total: IntArray, smaller: int, gate: float) -> bool:
    """The shares differ most when all rows outside the largest category are in the smaller sample."""
    return int(total.sum() - total.max()) >= gate * smaller


def _unseen(reference: ColumnSummary, labels: list[str], before: IntArray, after: IntArray, gates: Gates) -> TestResult:
    """Rows with a category the reference has not, against the share a new row of the reference would have.

    That share is estimated by leaving each reference row out in turn: it is unseen then
    when its category occurs once (Good and Turing).
    """
    new = before == 0
    singles, found = int((before == 1).sum()), int(after[new].sum())
    expected, share = singles / int(before.sum()), found / int(after.sum())
    p = two_sample.proportions(singles, int(before.sum()), found, int(after.sum()))
    effect = max(0.0, share - expected)
    return TestResult(
        feature=reference.feature.name, test="unseen", statistic=effect, p=p,
        effect=effect, unit=POINTS, gate=gates.variation,
        measure=Measure(statistic="share of unseen categories"), before=expected, after=share,
        examples=tuple(_shown(labels[i]) for i in np.argsort(-after * new, kind="stable")[:3] if new[i]),
    )  # fmt: skip


def _shares(reference: ColumnSummary, current: ColumnSummary, gates: Gates) -> Iterator[TestResult]:
    mistyped: Statistic = (
        "share not text" if reference.feature.is_category else "share not a number the feature can hold"
    )
    yield from _share("nulls", "share null", reference, current, reference.nulls, current.nulls, gates)
    yield from _share("mistyped", mistyped, reference, current, reference.mistyped, current.mistyped, gates)
    yield from _share(
        "outside", "share outside the contract", reference, current, reference.outside, current.outside, gates
    )


def _share(
    test: Test,
    statistic: Statistic,
    reference: ColumnSummary,
    current: ColumnSummary,
    hits: int,
    found: int,
    gates: Gates,
) -> Iterator[TestResult]:
    smaller = min(reference.rows, current.rows)
    certain = test != "nulls" and hits == 0 and found > 0  # a broken contract is a fact, however small
    if not certain and (hits + found == 0 or hits + found < gates.points * smaller):
        return
    before, after = hits / reference.rows, found / current.rows
    p = two_sample.proportions(hits, reference.rows, found, current.rows)
    yield TestResult(
        feature=reference.feature.name, test=test, statistic=after - before, p=p,
        effect=abs(after - before), unit=POINTS, gate=gates.points,
        measure=Measure(statistic=statistic), before=before, after=after,
    )  # fmt: skip
