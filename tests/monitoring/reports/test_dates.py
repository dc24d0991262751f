"""Moments and weeks are said as people say them."""

import pytest

from monitoring.reports.dates import date, dates
from monitoring.reports.week import Week


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
