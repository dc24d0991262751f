"""A week's findings put together as its `summary.json`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from churn.contract import CONTRACT_VERSION
from churn.moments import iso
from monitoring.drift import wording
from monitoring.drift.column_summary import Population
from monitoring.drift.decision import CHURN_PROBABILITY, MONITORED, WILL_CHURN, onset
from monitoring.findings.alarm import Condition, level_of
from monitoring.findings.drift import Comparison, DriftDecision, RankedTest, Ranking, Segment, TestResult
from monitoring.findings.performance import EstimatedPerformance, PendingLabels, Performance
from monitoring.findings.summary import (
    SCHEMA,
    AtRiskCounts,
    BeforeAndNow,
    FeatureSummary,
    LogSummary,
    ModelSummary,
    RankedFeature,
    Reference,
    Stale,
    Summary,
    UnusableFile,
    Volume,
)
from monitoring.labels.late_labels import LabelledWeek
from monitoring.performance.estimated import Answers
from monitoring.prediction_log.log_lines import FileCounts, total
from monitoring.prediction_log.log_reader import ModelWeek
from monitoring.reports.week import Week

RANKED: Final = 20
"""As many drifted features of segments and the week before are listed."""

STALE_HOURS: Final = 48
"""Features older than this when they were scored describe another customer than the one of today."""


@dataclass(frozen=True)
class ModelReport:
    """One model's week: what it answered, and what was decided about it.

    `refused` says why there is no decision: the model cannot be had, or only what does not hang
    on its features; `outputs` are then the fields about its probabilities. `stale` is how many of
    its predictions used features older than `stale_hours`. `estimated` is how good its
    predictions probably are, `known_after` (UTC epoch milliseconds) when the last of them
    can be judged, `labelled` what is known of them by now.
    """

    answered: ModelWeek
    decision: DriftDecision | None = None
    current: Population | None = None
    reference: Population | None = None
    reference_as_of: str = ""
    page: str | None = None
    refused: str | None = None
    outputs: Mapping[str, BeforeAndNow] = field(default_factory=dict)
    stale: int = 0
    stale_hours: int = STALE_HOURS
    estimated: EstimatedPerformance | None = None
    known_after: int | None = None
    labelled: LabelledWeek | None = None


def volume(predictions: int, customers: int, previous: int | None = None) -> Volume:
    """What the service answered in a week; `previous` is how much in the week before, if that was reported."""
    change = predictions / previous - 1 if previous else None
    return Volume(predictions=predictions, customers=customers, previous_predictions=previous, change=change)


def summary(
    week: Week,
    headline: ModelReport,
    models: Sequence[ModelReport],
    counts: Sequence[FileCounts],
    at_risk: AtRiskCounts,
    ranking: Ranking,
    answered: Volume,
    conditions: tuple[Condition, ...] = (),
) -> Summary:
    """Put together what was found; each field is documented in docs/summary.md."""
    decision = headline.decision
    assert decision is not None
    return Summary(
        **_of_model(headline),
        schema_version=SCHEMA,
        week=str(week),
        start=iso(week.start_ms),
        end=iso(week.end_ms),
        contract=CONTRACT_VERSION,
        level=level_of(conditions),
        conditions=conditions,
        reasons=wording.reasons(decision),
        volume=answered,
        false_alarm_rate=decision.false_alarm_rate,
        tests=decision.family,
        features=tuple(feature_summary(decision, feature.name) for feature in MONITORED),
        onset=onset(decision, ranking),
        compared=tuple(map(str, ranking.compared)),
        too_few=tuple(map(str, ranking.too_few)),
        ranking=_ranked(ranking),
        models=tuple(ModelSummary(**_of_model(report)) for report in models),
        at_risk=at_risk,
        log=_log(counts),
    )


def _of_model(report: ModelReport) -> dict[str, Any]:
    """The fields of a `ModelSummary`."""
    answered, decision = report.answered, report.decision
    fields: dict[str, Any] = {
        "model": answered.model,
        "predictions": answered.predictions,
        "customers": answered.customers,
        "as_of": (iso(answered.first_as_of), iso(answered.last_as_of)),
        "scored": (iso(answered.first_time), iso(answered.last_time)),
        "stale": Stale(
            older_than_hours=report.stale_hours,
            predictions=report.stale,
            share=report.stale / answered.predictions if answered.predictions else None,
        ),
        "performance": _performance(report),
    }
    if decision is None or report.current is None or report.reference is None:
        return fields | {"verdict": None, "refused": report.refused, **report.outputs}
    return fields | {
        "verdict": decision.verdict,
        "severity": decision.severity,
        "sentence": wording.sentence(decision),
        "page": report.page,
        "reference": Reference(rows=decision.reference_rows, as_of=report.reference_as_of),
        "mean_probability": _beside(mean_probability, report.reference, report.current),
        "flagged_share": _beside(flagged_share, report.reference, report.current),
    }


def _performance(report: ModelReport) -> Performance:
    labelled = report.labelled
    pending = None if labelled is None else labelled.pending
    if labelled is None and report.known_after is not None:
        pending = PendingLabels(customers=report.answered.customers, known_after=iso(report.known_after))
    realised = None if labelled is None else labelled.realised
    return Performance(estimated=report.estimated, realised=realised, pending=pending)


def _beside(figure: Callable[[Population], float | None], reference: Population, current: Population) -> BeforeAndNow:
    return BeforeAndNow(reference=figure(reference), current=figure(current))


def outputs(reference: pd.DataFrame, answers: Answers) -> dict[str, BeforeAndNow]:
    """The fields about the probabilities of a model whose features cannot be compared."""
    customers = answers.customers.sum()
    return {
        "mean_probability": BeforeAndNow(
            reference=float(reference[CHURN_PROBABILITY.name].mean()),
            current=float(answers.customers @ answers.probability / customers),
        ),
        "flagged_share": BeforeAndNow(
            reference=float(reference[WILL_CHURN.name].mean()),
            current=float(answers.customers @ answers.flagged / customers),
        ),
    }


def mean_probability(population: Population) -> float | None:
    column = population.columns[CHURN_PROBABILITY.name]
    return float(column.counts @ column.numbers) / column.valid if column.valid else None


def flagged_share(population: Population) -> float | None:
    column = population.columns[WILL_CHURN.name]
    flagged = dict(zip(column.labels, column.counts.tolist(), strict=True)).get("true", 0)
    return flagged / column.valid if column.valid else None


def feature_summary(decision: DriftDecision, name: str) -> FeatureSummary:
    """One feature by the test that says most about it."""
    leading = decision.leading(name)
    if leading is None:
        return FeatureSummary(feature=name, severity="none", test=None, sentence=f"{name}: not tested")
    return FeatureSummary(severity=leading.severity, **_figures(leading))


def _figures(test: TestResult) -> dict[str, Any]:
    """The fields of `ComparedFigures`."""
    return {
        "feature": test.feature,
        "test": test.test,
        "p": test.adjusted_p,
        "effect": test.effect,
        "gate": test.gate,
        "unit": test.unit,
        "measured": wording.measured(test.measure),
        "before": test.before,
        "after": test.after,
        "importance": test.importance,
        "sentence": wording.reason(test),
        "measure": test.measure,
    }


def _ranked(ranking: Ranking) -> tuple[RankedFeature, ...]:
    """Where to look: each drifted feature of a comparison by the test that says most."""
    first: dict[tuple[Comparison, str], RankedTest] = {}
    for test in ranking.tests:
        if test.result.drifted:
            first.setdefault((test.comparison, test.result.feature), test)
    return tuple(map(_ranked_feature, list(first.values())[:RANKED]))


def _ranked_feature(test: RankedTest) -> RankedFeature:
    fields = {"comparison": str(test.comparison), **_figures(test.result)}
    if isinstance(test.comparison, Segment):
        fields |= {"segment": test.comparison}
    return RankedFeature(**fields)


def _log(counts: Sequence[FileCounts]) -> LogSummary:
    everything = total(counts)
    return LogSummary(
        files=len(counts),
        lines=everything.lines,
        unusable=tuple(UnusableFile(**vars(one)) for one in counts if one.unusable),
        **{name: lines for name, lines in vars(everything).items() if isinstance(lines, int)},
    )
