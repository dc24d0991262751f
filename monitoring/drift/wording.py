"""Drift findings in technical words: for `summary.json`, Evidently's page, and messages."""

from collections.abc import Mapping
from typing import Final

from monitoring.findings.drift import DriftDecision, Grounds, Measure, Statistic, Test, TestResult

_BROKEN: Final[Mapping[Statistic, str]] = {
    "share null": "null",
    "share not text": "not text",
    "share not a number the feature can hold": "not a number the feature can hold",
    "share outside the contract": "outside the contract",
}
_CATEGORICAL: Final[frozenset[Test]] = frozenset({"chi-square", "one category"})


def measured(measure: Measure) -> str:
    """`mean`, `share of 'Windows'`, `share at or below 238`."""
    if measure.category is not None:
        return f"share of {measure.category!r}"
    if measure.bound is not None:
        return f"share at or below {plain(measure.bound)}"
    return measure.statistic


def reason(test: TestResult) -> str:
    """A test in one sentence: the change, and why it has its severity."""
    return told(test) if test.grounds is None else f"{told(test)}; {_why(test, test.grounds)}"


def told(test: TestResult) -> str:
    """The change alone."""
    return f"{test.feature}{_change(test)}"


def _change(test: TestResult) -> str:
    if test.test == "absent":
        return f" is absent from the {_without_it(test)} sample: it cannot be compared"
    before, after = test.before or 0.0, test.after or 0.0
    if test.test == "unseen":
        examples = f", such as {', '.join(map(repr, test.examples))}" if test.examples else ""
        return f": {after:.1%} of rows have a category never seen before{examples}"
    if (broken := _BROKEN.get(test.measure.statistic)) is not None:
        return f": {after:.1%} of values are {broken}, in the reference {before:.1%}"
    moved = (
        f"{test.effect:.1%} of rows changed category"
        if test.test in _CATEGORICAL
        else f"moved by {test.effect:.2f} {test.unit}"
    )
    return f": {measured(test.measure)} {plain(before)} → {plain(after)}, {moved}"


def _without_it(test: TestResult) -> str:
    sides = {"reference": test.before, "current": test.after}
    return " and ".join(side for side, share in sides.items() if share is None)


def _why(test: TestResult, grounds: Grounds) -> str:
    chance, gate = f"adjusted p {_shown_p(test.adjusted_p)}", plain(test.gate)
    words: dict[Grounds, str] = {
        "the column is missing": "a column is missing",
        "certain and large": f"beyond chance ({chance}) and past the gate of {gate}",
        "likely and large": f"past the gate of {gate}, and likely no chance ({chance})",
        "the contract is broken": "the contract is broken, though for few rows",
        "a trifle": f"a trifle: under the gate of {gate} ({chance})",
        "within chance": f"within chance ({chance})",
    }
    return words[grounds]


def _shown_p(p: float | None) -> str:
    if p is None:
        return "unknown"
    return "below 1e-12" if p < 1e-12 else f"{p:.2g}"


def reasons(decision: DriftDecision) -> tuple[str, ...]:
    """One sentence for each feature and kind of effect that alarms: tests that see the same shift say it once."""
    if decision.verdict == "too few":
        return (sentence(decision),)
    first: dict[tuple[str, str], TestResult] = {}
    for test in decision.alarms:
        first.setdefault((test.feature, test.unit), test)
    return tuple(map(reason, first.values()))


def sentence(decision: DriftDecision) -> str:
    """The verdict in one sentence."""
    if decision.verdict == "too few":
        side, rows = ("current", decision.current_rows)
        if rows >= decision.minimum_rows:
            side, rows = ("reference", decision.reference_rows)
        return f"too few: {rows} {side} rows, a verdict needs {decision.minimum_rows}"
    paging = decision.drifted_features
    warned = len({test.feature for test in decision.alarms}) - len(paging)
    if paging:
        names = ", ".join(paging[:3]) + (", …" if len(paging) > 3 else "")
        warnings = f"{warned} more with a warning" if warned else "no further warning"
        return f"drift in {len(paging)} of {decision.features} features ({names}); {warnings}"
    return f"no drift in {decision.features} features" + (f"; {warned} with a warning" if warned else "")


def plain(number: float) -> str:
    """A number as a reader wants it: three digits, thousands apart, never an exponent for everyday sizes."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"
