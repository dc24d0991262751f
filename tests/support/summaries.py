"""Summaries for tests of what reads them: a quiet week, and what may be different in one."""

from typing import Any

import numpy as np

from monitoring.drift.decision import MONITORED
from monitoring.findings.summary import Summary
from monitoring.reports.week import Week

WEEK = Week.parse("2018-W44")


def weeks(number: int, last: Week = WEEK) -> list[Week]:
    """So many weeks, oldest first, up to `last`."""
    found = [last]
    while len(found) < number:
        found.append(found[-1].previous)
    return found[::-1]


def metric(value: float, half: float = 0.04) -> dict[str, float]:
    return {"value": value, "low": round(value - half, 4), "high": round(value + half, 4)}


def entry(name: str, **changed: Any) -> dict[str, Any]:
    """One feature of a quiet week."""
    return {
        "feature": name,
        "severity": "none",
        "test": "wasserstein",
        "p": 1.0,
        "effect": 0.02,
        "gate": 0.05,
        "unit": "reference standard deviations",
        "measured": "mean",
        "before": 3.0,
        "after": 3.1,
        "importance": 0.01,
        "sentence": f"{name}: mean 3 → 3.1",
        "measure": {"statistic": "mean"},
    } | changed


def of(statistic: str) -> dict[str, Any]:
    return {"measure": {"statistic": statistic}}


def of_category(category: str) -> dict[str, Any]:
    return {"measure": {"statistic": "share of a category", "category": category}}


def up_to(bound: float) -> dict[str, Any]:
    return {"measure": {"statistic": "share up to a bound", "bound": bound}}


def paging(name: str, **changed: Any) -> dict[str, Any]:
    return entry(name, **{"severity": "page", "effect": 0.2, "after": 6.0, "p": 1e-9} | changed)


def performance(**changed: Any) -> dict[str, Any]:
    """What is known a week later: an estimate, no labels yet."""
    measured = {"auc": metric(0.73), "f1": metric(0.44), "precision": metric(0.41, 0.07), "recall": metric(0.55)}
    return {
        "estimated": {
            "customers": 1200,
            "expected_churners": 180.5,
            "metrics": measured,
            "method": "CBPE",
            "blind_spot": "It cannot see concept drift.",
        },
        "realised": None,
        "pending": {"customers": 1200, "known_after": "2018-12-04T00:00:00Z"},
    } | changed


def realised(**measured: Any) -> dict[str, Any]:
    """Labels of all customers."""
    metrics = {"auc": metric(0.7), "f1": metric(0.42), "precision": metric(0.38, 0.07), "recall": metric(0.5)}
    return {
        "customers": 1200,
        "rows": 1300,
        "churners": 190,
        "labels_until": "2018-12-10T00:00:00Z",
        "definition": "either",
        "horizon_days": 30,
        "metrics": metrics | measured,
        "untreated": None,
        "treated": None,
        "notes": [],
    }


def quiet(week: Week = WEEK, **changed: Any) -> Summary:
    """A week without alarm; what is given by the name it has in the file replaces the quiet values."""
    return Summary.model_validate(content(week, **changed))


def content(week: Week = WEEK, **changed: Any) -> dict[str, Any]:
    """The content of the file of a quiet week; `features` replace those of the same name."""
    features = {feature.name: entry(feature.name) for feature in MONITORED}
    features |= {one["feature"]: one for one in changed.pop("features", [])}
    model = {
        "model": "churn:a1b2c3",
        "predictions": 1300,
        "customers": 1200,
        "as_of": [week.start.isoformat(), week.last_day.isoformat()],
        "verdict": "ok",
        "severity": "none",
        "sentence": "no drift in 74 features",
        "page": "drift.html",
        "reference": {"rows": 5000, "as_of": "2018-09-24T00:00:00Z"},
        "mean_probability": {"reference": 0.151, "current": 0.155},
        "flagged_share": {"reference": 0.09, "current": 0.12},
        "stale": {"older_than_hours": 48, "predictions": 0, "share": 0.0},
        "performance": performance(),
    }
    return {
        "schema": 1,
        "week": str(week),
        **model,
        "reasons": [],
        "features": list(features.values()),
        "onset": {},
        "ranking": [],
        "models": [model],
        "volume": {"predictions": 1300, "customers": 1200, "previous_predictions": None, "change": None},
        "at_risk": {"flagged": 144, "listed": 144},
        "log": {"files": 3, "lines": 1300, "partial": 0, "foreign": 0, "other_contract": 0, "unusable": []},
    } | changed


def drifted(week: Week = WEEK, **changed: Any) -> Summary:
    """A week in which customers hear twice the adverts."""
    return quiet(
        week,
        **{
            "verdict": "drift",
            "severity": "page",
            "sentence": "drift in 1 of 74 features (adverts_7d); no further warning",
            "features": [paging("adverts_7d", importance=0.12)],
        }
        | changed,
    )


def too_few(week: Week = WEEK, **changed: Any) -> Summary:
    """A week of 150 customers."""
    untested = [{"feature": feature.name, "severity": "none", "test": None} for feature in MONITORED]
    return quiet(
        week,
        **{
            "verdict": "too few",
            "customers": 150,
            "predictions": 150,
            "sentence": "too few: 150 current rows, a verdict needs 200",
            "features": untested,
        }
        | changed,
    )


def season(number: int, seed: int = 1, missing: tuple[int, ...] = ()) -> dict[Week, Summary]:
    """So many weeks as they may come: some drift, some lack a report (`missing`, counted from the oldest)."""
    draw = np.random.default_rng(seed)
    found: dict[Week, Summary] = {}
    for position, week in enumerate(weeks(number)):
        moved = [
            entry(one.name, effect=0.08 * float(draw.random()), importance=0.001 * i) for i, one in enumerate(MONITORED)
        ]
        if position % 5 == 4:
            moved[30] |= {"severity": "page", "effect": 0.12, "importance": 0.2}
            moved[40] |= {"severity": "warning", "effect": 0.07}
            found[week] = drifted(week, features=moved)
        else:
            found[week] = quiet(week, features=moved)
        if position in missing:
            del found[week]
    return found
