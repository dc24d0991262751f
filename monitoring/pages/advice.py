"""The manager's page: the verdict, whether it matters, what to do, and who is at risk, in plain words."""

from collections.abc import Iterator, Mapping
from typing import Final

from monitoring.drift.decision import OUTPUTS
from monitoring.findings.drift import BROKEN
from monitoring.findings.summary import Summary
from monitoring.pages.changes import changed
from monitoring.pages.trust import no_better_than_chance, worse_than_estimated
from monitoring.pages.urgency import week_badge
from monitoring.pages.web_page import Badge, Tone
from monitoring.pages.words import counted, described, share

MATTERS: Final = 0.05
"""From this share of the model's weight on, what changed matters."""

_OUTPUT_NAMES: Final = frozenset(output.name for output in OUTPUTS)

_HEADLINES: Final[Mapping[Tone, tuple[str, str]]] = {
    "ok": ("nothing important changed", "This week's customers are like those that the model learned from."),
    "warning": (
        "something may be changing",
        "One or more things look different this week, but it is too early to be sure.",
    ),
    "drift": (
        "customers have changed",
        "This week's customers differ from those that the model learned from, by more than chance explains.",
    ),
    "too-few": ("no verdict possible", "There were too few customers to say whether anything has changed."),
    "missing": ("no verdict possible", "This week's report does not say whether anything has changed."),
}


_PAGE: Final = "Something happened that changes what the model can be used for."


def headline(summary: Summary) -> tuple[Badge, str]:
    """The answer as a badge and a sentence."""
    if summary.level == "page":
        return Badge("drift", "this week needs attention now"), _PAGE
    tone = week_badge(summary).tone
    words, sentence = _HEADLINES["drift" if summary.level == "ticket" else tone]
    return Badge(tone, words), sentence


def weight(summary: Summary) -> list[str]:
    """Whether what changed matters to the model's answers."""
    if summary.verdict not in ("ok", "drift"):
        return ["We cannot tell without a verdict."]
    return [*_weight_of_changes(summary), *_answers_moved(summary)]


def _weight_of_changes(summary: Summary) -> Iterator[str]:
    known = _weight(summary)
    if not changed(summary):
        yield "No: nothing that the model uses has changed enough to matter."
    elif known is None:
        yield "We do not know how much weight the model gives to what changed."
    elif known >= MATTERS:
        yield f"Yes: what changed has {known:.0%} of the weight in the model's decisions."
    else:
        yield "Hardly: the model gives little weight to what changed."


def _weight(summary: Summary) -> float | None:
    """The share of the model's weight that changed; None where no weight is known."""
    features = [feature for feature in changed(summary) if feature.feature not in _OUTPUT_NAMES]
    weights = [feature.importance for feature in features if feature.importance is not None]
    return sum(weights) if weights or not features else None


def _answers_moved(summary: Summary) -> Iterator[str]:
    now, before = summary.flagged_share.current, summary.flagged_share.reference
    if now is not None and before is not None:
        yield f"The model flags {share(now)} customers; among its training customers: {share(before)}."


def advice(summary: Summary) -> list[str]:
    """Advice, most pressing first."""
    if summary.verdict not in ("ok", "drift"):
        return [
            "Draw no conclusions from this week's figures.",
            "You can still work through the list of customers at risk from the top; judge each case yourself.",
        ]
    told = [*_about_data(summary), *_about_model(summary)]
    if summary.verdict == "drift":
        return told
    usual = "Work through this week's list from the top: those who come first are the likeliest to leave."
    later = ["Look at this page again next week."] if summary.severity == "warning" else []
    return [usual, *told, *later]


def _about_data(summary: Summary) -> Iterator[str]:
    broken = [feature for feature in changed(summary) if feature.test in BROKEN]
    if broken:
        subjects = "; ".join(dict.fromkeys(described(feature.feature) for feature in broken[:3]))
        yield f"Ask the data team first whether something is broken in the data: {subjects}."


def _about_model(summary: Summary) -> Iterator[str]:
    paging = changed(summary, "page")
    outputs_moved = any(feature.feature in _OUTPUT_NAMES for feature in paging)
    if paging and (outputs_moved or (_weight(summary) or 0.0) >= MATTERS):
        yield "Keep to the order of the list, but do not rely on the chances it states until this is explained."
        yield "Ask the data team whether the model should learn again from newer customers."
    elif paging:
        yield "You can use the list as usual; tell the data team about the change."
    if worse_than_estimated(summary):
        yield "Fewer customers left than the model said: ask the data team whether it should learn again."
    elif no_better_than_chance(summary):
        yield "Ask the data team how good the model is over several weeks, before you spend much on its list."


def at_risk(summary: Summary) -> list[str]:
    """How many customers are at risk, and where their list is."""
    if summary.at_risk is None:
        return ["We do not know how many customers are at risk."]
    flagged, listed = summary.at_risk.flagged, summary.at_risk.listed
    told = [f"{counted(flagged, 'customer')} {'is' if flagged == 1 else 'are'} at risk of leaving."]
    now = summary.flagged_share.current
    if now is not None:
        told.append(f"The model looked at {counted(summary.customers, 'customer')}; it flagged {share(now)}.")
    if listed:
        part = "They are" if listed == flagged else f"The {listed:,} likeliest of them are"
        told.append(f"{part} in the list beside this page (at_risk.csv), each with up to three reasons.")
    return told
