"""The effect of an offer: told when it is there, in at most one campaign in twenty when it is not."""

import doctest

import numpy as np
import pandas as pd
import pytest

from monitoring.labels import campaign
from monitoring.labels.campaign import Arm, Effect, effect, first_rows, needed, power, week_of_answer
from monitoring.labels.hold_out import group_of
from monitoring.labels.treatments import HELD_OUT, OFFERED, Treatment

DRAWS = 400
MONDAY = 17840  # 2018-11-05
LEAVING = 0.4


def test_the_examples() -> None:
    assert doctest.testmod(campaign) == (0, 6)


def drawn(customers: int, fewer: float, seed: int) -> Effect:
    """A campaign among customers of very different risk, `fewer` of whose leavers the offer keeps."""
    generator = np.random.default_rng(seed)
    risk = generator.beta(2, 3, customers)
    group = np.array([group_of(str(number), seed) for number in range(customers)])
    risk = np.where(group == OFFERED, risk * (1 - fewer), risk)
    return effect(pd.DataFrame({"group": group, "churned": (generator.random(customers) < risk).astype(int)}))


@pytest.mark.parametrize("customers", [100, 500, 2_500])
def test_an_offer_that_does_nothing_is_seen_to_do_something_in_two_to_nine_of_a_hundred_campaigns(
    customers: int,
) -> None:
    found = [drawn(customers, 0, seed).kept for seed in range(DRAWS)]
    wrong = np.mean([one.low > 0 or one.high < 0 for one in found])
    assert 0.02 <= wrong <= 0.09


@pytest.mark.parametrize("customers", [500, 2_500, 10_000])
def test_the_power_that_is_stated_is_what_campaigns_have(customers: int) -> None:
    draws = DRAWS if customers < 10_000 else 60
    found = [drawn(customers, 0.2, seed).kept for seed in range(draws)]
    assert np.mean([one.low > 0 for one in found]) == pytest.approx(power(LEAVING, customers), abs=0.06)
    assert np.mean([one.value for one in found]) == pytest.approx(0.2 * LEAVING, abs=0.005)
    assert np.mean([one.low <= 0.2 * LEAVING <= one.high for one in found]) >= 0.92


def test_offers_for_one_kept_and_the_profit_follow_from_the_effect() -> None:
    found = Effect(Arm(8_500, 2_720), Arm(1_500, 600))
    assert found.offers_per_kept.value == pytest.approx(12.5)
    profit = found.profit(offer_cost=5, kept_value=100)
    assert profit.value == pytest.approx(8_500 * (0.08 * 100 - 5))
    assert profit.low == pytest.approx(8_500 * (found.kept.low * 100 - 5))
    assert profit.low < profit.value < profit.high


def test_nothing_is_said_with_one_group_alone() -> None:
    assert np.isnan(Effect(Arm(10, 3), Arm(0, 0)).kept.value)
    assert np.isnan(Effect(Arm(0, 0), Arm(10, 3)).offers_per_kept.value)


def test_the_interval_is_newcombes() -> None:
    """His example (1998, table II, a): 56 of 70 and 48 of 80, method 10."""
    found = Effect(offered=Arm(80, 48), held_out=Arm(70, 56)).kept
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


@pytest.mark.parametrize("leaving", [0.05, 0.2, 0.4, 0.8])
def test_the_size_that_is_needed_is_the_smallest_with_that_chance(leaving: float) -> None:
    assert power(leaving, needed(leaving)) >= 0.8 > power(leaving, needed(leaving) - 20)


def test_a_customer_counts_once_by_the_first_row() -> None:
    rows = [
        Treatment("", "1", MONDAY + 40, OFFERED),
        Treatment("", "2", 0, HELD_OUT),
        Treatment("", "1", MONDAY, OFFERED),
    ]
    assert sorted((one.customer_id, one.day) for one in first_rows(rows)) == [("1", MONDAY), ("2", 0)]


@pytest.mark.parametrize(
    ("days", "customers", "week"),
    [
        ([MONDAY] * 10 + [MONDAY + 7] * 10, 10, "2018-W49"),  # the horizon of the first list ends on 5 December
        ([MONDAY] * 10 + [MONDAY + 7] * 10, 20, "2018-W50"),
        ([MONDAY] * 10 + [MONDAY + 7] * 10, 45, "2019-W01"),  # three more lists of ten
        ([MONDAY], 2, "2018-W50"),
    ],
)
def test_the_week_of_the_answer(days: list[int], customers: int, week: str) -> None:
    assert str(week_of_answer(days, customers, 30)) == week
