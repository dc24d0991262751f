"""What a message says, when it is sent, and what cannot get into it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.alerts.alert_message import MAXIMUM_LINE, is_due, of_failure, of_report
from monitoring.alerts.channel_settings import AlertOn
from monitoring.findings.summary import Summary


def summary(**changed: Any) -> Summary:
    counts = {"predictions": 12_345, "customers": 12_345}
    week = {
        "schema": 1,
        "week": "2018-W44",
        "verdict": "drift",
        "severity": "page",
        "sentence": "drift in adverts_7d",
        "reasons": [f"reason {number}" for number in range(9)],
        "model": "churn:new",
        **counts,
        "models": [
            {"model": "churn:new", **counts},
            {"model": "churn:old", **counts, "refused": "churn:old is not in the store"},
        ],
        "log": {"unusable": [{"file": "a"}, {"file": "b"}]},
    }
    return Summary.model_validate(week | changed)


def test_a_report_in_words() -> None:
    assert of_report(summary(), "https://reports/2018-W44/drift.html").text.splitlines() == [
        "Churn model, week 2018-W44: drift",
        "drift in adverts_7d",
        "- reason 0",
        "- reason 1",
        "- reason 2",
        "- reason 3",
        "- reason 4",
        "Not compared: churn:old is not in the store",
        "Log files with unusable lines: 2",
        "Model: churn:new, 12,345 customers",
        "Report: https://reports/2018-W44/drift.html",
    ]


def test_a_failure_says_why_and_what_it_means() -> None:
    message = of_failure("week 2018-W44", "no predictions are logged in data")
    assert message.title == "Churn model, week 2018-W44: no report"
    assert message.lines[0] == "no predictions are logged in data"
    assert "nobody watches the model" in message.lines[1]


@given(st.text(max_size=2000))
def test_no_text_breaks_a_line_or_grows_beyond_bounds(text: str) -> None:
    for message in (of_failure(text, text), of_report(summary(sentence=text, reasons=[text]), text)):
        for line in (message.title, *message.lines):
            assert line.isprintable()
            assert len(line) <= MAXIMUM_LINE


@pytest.mark.parametrize(
    ("level", "verdict", "severity", "sent_on"),
    [
        ("shown", "ok", "none", {"always"}),
        ("shown", "ok", "warning", {"always", "warning"}),
        ("ticket", "drift", "page", {"always", "warning", "ticket"}),
        ("page", "drift", "page", {"always", "warning", "ticket", "page"}),
        ("page", "ok", "none", {"always", "warning", "ticket", "page"}),
        (None, "drift", "page", {"always", "warning", "ticket", "page"}),
        ("shown", "too few", "none", {"always", "warning", "ticket", "page"}),
    ],
)
@pytest.mark.parametrize("alert_on", ["page", "ticket", "warning", "always"])
def test_what_is_sent_when(
    level: str | None, verdict: str, severity: str, sent_on: set[str], alert_on: AlertOn
) -> None:
    assert is_due(summary(level=level, verdict=verdict, severity=severity), alert_on) == (alert_on in sent_on)


DRIFTED = {"level": "ticket", "kind": "drift", "subjects": ["os"], "sentence": "beyond chance and past the gate: os"}
BROKEN = {"level": "page", "kind": "broken data", "subjects": ["os"], "sentence": "data is broken: os"}


def test_a_page_says_so_first_and_what_brought_it() -> None:
    message = of_report(summary(level="page", conditions=[BROKEN, DRIFTED]), "drift.html")
    assert message.title == "Churn model, week 2018-W44: page"
    assert message.lines[:3] == ("This is a page, for now:", "- data is broken: os", "drift in adverts_7d")


def test_a_ticket_says_that_it_waits_for_the_morning() -> None:
    message = of_report(summary(level="ticket", conditions=[DRIFTED]), "drift.html")
    assert message.title == "Churn model, week 2018-W44: ticket"
    assert message.lines[0].startswith("This is a ticket, for the morning:")
    assert message.lines[1] == "- beyond chance and past the gate: os"
