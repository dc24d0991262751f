"""Reasons beside peers: what is unusual for such a customer comes first, and what is said of them is said once."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.contract import BY_NAME, NAMES, example_customer
from churn.model.facts import PeerFacts
from churn.retention import peers
from churn.retention.peers import CONTEXT, EVERYBODY, OF_TOPIC, TOPICS, adds_up, by_topic, context, reasons_beside_peers

CUSTOMER = example_customer()
TYPICAL: dict[str, float | dict[str, float] | None] = {
    name: {"F": 0.5, "M": 0.5} if feature.is_category else 4.0 for name, feature in BY_NAME.items()
}


def group(**spread: float) -> PeerFacts:
    return PeerFacts(customers=30, typical=TYPICAL, spread=dict.fromkeys(OF_TOPIC, 0.02) | spread)


def told(contributions: dict[str, float], groups: dict[str, PeerFacts] | None = None, top_k: int = 3, **values):
    row = np.zeros(len(NAMES))
    for name, contribution in contributions.items():
        row[NAMES.index(name)] = contribution
    return reasons_beside_peers(CUSTOMER | values, row, {EVERYBODY: group()} | (groups or {}), top_k)


def test_the_examples() -> None:
    assert doctest.testmod(peers) == (0, 1)


def test_every_measure_of_a_topic_is_one_of_the_contract() -> None:
    assert set(TOPICS) <= {feature.measure for feature in BY_NAME.values()}


def test_what_is_usual_among_peers_comes_after_what_is_not() -> None:
    given = {"friends_added_28d": 0.10, "thumbs_down_7d": 0.04, "errors_7d": 0.02}
    assert [one.feature for one in told(given)] == list(given)
    new = {"free, under 7 days": group(friends_added=0.20)}
    found = told(given, new, level="free", tenure_days=0.4)
    assert [one.feature for one in found] == ["thumbs_down_7d", "errors_7d", "friends_added_28d"]
    assert [one.contribution for one in found] == [0.04, 0.02, 0.10]
    assert [one.feature for one in told(given, new, level="paid", tenure_days=0.4)] == list(given)


def test_tenure_and_plan_are_no_reasons_but_context() -> None:
    assert told({"tenure_days": 0.3, "level": 0.2}) == []
    assert context(CUSTOMER | {"tenure_days": 12.0, "level": "free"}) == "a customer for 12 days, on the free plan"


def test_a_window_that_is_not_filled_stands_beside_the_peers_pace() -> None:
    (reason,) = told({"friends_added_28d": 0.1}, friends_added_28d=0, tenure_days=7.0)
    assert reason.text == "0 friends added in the last 28 days (7.0 days seen); similar customers who stay: 1"
    (reason,) = told({"friends_added_28d": 0.1}, friends_added_28d=0, tenure_days=28.0)
    assert reason.text == "0 friends added in the last 28 days; similar customers who stay: 4"
    (reason,) = told({"session_minutes_28d": 0.1}, session_minutes_28d=12.0, tenure_days=7.0)
    assert reason.text.endswith("(7.0 days seen); similar customers who stay: 4")  # an average has no pace
    (reason,) = told({"friends_added_28d": 0.1}, friends_added_28d=0, tenure_days=None)
    assert reason.text.endswith("in the last 28 days; similar customers who stay: 4")


def test_a_topic_that_lowers_the_score_as_a_whole_is_no_reason() -> None:
    assert told({"songs_7d": 0.05, "artists_14d": -0.06}) == []
    assert [one.feature for one in told({"songs_7d": 0.05, "artists_14d": 0.06})] == ["artists_14d"]


@given(
    st.lists(st.sampled_from([-0.5, -0.1, 0.0, 0.1, 0.5]), min_size=len(NAMES), max_size=len(NAMES)), st.integers(0, 9)
)
def test_every_reason_is_a_positive_contribution_and_of_a_topic_of_its_own(contributions, top_k) -> None:
    found = reasons_beside_peers(CUSTOMER, np.array(contributions), {EVERYBODY: group()}, top_k)
    found_topics = [OF_TOPIC[NAMES.index(one.feature)] for one in found]
    assert len(set(found_topics)) == len(found_topics) <= top_k
    assert all(one.contribution == contributions[NAMES.index(one.feature)] > 0 for one in found)
    assert not {one.feature for one in found} & set(CONTEXT)


def test_topics_add_up_to_all_contributions() -> None:
    rows = np.random.default_rng(1).normal(size=(5, len(NAMES)))
    assert sum(by_topic(rows).values()) == pytest.approx(rows.sum(axis=1))


def test_counts_add_up_over_a_window_and_averages_trends_and_ages_do_not() -> None:
    assert [
        name for name in ("songs_7d", "listening_minutes_28d", "active_days_14d") if not adds_up(BY_NAME[name])
    ] == []
    assert [name for name in ("songs_trend", "session_minutes_7d", "tenure_days") if adds_up(BY_NAME[name])] == []
