"""`reports/index.html`: all weeks at a glance. Plain HTML, no script; missing weeks are shown as missing."""

import html
from collections.abc import Mapping
from itertools import takewhile
from typing import Any, Final

from monitoring.report_folder import DRIFT
from monitoring.week import Week

_MAXIMUM_WEEKS: Final = 530
"""Ten years; a gap is not filled any further back."""


def page(summaries: Mapping[Week, Mapping[str, Any]]) -> bytes:
    """One line a week, the newest first."""
    rows = "".join(_line(week, summaries.get(week)) for week in _weeks(summaries))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Churn model: weekly reports</title>'
        f"<style>{_STYLE}</style></head><body><h1>Churn model: weekly reports</h1><table><thead><tr><th>Week</th>"
        "<th>Verdict</th><th>Customers</th><th>Flagged</th><th>What was found</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></body></html>\n"
    ).encode()


def _weeks(summaries: Mapping[Week, Any]) -> list[Week]:
    """Every week from the newest to the oldest, those without a report included."""
    if not summaries:
        return []
    weeks = [max(summaries)]
    while weeks[-1] > min(summaries) and len(weeks) < _MAXIMUM_WEEKS:
        weeks.append(weeks[-1].previous)
    return list(takewhile(lambda week: week >= min(summaries), weeks))


def _line(week: Week, summary: Mapping[str, Any] | None) -> str:
    if summary is None:
        return f'<tr class="missing"><td>{week}</td><td>no report</td><td></td><td></td><td></td></tr>'
    verdict = str(summary["verdict"])
    flagged = summary["flagged_share"]["current"]
    share = "" if flagged is None else f"{flagged:.1%}"
    return (
        f'<tr class="{html.escape(verdict.replace(" ", "-"))}"><td><a href="{week}/{DRIFT}">{week}</a></td>'
        f"<td>{html.escape(verdict)}</td><td>{summary['customers']:,}</td><td>{share}</td>"
        f"<td>{html.escape(str(summary['sentence']))}</td></tr>"
    )


_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:1rem auto;max-width:1000px;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem .4rem 0;"
    "border-bottom:1px solid #ddd;vertical-align:top}.drift td:nth-child(2){color:#c62828;font-weight:600}"
    ".ok td:nth-child(2){color:#2e7d32}.missing,.too-few td:nth-child(2){color:#757575}"
)
