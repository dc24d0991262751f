"""The manager's page: how often the model is right, and what the week's figures rest on, in plain words."""

import math
from collections.abc import Iterator, Mapping
from typing import Final

from churn.quality.figure import Figure
from monitoring.findings.performance import Metrics
from monitoring.findings.summary import Summary
from monitoring.pages.words import counted, of_100, share
from monitoring.reports.dates import date

_ESTIMATED: Final = {
    "precision": "Of 100 customers flagged, about {value} would leave ({bounds}estimated).",
    "recall": "Of 100 customers who leave, the model would flag about {value} ({bounds}estimated).",
    "auc": "Given a customer who leaves and one who stays, it would rank the right one higher in about {value} of 100 "
    "cases ({bounds}estimated).",
}
_REALISED: Final = {
    "precision": "Of 100 customers flagged, {value} did leave ({bounds}counted afterwards).",
    "recall": "Of 100 customers who left, the model had flagged {value} ({bounds}counted afterwards).",
    "auc": "Given a customer who left and one who stayed, it had ranked the right one higher in {value} of 100 cases "
    "({bounds}counted afterwards).",
}


def certainty(summary: Summary) -> list[str]:
    """How often the model is right: estimated, and counted once it is known who left."""
    performance = summary.performance
    told = [*_judged(performance.realised_metrics, _REALISED), *_guessing(summary)]
    told += [*_untreated(summary), *_notes(summary), *_judged(performance.estimated_metrics, _ESTIMATED)]
    if not told:
        told.append("We do not know how often the model is right this week.")
    if worse_than_estimated(summary):
        told.append(
            "Fewer flagged customers left than estimated: "
            "offers may have kept them, or the reasons to leave have changed."
        )
    if known(performance.estimated_metrics.precision) is not None:
        told.append(
            "The estimate trusts the chances that the model states: "
            "it cannot see when customers begin to leave for other reasons."
        )
    if performance.pending is not None:
        what = "how many really left" if performance.realised is None else "about the others"
        told.append(f"We will know {what} after {date(performance.pending.known_after)}.")
    return told


def known(figure: Figure | None) -> Figure | None:
    """The figure, where it is defined."""
    return None if figure is None or math.isnan(figure.value) else figure


def has_interval(figure: Figure) -> bool:
    return not (math.isnan(figure.low) or math.isnan(figure.high))


def _judged(metrics: Metrics, sentences: Mapping[str, str]) -> Iterator[str]:
    named = dict(metrics.named())
    for metric, sentence in sentences.items():
        figure = known(named.get(metric))
        if figure is not None:
            yield sentence.format(value=of_100(figure.value), bounds=_bounds(figure))


def _bounds(figure: Figure) -> str:
    return f"{of_100(figure.low)} to {of_100(figure.high)}, " if has_interval(figure) else ""


def _untreated(summary: Summary) -> Iterator[str]:
    """Offers that work make the model look wrong: customers without one tell more."""
    realised = summary.performance.realised
    if realised is None or realised.untreated is None:
        return
    precision = known(realised.untreated.metrics.precision)
    if precision is not None:
        yield f"Among customers who were made no offer, {of_100(precision.value)} of 100 flagged did leave."


def _guessing(summary: Summary) -> Iterator[str]:
    if no_better_than_chance(summary):
        yield "As far as this week shows, that order is no better than chance."


def no_better_than_chance(summary: Summary) -> bool:
    realised = known(summary.performance.realised_metrics.auc)
    return realised is not None and realised.low <= 0.5


def worse_than_estimated(summary: Summary) -> bool:
    estimated = known(summary.performance.estimated_metrics.precision)
    realised = known(summary.performance.realised_metrics.precision)
    return estimated is not None and realised is not None and realised.high < estimated.low


def _notes(summary: Summary) -> Iterator[str]:
    """Limits of the figures: the customers that they leave out."""
    realised = summary.performance.realised
    for note in () if realised is None else realised.notes:
        if note:
            yield f"{note[0].upper()}{note[1:].rstrip('.')}."


def basis(summary: Summary) -> list[str]:
    """Rows and dates behind the figures."""
    return [
        *_answers(summary), *_training(summary), *_labels(summary), *_volume(summary), *_stale(summary),
        *_models(summary), *_unread(summary),
    ]  # fmt: skip


def _answers(summary: Summary) -> Iterator[str]:
    told = f"The model gave {counted(summary.predictions, 'answer')} about {counted(summary.customers, 'customer')}"
    if summary.as_of is not None:
        first, last = map(date, summary.as_of)
        told += f", based on their activity up to {first}" + (f" ({last} at the latest)" if last != first else "")
    yield f"{told}."


def _training(summary: Summary) -> Iterator[str]:
    if summary.reference is not None:
        moment = summary.reference.as_of
        when = f", as of {date(moment)}" if moment[:1].isdigit() else ""
        yield f"“Before” means the {summary.reference.rows:,} customers that the model learned from{when}."


def _labels(summary: Summary) -> Iterator[str]:
    realised = summary.performance.realised
    if realised is None or realised.horizon_days is None:
        return
    if realised.customers == 0:
        yield f"We do not know yet who left within {realised.horizon_days} days."
        return
    until = f" (activity log up to {date(realised.labels_until)})" if realised.labels_until else ""
    yield (
        f"We know of {counted(realised.customers, 'customer')} whether they left within {realised.horizon_days} days: "
        f"{realised.churners:,} did{until}."
    )


def _volume(summary: Summary) -> Iterator[str]:
    """All models together."""
    volume = summary.volume
    if volume is None or volume.change is None or volume.previous_predictions is None:
        return
    way = "more" if volume.change >= 0 else "fewer"
    yield (
        f"In total, the service gave {counted(volume.predictions, 'answer')} this week, {abs(volume.change):.0%} {way} "
        f"than the week before ({volume.previous_predictions:,})."
    )


def _stale(summary: Summary) -> Iterator[str]:
    stale = summary.stale
    if stale is not None and stale.share:
        yield f"{share(stale.share).capitalize()} answers used data more than {stale.older_than_hours} hours old."


def _models(summary: Summary) -> Iterator[str]:
    others = summary.models[1:]
    if others:
        names = ", ".join(model.model for model in others)
        yield (
            f"The model is {summary.model}. {len(others)} more answered this week ({names}): "
            "their customers are in the list, but not in the figures on this page."
        )
    else:
        yield f"The model is {summary.model}."


def _unread(summary: Summary) -> Iterator[str]:
    log = summary.log
    if log.left_out:
        yield f"{counted(log.left_out, 'line')} of the log, in {counted(len(log.unusable), 'file')}, could not be used."
