"""The manager's page: what changed, the most important first, in plain words.

Every function takes the week's summary and returns plain text; nothing is guessed that the
summary does not say.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from churn.contract import BY_NAME
from monitoring.drift.decision import WILL_CHURN
from monitoring.findings.drift import BROKEN, Segment, Severity, Test
from monitoring.findings.summary import FeatureSummary, Summary
from monitoring.pages.words import amount, counted, described, share

MOST_CHANGES: Final = 5
"""As many changes are told; the technical report has the rest."""

_BROKEN_WORDS: Final[dict[Test | None, str]] = {
    "nulls": "not known",
    "mistyped": "not readable",
    "outside": "an impossible value",
    "unseen": "a value never seen before",
}


def changes(summary: Summary) -> list[str]:
    """One sentence for changes that belong together, what matters most to the model first."""
    if summary.verdict not in ("ok", "drift"):
        return [_too_few(summary)]
    groups = _by_measure(changed(summary))
    if not groups:
        return ["Nothing has changed enough to matter."]
    told = [_group(summary, group) for group in groups[:MOST_CHANGES]]
    more = len(groups) - MOST_CHANGES
    return [*told, f"And {counted(more, 'further change')}, in the technical report."] if more > 0 else told


def _too_few(summary: Summary) -> str:
    if summary.reference is None:
        return "We cannot tell: there is nothing to compare this week with."
    return (
        f"We cannot tell: {summary.customers:,} customers this week, compared with {summary.reference.rows:,} in the "
        "training data, are too few."
    )


def changed(summary: Summary, *severities: Severity) -> list[FeatureSummary]:
    """The features with one of these severities (without any: that page or warn), the most pressing first."""
    wanted = severities or ("page", "warning")
    return sorted((feature for feature in summary.features if feature.severity in wanted), key=_most_pressing_first)


def _most_pressing_first(feature: FeatureSummary) -> tuple[bool, float, float]:
    return feature.severity != "page", -(feature.importance or 0.0), -(feature.multiple or 0.0)


def _by_measure(features: Sequence[FeatureSummary]) -> list[list[FeatureSummary]]:
    """Features that measure the same over other days stand together, the most pressing first."""
    groups: dict[str, list[FeatureSummary]] = {}
    for feature in features:
        known = BY_NAME.get(feature.feature)
        groups.setdefault((known and known.measure) or feature.feature, []).append(feature)
    return list(groups.values())


def _group(summary: Summary, group: Sequence[FeatureSummary]) -> str:
    first = group[0]
    sentences = [change(first), *_since(summary, first.feature), *_where(summary, first.feature)]
    if first.severity != "page":
        sentences.append("This may still be chance.")
    if len(group) > 1:
        sentences.append(f"The same shows in {counted(len(group) - 1, 'related figure')}.")
    return " ".join(sentences)


def change(feature: FeatureSummary) -> str:
    """One feature's change in a sentence; "before" is the training data."""
    before, after = feature.before, feature.after
    subject = described(feature.feature)
    if feature.test == "absent" or before is None or after is None:
        return f"{subject}: missing from the data altogether."
    return f"{subject}: {_moved(feature, before, after)}."


def _moved(feature: FeatureSummary, before: float, after: float) -> str:
    name, measure = feature.feature, feature.measure
    customers = f"for {share(after)} customers (before: {share(before)})"
    if feature.test in BROKEN:
        return f"{_BROKEN_WORDS[feature.test]} {customers}"
    if measure is None:  # a report that was made before its measure was told in fields
        return "changed; the technical report says how"
    if measure.bound is not None:
        return f"{amount(name, measure.bound)} or less {customers}"
    if measure.category is not None:
        return (
            _flagged(measure.category, before, after)
            if name == WILL_CHURN.name
            else f"“{measure.category}” {customers}"
        )
    if measure.statistic == "mean":
        return f"{amount(name, after)} on average (before: {amount(name, before)})"
    return f"customers {'differ more' if after > before else 'are more alike'} than before"


def _flagged(category: str, before: float, after: float) -> str:
    flagged = (before, after) if category == "true" else (1 - before, 1 - after)
    return f"{share(flagged[1])} (before: {share(flagged[0])})"


def _since(summary: Summary, name: str) -> Iterator[str]:
    onset = summary.onset.get(name)
    if onset == "sudden":
        yield "This is new since last week."
    elif onset == "gradual":
        yield "This came gradually, or came earlier and stayed."


def _where(summary: Summary, name: str) -> Iterator[str]:
    """The part of the customers in which the change is largest."""
    for listed in summary.ranking:
        if listed.feature == name and listed.segment is not None:
            yield f"It is largest among customers {_part(listed.segment)}."
            return


def _part(segment: Segment) -> str:
    if segment.category is not None:
        return f"on the {segment.category} plan" if segment.feature == "level" else f"on {segment.category}"
    if segment.below is None:
        return f"registered for {segment.at_least:g} days or more"
    return f"registered for {segment.at_least:g} to {segment.below:g} days"
