"""Realised figures into the weeks in which the predictions were made: which weeks are due, and what changes there."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from churn.activity.labels import Definition
from churn.command import say
from churn.errors import ChurnError
from churn.moments import epoch_ms, iso
from churn.prediction_log.listing import LogFile
from monitoring.drift.stored_models import watched
from monitoring.labels.late_labels import Known, LabelSettings, LateLabels, opened
from monitoring.prediction_log.log_files import Spool
from monitoring.prediction_log.log_reader import WeekLog
from monitoring.reports.summary_fields import at, text
from monitoring.reports.week import Week
from monitoring.weekly.summary import to_json

Summary = Mapping[str, Any]
Tags = tuple[str, ...]


def known_by_now(
    current: WeekLog, summaries: Mapping[Week, Summary], settings: LabelSettings, drawn: int, seed: int
) -> dict[Week, dict[str, Known]]:
    """What the log of events tells of each week and model; empty without such a log.

    The week that is being reported is always computed, others only while something of them
    is missing: predictions still pending, or figures of another definition or other treatments.

    Args:
        current: the week that is being reported.
        summaries: of all weeks with a report.
        settings: where the labels come from.
        drawn: as many customers of the current week are kept for a plot.
        seed: of the intervals and of what is drawn.

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
        for line in _told(current, due, summaries, labels, own):
            say(line)
        if due:
            labels.stage(current.log.files, list(due), Spool(Path(spool)))
        held = {week: _held(week, tags, summaries.get(week), current, labels) for week, tags in due.items()}
        return {
            week: {tag: labels.known(week, tag, own[tag], seed, drawn if week == current.week else 0) for tag in tags}
            for week, tags in held.items()
            if tags
        }


def _own_definitions(current: WeekLog, summaries: Mapping[Week, Summary]) -> dict[str, Definition]:
    """What each model was trained to foresee, of those that can still be had."""
    tags = {model.model for model in current.models}
    tags |= {str(entry["model"]) for content in summaries.values() for entry in content["models"]}
    found = {}
    for tag in sorted(tags):
        try:
            found[tag] = watched(tag).definition
        except ChurnError as error:
            say(f"labels: not for {tag}: {error}")
    return found


def _due(
    current: WeekLog, summaries: Mapping[Week, Summary], labels: LateLabels, own: Mapping[str, Definition]
) -> Iterator[tuple[Week, Tags]]:
    """The weeks to compute, with the models of each."""
    wanted = {
        week: tuple(str(entry["model"]) for entry in content["models"] if not _is_done(entry, labels, own))
        for week, content in summaries.items()
    }
    wanted[current.week] = tuple(model.model for model in current.models)
    for week, tags in sorted(wanted.items()):
        begun = tuple(tag for tag in tags if tag in own and labels.has_begun(week, own[tag]))
        if begun:
            yield week, begun


def _held(week: Week, tags: Tags, content: Summary | None, current: WeekLog, labels: LateLabels) -> Tags:
    """Of the models to judge, those whose predictions the log still holds as the week's report counted them."""
    reported = {entry["model"]: entry["predictions"] for entry in (content or {"models": []})["models"]}
    missing = {
        tag: found for tag in tags if week != current.week and (found := labels.predictions(week, tag)) < reported[tag]
    }
    for tag, found in missing.items():
        say(f"labels: the log holds {found:,} of {reported[tag]:,} predictions of {tag} in {week}; left as it was")
    return tuple(tag for tag in tags if tag not in missing)


def _is_done(entry: Summary, labels: LateLabels, own: Mapping[str, Definition]) -> bool:
    """Whether this log of events can add nothing: all is known, or what is known comes from one that goes as far."""
    tag, until = entry["model"], text(entry, "performance", "realised", "labels_until")
    if tag not in own or at(entry, "performance", "realised", "inputs") != labels.inputs(own[tag]):
        return False
    return not at(entry, "performance", "pending") or _moment(until) >= labels.log_end


def _moment(when: str) -> int:
    return epoch_ms(datetime.fromisoformat(when)) if when else 0


def _told(
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


def filled_in(stored: bytes, known: Mapping[str, Known]) -> bytes:
    """A stored `summary.json` with what is known by now; nothing else in it changes."""
    content = json.loads(stored)
    for entry in (content, *content["models"]):
        if entry.get("model") in known:
            estimated = {"estimated": at(entry, "performance", "estimated")}
            entry["performance"] = estimated | known[entry["model"]].to_dict()
    return to_json(content)


def carried_over(content: Summary, earlier: Summary | None) -> dict[str, Any]:
    """A new summary of a week, with what an earlier one knew of the very same predictions."""
    before = {entry["model"]: entry for entry in (earlier or {"models": []})["models"]}

    def carried(entry: Summary) -> dict[str, Any]:
        old = before.get(entry["model"])
        realised = at(old, "performance", "realised")
        if realised is None or entry["performance"]["realised"] is not None or not _same(entry, old):
            return dict(entry)
        kept = {"realised": realised, "pending": at(old, "performance", "pending")}
        return {**entry, "performance": entry["performance"] | kept}

    return carried(content) | {"models": [carried(entry) for entry in content["models"]]}


def _same(one: Summary, other: Summary | None) -> bool:
    return all(one[name] == at(other, name) for name in ("predictions", "customers", "as_of", "scored"))
