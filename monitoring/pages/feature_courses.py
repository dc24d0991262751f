"""One line a feature: its course over the weeks as a chart, what drifted and matters first."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from churn.contract import BY_NAME
from monitoring.drift.decision import OUTPUTS
from monitoring.findings.drift import SEVERITIES
from monitoring.pages.sparkline import CEILING, Point, State, sparkline, stated_multiple
from monitoring.pages.web_page import badge
from monitoring.reports.summary_fields import Content, entries, multiple_of_gate, number, text
from monitoring.reports.week import Week

CHART_WEEKS: Final = 26
"""As many of the newest weeks are drawn for each feature: half a year."""


@dataclass(frozen=True)
class _Course:
    """A feature over the weeks that are drawn, oldest first."""

    name: str
    points: tuple[Point, ...]
    importance: float | None

    @property
    def newest(self) -> Point:
        return self.points[-1]

    def weeks(self, *states: State) -> int:
        return sum(point.state in states for point in self.points)

    @property
    def rank(self) -> tuple[float, float, str]:
        """What matters most to the model first, then what moved most."""
        return -(self.importance or 0.0), -max((point.multiple or 0.0 for point in self.points), default=0.0), self.name


_GROUPS: Final[tuple[tuple[str, Callable[[_Course], bool]], ...]] = (
    ("Drifted in the newest week", lambda course: course.newest.state == "page"),
    ("With a warning in the newest week", lambda course: course.newest.state == "warning"),
    ("Drifted or warned in an earlier week", lambda course: course.weeks("page", "warning") > 0),
    ("Without drift or a warning", lambda _: True),
)


def section(weeks: Sequence[Week], summaries: Mapping[Week, Content]) -> str:
    """The features, what drifted and matters first; `weeks` are the drawn ones, newest first."""
    courses = _courses(weeks, summaries)
    if not courses:
        return ""
    groups = _grouped(courses)
    return (
        f'<h2 id="features">Features over {_counted(len(weeks), "week")} ({weeks[-1]} to {weeks[0]})</h2>{_LEGEND}'
        f'<p class="soft small">At most the {CHART_WEEKS} newest weeks are drawn. In each group, what matters most to '
        "the model comes first.</p>" + "".join(_group(title, group) for title, group in groups.items())
    )


def _courses(weeks: Sequence[Week], summaries: Mapping[Week, Content]) -> list[_Course]:
    by_week = {week: _by_name(summaries.get(week)) for week in weeks}
    names = list(dict.fromkeys(name for features in by_week.values() for name in features))
    return [
        _Course(
            name,
            tuple(_point(week, summaries.get(week), by_week[week].get(name)) for week in reversed(weeks)),
            next((found for week in weeks if (found := number(by_week[week], name, "importance")) is not None), None),
        )
        for name in names
    ]


def _by_name(content: Content | None) -> dict[str, Content]:
    return {text(entry, "feature"): entry for entry in entries(content, "features") if text(entry, "feature")}


def _point(week: Week, content: Content | None, entry: Content | None) -> Point:
    if content is None or text(content, "verdict") not in ("ok", "drift"):
        return Point(str(week), None, "missing")
    multiple = None if entry is None else multiple_of_gate(entry)
    if entry is None or multiple is None:
        return Point(str(week), None, "untested")
    severity = text(entry, "severity")
    return Point(str(week), multiple, next((known for known in SEVERITIES if known == severity), "none"))


def _grouped(courses: Sequence[_Course]) -> dict[str, list[_Course]]:
    """Each feature in the first group that it is of, in order of rank."""
    groups: dict[str, list[_Course]] = {title: [] for title, _ in _GROUPS}
    for course in sorted(courses, key=lambda course: course.rank):
        groups[next(title for title, belongs in _GROUPS if belongs(course))].append(course)
    return {title: group for title, group in groups.items() if group}


def _group(title: str, courses: Sequence[_Course]) -> str:
    return f'<h3>{title} <span class="soft">({len(courses)})</span></h3><ul class="features">' + (
        "".join(map(_feature, courses)) + "</ul>"
    )


def _feature(course: _Course) -> str:
    name = html.escape(course.name)
    return (
        f'<li><div class="name">{html.escape(described(course.name))}<br><code class="soft small">{name}</code></div>'
        f'<div class="weight small">{_weight(course)}</div>{sparkline(course.points, course.name)}'
        f'<div class="state">{_state(course)}</div></li>'
    )


def described(name: str) -> str:
    """What a feature is, without the full stop and what follows a semicolon; its name when nobody knows it."""
    known = BY_NAME | {output.name: output for output in OUTPUTS}
    return known[name].description.partition(";")[0].rstrip(".") if name in known else name


def _weight(course: _Course) -> str:
    if course.name in {output.name for output in OUTPUTS}:
        return "what the model answers"
    return "weight not known" if course.importance is None else f"{course.importance:.1%} of the model's weight"


def _state(course: _Course) -> str:
    newest = course.newest
    if newest.multiple is None:
        now = "not tested" if newest.state == "untested" else "no verdict"
    else:
        now = stated_multiple(newest.multiple)
    if newest.state in ("page", "warning"):
        now += " " + (badge("drift", "drift") if newest.state == "page" else badge("warning", "warning"))
    drifted = course.weeks("page")
    counted = f"drift in {_counted(drifted, 'week')}" if drifted else "no drift"
    return f'{now}<br><span class="soft small">{counted}</span>'


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _legend() -> str:
    weeks: list[tuple[float | None, State]] = [(0.4, "none"), (0.6, "none"), (None, "missing"), (1.4, "warning")]
    weeks += [(2.2, "page"), (2.4, "page")]
    points = [Point(f"week {number}", *week) for number, week in enumerate(weeks, start=1)]
    return (
        f'<p class="legend small">{sparkline(points, "How to read the charts")}<span>The line is how far a feature has '
        "moved from the training data. The dashed line is its threshold (1×, the smallest change that counts): what "
        "is above it without a diamond may be chance; "
        f"charts end at {CEILING:g}×. A full diamond is drift, an empty one a warning; a grey band is a week without "
        "a report or with too few customers.</span></p>"
    )


STYLE: Final = (
    ".features{list-style:none;margin:0;padding:0;background:var(--card);border:1px solid var(--line)}"
    ".features li{display:grid;grid-template-columns:minmax(0,1fr) 9rem 260px 9rem;gap:.2rem 1rem;align-items:center;"
    "padding:.5rem .75rem}.features li+li{border-top:1px solid var(--line)}"
    ".spark{display:block;max-width:100%;flex:none;justify-self:end}.spark .line{fill:none;stroke:var(--chart);"
    "stroke-width:2;stroke-linecap:round;stroke-linejoin:round}.spark .gate{fill:none;stroke:var(--soft);"
    "stroke-dasharray:3 3}.spark .gap{fill:var(--line)}.spark .page{fill:var(--drift);stroke:var(--drift)}"
    ".spark .warning{fill:var(--card);stroke:var(--warning);stroke-width:1.5}"
    ".legend{display:flex;gap:1rem;align-items:center}"
    "@media(max-width:860px){.features li{grid-template-columns:minmax(0,1fr) auto}.features .name{grid-column:1/-1}"
    ".features .weight{grid-column:1/-1}.features .spark{justify-self:start;min-width:0}"
    ".legend{flex-direction:column;align-items:flex-start}}"
)
_LEGEND: Final = _legend()
