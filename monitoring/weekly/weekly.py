"""A week of logged predictions, compared with the training reference, as the files of its report folder."""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from churn.command import say
from churn.errors import ChurnError, ModelStoreError, ReportError, SettingError
from churn.files import replace_file
from churn.passed_over import MOST_UNREAD
from monitoring.drift import column_store, segments, wording
from monitoring.drift.column_summary import Population, rounding_step
from monitoring.drift.decision import CHURN_PROBABILITY, OUTPUTS, DriftSettings, decide, rank
from monitoring.drift.levels import LevelSettings, ModelQuality, conditions
from monitoring.drift.stored_models import Watched, champion_tag, watched
from monitoring.findings.alarm import Condition
from monitoring.findings.drift import PREVIOUS_WEEK, Ranking
from monitoring.findings.performance import NO_METRICS, Metrics
from monitoring.findings.summary import AtRiskCounts, Summary
from monitoring.labels.back_fill import (
    RealisedWeeks,
    carried_over,
    filled_in,
    labelled_weeks,
    newest_realised,
    realised_by_week,
)
from monitoring.labels.late_labels import LabelledWeek, LabelSettings
from monitoring.pages import evidently_report, manager_page
from monitoring.pages.index_page import page as index_page
from monitoring.performance.estimated import estimate
from monitoring.prediction_log.log_lines import total
from monitoring.prediction_log.log_reader import MEMORY_GB, ModelWeek, WeekLog, read_week
from monitoring.reports.report_folder import AT_RISK, COLUMNS, DRIFT, INDEX, MANAGER, SUMMARY, ReportFolder
from monitoring.reports.week import Week, day
from monitoring.weekly import at_risk
from monitoring.weekly.summary import STALE_HOURS, ModelReport, outputs, summary, volume

LEAST_MEMORY_GB: Final = 0.5


@dataclass(frozen=True)
class ReportSettings:
    """What a report is asked for.

    `model` is the one in the headline; without it the champion if it answered in the week,
    else the busiest. `at_risk` limits the list of customers. `sample` is how many rows a
    side Evidently draws, `seed` of that draw. Features older than `stale_hours` when they
    were scored are stale. DuckDB takes `memory_gb` (10^9 bytes), and the disk for the rest. Files that cannot be
    read may hold `most_unread` of the log.

    Raises SettingError for a value out of its range.
    """

    week: Week | None = None
    model: str | None = None
    at_risk: int | None = None
    sample: int = evidently_report.SAMPLE_ROWS
    seed: int = 0
    stale_hours: int = STALE_HOURS
    memory_gb: float = MEMORY_GB
    most_unread: float = MOST_UNREAD
    drift: DriftSettings = field(default_factory=DriftSettings)
    levels: LevelSettings = field(default_factory=LevelSettings)
    labels: LabelSettings = field(default_factory=LabelSettings)

    def __post_init__(self) -> None:
        if self.stale_hours < 0:
            raise SettingError("stale_hours", self.stale_hours, "at least 0")
        if not 0 <= self.most_unread <= 1:
            raise SettingError("unread", self.most_unread, "a share from 0 to 1")
        if not self.memory_gb >= LEAST_MEMORY_GB:
            raise SettingError("memory", self.memory_gb, f"{LEAST_MEMORY_GB} or more, in GB")


def make(log: Path, reports: ReportFolder, settings: ReportSettings) -> Summary:
    """Write the report of a week and the index over all.

    Raises:
        ChurnError: there is nothing to report on, or it cannot be read or written.
    """
    say(f"reading {log}")
    summaries = reports.summaries(say)
    with read_week(log, settings.week, settings.memory_gb, settings.most_unread) as week:
        for line in _contents(week):
            say(line)
        labelled = labelled_weeks(week, summaries, settings.labels, settings.sample, settings.seed)
        earlier = _Earlier.of(reports, week.week, summaries)
        known = realised_by_week(summaries, labelled, week.week)
        files, content = _report(week, settings, earlier, labelled.pop(week.week, {}), known)
    reports.replace_week(week.week, files)
    for older, models in labelled.items():
        _fill_in(reports, older, models)
    replace_file(reports.path / INDEX, index_page(reports.summaries()))
    return content


def _fill_in(reports: ReportFolder, week: Week, labelled: Mapping[str, LabelledWeek]) -> None:
    """Complete the summary of an earlier week, and the page made from it."""
    file = reports.week(week) / SUMMARY

    def edit(stored: bytes) -> bytes:
        return filled_in(Summary.read(stored, file), labelled).to_bytes()

    reports.change(week, SUMMARY, edit, lambda changed: _plain_words(Summary.read(changed, file)))


def _contents(week: WeekLog) -> Iterator[str]:
    sums = total(week.counts)
    yield f"week {week.week}: {sums.answered:,} predictions in {len(week.counts)} files"
    yield from (f"passed over: {entry}" for entry in week.log.passed_over)
    yield from (f"not usable: {one.sentence()}" for one in week.counts if one.unusable)
    for model in week.models:
        yield f"{model.model}: {model.predictions:,} predictions of {model.customers:,} customers"


@dataclass(frozen=True)
class _Earlier:
    """An earlier report of this week, and of the week before its columns and its volume, where there are such."""

    same: Summary | None
    columns: bytes | None
    predictions: int | None

    @classmethod
    def of(cls, reports: ReportFolder, week: Week, summaries: Mapping[Week, Summary]) -> "_Earlier":
        before = summaries.get(week.previous)
        predictions = None if before is None else before.all_predictions
        return cls(summaries.get(week), reports.read(week.previous, COLUMNS), predictions)


def _report(
    week: WeekLog,
    settings: ReportSettings,
    earlier: _Earlier,
    labelled: Mapping[str, LabelledWeek],
    realised: RealisedWeeks,
) -> tuple[dict[str, bytes], Summary]:
    """The files of the week's folder, and the summary."""
    found, refused = _models(week.models)
    order = _headline_first([model for model in week.models if model.model in found], week.week, refused, settings)
    files: dict[str, bytes] = {}
    reports = []
    for number, answered in enumerate(order):
        name = DRIFT if number == 0 else f"drift-{answered.model.replace(':', '-')}.html"
        labels = labelled.get(answered.model)
        report, drawn = _model_report(week, answered, found[answered.model], name, settings, labels)
        files |= drawn
        reports.append(report)
    reports += [
        _refused(week, model, refused[model.model], settings, labelled.get(model.model))
        for model in week.models
        if model.model in refused
    ]
    customers = _at_risk(week, found, settings.at_risk)
    files[AT_RISK] = at_risk.table(customers)
    counted = AtRiskCounts(flagged=week.flagged(), listed=len(customers))
    headline = found[order[0].model]
    assert reports[0].current is not None
    ranking = _ranking(week, headline, reports[0].current, earlier.columns, settings)
    files[COLUMNS] = column_store.to_bytes(reports[0].current, headline.model.tag)
    in_all = volume(total(week.counts).answered, week.customers(), earlier.predictions)
    met = _conditions(reports[0], headline, ranking, newest_realised(realised, headline.model.tag), settings)
    content = summary(week.week, reports[0], reports, week.counts, counted, ranking, in_all, met)
    content = carried_over(content, earlier.same)
    return files | {SUMMARY: content.to_bytes()} | _plain_words(content), content


def _conditions(
    report: ModelReport, model: Watched, ranking: Ranking, realised: Metrics, settings: ReportSettings
) -> tuple[Condition, ...]:
    """The conditions of the level of the week."""
    assert report.decision is not None
    since_last_week = [ranked.result for ranked in ranking.tests if ranked.comparison == PREVIOUS_WEEK]
    estimated = NO_METRICS if report.estimated is None else report.estimated.metrics
    quality = ModelQuality(model.figures, estimated, realised)
    return conditions(report.decision.tests, since_last_week, quality, settings.levels)


def _plain_words(content: Summary) -> dict[str, bytes]:
    """The manager's page, which follows from the summary alone."""
    return {MANAGER: manager_page.page(content)}


def _models(models: Sequence[ModelWeek]) -> tuple[dict[str, Watched], dict[str, str]]:
    """The models that answered, and why some cannot be had."""
    found, refused = {}, {}
    for model in models:
        try:
            found[model.model] = watched(model.model)
        except ChurnError as error:
            refused[model.model] = str(error)
            say(f"not compared: {error}")
    return found, refused


def _headline_first(
    models: list[ModelWeek], week: Week, refused: dict[str, str], settings: ReportSettings
) -> list[ModelWeek]:
    tags = [model.model for model in models]
    if settings.model is not None and settings.model not in tags:
        why = refused.get(settings.model, f"{settings.model} made no predictions in week {week}")
        raise ModelStoreError(f"{why}; of week {week} these can be reported: {', '.join(tags) or 'none'}")
    if not models:
        raise ReportError(f"none of the models of week {week} can be compared: {'; '.join(refused.values())}")
    champion = champion_tag()
    headline = settings.model or (champion if champion in tags else tags[0])
    return sorted(models, key=lambda model: model.model != headline)


def _model_report(
    week: WeekLog,
    answered: ModelWeek,
    model: Watched,
    name: str,
    settings: ReportSettings,
    labels: LabelledWeek | None,
) -> tuple[ModelReport, dict[str, bytes]]:
    say(f"{answered.model}: comparing with its reference of {model.population.rows:,} customers")
    current = week.population(answered.model, model.population)
    decision = decide(
        model.rounded,
        current,
        model.monitored,
        settings=settings.drift,
        importance=model.model.manifest.importance,
        elapsed_days=model.days_since_reference(answered.last_as_of),
    )
    report = ModelReport(
        answered,
        decision,
        current,
        model.population,
        model.reference_as_of,
        name,
        stale=week.stale(answered.model, settings.stale_hours),
        stale_hours=settings.stale_hours,
        estimated=estimate(week.answers(answered.model), _calibrated_on(model), settings.seed),
        known_after=answered.last_as_of + settings.labels.definition(model.definition).horizon_ms,
        labelled=labels,
    )
    say(f"{answered.model}: {wording.sentence(decision)}; drawing the report")
    snapshots: list[str] = []
    html = evidently_report.render(
        evidently_report.sampled(model.reference, settings.sample, settings.seed),
        week.sample(answered.model, settings.sample, settings.seed),
        decision,
        evidently_report.Head(f"Week {week.week}: {decision.verdict}", _facts(report)),
        model.monitored,
        labelled=_labelled(model, labels),
        keep=snapshots.append,
    )
    kept = {evidently_report.snapshot_of(name): gzip.compress(text.encode(), mtime=0) for text in snapshots}
    return report, {name: html} | kept


def _labelled(model: Watched, labels: LabelledWeek | None) -> evidently_report.LabelledRows | None:
    """What Evidently draws of the classification; nothing while no label is known."""
    if labels is None or labels.realised is None:
        return None
    return evidently_report.LabelledRows(model.reference, labels.to_plot)


def _calibrated_on(model: Watched) -> NDArray[np.float64]:
    """Out-of-fold probabilities of customers whom the calibration was fitted to."""
    return model.reference[CHURN_PROBABILITY.name].to_numpy(np.float64)


def _refused(
    week: WeekLog, answered: ModelWeek, why: str, settings: ReportSettings, labels: LabelledWeek | None
) -> ModelReport:
    """A model without a decision on drift; one of another contract has its probabilities and their performance."""
    report = ModelReport(
        answered,
        refused=why,
        stale=week.stale(answered.model, settings.stale_hours),
        stale_hours=settings.stale_hours,
        labelled=labels,
    )
    try:
        former = watched(answered.model, any_contract=True)
    except ChurnError:
        return report  # `why` says why
    answers = week.answers(answered.model)
    return replace(
        report,
        outputs=outputs(former.reference, answers),
        estimated=estimate(answers, _calibrated_on(former), settings.seed),
        known_after=answered.last_as_of + settings.labels.definition(former.definition).horizon_ms,
    )


def _ranking(
    week: WeekLog, headline: Watched, current: Population, previous: bytes | None, settings: ReportSettings
) -> Ranking:
    """Where the change is, and since when: segments on a sample, and the week before on all rows."""
    say(f"{headline.model.tag}: comparing segments and the week before")
    sample = week.sample(headline.model.tag, segments.SAMPLE_ROWS, settings.seed)
    compared = segments.comparisons(headline.reference, sample)
    before = None if previous is None else column_store.from_bytes(previous)
    if before is not None:
        compared[PREVIOUS_WEEK] = (_previous(*before, headline), current)
    return rank(compared, headline.monitored, settings=settings.drift, importance=headline.model.manifest.importance)


def _previous(model: str, population: Population, headline: Watched) -> Population:
    """The week before, rounded as this one; what another model made of the features is not comparable."""
    outputs = set() if model == headline.model.tag else {feature.name for feature in OUTPUTS}
    columns = {
        name: column.rounded(rounding_step(headline.population.columns[name]))
        for name, column in population.columns.items()
        if name not in outputs
    }
    return Population(population.rows, columns)


def _facts(report: ModelReport) -> list[tuple[str, str]]:
    answered, decision = report.answered, report.decision
    assert decision is not None
    return [
        ("Model", answered.model),
        ("Customers", f"{answered.customers:,} ({answered.predictions:,} predictions; each customer's newest counts)"),
        ("Features as of", f"{day(answered.first_as_of)} to {day(answered.last_as_of)}"),
        ("Compared with", f"{decision.reference_rows:,} customers of the training data, {report.reference_as_of[:10]}"),
        ("Reports on an unchanged world that alarm", f"at most {decision.false_alarm_rate:.0%}"),
    ]


def _at_risk(week: WeekLog, found: dict[str, Watched], limit: int | None) -> list[at_risk.AtRisk]:
    customers: list[at_risk.AtRisk] = []
    for tag, model in found.items():
        flagged = week.at_risk(tag, limit)
        say(f"{tag}: reasons for {len(flagged):,} customers at risk")
        customers.extend(at_risk.explained(flagged, model.model))
    return sorted(customers, key=lambda one: (-one.churn_probability, one.customer_id))[:limit]
