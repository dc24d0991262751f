"""The drift decision says what happened, how bad it is and why, and never crashes on a broken column."""

import doctest
import json
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.contract import BY_NAME, Feature
from churn.errors import SettingError
from monitoring.drift import decision as drift
from monitoring.drift.column_summary import Population, rounding_step, summarise_frame
from monitoring.drift.comparison import Drawing, Gates, explained_by_time
from monitoring.drift.decision import (
    CHURN_PROBABILITY,
    FEWEST_ROWS,
    MONITORED,
    WILL_CHURN,
    DriftSettings,
    decide,
    onset,
    rank,
)
from monitoring.drift.wording import measured, plain, reason, reasons, sentence
from monitoring.findings.drift import PREVIOUS_WEEK, Comparison, DriftDecision, Ranking, Segment, TestResult
from tests.support.examples import examples

NAMES: Final = ("session_minutes_7d", "songs_7d", "errors_7d", "level", "gender", "os", "tenure_days")
FEATURES: Final = (*(BY_NAME[name] for name in NAMES), CHURN_PROBABILITY, WILL_CHURN)
FREE, PAID = (Segment(feature="level", category=level) for level in ("free", "paid"))


def week(rows: int = 2_000, seed: int = 1) -> pd.DataFrame:
    """An unchanged week: one row per customer."""
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "session_minutes_7d": draw.normal(240, 40, rows).round(1),
            "songs_7d": np.floor(draw.lognormal(4, 1, rows)),
            "errors_7d": (draw.random(rows) < 0.05).astype(int),
            "level": draw.choice(["free", "paid"], rows, p=[0.3, 0.7]),
            "gender": draw.choice(np.array(["F", "M", None], dtype=object), rows, p=[0.45, 0.53, 0.02]),
            "os": draw.choice(["Windows", "Mac", "iPhone", "Linux"], rows, p=[0.5, 0.25, 0.15, 0.1]),
            "tenure_days": draw.uniform(0, 365, rows).round(2),
            "churn_probability": draw.beta(2, 8, rows).round(4),
            "will_churn": draw.random(rows) < 0.05,
        }
    )


REFERENCE: Final = summarise_frame(week(5_000, seed=0), FEATURES)


def summarised(frame: pd.DataFrame) -> Population:
    return summarise_frame(frame, FEATURES)


def decided(frame: pd.DataFrame, **given: Any) -> DriftDecision:
    return decide(REFERENCE, summarised(frame), FEATURES, **given)


def leading(decision: DriftDecision, feature: str) -> TestResult:
    found = decision.leading(feature)
    assert found is not None
    return found


def test_the_example_of_the_module_runs() -> None:
    failed, run = doctest.testmod(drift)
    assert (failed, run > 10) == (0, True)


def test_an_unchanged_week_is_ok_without_a_warning() -> None:
    decision = decided(week())
    assert (decision.verdict, decision.severity, reasons(decision)) == ("ok", "none", ())
    assert sentence(decision) == "no drift in 9 features"


def test_the_same_rows_are_no_drift_in_any_test() -> None:
    decision = decide(REFERENCE, REFERENCE, FEATURES)
    assert {test.p for test in decision.tests} == {1.0}


def test_a_shifted_number_pages_and_says_from_where_to_where() -> None:
    frame = week()
    frame["session_minutes_7d"] += 20
    decision = decided(frame)
    assert (decision.verdict, decision.drifted_features) == ("drift", ("session_minutes_7d",))
    found = next(test for test in decision.tests if test.test == "wasserstein")
    assert (found.feature, measured(found.measure), found.unit) == (
        "session_minutes_7d",
        "mean",
        "reference standard deviations",
    )
    assert found.effect == pytest.approx(0.5, abs=0.05)
    assert found.before == pytest.approx(240, abs=2)
    assert found.after == pytest.approx(260, abs=2)


def test_three_tests_that_see_the_same_shift_give_one_reason() -> None:
    frame = week()
    frame["session_minutes_7d"] += 20
    decision = decided(frame)
    assert sum(test.severity == "page" for test in decision.tests) >= 2
    (only,) = reasons(decision)
    assert only.startswith("session_minutes_7d: ")
    assert "past the gate of 0.05" in only


def test_a_wider_spread_pages_though_the_mean_stays() -> None:
    frame = week()
    frame["session_minutes_7d"] = 240 + (frame["session_minutes_7d"] - 240) * 1.3**0.5
    found = leading(decided(frame), "session_minutes_7d")
    assert (found.test, found.severity) == ("spread", "page")
    assert measured(found.measure) == "mean distance from the median"


def test_a_category_that_grows_pages_and_is_named() -> None:
    frame = week()
    frame.loc[:199, "os"] = "iPhone"
    found = leading(decided(frame), "os")
    assert (found.severity, measured(found.measure)) == ("page", "share of 'iPhone'")
    assert found.after == pytest.approx(0.235, abs=0.02)


def test_a_flagged_share_from_5_to_20_percent_pages() -> None:
    frame = week()
    frame["will_churn"] = np.random.default_rng(5).random(len(frame)) < 0.20
    decision = decided(frame)
    assert decision.drifted_features == ("will_churn",)
    found = leading(decision, "will_churn")
    assert measured(found.measure) == "share of 'true'"
    assert found.before == pytest.approx(0.05, abs=0.01)
    assert found.after == pytest.approx(0.20, abs=0.03)


def test_nulls_page_by_their_share() -> None:
    frame = week()
    frame.loc[:99, "songs_7d"] = np.nan
    found = leading(decided(frame), "songs_7d")
    assert (found.test, found.severity, found.before, found.after) == ("nulls", "page", 0.0, 0.05)
    assert "5.0% of values are null, in the reference 0.0%" in reason(found)


def test_nulls_that_vanish_page_too() -> None:
    frame = week(5_000)
    frame["gender"] = np.random.default_rng(3).choice(["F", "M"], len(frame), p=[0.46, 0.54])
    gates = DriftSettings(gates=Gates(points=0.01))
    assert leading(decided(frame, settings=gates), "gender").test == "nulls"


def test_a_certain_trifle_does_not_alarm_and_says_so() -> None:
    reference = week(100_000, seed=2)
    moved = week(100_000, seed=3)
    moved["session_minutes_7d"] += 1  # 0.025 standard deviations
    decision = decide(summarised(reference), summarised(moved), FEATURES)
    assert decision.severity == "none"
    assert min(test.adjusted_p or 1 for test in decision.tests if test.feature == "session_minutes_7d") < 0.001
    assert any("a trifle: under the gate of 0.05" in reason(test) for test in decision.tests)


def test_a_gate_of_one_feature_overrides_the_gates_of_all() -> None:
    frame = week()
    frame["session_minutes_7d"] += 20
    tolerant = DriftSettings(feature_gates={"session_minutes_7d": Gates(distance=1.0)})
    assert decided(frame, settings=tolerant).verdict == "ok"


@pytest.mark.parametrize("elapsed", [7, 28, 182])
def test_what_time_explains_in_a_feature_that_ages_is_no_drift(elapsed: float) -> None:
    frame = week()
    frame["tenure_days"] += elapsed
    decision = decided(frame, elapsed_days=elapsed)
    tests = [test for test in decision.tests if test.feature == "tenure_days"]
    assert (decision.severity, {test.severity for test in tests}) == ("none", {"none"})
    assert {test.test for test in tests} == {"kolmogorov-smirnov", "wasserstein", "spread"}
    assert all(test.adjusted_p is not None for test in tests)


@pytest.mark.parametrize(
    ("change", "test"),
    [
        (lambda days: days * np.nan, "nulls"),
        (lambda days: days.where(np.arange(len(days)) % 10 > 0), "nulls"),
        (lambda days: days * 24, "wasserstein"),  # hours
        (lambda days: days / 7, "wasserstein"),  # weeks
        (lambda days: days * 86_400, "outside"),  # seconds
        (lambda days: days + 120 * days.std(), "wasserstein"),
        (lambda days: days * 0 + 3, "wasserstein"),
        (lambda days: days.astype(str), "mistyped"),
        (lambda days: days - 400, "outside"),
    ],
)
def test_beyond_what_time_explains_a_feature_that_ages_pages(change: Any, test: str) -> None:
    frame = week()
    frame["tenure_days"] = change(frame["tenure_days"])
    decision = decided(frame, elapsed_days=28)
    assert decision.drifted_features == ("tenure_days",)
    assert test in {found.test for found in decision.tests if found.severity == "page"}


def test_a_missing_column_that_ages_pages_like_any_other() -> None:
    decision = decided(week().drop(columns=["tenure_days"]), elapsed_days=28)
    assert leading(decision, "tenure_days").severity == "page"


def test_time_explains_no_more_than_has_passed_and_never_makes_younger() -> None:
    reference = REFERENCE.columns["tenure_days"]
    for moved, elapsed, explained in ((10, 28, 10), (100, 28, 28), (-50, 28, 0), (10, 0, 0)):
        assert explained_by_time(reference, reference.moved(moved), elapsed) == pytest.approx(explained)


def test_days_since_the_last_event_move_by_a_day_at_most() -> None:
    assert [feature.name for feature in MONITORED if 0 < feature.ages_days <= 1] == [
        "days_since_last_event",
        *(f"days_since_{page}_{days}d" for days in (28, 56) for page in ("thumbs_down", "adverts", "downgrade_visits")),
    ]


def test_too_few_rows_give_no_verdict() -> None:
    decision = decided(week(FEWEST_ROWS - 1))
    assert (decision.verdict, decision.severity, decision.tests) == ("too few", "none", ())
    assert sentence(decision) == "too few: 199 current rows, a verdict needs 200"
    assert decided(week(FEWEST_ROWS)).verdict == "ok"


def test_too_few_reference_rows_and_an_empty_week_are_said() -> None:
    small = decide(summarised(week(50)), REFERENCE, FEATURES)
    assert sentence(small) == "too few: 50 reference rows, a verdict needs 200"
    assert sentence(decided(week(0))) == "too few: 0 current rows, a verdict needs 200"


def test_a_column_missing_from_the_week_pages() -> None:
    decision = decided(week().drop(columns="os"))
    found = leading(decision, "os")
    assert (found.test, found.severity, found.p) == ("absent", "page", None)
    assert "os is absent from the current sample" in reason(found)
    assert decision.verdict == "drift"


def test_a_column_missing_from_the_reference_only_warns() -> None:
    reference = summarised(week(5_000, seed=0).drop(columns="os"))
    decision = decide(reference, summarised(week()), FEATURES)
    assert (decision.verdict, decision.severity) == ("ok", "warning")
    assert sentence(decision) == "no drift in 9 features; 1 with a warning"


def test_a_column_without_any_value_pages_by_its_nulls() -> None:
    frame = week()
    frame["os"] = None
    found = leading(decided(frame), "os")
    assert (found.test, found.after, found.severity) == ("nulls", 1.0, "page")


def test_a_retyped_column_pages() -> None:
    frame = week()
    frame["songs_7d"] = frame["songs_7d"].astype(str)
    found = leading(decided(frame), "songs_7d")
    assert (found.test, found.after, found.severity) == ("mistyped", 1.0, "page")
    assert "100.0% of values are not a number the feature can hold" in reason(found)


def test_a_retyped_reference_is_a_finding_too() -> None:
    reference = week(5_000, seed=0)
    reference["level"] = 3
    decision = decide(summarised(reference), summarised(week()), FEATURES)
    assert leading(decision, "level").test == "mistyped"


def test_a_number_that_becomes_constant_pages() -> None:
    frame = week()
    frame["songs_7d"] = 40
    assert leading(decided(frame), "songs_7d").severity == "page"


def test_a_number_that_was_constant_and_moves_pages_with_a_finite_effect() -> None:
    reference = week(5_000, seed=0)
    reference["songs_7d"] = 40
    found = leading(decide(summarised(reference), summarised(week()), FEATURES), "songs_7d")
    assert found.severity == "page"
    assert np.isfinite(found.effect)


def test_the_same_constant_on_both_sides_is_not_tested() -> None:
    reference, frame = week(5_000, seed=0), week()
    reference["songs_7d"] = frame["songs_7d"] = 40
    decision = decide(summarised(reference), summarised(frame), FEATURES)
    assert decision.leading("songs_7d") is None
    assert decision.verdict == "ok"


def test_one_value_outside_the_contract_warns_and_many_page() -> None:
    frame = week()
    frame.loc[0, "songs_7d"] = -1
    few = leading(decided(frame), "songs_7d")
    assert (few.test, few.severity) == ("outside", "warning")
    assert "the contract is broken, though for few rows" in reason(few)
    frame.loc[:99, "songs_7d"] = -1
    assert {test.severity for test in decided(frame).tests if test.test == "outside"} == {"page"}


def test_new_categories_are_named_and_one_new_row_is_no_alarm() -> None:
    frame = week()
    frame.loc[0, "os"] = "TempleOS"
    assert decided(frame).severity == "none"
    frame.loc[:149, "os"] = "TempleOS"
    found = next(test for test in decided(frame).tests if test.test == "unseen")
    assert (found.severity, found.after) == ("page", 0.075)
    assert "7.5% of rows have a category never seen before, such as 'TempleOS'" in reason(found)


def test_a_long_tail_of_rare_categories_is_not_taken_for_new_ones() -> None:
    draw = np.random.default_rng(4)
    tail = [f"device {i}" for i in range(100_000)]

    def tailed(rows: int, seed: int) -> pd.DataFrame:
        frame = week(rows, seed)
        rare = draw.random(rows) < 0.2
        frame.loc[rare, "os"] = draw.choice(tail, int(rare.sum()))
        return frame

    decision = decide(summarised(tailed(5_000, 0)), summarised(tailed(2_000, 1)), FEATURES)
    unseen = next(test for test in decision.tests if test.test == "unseen")
    assert unseen.after == pytest.approx(0.2, abs=0.03)  # nearly every rare label is new
    assert unseen.before == pytest.approx(0.2, abs=0.03)  # and so it was in the reference
    assert decision.severity == "none"


def test_a_label_is_cut_to_a_length_and_kept_as_text() -> None:
    frame = week()
    frame.loc[:399, "os"] = "</script>" * 20
    told = " ".join(reason(test) for test in decided(frame).tests)
    assert "'</script>" in told
    assert "</script>" * 8 not in told


def test_everything_that_is_found_is_plain_json_and_read_back_the_same() -> None:
    frame = week().drop(columns="gender")
    frame["songs_7d"] = frame["songs_7d"].astype(str)
    frame["errors_7d"] = 1e9
    decision = decided(frame, importance={"songs_7d": 0.3})
    assert decision.verdict == "drift"
    assert {test.feature for test in decision.tests} == set(NAMES) | {"churn_probability", "will_churn"}
    assert DriftDecision.model_validate_json(json.dumps(decision.model_dump(), allow_nan=False)) == decision
    parts: dict[Comparison, Any] = {PREVIOUS_WEEK: (REFERENCE, summarised(frame)), FREE: (REFERENCE, summarised(frame))}
    ranking = rank(parts, FEATURES)
    assert set(ranking.compared) == {PREVIOUS_WEEK, FREE}
    assert Ranking.model_validate_json(json.dumps(ranking.model_dump(), allow_nan=False)) == ranking


def test_what_matters_to_the_model_comes_first_and_changes_no_verdict() -> None:
    frame = week()
    frame["session_minutes_7d"] += 40
    frame["songs_7d"] = np.floor(frame["songs_7d"] * 1.4)
    plain_order, weighed = decided(frame), decided(frame, importance={"songs_7d": 0.4, "session_minutes_7d": 0.01})
    assert plain_order.drifted_features == ("session_minutes_7d", "songs_7d")
    assert weighed.drifted_features == ("songs_7d", "session_minutes_7d")
    assert {(t.feature, t.test): t.severity for t in plain_order.tests} == {
        (t.feature, t.test): t.severity for t in weighed.tests
    }


def test_the_model_s_own_outputs_count_as_fully_important() -> None:
    frame = week()
    frame["churn_probability"] = (frame["churn_probability"] * 1.5).clip(upper=1)
    frame["session_minutes_7d"] += 100
    assert decided(frame, importance={"session_minutes_7d": 0.9}).drifted_features[0] == "churn_probability"


def test_the_same_input_gives_the_same_decision_and_the_seed_moves_only_p_values() -> None:
    frame = week()
    frame["session_minutes_7d"] += 20
    assert decided(frame) == decided(frame)
    other = decided(frame, settings=DriftSettings(drawing=Drawing(seed=9)))
    assert other != decided(frame)
    assert other.drifted_features == decided(frame).drifted_features


def test_the_order_of_the_features_does_not_matter() -> None:
    current = summarised(week())
    assert decide(REFERENCE, current, FEATURES).tests == decide(REFERENCE, current, FEATURES[::-1]).tests


def test_rounding_as_a_database_does_it_changes_no_verdict() -> None:
    frame = week(20_000)
    frame["session_minutes_7d"] += 4
    current = summarised(frame)
    steps = {name: rounding_step(column) for name, column in REFERENCE.columns.items()}
    before, after = (
        Population(side.rows, {name: column.rounded(steps[name]) for name, column in side.columns.items()})
        for side in (REFERENCE, current)
    )
    exact, coarse = decide(REFERENCE, current, FEATURES), decide(before, after, FEATURES)
    assert exact.drifted_features == coarse.drifted_features == ("session_minutes_7d",)
    assert leading(coarse, "session_minutes_7d").effect == pytest.approx(
        leading(exact, "session_minutes_7d").effect, rel=0.02
    )


@pytest.mark.parametrize("rows", [200, 2_000, 30_000])
def test_a_larger_shift_never_turns_a_page_into_less(rows: int) -> None:
    order = ["none", "warning", "page"]
    severities = []
    for shift in (0, 4, 12, 40):
        frame = week(rows)
        frame["session_minutes_7d"] += shift
        severities.append(order.index(leading(decided(frame), "session_minutes_7d").severity))
    assert severities == sorted(severities)
    assert severities[-1] == 2


columns = st.sampled_from(["session_minutes_7d", "songs_7d", "level", "os", "churn_probability", "will_churn"])
contents = st.sampled_from([None, float("nan"), float("inf"), "text", 3, -3.5, True, 1e300])


@given(columns, contents, st.floats(0, 1), st.booleans())
@examples(60)
def test_whatever_a_column_holds_is_a_finding_and_not_a_crash(
    column: str, content: Any, share: float, in_reference: bool
) -> None:
    frame = week(300).astype({column: object})
    frame[column] = frame[column].where(np.random.default_rng(0).random(300) >= share, content)
    reference, current = (summarised(frame), REFERENCE) if in_reference else (REFERENCE, summarised(frame))
    decision = decide(reference, current, FEATURES)
    json.dumps(decision.model_dump(), allow_nan=False)
    assert decision.verdict in ("ok", "drift")
    assert all(test.adjusted_p is None or test.p is None or test.adjusted_p >= test.p for test in decision.tests)


def test_a_report_tests_the_whole_contract_and_both_outputs() -> None:
    assert [feature.name for feature in MONITORED[-2:]] == ["churn_probability", "will_churn"]
    assert {feature.name for feature in MONITORED[:-2]} == set(BY_NAME)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"false_alarm_rate": 0.0}, "a share between 0 and 1"),
        ({"false_alarm_rate": 1.0}, "a share between 0 and 1"),
        ({"minimum_rows": 0}, "at least 1"),
        ({"drawing": Drawing(draws=10)}, "at least 200 permutations"),
        ({"gates": Gates(points=-0.1)}, "effects of at least 0"),
        ({"feature_gates": {"songs_7d": Gates(distance=-1)}}, "effects of at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        DriftSettings(**wrong)


def test_gates_of_an_unknown_feature_are_refused() -> None:
    with pytest.raises(SettingError, match="song_7d"):
        decided(week(), settings=DriftSettings(feature_gates={"song_7d": Gates()}))


def test_a_stricter_rate_never_alarms_more() -> None:
    frame = week()
    frame["session_minutes_7d"] += 5
    strict, loose = (decided(frame, settings=DriftSettings(false_alarm_rate=rate)) for rate in (1e-6, 0.2))
    assert set(strict.drifted_features) <= set(loose.drifted_features)
    assert loose.drifted_features == ("session_minutes_7d",)
    assert strict.drifted_features == ()


def test_holm_pages_and_benjamini_hochberg_warns() -> None:
    """Of many features that move a little, the surest page and the rest warn."""
    features = tuple(replace(BY_NAME["session_minutes_7d"], name=f"copy_{i}") for i in range(40))
    reference, current = many(features, 5_000, 0.0), many(features, 2_000, 3.6)
    decision = decide(reference, current, features)
    severities = [leading(decision, feature.name).severity for feature in features]
    assert severities.count("page") > 5
    assert severities.count("warning") > 5
    assert f"drift in {severities.count('page')} of 40 features" in sentence(decision)
    assert sentence(decision).endswith(f"{severities.count('warning')} more with a warning")


def many(features: tuple[Feature, ...], rows: int, shift: float) -> Population:
    draw = np.random.default_rng(rows)
    frame = pd.DataFrame({feature.name: draw.normal(240 + shift, 40, rows).round(1) for feature in features})
    return summarise_frame(frame, features)


def test_ranking_orders_segments_and_never_alarms() -> None:
    frame = week()
    frame.loc[frame["level"] == "free", "session_minutes_7d"] += 40
    reference = week(5_000, seed=0)
    parts = {
        part: tuple(summarised(side[side["level"] == part.category]) for side in (reference, frame))
        for part in (FREE, PAID)
    }
    ranking = rank({part: (before, after) for part, (before, after) in parts.items()}, FEATURES)
    first = ranking.tests[0]
    assert (first.comparison, first.result.feature, first.result.drifted) == (FREE, "session_minutes_7d", True)
    assert ranking.drifted(FREE) == {"session_minutes_7d"}
    assert ranking.drifted(PAID) == frozenset()
    assert {test.result.severity for test in ranking.tests} == {"none"}


def test_a_segment_with_too_few_rows_is_named() -> None:
    ranking = rank({FREE: (REFERENCE, summarised(week(20))), PAID: (REFERENCE, REFERENCE)}, FEATURES)
    assert ranking.too_few == (FREE,)
    assert ranking.compared == (PAID,)


def test_a_sudden_change_and_one_that_stayed_are_told_apart() -> None:
    changed, still_changed = week(), week(seed=8)
    for frame in (changed, still_changed):
        frame["session_minutes_7d"] += 20
    decision = decided(changed)
    sudden = rank({PREVIOUS_WEEK: (summarised(week(seed=9)), summarised(changed))}, FEATURES)
    stayed = rank({PREVIOUS_WEEK: (summarised(still_changed), summarised(changed))}, FEATURES)
    assert onset(decision, sudden) == {"session_minutes_7d": "sudden"}
    assert onset(decision, stayed) == {"session_minutes_7d": "gradual"}


def test_without_a_previous_week_nothing_is_said_of_the_onset() -> None:
    frame = week()
    frame["session_minutes_7d"] += 20
    few = rank({PREVIOUS_WEEK: (summarised(week(20)), summarised(frame))}, FEATURES)
    assert onset(decided(frame), few) == onset(decided(frame), rank({}, FEATURES)) == {}


@pytest.mark.parametrize(
    ("number", "text"),
    [(1234567.8, "1,234,568"), (100.4, "100"), (12.345, "12.3"), (0.05, "0.05"), (0, "0"), (-3.14159, "-3.14")],
)
def test_numbers_are_written_for_people(number: float, text: str) -> None:
    assert plain(number) == text
