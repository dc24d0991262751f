"""`reports/YYYY-Www/manager.html`: the week in plain words for whoever talks to the customers."""

from monitoring.findings.summary import Summary
from monitoring.pages import advice, changes, trust
from monitoring.pages.urgency import urgency
from monitoring.pages.web_page import render
from monitoring.reports.dates import dates
from monitoring.reports.report_folder import DRIFT, INDEX
from monitoring.reports.week import Week


def page(summary: Summary) -> bytes:
    """The page of a week.

    Raises:
        SettingError: the summary names no week.
    """
    week = Week.parse(summary.week)
    verdict, sentence = advice.headline(summary)
    html = render(
        "manager.html.jinja",
        title=f"Customers about to leave, week {week}",
        index=f"../{INDEX}",
        report=summary.page or DRIFT,
        week=week,
        dates=dates(week),
        verdict=verdict,
        sentence=sentence,
        sections=sections(summary),
    )
    return html.encode()


def sections(summary: Summary) -> dict[str, list[str]]:
    """The sentences of the page by their heading."""
    return {
        "How urgent is it?": urgency(summary),
        "What changed": changes.changes(summary),
        "Does it matter?": advice.weight(summary),
        "What to do": advice.advice(summary),
        "Customers at risk": advice.at_risk(summary),
        "How sure are we?": trust.certainty(summary),
        "Behind the figures": trust.basis(summary),
    }
