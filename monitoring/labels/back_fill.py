"""Realised figures into the weeks in which the predictions were made: which weeks are due, and what changes there."""

import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TypeVar

from churn.activity.labels import Definition
from churn.command import say
from churn.errors import ChurnError
from churn.moments import epoch_ms, iso
from churn.prediction_log.listing import LogFile
from monitoring.drift.stored_models import watched
from monitoring.findings.performance import NO_METRICS, Metrics, Performance
from monitoring.findings.summary import ModelSummary, Summary
from monitoring.labels.late_labels import LabelledWeek, LabelSettings, LateLabels, opened
from monitoring.prediction_log.log_files import Spool
from monitoring.prediction_log.log_reader import WeekLog
from monitoring.reports.week import Week

Tags = tuple[str, ...]
RealisedWeeks = Mapping[Week, Mapping[str, Metrics]]
"""The realised measures by week and model."""
OneModel = TypeVar("OneModel", bound=ModelSummary)


def labelled_weeks(
    current: WeekLog, summaries: Mapping[Week, Summary], settings: LabelSettings, to_plot: int, seed: int
) -> dict[Week, dict[str, LabelledWeek]]:
    """Each week and model as far as the log of events tells; empty without such a log.

    The week that is being reported is always computed, others only while something of them
    is missing: predictions still pending, or figures of another definition or other treatments.

    Args:
        current: the week that is being reported.
        summaries: of all weeks with a report.
        settings: where the labels come from.
        to_plot: as many customers of the current week are kept for a plot.
        seed: of the intervals and of the customers to plot.

    Raises:
        EventLogError: the log of events cannot be read.
        TreatmentsError: the treatments cannot.
        PredictionLogError: the prediction log cannot.
    """
    if settings.events is None:
        return {}
    with tempfile.TemporaryDirectory(prefix="churn-labels-") as spool, opened(settings, Path(spool)) as labels:
        own = _own_definitions(current, summaries)
        due = dict(_due(current, summaries, labels, own))
        for line in _progress(current, due, summaries, labels, own):
            say(line)
        if due:
            labels.stage(current.log.files, list(due), Spool(Path(spool)))
        held = {week: _held(week, tags, summaries.get(week), current, labels) for week, tags in due.items()}
        return {
            week: {
                tag: labels.labelled(week, tag, own[tag], seed, to_plot if week == current.week else 0) for tag in tags
            }
            for week, tags in held.items()
            if tags
        }


def _own_definitions(current: WeekLog, summaries: Mapping[Week, Summary]) -> dict[str, Definition]:
    """Definitions of churn of the models that can still be had, whatever their features."""
    tags = {model.model for model in current.models}
    tags |= {entry.model for summary in summaries.values() for entry in summary.models}
    found = {}
    for tag in sorted(tags):
        try:
            found[tag] = watched(tag, any_contract=True).definition
        except ChurnError as error:
            say(f"labels: not for {tag}: {error}")
    return found


def _due(
    current: WeekLog, summaries: Mapping[Week, Summary], labels: LateLabels, own: Mapping[str, Definition]
) -> Iterator[tuple[Week, Tags]]:
    """The weeks to compute, with the models of each."""
    wanted = {
        week: tuple(entry.model for entry in summary.models if not _is_done(entry, labels, own))
        for week, summary in summaries.items()
    }
    wanted[current.week] = tuple(model.model for model in current.models)
    for week, tags in sorted(wanted.items()):
        begun = tuple(tag for tag in tags if tag in own and labels.has_begun(week, own[tag]))
        if begun:
            yield week, begun


def _held(week: Week, tags: Tags, summary: Summary | None, current: WeekLog, labels: LateLabels) -> Tags:
    """Of the models to judge, those whose predictions the log still holds as the week's report counted them."""
    reported = {entry.model: entry.predictions for entry in _models(summary)}
    missing = {
        tag: found for tag in tags if week != current.week and (found := labels.predictions(week, tag)) < reported[tag]
    }
    for tag, found in missing.items():
        say(f"labels: the log holds {found:,} of {reported[tag]:,} predictions of {tag} in {week}; left as it was")
    return tuple(tag for tag in tags if tag not in missing)


def _models(summary: Summary | None) -> tuple[ModelSummary, ...]:
    return () if summary is None else summary.models


def _is_done(entry: ModelSummary, labels: LateLabels, own: Mapping[str, Definition]) -> bool:
    """Whether this log of events can add nothing: all is known, or what is known comes from one that goes as far."""
    realised = entry.performance.realised
    if entry.model not in own or realised is None or realised.inputs != labels.inputs(own[entry.model]):
        return False
    return entry.performance.pending is None or _moment(realised.labels_until) >= labels.log_end


def _moment(when: str | None) -> int:
    return epoch_ms(datetime.fromisoformat(when)) if when else 0


def _progress(
    current: WeekLog,
    due: Mapping[Week, Tags],
    summaries: Mapping[Week, Summary],
    labels: LateLabels,
    own: Mapping[str, Definition],
) -> Iterator[str]:
    weeks = ", ".join(map(str, due)) or "none"
    yield f"labels: the log of events ends at {iso(labels.log_end)}; weeks to judge: {weeks}"
    logged = {Week.of(_noon(file)) for file in current.log.files}
    lacking = sorted(
        week
        for week in logged - set(summaries) - {current.week}
        if any(labels.has_begun(week, definition) for definition in own.values())
    )
    if lacking:
        yield (
            f"labels: predictions were logged in {', '.join(map(str, lacking))}, which have no report to be filled in; "
            "make it (--week), with the same log of events"
        )


def _noon(file: LogFile) -> int:
    """A moment of the day of a file of the prediction log."""
    return epoch_ms(datetime.combine(file.day, time(12), UTC))


def realised_by_week(
    summaries: Mapping[Week, Summary], labelled: Mapping[Week, Mapping[str, LabelledWeek]], last: Week
) -> RealisedWeeks:
    """The measures that labels showed of each model, up to the week `last`: as stored, and as found just now."""
    found: dict[Week, dict[str, Metrics]] = {}
    for week, summary in summaries.items():
        found[week] = {entry.model: entry.performance.realised_metrics for entry in summary.models}
    for week, models in labelled.items():
        known = {tag: one.realised.metrics for tag, one in models.items() if one.realised is not None}
        found[week] = found.get(week, {}) | known
    return {week: models for week, models in found.items() if week <= last}


def newest_realised(weeks: RealisedWeeks, model: str) -> Metrics:
    """Realised performance of the newest week in which a model's predictions could be judged."""
    for week in sorted(weeks, reverse=True):
        metrics = weeks[week].get(model, NO_METRICS)
        if dict(metrics.named()):
            return metrics
    return NO_METRICS


def filled_in(summary: Summary, labelled: Mapping[str, LabelledWeek]) -> Summary:
    """A stored summary with what is known by now; nothing else in it changes."""
    models = tuple(_filled_in(entry, labelled) for entry in summary.models)
    return _filled_in(summary, labelled).model_copy(update={"models": models})


def _filled_in(entry: OneModel, labelled: Mapping[str, LabelledWeek]) -> OneModel:
    known = labelled.get(entry.model)
    return entry if known is None else _with_labels(entry, known)


def _with_labels(entry: OneModel, known: LabelledWeek) -> OneModel:
    estimated = entry.performance.estimated
    performance = Performance(estimated=estimated, realised=known.realised, pending=known.pending)
    return entry.model_copy(update={"performance": performance})


def carried_over(summary: Summary, earlier: Summary | None) -> Summary:
    """A new summary of a week, with what an earlier one knew of the very same predictions."""
    before = {entry.model: entry for entry in _models(earlier)}
    models = tuple(_carried_over(entry, before.get(entry.model)) for entry in summary.models)
    return _carried_over(summary, before.get(summary.model)).model_copy(update={"models": models})


def _carried_over(entry: OneModel, earlier: ModelSummary | None) -> OneModel:
    if earlier is None or earlier.performance.realised is None or entry.performance.realised is not None:
        return entry
    if not _same_predictions(entry, earlier):
        return entry
    return _with_labels(entry, LabelledWeek(earlier.performance.realised, earlier.performance.pending))


def _same_predictions(one: ModelSummary, other: ModelSummary) -> bool:
    return (one.predictions, one.customers, one.as_of, one.scored) == (
        other.predictions,
        other.customers,
        other.as_of,
        other.scored,
    )
