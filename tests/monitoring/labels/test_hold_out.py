"""Chance alone assigns the offers, and the same chance whenever the list is made."""

import doctest
from pathlib import Path

import pytest

from churn.errors import TreatmentsError
from monitoring.labels import hold_out
from monitoring.labels.hold_out import check_campaign, extended, group_of, new_offers
from monitoring.labels.treatments import HELD_OUT, OFFERED, Treatment, treatments

DAY = 17840
CUSTOMERS = [str(number) for number in range(20_000)]


def row(customer: str, day: int = DAY, group: str | None = OFFERED) -> Treatment:
    return Treatment("line 2", customer, day, group)


def test_the_examples() -> None:
    assert doctest.testmod(hold_out) == (0, 1)


def test_fifteen_of_a_hundred_are_held_out_and_another_seed_chooses_others() -> None:
    groups = [group_of(customer, 7) for customer in CUSTOMERS]
    assert 0.145 < groups.count(HELD_OUT) / len(groups) < 0.155
    both = sum(one == HELD_OUT == group_of(customer, 8) for customer, one in zip(CUSTOMERS, groups, strict=True))
    assert 0.018 < both / len(groups) < 0.027  # 0.15 x 0.15


def test_the_list_made_twice_in_a_week_adds_nothing() -> None:
    first = new_offers(CUSTOMERS[:50], DAY, [], 30, 7)
    campaign = [row(one.customer_id, one.day, one.group) for one in first]
    assert len(first) == 50
    assert new_offers(reversed(CUSTOMERS[:50]), DAY, campaign, 30, 8) == []


def test_a_group_is_kept_for_a_horizon_and_after_it_whatever_the_seed() -> None:
    campaign = [row("1", DAY, HELD_OUT), row("2", DAY, OFFERED), row("1", DAY + 40, HELD_OUT)]
    assert new_offers(["1", "2"], DAY + 29, campaign, 30, 7) == []
    for seed in range(20):
        after = new_offers(["1", "2"], DAY + 69, campaign, 30, seed)
        assert [(one.customer_id, one.group) for one in after] == [("2", OFFERED)]
        later = new_offers(["1"], DAY + 70, campaign, 30, seed)
        assert [(one.day, one.group) for one in later] == [(DAY + 70, HELD_OUT)]


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_what_the_team_wrote_into_the_file_stays_and_formulas_are_read_back(tmp_path: Path, end: str) -> None:
    path = tmp_path / "offers.csv"
    before = f"date,caller,customer_id,group\n2018-11-05,Ann; free,7,offered{end}"
    path.write_bytes(before.encode())
    path.write_bytes(extended(path, new_offers(["=1+2", "9"], DAY, treatments(path), 30, 7)))
    assert path.read_bytes().startswith(before.encode())
    assert [(one.customer_id, one.day) for one in treatments(path)] == [("7", DAY), ("=1+2", DAY), ("9", DAY)]
    assert b",'=1+2," in path.read_bytes()


def test_a_file_without_a_column_is_not_extended(tmp_path: Path) -> None:
    path = tmp_path / "offers.csv"
    path.write_text("customer_id,date\n")
    with pytest.raises(TreatmentsError, match="header: group: found 'customer_id, date', expected columns"):
        extended(path, [])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (row("3"), "line 2: customer_id: found 'an id that is on no list', expected"),
        (row("1", DAY - 1), "line 2: date: found '2018-11-04', expected 2018-11-05 or later"),
        (row("1", DAY, None), "header: group: found 'no such column', expected columns customer_id, date, group"),
    ],
)
def test_a_row_that_no_list_led_to_is_refused_without_the_id(wrong: Treatment, message: str) -> None:
    with pytest.raises(TreatmentsError) as caught:
        check_campaign(Path("offers.csv"), [row("2"), wrong], {"1": DAY}, {"2"})
    assert str(caught.value).startswith(f"offers.csv: {message}")


def test_the_campaign_of_earlier_lists_is_taken() -> None:
    check_campaign(Path("offers.csv"), [row("1", DAY), row("1", DAY + 30), row("2", 0)], {"1": DAY}, {"2"})
