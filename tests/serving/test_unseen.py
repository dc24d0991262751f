"""A category that the model has not seen is answered, and said."""

import pytest

from churn.model.artifact import Column
from serving.unseen import SHOWN_WARNINGS, UnseenCategories

COLUMNS = [
    Column(feature="songs_7d"),
    Column(feature="level", category="free"),
    Column(feature="level", category="paid"),
    *(Column(feature="os", category=name) for name in ("Mac OS X", "Windows", "other")),
    Column(feature="browser", category="Chrome"),
]


def row(os: str | None = "Windows", browser: str | None = "Chrome") -> dict[str, str | None]:
    return {"os": os, "browser": browser, "level": "free"}


@pytest.mark.parametrize("known", [row(), row(os="Mac OS X"), row(os=None), row(os="other"), row(browser=None)])
def test_what_the_model_knows_brings_no_warning(known: dict[str, str | None]) -> None:
    assert UnseenCategories(COLUMNS).warnings([known, row()]) == []


def test_each_unseen_value_is_told_once_with_its_first_row_and_what_is_known() -> None:
    rows = [row(), row(os="Mac"), row(browser="Lynx"), row(os="Mac")]
    assert UnseenCategories(COLUMNS).warnings(rows) == [
        {
            "loc": ["customers", 1, "os"],
            "msg": "'Mac' of 2 customers is scored as other: the model knows Mac OS X, Windows",
        },
        {"loc": ["customers", 2, "browser"], "msg": "'Lynx' of 1 customer is scored as other: the model knows Chrome"},
    ]


def test_a_thousand_spellings_bring_no_more_than_are_read() -> None:
    rows = [row(os=f"OS {number}") for number in range(1_000)]
    assert len(UnseenCategories(COLUMNS).warnings(rows)) == SHOWN_WARNINGS


def test_a_model_without_the_feature_warns_of_none() -> None:
    assert UnseenCategories(COLUMNS[:3]).warnings([row(os="Mac")]) == []
