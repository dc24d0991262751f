"""What `summary.json` says of a week: the verdict and its figures, for schedulers and the index. No customer ids."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from churn.contract import CONTRACT_VERSION
from churn.moments import iso
from monitoring.drift import wording
from monitoring.drift.column_summary import Population
from monitoring.drift.decision import CHURN_PROBABILITY, MONITORED, WILL_CHURN, onset
from monitoring.findings.drift import Comparison, DriftDecision, RankedTest, Ranking, Segment, TestResult
from monitoring.labels.late_labels import Known, Pending
from monitoring.performance.estimated import Estimate
from monitoring.prediction_log.log_lines import FileCounts, total
from monitoring.prediction_log.log_reader import ModelWeek
from monitoring.reports.summary_fields import count
from monitoring.reports.week import Week

RANKED: Final = 20
"""As many drifted features of segments and the week before are listed."""

STALE_HOURS: Final = 48
"""Features older than this when they were scored describe another customer than the one of today."""

SCHEMA: Final = 1
"""Of `summary.json`: grows when a field changes its meaning or goes; new fields may come."""


@dataclass(frozen=True)
class ModelReport:
    """One model's week: what it answered, and what was decided about it.

    `refused` says why there is no decision: the model cannot be had. `stale` is how many of
    its predictions used features older than `stale_hours`. `estimated` is how good its
    predictions probably are, `known_after` (UTC epoch milliseconds) when the last of them
    can be judged, `known` what is known of them by now.
    """

    answered: ModelWeek
    decision: DriftDecision | None = None
    current: Population | None = None
    reference: Population | None = None
    reference_as_of: str = ""
    page: str | None = None
    refused: str | None = None
    stale: int = 0
    stale_hours: int = STALE_HOURS
    estimated: Estimate | None = None
    known_after: int | None = None
    known: Known | None = None


@dataclass(frozen=True)
class Volume:
    """What the service answered in a week, all models together; `previous` is the week before's, if reported."""

    predictions: int
    customers: int
    previous: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "predictions": self.predictions,
            "customers": self.customers,
            "previous_predictions": self.previous,
            "change": self.predictions / self.previous - 1 if self.previous else None,
        }


def predictions_of(content: Mapping[str, Any]) -> int:
    """How many predictions a week's summary counts, all models together."""
    counted = count(content, "volume", "predictions")
    return sum(model["predictions"] for model in content["models"]) if counted is None else counted


def summary(
    week: Week,
    headline: ModelReport,
    models: Sequence[ModelReport],
    counts: Sequence[FileCounts],
    at_risk: Mapping[str, int],
    ranking: Ranking,
    volume: Volume,
) -> dict[str, Any]:
    """Everything in it is documented in docs/monitoring.md."""
    decision = headline.decision
    assert decision is not None
    return {
        "schema": SCHEMA,
        "week": str(week),
        "from": iso(week.start_ms),
        "to": iso(week.end_ms),
        "contract": CONTRACT_VERSION,
        "verdict": decision.verdict,
        "severity": decision.severity,
        "sentence": wording.sentence(decision),
        "reasons": list(wording.reasons(decision)),
        **_of_model(headline),
        "volume": volume.to_dict(),
        "false_alarm_rate": decision.false_alarm_rate,
        "tests": decision.family,
        "features": [feature_entry(decision, feature.name) for feature in MONITORED],
        "onset": onset(decision, ranking),
        **_ranked(ranking),
        "models": [_of_model(report) for report in models],
        "at_risk": dict(at_risk),
        "log": _log(counts),
    }


def _of_model(report: ModelReport) -> dict[str, Any]:
    answered, decision = report.answered, report.decision
    entry: dict[str, Any] = {
        "model": answered.model,
        "predictions": answered.predictions,
        "customers": answered.customers,
        "as_of": [iso(answered.first_as_of), iso(answered.last_as_of)],
        "scored": [iso(answered.first_time), iso(answered.last_time)],
        "stale": {
            "older_than_hours": report.stale_hours,
            "predictions": report.stale,
            "share": report.stale / answered.predictions if answered.predictions else None,
        },
        "performance": _performance(report),
    }
    if decision is None or report.current is None or report.reference is None:
        return entry | {"verdict": None, "refused": report.refused}
    return entry | {
        "verdict": decision.verdict,
        "severity": decision.severity,
        "sentence": wording.sentence(decision),
        "page": report.page,
        "reference": {"rows": decision.reference_rows, "as_of": report.reference_as_of},
        "mean_probability": _pair(mean_probability, report),
        "flagged_share": _pair(flagged_share, report),
    }


def _performance(report: ModelReport) -> dict[str, Any]:
    known = report.known
    if known is None and report.known_after is not None:
        known = Known(None, Pending(report.answered.customers, report.known_after))
    estimated = None if report.estimated is None else report.estimated.to_dict()
    return {"estimated": estimated, **(known or Known(None, None)).to_dict()}


def _pair(figure: Any, report: ModelReport) -> dict[str, float | None]:
    return {"reference": figure(report.reference), "current": figure(report.current)}


def mean_probability(population: Population) -> float | None:
    column = population.columns[CHURN_PROBABILITY.name]
    return float(column.counts @ column.numbers) / column.valid if column.valid else None


def flagged_share(population: Population) -> float | None:
    column = population.columns[WILL_CHURN.name]
    flagged = dict(zip(column.labels, column.counts.tolist(), strict=True)).get("true", 0)
    return flagged / column.valid if column.valid else None


def feature_entry(decision: DriftDecision, name: str) -> dict[str, Any]:
    """One feature by the test that says most about it."""
    leading = decision.leading(name)
    if leading is None:
        return {"feature": name, "severity": "none", "test": None, "sentence": f"{name}: not tested"}
    return {"feature": name, "severity": leading.severity, "test": leading.test, **_figures(leading)}


def _figures(test: TestResult) -> dict[str, Any]:
    return {
        "p": test.adjusted_p,
        "effect": test.effect,
        "gate": test.gate,
        "unit": test.unit,
        "measured": wording.measured(test.measure),
        "before": test.before,
        "after": test.after,
        "importance": test.importance,
        "sentence": wording.reason(test),
        "measure": test.measure.model_dump(exclude_none=True),
    }


def _ranked(ranking: Ranking) -> dict[str, Any]:
    """Where to look: each drifted feature of a comparison by the test that says most."""
    first: dict[tuple[Comparison, str], RankedTest] = {}
    for test in ranking.tests:
        if test.result.drifted:
            first.setdefault((test.comparison, test.result.feature), test)
    return {
        "compared": [str(comparison) for comparison in ranking.compared],
        "too_few": [str(comparison) for comparison in ranking.too_few],
        "ranking": [_ranked_entry(test) for test in list(first.values())[:RANKED]],
    }


def _ranked_entry(test: RankedTest) -> dict[str, Any]:
    comparison, result = test.comparison, test.result
    entry = {"comparison": str(comparison), "feature": result.feature, "test": result.test} | _figures(result)
    if isinstance(comparison, Segment):
        entry["segment"] = comparison.model_dump(exclude_none=True)
    return entry


def _log(counts: Sequence[FileCounts]) -> dict[str, Any]:
    sums = {name: value for name, value in vars(total(counts)).items() if isinstance(value, int)}
    unusable = [vars(one) for one in counts if one.unusable]
    return {"files": len(counts), "lines": total(counts).lines, **sums, "unusable": unusable}


def to_json(content: Mapping[str, Any]) -> bytes:
    """JSON that any parser takes: an infinite or undefined number is null."""
    return (json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value
