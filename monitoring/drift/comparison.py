"""One column in two samples: every test that fits it, each with its effect in units that mean something.

Nothing is decided here: p-values are not yet adjusted and no severity is given (`drift` does
both). A test whose effect cannot reach its gate, given both samples together, is left out,
so that it does not cost the others power; that depends only on what permuting the rows
leaves unchanged, and so keeps every error rate.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from churn.contract import Feature
from monitoring.drift import two_sample
from monitoring.drift.column_summary import ColumnSummary

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Test = Literal[
    "kolmogorov-smirnov",
    "wasserstein",
    "spread",
    "chi-square",
    "one category",
    "nulls",
    "mistyped",
    "outside",
    "unseen",
    "absent",
]
Severity = Literal["none", "warning", "page"]

DEVIATIONS: Final = "reference standard deviations"
VARIATION: Final = "share of rows that changed category"
POINTS: Final = "difference of shares"

FEWEST_VALUES: Final = 20
"""With fewer values than this on a side, the distribution of a column is not compared."""

LABEL_LENGTH: Final = 64


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


@dataclass(frozen=True)
class Drawing:
    """How permutations are drawn: at most about `draws` a test, the same ones for the same `seed` and column."""

    draws: int = 10_000
    seed: int = 0

    def generator(self, feature: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(feature.encode())])


@dataclass(frozen=True)
class TestResult:
    """One test of one feature. All fields are plain: `dataclasses.asdict` of it is JSON.

    `p` is None where nothing was tested (`absent`). `adjusted_p` accounts for the other
    tests of the report: Holm's for the paging family, Benjamini-Hochberg's for a ranking;
    `discovery_p` is Benjamini-Hochberg's in both; None for a feature that ages. `effect` is
    compared with `gate`, both in `unit`. `measured` names what `before` (reference) and
    `after` (current) are. `drifted`: beyond chance and beyond the gate. `importance`: the
    feature's share in the model's decisions, None where the caller gave none.
    """

    __test__ = False  # not a test case, whatever pytest makes of its name

    feature: str
    test: Test
    statistic: float | None
    p: float | None
    effect: float
    unit: str
    gate: float
    measured: str
    before: float | None
    after: float | None
    reason: str
    adjusted_p: float | None = None
    discovery_p: float | None = None
    drifted: bool = False
    severity: Severity = "none"
    importance: float | None = None

    @property
    def strength(self) -> float:
        """The effect as a multiple of its gate."""
        return self.effect / self.gate if self.gate > 0 else self.effect


def compare(
    feature: Feature,
    reference: ColumnSummary | None,
    current: ColumnSummary | None,
    gates: Gates,
    drawing: Drawing,
) -> list[TestResult]:
    """Every test of one column; a summary is None where its sample has no such column."""
    if reference is None or current is None:
        return [_absent(feature, reference, current)]
    return [*_distribution(feature, reference, current, gates, drawing), *_shares(reference, current, gates)]


def _absent(feature: Feature, reference: ColumnSummary | None, current: ColumnSummary | None) -> TestResult:
    missing = [name for name, found in (("reference", reference), ("current", current)) if found is None]
    before, after = (None if found is None else 1.0 for found in (reference, current))
    where = " and ".join(missing)
    reason = f"{feature.name} is absent from the {where} sample: it cannot be compared"
    return TestResult(
        feature.name, "absent", None, None, 1.0, POINTS, 0.0, "share of rows with the column", before, after, reason
    )


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

    measured: str
    before: float
    after: float

    def __str__(self) -> str:
        return f"{self.measured} {plain(self.before)} → {plain(self.after)}"


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
        name = reference.feature.name
        reason = f"{name}: {change}, moved by {effect:.2f} {DEVIATIONS}"
        return TestResult(
            name, test, outcome.statistic, outcome.p, effect, DEVIATIONS, gates.distance,
            change.measured, change.before, change.after, reason,
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


def _means(measured: str, samples: two_sample.Pool) -> _Change:
    before, after = samples.sizes
    return _Change(
        measured, float(samples.reference @ samples.values) / before, float(samples.current @ samples.values) / after
    )


def _widest_gap(samples: two_sample.Pool) -> _Change:
    at = int(np.abs(two_sample.distribution_gaps(samples)).argmax())
    before, after = samples.sizes
    return _Change(
        f"share at or below {plain(float(samples.values[at]))}",
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
        name, shares = reference.feature.name, (before[label] / before.sum(), after[label] / after.sum())
        change = _Change(f"share of {labels[label][:LABEL_LENGTH]!r}", float(shares[0]), float(shares[1]))
        reason = f"{name}: {change}, {effect:.1%} of rows changed category"
        return TestResult(
            name, test, outcome.statistic, outcome.p, effect, VARIATION, gates.variation,
            change.measured, change.before, change.after, reason,
        )  # fmt: skip

    gaps = np.abs(after / after.sum() - before / before.sum())
    widest = max(range(len(labels)), key=lambda i: (round(float(gaps[i]), 12), -int(before[i] + after[i])))
    yield result("chi-square", two_sample.chi_square(before, after, generator, draws), widest)
    if len(labels) > 2:
        moved, p = two_sample.likeliest_moved(before, after)
        yield result("one category", two_sample.Outcome(float(gaps[moved]), p), moved)
    if reference.feature.categories is None:
        yield _unseen(reference, labels, before, after, gates)


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
    examples = ", ".join(repr(labels[i][:LABEL_LENGTH]) for i in np.argsort(-after * new, kind="stable")[:3] if new[i])
    reason = f"{reference.feature.name}: {share:.1%} of rows have a category never seen before" + (
        f", such as {examples}" if examples else ""
    )
    effect = max(0.0, share - expected)
    return TestResult(
        reference.feature.name, "unseen", effect, p, effect, POINTS, gates.variation,
        "share of unseen categories", expected, share, reason,
    )  # fmt: skip


def _shares(reference: ColumnSummary, current: ColumnSummary, gates: Gates) -> Iterator[TestResult]:
    kind = "text" if reference.feature.is_category else "a number the feature can hold"
    yield from _share("nulls", "null", reference, current, reference.nulls, current.nulls, gates)
    yield from _share("mistyped", f"not {kind}", reference, current, reference.mistyped, current.mistyped, gates)
    yield from _share("outside", "outside the contract", reference, current, reference.outside, current.outside, gates)


def _share(
    test: Test, what: str, reference: ColumnSummary, current: ColumnSummary, hits: int, found: int, gates: Gates
) -> Iterator[TestResult]:
    smaller = min(reference.rows, current.rows)
    certain = test != "nulls" and hits == 0 and found > 0  # a broken contract is a fact, however small
    if not certain and (hits + found == 0 or hits + found < gates.points * smaller):
        return
    before, after = hits / reference.rows, found / current.rows
    p = two_sample.proportions(hits, reference.rows, found, current.rows)
    name = reference.feature.name
    reason = f"{name}: {after:.1%} of values are {what}, in the reference {before:.1%}"
    yield TestResult(
        name, test, after - before, p, abs(after - before), POINTS, gates.points,
        f"share {what}", before, after, reason,
    )  # fmt: skip


def plain(number: float) -> str:
    """A number as a reader wants it: three digits, thousands apart, never an exponent for everyday sizes."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"
