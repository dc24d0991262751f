"""`reports/index.html`: all weeks at a glance, and each feature over the weeks. No script.

A week without a report is shown as missing, never as fine; a damaged one as without a
verdict. Everything that was logged is escaped.
"""

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from monitoring.pages import feature_courses
from monitoring.pages.feature_courses import CHART_WEEKS
from monitoring.pages.web_page import badge, document, link, verdict_tone
from monitoring.reports.report_folder import DRIFT, MANAGER, SUMMARY
from monitoring.reports.summary_fields import Content, Figure, count, dates, entries, figure, known_after, number, text
from monitoring.reports.week import Week

Summaries = Mapping[Week, Content]

MAXIMUM_WEEKS: Final = 530
"""Ten years are listed; a gap is not filled any further back."""

TITLE: Final = "Churn model: weekly reports"
NONE: Final = "–"


def page(summaries: Summaries) -> bytes:
    """The index over what each week's `summary.json` says."""
    if not summaries:
        return document(TITLE, f"<h1>{TITLE}</h1><p>There is no report yet: run <code>make report</code>.</p>", _STYLE)
    weeks = _weeks(summaries)
    features = feature_courses.section(weeks[:CHART_WEEKS], summaries)
    body = f"<h1>{TITLE}</h1>{_newest(summaries)}{_table(weeks, summaries)}{features}"
    return document(TITLE, body, _STYLE + feature_courses.STYLE)


def _weeks(summaries: Summaries) -> list[Week]:
    """Every week from the newest to the oldest, those without a report included."""
    weeks = [max(summaries)]
    while weeks[-1] > min(summaries) and len(weeks) < MAXIMUM_WEEKS:
        weeks.append(weeks[-1].previous)
    return weeks


def _newest(summaries: Summaries) -> str:
    week = max(summaries)
    content = summaries[week]
    return (
        f'<section class="card"><p class="soft small">Newest report</p><p class="head"><strong>{week}</strong> '
        f"{_verdict(content)}</p><p>{html.escape(text(content, 'sentence'))}</p><p>{_links(week, content)}</p>"
        f'<p class="soft small">There are reports up to {week}, {dates(week)}. What came after it has not been '
        'looked at: a week without a report is not a good week.</p></section><nav><a href="#weeks">All weeks</a> · '
        '<a href="#features">Features</a></nav>'
    )


def _verdict(content: Content) -> str:
    return badge(*verdict_tone(text(content, "verdict"), text(content, "severity")))


def _links(week: Week, content: Content) -> str:
    pages = {"In plain words": MANAGER, "Drift report": text(content, "page") or DRIFT, "Figures": SUMMARY}
    return " · ".join(link(f"{week}/{name}", words) for words, name in pages.items())


def _table(weeks: Sequence[Week], summaries: Summaries) -> str:
    """Half a year of lines; what is older folds away."""
    older = weeks[CHART_WEEKS:]
    folded = f"<details><summary>{_counted(len(older), 'older week')}</summary>{_lines_of(older, summaries)}</details>"
    unlisted = sum(week < weeks[-1] for week in summaries)
    note = f'<p class="soft small">{_counted(unlisted, "still older report")} not listed.</p>' if unlisted else ""
    return (
        f'<h2 id="weeks">All weeks</h2>{_lines_of(weeks[:CHART_WEEKS], summaries, _AFTER.format(weeks[0]))}'
        f"{folded if older else ''}{note}"
        '<p class="soft small">AUC and F1 with their 95 % intervals, estimated from the probabilities alone, and '
        "realised, once it is known who left. Below a figure of the week stands that of the training data.</p>"
    )


_NAMES: Final = ("Week", "Verdict", "Customers", "Flagged", "Mean probability", "Estimated", "Realised")
_AFTER: Final = (
    f'<tr role="row" class="missing"><td role="cell" colspan="{len(_NAMES)}">{badge("missing", "no report yet")} '
    "after {}</td></tr>"
)


def _lines_of(weeks: Sequence[Week], summaries: Summaries, first: str = "") -> str:
    head = "".join(f'<th role="columnheader" scope="col">{name}</th>' for name in _NAMES)
    return (
        f'<table role="table" class="weeks"><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{first}{"".join(_line(week, summaries.get(week)) for week in weeks)}</tbody></table>'
    )


def _line(week: Week, content: Content | None) -> str:
    name = f'<td role="cell"><strong>{week}</strong><br><span class="soft small">{dates(week)}</span></td>'
    if content is None:
        missing = badge("missing", "no report")
        return f'<tr role="row" class="missing">{name}<td role="cell" colspan="6">{missing}</td></tr>'
    cells = {
        "Customers": _customers(content),
        "Flagged": _beside(content, "flagged_share", lambda share: f"{share:.1%}"),
        "Mean probability": _beside(content, "mean_probability", lambda share: f"{share:.3f}"),
        "Estimated": _measures(content, "estimated") or "no estimate",
        "Realised": _realised(content),
    }
    figures = "".join(f'<td role="cell" data-name="{name}"><div>{cell}</div></td>' for name, cell in cells.items())
    return f'<tr role="row">{name}<td role="cell" class="verdict">{_found(week, content)}</td>{figures}</tr>'


def _found(week: Week, content: Content) -> str:
    parts = [
        f"{_verdict(content)} {html.escape(text(content, 'sentence'))}",
        *_other_models(week, content),
        *_unusable(content),
        _links(week, content),
    ]
    return "".join(f"<div>{part}</div>" for part in parts)


def _other_models(week: Week, content: Content) -> Iterator[str]:
    """What else answered in the week: each model with its own verdict."""
    for model in entries(content, "models")[1:]:
        name, drawn = html.escape(text(model, "model")), text(model, "page")
        if refused := text(model, "refused"):
            yield f'<span class="small">{badge("missing", "not compared")} {name}: {html.escape(refused)}</span>'
        else:
            report = f" {link(f'{week}/{drawn}', 'Drift report')}" if drawn else ""
            yield f'<span class="small">{_verdict(model)} {name}{report}</span>'


def _unusable(content: Content) -> Iterator[str]:
    files = entries(content, "log", "unusable")
    kinds = {"partial": "truncated", "foreign": "foreign"}
    counted = [f"{n:,} {words}" for kind, words in kinds.items() if (n := count(content, "log", kind))]
    if files and counted:
        where = _counted(len(files), "file")
        yield f'<span class="small">Lines of the log left out: {", ".join(counted)}, in {where}</span>'


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _customers(content: Content) -> str:
    customers, predictions = count(content, "customers"), count(content, "predictions")
    return _lines(
        NONE if customers is None else f"{customers:,}",
        "" if predictions is None else f"{predictions:,} predictions",
    )


def _beside(content: Content, name: str, shown: Callable[[float], str]) -> str:
    """A figure of the week, and beneath it that of the training data."""
    now, before = number(content, name, "current"), number(content, name, "reference")
    return _lines(NONE if now is None else shown(now), "" if before is None else f"{shown(before)} in training")


def _measures(content: Content, kind: str) -> str:
    names = {"auc": "AUC", "f1": "F1"}
    found = {name: one for metric, name in names.items() if (one := figure(content, kind, metric)) is not None}
    return "".join(
        f'<div class="measure"><span class="soft">{name}</span> {_with_interval(one)}</div>'
        for name, one in found.items()
    )


def _realised(content: Content) -> str:
    later, customers = known_after(content), count(content, "performance", "pending", "customers")
    when = f"known after {html.escape(later)}" if later else ""
    known = _measures(content, "realised")
    if not known:
        return f"<div>not yet known</div><div>{when}</div>" if when else "not known"
    return known + (f'<div class="soft small">{customers:,} more {when}</div>' if when and customers else "")


def _with_interval(found: Figure) -> str:
    if found.low is None or found.high is None:
        return f"{found.value:.2f}"
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def _lines(first: str, second: str) -> str:
    return f'<div>{first}</div><div class="soft small">{second}</div>' if second else f"<div>{first}</div>"


_STYLE: Final = (
    ".head{font-size:1.2rem}"
    ".weeks{border-collapse:collapse;width:100%;background:var(--card);border:1px solid var(--line);font-size:.95rem}"
    ".weeks th,.weeks td{text-align:left;vertical-align:top;padding:.6rem .7rem;border-bottom:1px solid var(--line)}"
    ".weeks th{font-size:.875rem;color:var(--soft)}.weeks td:first-child{min-width:8.5rem}"
    ".weeks .verdict{width:27%}.weeks .verdict>div+div{margin-top:.3rem}"
    ".weeks .measure{white-space:nowrap;font-size:.875rem}"
    "details{margin:.75rem 0}summary{cursor:pointer;padding:.4rem 0}"
    ".weeks .missing td{color:var(--soft);background:var(--ground)}"
    "@media(max-width:860px){.weeks thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}"
    ".weeks,.weeks tbody,.weeks tr,.weeks td{display:block}.weeks{background:none;border:0}"
    ".weeks tr{background:var(--card);border:1px solid var(--line);border-radius:10px;margin:0 0 .75rem;"
    "padding:.4rem 0}"
    ".weeks td{border:0;padding:.3rem 1rem}.weeks .missing td{background:none}.weeks .verdict{width:auto}"
    ".weeks td[data-name]{display:grid;grid-template-columns:8.5rem minmax(0,1fr);gap:.5rem}"
    ".weeks td[data-name]::before{content:attr(data-name);color:var(--soft)}}"
)
