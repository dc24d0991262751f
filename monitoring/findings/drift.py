"""Drift as fields: single tests, the verdict on a week, and where to look. `drift.wording` makes sentences of them."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

Verdict = Literal["ok", "drift", "too few"]
Severity = Literal["page", "warning", "none"]
Onset = Literal["sudden", "gradual"]
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
Statistic = Literal[
    "mean",
    "mean distance from the median",
    "share up to a bound",
    "share of a category",
    "share of unseen categories",
    "share null",
    "share not text",
    "share not a number the feature can hold",
    "share outside the contract",
    "share of rows with the column",
]
Grounds = Literal[
    "the column is missing",
    "certain and large",
    "likely and large",
    "the contract is broken",
    "a trifle",
    "within chance",
]
"""Why a test has its severity."""

SEVERITIES: Final[tuple[Severity, ...]] = ("page", "warning", "none")
"""The worst first."""

BROKEN: Final[frozenset[Test | None]] = frozenset({"absent", "nulls", "mistyped", "outside", "unseen"})
"""Tests that see data go missing or break, rather than customers behave otherwise."""

PREVIOUS_WEEK: Final = "previous week"


class Finding(BaseModel):
    """Something found, which nobody changes afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Measure(Finding):
    """The figure beside a test, before and after: a share may be that of a `category`, or up to a `bound`."""

    statistic: Statistic
    """The kind of figure."""
    category: str | None = None
    """The category whose share it is."""
    bound: float | None = None
    """The value up to which the share counts."""


class TestResult(Finding):
    """One test of one feature.

    `p` is None where nothing was tested (`absent`). `adjusted_p` accounts for the other
    tests of the report: Holm's for the paging family, Benjamini-Hochberg's for a ranking;
    `discovery_p` is Benjamini-Hochberg's in both. `effect` is
    compared with `gate`, both in `unit`. `before` (reference) and `after` (current) are
    values of `measure`. `examples` are the most frequent unseen categories. `drifted`: beyond
    chance and beyond the gate. `grounds` say why a test has its severity, None in a ranking.
    `importance`: the feature's share in the model's decisions, None where the caller gave none.
    """

    __test__ = False  # not a test case, whatever pytest makes of its name

    feature: str
    test: Test
    statistic: float | None
    p: float | None
    effect: float
    unit: str
    gate: float
    measure: Measure
    before: float | None
    after: float | None
    examples: tuple[str, ...] = ()
    adjusted_p: float | None = None
    discovery_p: float | None = None
    drifted: bool = False
    severity: Severity = "none"
    grounds: Grounds | None = None
    importance: float | None = None

    @property
    def strength(self) -> float:
        """The effect as a multiple of its gate."""
        return self.effect / self.gate if self.gate > 0 else self.effect


class DriftDecision(Finding):
    """The verdict on one report.

    `verdict`: "drift" when something pages, "too few" when a sample has fewer than
    `minimum_rows` (then `tests` is empty). `severity`: the worst of all tests. `tests`:
    the worst first, and of those, what matters most to the model. `features`: how many were
    tested. `family`: how many tests the correction accounts for.
    """

    verdict: Verdict
    severity: Severity
    tests: tuple[TestResult, ...]
    features: int
    reference_rows: int
    current_rows: int
    minimum_rows: int
    family: int
    false_alarm_rate: float

    @property
    def alarms(self) -> tuple[TestResult, ...]:
        """The tests that page or warn."""
        return tuple(test for test in self.tests if test.severity != "none")

    @property
    def drifted_features(self) -> tuple[str, ...]:
        """The features that page, what matters most to the model first."""
        return tuple(dict.fromkeys(test.feature for test in self.tests if test.severity == "page"))

    def leading(self, feature: str) -> TestResult | None:
        """The test that says most about one feature: worst severity first, then smallest p; None if untested."""
        tests = [test for test in self.tests if test.feature == feature]
        return min(tests, key=_rank_within_feature, default=None)


def _rank_within_feature(test: TestResult) -> tuple[int, float, float]:
    return SEVERITIES.index(test.severity), 1.0 if test.p is None else test.p, -test.strength


class Segment(Finding):
    """A part of the customers: with a `category` of a feature, or a number `at_least` so large and `below` another."""

    feature: str
    """The feature that the customers are told apart by."""
    category: str | None = None
    """Its value."""
    at_least: float | None = None
    """Its smallest value."""
    below: float | None = None
    """It is smaller than this; absent where there is no end."""

    def __str__(self) -> str:
        """`os=Windows`, `tenure_days 30 to 90`, `tenure_days from 365`."""
        if self.category is not None:
            return f"{self.feature}={self.category}"
        if self.below is None:
            return f"{self.feature} from {self.at_least:g}"
        return f"{self.feature} {self.at_least:g} to {self.below:g}"


Comparison = Segment | Literal["previous week"]
"""A segment with the same of the reference, or this week with the one before."""


class RankedTest(Finding):
    """One test of one comparison."""

    comparison: Comparison
    result: TestResult


class Ranking(Finding):
    """Where to look, most telling first; never an alarm.

    Every `result.severity` is "none"; `result.drifted` says that it is past its gate and
    among the picks of which at most the false-alarm rate are false (Benjamini-Hochberg over
    all comparisons). `too_few` names the comparisons with too few rows on a side.
    """

    tests: tuple[RankedTest, ...]
    too_few: tuple[Comparison, ...]

    @property
    def compared(self) -> tuple[Comparison, ...]:
        """The comparisons that were made."""
        return tuple(dict.fromkeys(test.comparison for test in self.tests))

    def drifted(self, comparison: Comparison) -> frozenset[str]:
        """The features that drifted in one comparison."""
        return frozenset(t.result.feature for t in self.tests if t.comparison == comparison and t.result.drifted)
