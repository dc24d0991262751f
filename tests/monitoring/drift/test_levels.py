"""Each condition pages at the stated size and not below it; a change without a consequence is a ticket."""

import doctest
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn.contract import BY_NAME
from churn.errors import SettingError
from churn.quality.figure import Figure
from monitoring.drift import levels
from monitoring.drift.column_summary import Population, summarise_frame
from monitoring.drift.decision import CHURN_PROBABILITY, WILL_CHURN, decide, rank
from monitoring.drift.levels import LevelSettings, ModelQuality, conditions
from monitoring.findings import alarm
from monitoring.findings.alarm import Level, level_of
from monitoring.findings.drift import PREVIOUS_WEEK, Measure, TestResult
from monitoring.findings.performance import Metrics

NAMES = ("session_minutes_7d", "songs_7d", "errors_7d", "os")
FEATURES = (*(BY_NAME[name] for name in NAMES), CHURN_PROBABILITY, WILL_CHURN)
WEIGHTS = {"session_minutes_7d": 0.48, "songs_7d": 0.48, "errors_7d": 0.02, "os": 0.02}


def week(seed: int, rows: int = 4_000) -> pd.DataFrame:
    """An unchanged week of a service in which one in five is flagged."""
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "session_minutes_7d": draw.normal(240, 40, rows).round(1),
            "songs_7d": draw.normal(100, 20, rows).round(),
            "errors_7d": (draw.random(rows) < 0.3).astype(float),
            "os": draw.choice(["Windows", "Mac", "iPhone", "Linux"], rows, p=[0.5, 0.25, 0.15, 0.1]),
            "churn_probability": draw.beta(2, 8, rows).round(4),
            "will_churn": draw.random(rows) < 0.2,
        }
    )


def summarised(frame: pd.DataFrame) -> Population:
    return summarise_frame(frame, FEATURES)


REFERENCE = summarised(week(0))


def judged(
    frame: pd.DataFrame, weights: dict[str, float] = WEIGHTS, before: pd.DataFrame | None = None
) -> tuple[Level, list[str]]:
    """The level of a week and the conditions that page."""
    current = summarised(frame)
    decision = decide(REFERENCE, current, FEATURES, importance=weights)
    since = []
    if before is not None:
        ranking = rank({PREVIOUS_WEEK: (summarised(before), current)}, FEATURES, importance=weights)
        since = [test.result for test in ranking.tests]
    found = conditions(decision.tests, since)
    return level_of(found), [condition.kind for condition in found if condition.level == "page"]


@pytest.mark.parametrize("module", [levels, alarm])
def test_the_examples_of_the_modules_hold(module: Any) -> None:
    tried = doctest.testmod(module)
    assert tried.attempted > 0
    assert tried.failed == 0


def test_an_unchanged_week_is_shown() -> None:
    assert judged(week(1), before=week(2)) == ("shown", [])


def test_a_world_that_only_ages_is_a_ticket() -> None:
    frame = week(1)
    frame["session_minutes_7d"] += 0.15 * 40
    frame["songs_7d"] -= 1
    assert judged(frame, before=week(2).assign(session_minutes_7d=frame["session_minutes_7d"])) == ("ticket", [])


@pytest.mark.parametrize(("share", "expected"), [(0.05, ("page", ["broken data"])), (0.01, ("shown", []))])
def test_nulls_page_past_their_gate(share: float, expected: tuple[str, list[str]]) -> None:
    frame = week(1)
    frame.loc[: int(share * len(frame)) - 1, "errors_7d"] = None
    assert judged(frame) == expected


def test_a_column_that_the_model_does_not_look_at_is_a_ticket_when_it_breaks() -> None:
    frame = week(1)
    frame.loc[:400, "errors_7d"] = None
    assert judged(frame, WEIGHTS | {"errors_7d": 0.0}) == ("ticket", [])


def test_categories_never_seen_before_page() -> None:
    frame = week(1)
    frame.loc[:400, "os"] = "Broken/1.0"
    level, kinds = judged(frame)
    assert (level, kinds[0]) == ("page", "broken data")


@pytest.mark.parametrize(("factor", "kinds"), [(10.5, ["other unit"]), (1 / 10.5, ["other unit"]), (5.0, [])])
def test_another_unit_pages(factor: float, kinds: list[str]) -> None:
    frame = week(1)
    frame["songs_7d"] = (frame["songs_7d"] * factor).round()
    level, found = judged(frame, {"songs_7d": 0.01})
    assert (level, found) == ("page" if kinds else "ticket", kinds)


@pytest.mark.parametrize(("share", "expected"), [(0.28, ("page", ["flagged share"])), (0.243, ("ticket", []))])
def test_the_flagged_share_pages_when_the_work_of_the_week_changes(
    share: float, expected: tuple[str, list[str]]
) -> None:
    frame = week(1)
    frame["will_churn"] = np.arange(len(frame)) < share * len(frame)
    assert judged(frame) == expected


@pytest.mark.parametrize(("shift", "expected"), [(0.3, ("page", ["probability"])), (0.13, ("ticket", []))])
def test_probabilities_page_by_their_distance(shift: float, expected: tuple[str, list[str]]) -> None:
    frame = week(1)
    frame["churn_probability"] = (frame["churn_probability"] + shift * 0.1206).clip(0, 1)
    assert judged(frame) == expected


@pytest.mark.parametrize(
    ("songs", "weight", "expected"),
    [
        (0.16, 0.48, ("page", ["weight moved"])),
        (0.16, 0.01, ("ticket", [])),
        (0.0, 0.48, ("ticket", [])),
    ],
)
def test_half_of_the_weight_pages_when_it_moves(songs: float, weight: float, expected: tuple[str, list[str]]) -> None:
    frame = week(1)
    frame["session_minutes_7d"] += 0.16 * 40
    frame["songs_7d"] += round(songs * 20)
    assert judged(frame, {"session_minutes_7d": 0.48, "songs_7d": weight}) == expected


@pytest.mark.parametrize(
    ("shift", "weight", "expected"),
    [
        (0.3, 0.06, ("page", ["sudden change"])),
        (0.3, 0.04, ("ticket", [])),
        (0.12, 0.06, ("ticket", [])),
    ],
)
def test_a_sudden_change_pages_where_it_matters(shift: float, weight: float, expected: tuple[str, list[str]]) -> None:
    frame = week(1)
    frame["session_minutes_7d"] += shift * 40
    assert judged(frame, {"session_minutes_7d": weight}, before=week(2)) == expected
    assert judged(frame, {"session_minutes_7d": weight}, before=frame) == ("ticket", [])


@pytest.mark.parametrize(
    ("name", "before", "after", "pages"),
    [
        ("auc", Figure(0.70, 0.66, 0.74), Figure(0.60, 0.57, 0.63), True),
        ("auc", Figure(0.684, 0.65, 0.72), Figure(0.66, 0.63, 0.70), False),
        ("auc", Figure(0.60, 0.57, 0.63), Figure(0.70, 0.66, 0.74), False),
        ("f1", Figure(0.44, 0.40, 0.48), Figure(0.30, 0.26, 0.34), True),
        ("calibration_error", Figure(0.02, 0.01, 0.03), Figure(0.09, 0.07, 0.11), True),
        ("calibration_error", Figure(0.09, 0.07, 0.11), Figure(0.02, 0.01, 0.03), False),
        ("precision", Figure(0.9, 0.88, 0.92), Figure(0.1, 0.08, 0.12), False),
        ("auc", Figure(0.70, 0.66, 0.74), Figure(float("nan")), False),
    ],
)
def test_a_model_that_became_worse_pages(name: str, before: Figure, after: Figure, pages: bool) -> None:
    metrics = Metrics(**{name: after})
    found = conditions([], quality=ModelQuality({name: before}, estimated=metrics, realised=metrics))
    kinds = [condition.kind for condition in found]
    assert kinds == (["estimated performance", "realised performance"] if pages else [])
    assert level_of(found) == ("page" if pages else "shown")


def test_a_critical_feature_pages_on_its_own() -> None:
    frame = week(1)
    frame["songs_7d"] += 3
    tests = decide(REFERENCE, summarised(frame), FEATURES, importance=WEIGHTS).tests
    assert level_of(conditions(tests)) == "ticket"
    found = conditions(tests, settings=LevelSettings(critical=frozenset({"songs_7d"})))
    assert [(one.level, one.kind, one.subjects) for one in found] == [
        ("page", "critical feature", ("songs_7d",)),
        ("ticket", "drift", ("songs_7d",)),
    ]


def test_a_test_that_may_be_chance_brings_no_condition() -> None:
    warned = TestResult(
        feature="songs_7d",
        test="nulls",
        statistic=0.05,
        p=0.01,
        effect=0.05,
        unit="of the rows",
        gate=0.02,
        measure=Measure(statistic="share null"),
        before=0.0,
        after=0.05,
        severity="warning",
    )
    assert conditions([warned]) == ()


def test_limits_are_above_zero() -> None:
    with pytest.raises(SettingError, match="sudden=0"):
        LevelSettings(sudden=0)
