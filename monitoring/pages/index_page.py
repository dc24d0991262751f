"""`reports/index.html`: all weeks at a glance, and each feature over the weeks.

A week without a report is shown as missing, never as fine.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from churn.quality.figure import Figure
from monitoring.findings.performance import Metrics
from monitoring.findings.summary import BeforeAndNow, LogSummary, ModelSummary, Summary
from monitoring.pages import feature_courses
from monitoring.pages.feature_courses import CHART_WEEKS
from monitoring.pages.sparkline import CEILING
from monitoring.pages.trust import has_interval, known
from monitoring.pages.urgency import week_badge
from monitoring.pages.web_page import Badge, render, verdict_badge
from monitoring.pages.words import counted
from monitoring.reports.dates import date, dates
from monitoring.reports.report_folder import DRIFT, MANAGER, SUMMARY
from monitoring.reports.week import Week

Summaries = Mapping[Week, Summary]

MAXIMUM_WEEKS: Final = 530
"""Ten years are listed; a gap is not filled any further back."""

TITLE: Final = "Churn model: weekly reports"
NONE: Final = "–"
NO_REPORT: Final = Badge("missing", "no report")
NO_REPORT_YET: Final = Badge("missing", "no report yet")
COLUMNS: Final = ("Week", "Verdict", "Customers", "Flagged", "Mean probability", "Estimated", "Realised")


@dataclass(frozen=True)
class OtherModel:
    """A further model of the week with its own verdict, and its page if it has one."""

    verdict: Badge
    text: str
    page: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of the table: measures by name, a text, and a smaller one below it."""

    name: str
    text: str = ""
    small: str = ""
    measures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WeekLine:
    """A week as the table shows it; without a report only that there is none."""

    week: Week
    dates: str
    verdict: Badge = NO_REPORT
    has_report: bool = False
    sentence: str = ""
    other_models: tuple[OtherModel, ...] = ()
    left_out: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    cells: tuple[Cell, ...] = ()


def page(summaries: Summaries) -> bytes:
    """The index over all weeks."""
    weeks = _weeks(summaries)
    drawn, older = weeks[:CHART_WEEKS], weeks[CHART_WEEKS:]
    unlisted = sum(week < weeks[-1] for week in summaries)
    html = render(
        "index.html.jinja",
        title=TITLE,
        columns=COLUMNS,
        no_report_yet=NO_REPORT_YET,
        newest=_line(weeks[0], summaries[weeks[0]]) if weeks else None,
        recent=[_line(week, summaries.get(week)) for week in drawn],
        older=[_line(week, summaries.get(week)) for week in older],
        older_weeks=counted(len(older), "older week"),
        unlisted=counted(unlisted, "still older report") if unlisted else "",
        groups=feature_courses.groups(drawn, summaries),
        charted=_charted(drawn),
        legend=feature_courses.legend(),
        ceiling=f"{CEILING:g}",
        chart_weeks=CHART_WEEKS,
    )
    return html.encode()


def _weeks(summaries: Summaries) -> list[Week]:
    """Every week from the newest to the oldest, those without a report included."""
    weeks = [max(summaries)] if summaries else []
    while weeks and weeks[-1] > min(summaries) and len(weeks) < MAXIMUM_WEEKS:
        weeks.append(weeks[-1].previous)
    return weeks


def _charted(weeks: Sequence[Week]) -> str:
    return f"{counted(len(weeks), 'week')} ({weeks[-1]} to {weeks[0]})" if weeks else ""


def _line(week: Week, summary: Summary | None) -> WeekLine:
    if summary is None:
        return WeekLine(week, dates(week))
    pages = {"In plain words": MANAGER, "Drift report": summary.page or DRIFT, "Figures": SUMMARY}
    return WeekLine(
        week,
        dates(week),
        week_badge(summary),
        has_report=True,
        sentence=summary.sentence,
        other_models=tuple(_other_model(week, model) for model in summary.models[1:]),
        left_out=_left_out(summary.log),
        links={words: f"{week}/{name}" for words, name in pages.items()},
        cells=tuple(_cells(summary)),
    )


def _other_model(week: Week, model: ModelSummary) -> OtherModel:
    if model.refused:
        return OtherModel(Badge("missing", "not compared"), f"{model.model}: {model.refused}")
    drawn = f"{week}/{model.page}" if model.page else ""
    return OtherModel(verdict_badge(model.verdict, model.severity), model.model, drawn)


def _left_out(log: LogSummary) -> str:
    kinds = {"truncated": log.partial, "foreign": log.foreign}
    counts = ", ".join(f"{lines:,} {kind}" for kind, lines in kinds.items() if lines)
    return f"Lines of the log left out: {counts}, in {counted(len(log.unusable), 'file')}" if counts else ""


def _cells(summary: Summary) -> Iterator[Cell]:
    yield Cell("Customers", f"{summary.customers:,}", f"{summary.predictions:,} predictions")
    yield _beside("Flagged", summary.flagged_share, lambda share: f"{share:.1%}")
    yield _beside("Mean probability", summary.mean_probability, lambda share: f"{share:.3f}")
    estimated = _measures(summary.performance.estimated_metrics)
    yield Cell("Estimated", "" if estimated else "no estimate", measures=estimated)
    yield _realised(summary)


def _beside(name: str, figure: BeforeAndNow, shown: Callable[[float], str]) -> Cell:
    """A figure of the week, and beneath it that of the training data."""
    now = NONE if figure.current is None else shown(figure.current)
    return Cell(name, now, "" if figure.reference is None else f"{shown(figure.reference)} in training")


def _measures(metrics: Metrics) -> dict[str, str]:
    figures = {"AUC": known(metrics.auc), "F1": known(metrics.f1)}
    return {name: _with_interval(figure) for name, figure in figures.items() if figure is not None}


def _with_interval(figure: Figure) -> str:
    if not has_interval(figure):
        return f"{figure.value:.2f}"
    return f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"


def _realised(summary: Summary) -> Cell:
    pending, measures = summary.performance.pending, _measures(summary.performance.realised_metrics)
    when = "" if pending is None else f"known after {date(pending.known_after)}"
    if not measures:
        return Cell("Realised", "not yet known" if when else "not known", when)
    return Cell("Realised", small="" if pending is None else f"{pending.customers:,} more {when}", measures=measures)
