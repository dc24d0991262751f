"""The pages say in plain words how urgent a week is, and why."""

from typing import Any, get_args

import pytest

from monitoring.findings.alarm import ConditionKind
from monitoring.pages.advice import headline
from monitoring.pages.urgency import urgency, week_badge
from tests.support.summaries import quiet


def condition(level: str, kind: str, *subjects: str) -> dict[str, Any]:
    return {"level": level, "kind": kind, "subjects": list(subjects)}


def test_a_page_names_each_condition_once_and_no_ticket() -> None:
    found = [
        condition("page", "broken data", "errors_7d"),
        condition("page", "broken data", "songs_7d"),
        condition("page", "flagged share", "will_churn"),
        condition("ticket", "drift", "errors_7d"),
    ]
    told = urgency(quiet(level="page", verdict="drift", severity="page", conditions=found))
    assert told[0] == "Urgent: somebody must look into it now."
    assert len(told) == 3
    assert told[1].startswith("Data that the model uses is broken: ")
    assert "; " in told[1]
    assert told[2].startswith("The model flags many more or many fewer customers")


def test_a_ticket_waits_for_a_working_day() -> None:
    week = quiet(
        level="ticket", verdict="drift", severity="page", conditions=[condition("ticket", "drift", "songs_7d")]
    )
    assert urgency(week)[0] == "Not urgent: look into it on a working day."
    assert urgency(week)[1].startswith("Customers have changed, without a consequence so far: ")
    assert (week_badge(week).tone, week_badge(week).words) == ("warning", "drift, a ticket")
    assert headline(week)[0].words == "customers have changed"


def test_a_page_without_drift_looks_like_one() -> None:
    week = quiet(level="page", conditions=[condition("page", "realised performance", "auc")])
    assert (week_badge(week).tone, week_badge(week).words) == ("drift", "page")
    assert headline(week)[0].words == "this week needs attention now"
    assert urgency(week)[1] == "The model has proved worse than when it was made."


@pytest.mark.parametrize(
    ("level", "words"), [("shown", "Not urgent: nobody needs to act on this week's report."), (None, "We do not know")]
)
def test_a_week_without_alarm_says_so(level: str | None, words: str) -> None:
    assert urgency(quiet(level=level))[0].startswith(words)


@pytest.mark.parametrize("kind", get_args(ConditionKind))
def test_every_condition_has_its_words(kind: str) -> None:
    told = urgency(quiet(level="page", conditions=[condition("page", kind, "songs_7d")]))
    assert len(told) == 2
