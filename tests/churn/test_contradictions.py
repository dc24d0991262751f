"""Rules between features: each is broken by what it forbids, and none by what a real customer does."""

import numpy as np
import pytest

from churn.contract import NULLABLE, NUMERIC, example_customer
from churn.contradictions import AT_MOST, NEEDED, NULL_WITHOUT, RECENT, RULES, Rule, broken, contradictions


def row(**changes: float | None) -> np.ndarray:
    values = example_customer() | changes
    return np.array([[values[name] for name in NUMERIC]], dtype=np.float64)


def names(numbers: np.ndarray) -> set[str]:
    return {found.rule.text for found in contradictions(numbers)}


def test_the_example_contradicts_nothing() -> None:
    assert not broken(row()).any()


def test_null_contradicts_nothing() -> None:
    assert not broken(row(**dict.fromkeys(set(NULLABLE) & set(NUMERIC)))).any()


@pytest.mark.parametrize("rule", AT_MOST, ids=lambda rule: rule.text)
def test_more_of_a_part_than_of_the_whole_is_a_contradiction(rule: Rule) -> None:
    whole = example_customer()[rule.other]
    assert rule.text not in names(row(**{rule.feature: whole}))
    assert rule.text in names(row(**{rule.feature: whole + 1}))


@pytest.mark.parametrize("rule", NULL_WITHOUT, ids=lambda rule: rule.text)
def test_a_ratio_to_nothing_is_a_contradiction(rule: Rule) -> None:
    assert rule.text in names(row(**{rule.other: 0}))
    assert rule.text not in names(row(**{rule.other: 0, rule.feature: None}))


@pytest.mark.parametrize("rule", NEEDED, ids=lambda rule: rule.text)
def test_an_effect_without_its_cause_is_a_contradiction(rule: Rule) -> None:
    assert rule.text in names(row(**{rule.feature: 0}))
    assert rule.text not in names(row(**{rule.feature: 0, rule.other: 0}))


@pytest.mark.parametrize(("rule", "days"), zip(RECENT, 7 * (7, 14, 28), strict=True))
def test_the_last_event_lies_in_a_window_exactly_where_the_window_has_events(rule: Rule, days: int) -> None:
    for since, contradicts in ((days - 0.1, False), (days, False), (days + 0.004, False), (days + 0.1, True)):
        assert (rule.text in names(row(**{rule.other: since}))) == contradicts
        quiet = row(**{rule.other: since, rule.feature: 0})
        assert (rule.text in names(quiet)) == (since < days - 0.01)


def test_the_message_states_both_values_and_the_rule() -> None:
    [found] = contradictions(np.concatenate([row(), row(sessions_28d=300)]))
    assert (found.row, found.rule.feature) == (1, "sessions_28d")
    assert found.message == "sessions_28d is 300 but events_28d is 280; the rule is: sessions_28d <= events_28d"


def test_rules_are_named_once() -> None:
    assert len({rule.text for rule in RULES}) == len(RULES)
