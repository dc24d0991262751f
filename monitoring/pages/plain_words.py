"""A week's `summary.json` in sentences for a retention manager: no jargon, no names of columns, nobody's id.

Every function takes the summary's content and returns plain text; what the summary does not
say is left out, never guessed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from churn.contract import BY_NAME
from monitoring.drift.decision import CHURN_PROBABILITY, OUTPUTS, WILL_CHURN
from monitoring.drift.wording import plain
from monitoring.pages.web_page import Tone, verdict_tone
from monitoring.reports.summary_fields import (
    Content,
    Figure,
    at,
    count,
    date,
    entries,
    figure,
    known_after,
    multiple_of_gate,
    number,
    text,
)

MOST_CHANGES: Final = 5
"""As many changes are told; the technical report has the rest."""

MATTERS: Final = 0.05
"""From this share of the model's weight on, what changed matters."""

BROKEN: Final = frozenset({"absent", "nulls", "mistyped", "outside", "unseen"})
"""Tests that see data go missing or break, rather than customers behave otherwise."""

_SUBJECT_END: Final = re.compile(r"[;:].*|, read from .*|\.$")


def headline(content: Content) -> tuple[Tone, str, str]:
    """The answer in a word and a sentence, and its tone."""
    tone = verdict_tone(text(content, "verdict"), text(content, "severity"))[0]
    word, sentence = _HEADLINES[tone]
    return tone, word, sentence


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


# What changed


def changes(content: Content) -> list[str]:
    """What changed, what matters most to the model first, one sentence for what belongs together."""
    if text(content, "verdict") not in ("ok", "drift"):
        return [f"That cannot be said: {_too_few(content)}"]
    groups = _by_measure(_changed(content))
    if not groups:
        return ["Nothing has moved by enough to count."]
    told = [_change(content, group) for group in groups[:MOST_CHANGES]]
    more = len(groups) - MOST_CHANGES
    return [*told, f"And {_counted(more, 'further change')}, in the technical report."] if more > 0 else told


def _too_few(content: Content) -> str:
    customers, reference = count(content, "customers"), count(content, "reference", "rows")
    if customers is None or reference is None:
        return "there is nothing to go by."
    return f"there are {customers:,} customers this week, to be compared with {reference:,}; that is too few."


def _changed(content: Content, *severities: str) -> list[Content]:
    severities = severities or ("page", "warning")
    found = [entry for entry in entries(content, "features") if text(entry, "severity") in severities]
    return sorted(found, key=_most_pressing_first)


def _most_pressing_first(entry: Content) -> tuple[bool, float, float]:
    return text(entry, "severity") != "page", -(number(entry, "importance") or 0.0), -(multiple_of_gate(entry) or 0.0)


def _by_measure(changed: Sequence[Content]) -> list[list[Content]]:
    """What measures the same over other days stands together, the most pressing first."""
    groups: dict[str, list[Content]] = {}
    for entry in changed:
        name = text(entry, "feature")
        groups.setdefault((BY_NAME[name].measure or name) if name in BY_NAME else name, []).append(entry)
    return list(groups.values())


def _change(content: Content, group: Sequence[Content]) -> str:
    first = group[0]
    sentences = [change(first), *_since(content, text(first, "feature")), *_where(content, text(first, "feature"))]
    if text(first, "severity") != "page":
        sentences.append("This may still be chance.")
    if len(group) > 1:
        sentences.append(f"The same shows in {_counted(len(group) - 1, 'related figure')}.")
    return " ".join(sentences)


def change(entry: Content) -> str:
    """One feature's change in a sentence; "before" is the training data."""
    name, subject = text(entry, "feature"), described(text(entry, "feature"))
    test, statistic = text(entry, "test"), text(entry, "measure", "statistic")
    before, after = number(entry, "before"), number(entry, "after")
    if test == "absent" or before is None or after is None:
        return f"{subject}: missing from the data altogether."
    if test in BROKEN:
        return f"{subject}: {_BROKEN_WORDS[test]} for {share(after)} customers, before for {share(before)}."
    return f"{subject}: {_told(entry, name, statistic, before, after)}"


def _told(entry: Content, name: str, statistic: str, before: float, after: float) -> str:
    bound = number(entry, "measure", "bound")
    if bound is not None:
        return f"{_value(name, bound)} or less for {share(after)} customers, before for {share(before)}."
    if statistic == "share of a category":
        return _category(name, text(entry, "measure", "category"), before, after)
    if statistic == "mean":
        return f"{_value(name, after)} on average, before {_value(name, before)}."
    if statistic == "mean distance from the median":
        return f"customers {'differ more' if after > before else 'are more alike'} than before."
    return "changed; the technical report says how."  # a report of before this was told


_BROKEN_WORDS: Final = {
    "nulls": "not known",
    "mistyped": "not readable",
    "outside": "an impossible value",
    "unseen": "a value never seen before",
}


def described(name: str) -> str:
    """A feature as a manager would call it."""
    if name in _OUTPUT_WORDS:
        return _OUTPUT_WORDS[name]
    return _SUBJECT_END.sub("", BY_NAME[name].description) if name in BY_NAME else "A figure that is no longer used"


_OUTPUT_WORDS: Final = {
    CHURN_PROBABILITY.name: "The chance of leaving, as the model sees it",
    WILL_CHURN.name: "Customers at risk, as the model sees it",
}


def _category(name: str, category: str, before: float, after: float) -> str:
    if name == WILL_CHURN.name:
        flagged = (before, after) if category == "true" else (1 - before, 1 - after)
        return f"{share(flagged[1])}, before {share(flagged[0])}."
    return f"“{category}” for {share(after)} customers, before for {share(before)}."


def _value(name: str, value: float) -> str:
    return f"{value:.0%}" if name == CHURN_PROBABILITY.name else plain(value)


def share(part: float) -> str:
    """`12 of 100`, and finer where it is rare; never "0 of 100" of something that is there."""
    for whole in (100, 1_000):
        if part * whole >= 1 or part <= 0:
            break
    else:
        return "fewer than 1 of 1,000"
    rounded = round(part * whole)
    if rounded == whole and part < 1:
        return f"more than {whole - 1} of {whole}"
    return f"{rounded} of {whole:,}"


def _since(content: Content, name: str) -> Iterator[str]:
    onset = at(content, "onset", name)
    if onset == "sudden":
        yield "This is new since last week."
    elif onset == "gradual":
        yield "This came step by step, or came earlier and stayed."


def _where(content: Content, name: str) -> Iterator[str]:
    """The part of the customers in which the change is largest."""
    listed = (entry for entry in entries(content, "ranking") if text(entry, "feature") == name)
    parts = (words for entry in listed if (words := _segment(at(entry, "segment"))))
    for words in parts:
        yield f"It is largest among customers {words}."
        return


def _segment(segment: Content | None) -> str:
    feature, category = text(segment, "feature"), text(segment, "category")
    if feature == "tenure_days":
        low, high = number(segment, "at_least") or 0.0, number(segment, "below")
        return f"registered for {low:g} days or more" if high is None else f"registered for {low:g} to {high:g} days"
    if not category:
        return ""
    return f"on the {category} plan" if feature == "level" else f"on {category}"


# Does it matter


def weight(content: Content) -> list[str]:
    """Whether what changed matters to the model's answers."""
    if text(content, "verdict") not in ("ok", "drift"):
        return ["Without a verdict, that is not known."]
    return [*_weight_of_changes(content), *_answers_moved(content)]


def _weight_of_changes(content: Content) -> Iterator[str]:
    known = _weight(content)
    if not _changed(content):
        yield "No: nothing that the model goes by has changed by enough to count."
    elif known is None:
        yield "How much the model goes by what changed is not known."
    elif known >= MATTERS:
        yield f"Yes: {known:.0%} of what the model goes by has changed."
    else:
        yield "Hardly: the model gives little weight to what changed."


def _weight(content: Content) -> float | None:
    """The share of the model's weight that changed; None where no weight is known."""
    outputs = {output.name for output in OUTPUTS}
    changed = [entry for entry in _changed(content) if text(entry, "feature") not in outputs]
    weights = [weight for entry in changed if (weight := number(entry, "importance")) is not None]
    return sum(weights) if weights or not changed else None


def _answers_moved(content: Content) -> Iterator[str]:
    now, before = number(content, "flagged_share", "current"), number(content, "flagged_share", "reference")
    if now is not None and before is not None:
        yield (
            f"The model sees {share(now)} customers at risk; "
            f"of those that it learned from, it would have been {share(before)}."
        )


# What to do


def advice(content: Content) -> list[str]:
    """What to do, most pressing first."""
    verdict, severity = text(content, "verdict"), text(content, "severity")
    if verdict not in ("ok", "drift"):
        return [
            "Draw no conclusions from this week's figures.",
            "The list of customers at risk can still be worked through from the top; judge each case yourself.",
        ]
    told = [*_about_data(content), *_about_model(content)]
    if verdict == "drift":
        return told
    usual = "Work through this week's list from the top: those who come first are the likeliest to leave."
    later = ["Look at this page again next week."] if severity == "warning" else []
    return [usual, *told, *later]


def _about_data(content: Content) -> Iterator[str]:
    broken = [entry for entry in _changed(content) if text(entry, "test") in BROKEN]
    if broken:
        subjects = "; ".join(dict.fromkeys(described(text(entry, "feature")) for entry in broken[:3]))
        yield f"Ask the data team first whether something is broken in the data: {subjects}."


def _about_model(content: Content) -> Iterator[str]:
    paging = _changed(content, "page")
    outputs = {output.name for output in OUTPUTS}
    matters = (_weight(content) or 0.0) >= MATTERS or any(text(entry, "feature") in outputs for entry in paging)
    if paging and matters:
        yield "Keep to the order of the list, but do not count on the chances it states until this is explained."
        yield "Ask the data team whether the model should learn again from newer customers."
    elif paging:
        yield "The list can be used as usual; tell the data team about the change."
    if _worse_than_estimated(content):
        yield "Fewer customers left than the model said: ask the data team whether it should learn again."
    elif _no_better_than_chance(content):
        yield "Ask the data team how good the model is over several weeks, before much is spent on its list."


# Customers at risk


def at_risk(content: Content) -> list[str]:
    """How many customers are at risk, and where their list is."""
    flagged, listed = count(content, "at_risk", "flagged"), count(content, "at_risk", "listed")
    if flagged is None:
        return ["How many customers are at risk is not known."]
    told = [f"{_counted(flagged, 'customer')} {'is' if flagged == 1 else 'are'} at risk of leaving."]
    customers, now = count(content, "customers"), number(content, "flagged_share", "current")
    if customers is not None and now is not None:
        told.append(f"The model looked at {_counted(customers, 'customer')}; it flagged {share(now)}.")
    if listed:
        part = "They stand" if listed == flagged else f"The {listed:,} likeliest of them stand"
        told.append(f"{part} in the list beside this page (at_risk.csv), each with up to three reasons.")
    return told


# How sure


def certainty(content: Content) -> list[str]:
    """How often the model is right: estimated, and counted once it is known who left."""
    told = [*_judged(content, "realised", _REALISED), *_guessing(content), *_untreated(content), *_notes(content)]
    told += _judged(content, "estimated", _ESTIMATED)
    if not told:
        told.append("How often the model is right is not known for this week.")
    if _worse_than_estimated(content):
        told.append(
            "Fewer of the flagged left than was estimated: offers may have kept them, or their reasons have changed."
        )
    if figure(content, "estimated", "precision") is not None:
        told.append(
            "The estimate trusts the chances that the model states: "
            "it cannot see when customers begin to leave for other reasons."
        )
    if (later := known_after(content)) is not None:
        who = "How many really left" if at(content, "performance", "realised") is None else "The rest of who left"
        told.append(f"{who} is known after {later}.")
    return told


_ESTIMATED: Final = {
    "precision": "Of 100 customers flagged, about {value} would leave ({bounds}estimated).",
    "recall": "Of 100 customers who leave, the model would flag about {value} ({bounds}estimated).",
    "auc": "Of a customer who leaves and one who stays, it would rank the right one higher in about {value} of 100 "
    "cases ({bounds}estimated).",
}
_REALISED: Final = {
    "precision": "Of 100 customers flagged, {value} did leave ({bounds}counted afterwards).",
    "recall": "Of 100 customers who left, the model had flagged {value} ({bounds}counted afterwards).",
    "auc": "Of a customer who left and one who stayed, it had ranked the right one higher in {value} of 100 cases "
    "({bounds}counted afterwards).",
}


def _judged(content: Content, kind: str, sentences: Mapping[str, str]) -> Iterator[str]:
    for metric, sentence in sentences.items():
        found = figure(content, kind, metric)
        if found is not None:
            yield sentence.format(value=_of_100(found.value), bounds=_bounds(found))


def _untreated(content: Content) -> Iterator[str]:
    """Offers that work make the model look wrong: those without one tell more."""
    found = number(content, "performance", "realised", "untreated", "metrics", "precision", "value")
    if found is not None:
        yield f"Among customers who were made no offer, {_of_100(found)} of 100 flagged did leave."


def _guessing(content: Content) -> Iterator[str]:
    if _no_better_than_chance(content):
        yield "As far as this week tells, that order is no better than chance."


def _no_better_than_chance(content: Content) -> bool:
    realised = figure(content, "realised", "auc")
    return realised is not None and realised.low is not None and realised.low <= 0.5


def _notes(content: Content) -> Iterator[str]:
    """What the figures leave out, in the words of whoever counted them."""
    notes = at(content, "performance", "realised", "notes")
    for note in notes if isinstance(notes, list) else ():
        if isinstance(note, str) and note:
            yield f"{note[0].upper()}{note[1:].rstrip('.')}."


def _of_100(value: float) -> str:
    return f"{round(100 * value)}"


def _bounds(found: Figure) -> str:
    if found.low is None or found.high is None:
        return ""
    return f"{_of_100(found.low)} to {_of_100(found.high)}, "


def _worse_than_estimated(content: Content) -> bool:
    estimated, realised = figure(content, "estimated", "precision"), figure(content, "realised", "precision")
    if estimated is None or realised is None or estimated.low is None or realised.high is None:
        return False
    return realised.high < estimated.low


# What it rests on


def basis(content: Content) -> list[str]:
    """Rows and dates behind the figures."""
    return [
        *_answers(content), *_training(content), *_labels(content), *_volume(content), *_stale(content),
        *_models(content), *_unread(content),
    ]  # fmt: skip


def _answers(content: Content) -> Iterator[str]:
    customers, predictions = count(content, "customers"), count(content, "predictions")
    moments = at(content, "as_of")
    if customers is None or predictions is None:
        return
    said = f"{_counted(predictions, 'answer')} of the model about {_counted(customers, 'customer')}"
    if isinstance(moments, Sequence) and len(moments) == 2 and all(isinstance(one, str) for one in moments):
        first, last = (date(one) for one in moments)
        said += f", on what they did up to {first}" + (f", or up to {last} at the latest" if last != first else "")
    yield f"{said}."


def _training(content: Content) -> Iterator[str]:
    rows, moment = count(content, "reference", "rows"), text(content, "reference", "as_of")
    if rows is not None:
        when = f" of {date(moment)}" if moment[:1].isdigit() else ""
        yield f"“Before” means the {rows:,} customers{when} that the model learned from."


def _labels(content: Content) -> Iterator[str]:
    realised = at(content, "performance", "realised")
    customers, churners = count(realised, "customers"), count(realised, "churners")
    days, until = count(realised, "horizon_days"), text(realised, "labels_until")
    if customers is None or churners is None or days is None:
        return
    seen = f", as the activity log up to {date(until)} shows" if until else ""
    if customers == 0:
        yield f"Of nobody is it known whether they left within {days} days."
        return
    yield f"Of {customers:,} customers it is known whether they left within {days} days: {churners:,} did{seen}."


def _volume(content: Content) -> Iterator[str]:
    """All models together."""
    moved, before = number(content, "volume", "change"), count(content, "volume", "previous_predictions")
    predictions = count(content, "volume", "predictions")
    if moved is not None and before is not None and predictions is not None:
        way = "more" if moved >= 0 else "fewer"
        counted = _counted(predictions, "answer")
        yield f"In all, {counted} were given this week, {abs(moved):.0%} {way} than the week before ({before:,})."


def _stale(content: Content) -> Iterator[str]:
    part, hours = number(content, "stale", "share"), count(content, "stale", "older_than_hours")
    if part and hours is not None:
        yield f"On data that was more than {hours} hours old rest {share(part)} answers."


def _models(content: Content) -> Iterator[str]:
    others = entries(content, "models")[1:]
    if others:
        names = ", ".join(text(model, "model") for model in others)
        yield (
            f"The model is {text(content, 'model')}. {len(others)} more answered this week ({names}): "
            "their customers are in the list, but not in the figures on this page."
        )
    elif model := text(content, "model"):
        yield f"The model is {model}."


def _unread(content: Content) -> Iterator[str]:
    files = entries(content, "log", "unusable")
    lost = sum(count(content, "log", kind) or 0 for kind in ("partial", "foreign"))
    if lost:
        yield f"Left out, as not usable: {_counted(lost, 'line')} of the log, in {_counted(len(files), 'file')}."


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
