"""A summary is read whatever is missing or broken in it."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.pages import index_page, manager_page
from monitoring.reports.summary_fields import (
    Figure,
    count,
    date,
    dates,
    entries,
    figure,
    known_after,
    multiple_of_gate,
    number,
    text,
)
from monitoring.reports.week import Week
from tests.support.summaries import WEEK, quiet


def test_a_figure_has_its_interval() -> None:
    assert figure(quiet(), "estimated", "precision") == Figure(0.41, 0.34, 0.48)
    assert figure(quiet(), "realised", "precision") is None


@pytest.mark.parametrize("found", [None, "7", True, [], {}, math.nan, math.inf])
def test_what_is_no_number_is_none(found: object) -> None:
    assert number({"a": {"b": found}}, "a", "b") is None
    assert count({"a": found}, "a") is None


def test_what_is_not_there_is_empty() -> None:
    assert (text({}, "a"), entries({"a": "text"}, "a"), entries({"a": [1, {"b": 2}]}, "a")) == ("", [], [{"b": 2}])
    assert known_after({}) is None
    assert known_after(quiet()) == "4 December 2018"


@pytest.mark.parametrize(
    ("moment", "said"),
    [("2018-12-04T00:00:00Z", "4 December 2018"), ("unknown", "unknown"), ("2018-13-04", "2018-13-04"), ("", "")],
)
def test_a_date_is_said_in_words(moment: str, said: str) -> None:
    assert date(moment) == said


@pytest.mark.parametrize(
    ("week", "said"),
    [("2018-W44", "29 October to 4 November 2018"), ("2019-W01", "31 December 2018 to 6 January 2019")],
)
def test_a_week_is_said_from_monday_to_sunday(week: str, said: str) -> None:
    assert dates(Week.parse(week)) == said


@pytest.mark.parametrize(
    ("entry", "multiple"),
    [
        ({"effect": 0.1, "gate": 0.05}, 2.0),
        ({"effect": 1.0, "gate": 0.0}, math.inf),
        ({"effect": 0.0, "gate": 0}, 0.0),
        ({"test": None}, None),
        ({"effect": None, "gate": 0.05}, None),
    ],
)
def test_an_effect_is_told_as_a_multiple_of_its_gate(entry: dict[str, Any], multiple: float | None) -> None:
    assert multiple_of_gate(entry) == multiple


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(quiet())), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(quiet())), json_values))
def test_whatever_a_summary_lost_the_pages_are_made(damage: dict[str, Any]) -> None:
    content = quiet() | damage
    assert index_page.page({WEEK: content}).endswith(b"</html>\n")
    assert manager_page.page(content | {"week": str(WEEK)}).endswith(b"</html>\n")


def test_an_empty_summary_is_never_fine() -> None:
    page = index_page.page({WEEK: {}}).decode()
    assert "no verdict" in page
    assert 'class="badge ok"' not in page
