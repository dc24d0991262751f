"""Each feature over the weeks as one line of the index, in groups: what drifted and matters comes first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from churn.contract import BY_NAME
from monitoring.drift.decision import OUTPUTS
from monitoring.findings.summary import FeatureSummary, Summary
from monitoring.pages.sparkline import Chart, Point, State, chart, stated_multiple
from monitoring.pages.web_page import Badge
from monitoring.pages.words import counted
from monitoring.reports.week import Week

CHART_WEEKS: Final = 26
"""As many of the newest weeks are drawn for each feature: half a year."""


@dataclass(frozen=True)
class FeatureLine:
    """A feature as the page shows it."""

    name: str
    description: str
    weight: str
    chart: Chart
    now: str
    badge: Badge | None
    weeks_with_drift: str


@dataclass(frozen=True)
class FeatureGroup:
    """Features under one heading."""

    title: str
    features: tuple[FeatureLine, ...]


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
        """Sort key: importance to the model first, then the largest change."""
        return -(self.importance or 0.0), -max((point.multiple or 0.0 for point in self.points), default=0.0), self.name


_GROUPS: Final[tuple[tuple[str, Callable[[_Course], bool]], ...]] = (
    ("Drifted in the newest week", lambda course: course.newest.state == "page"),
    ("With a warning in the newest week", lambda course: course.newest.state == "warning"),
    ("Drifted or warned in an earlier week", lambda course: course.weeks("page", "warning") > 0),
    ("Without drift or a warning", lambda _: True),
)


def groups(weeks: Sequence[Week], summaries: Mapping[Week, Summary]) -> list[FeatureGroup]:
    """Each feature in the first group that it is of; `weeks` are the drawn ones, newest first."""
    members: dict[str, list[FeatureLine]] = {title: [] for title, _ in _GROUPS}
    for course in sorted(_courses(weeks, summaries), key=lambda course: course.rank):
        members[next(title for title, belongs in _GROUPS if belongs(course))].append(_line(course))
    return [FeatureGroup(title, tuple(lines)) for title, lines in members.items() if lines]


def _courses(weeks: Sequence[Week], summaries: Mapping[Week, Summary]) -> Iterator[_Course]:
    by_week = {week: _by_name(summaries.get(week)) for week in weeks}
    for name in dict.fromkeys(name for features in by_week.values() for name in features):
        of_weeks = {week: by_week[week].get(name) for week in weeks}
        weights = [one.importance for one in of_weeks.values() if one is not None and one.importance is not None]
        points = tuple(_point(week, summaries.get(week), of_weeks[week]) for week in reversed(weeks))
        yield _Course(name, points, weights[0] if weights else None)


def _by_name(summary: Summary | None) -> dict[str, FeatureSummary]:
    return {} if summary is None else {one.feature: one for one in summary.features}


def _point(week: Week, summary: Summary | None, feature: FeatureSummary | None) -> Point:
    if summary is None or summary.verdict not in ("ok", "drift"):
        return Point(str(week), None, "missing")
    if feature is None or feature.multiple is None:
        return Point(str(week), None, "untested")
    return Point(str(week), feature.multiple, feature.severity)


def _line(course: _Course) -> FeatureLine:
    drifted = course.weeks("page")
    return FeatureLine(
        name=course.name,
        description=described(course.name),
        weight=_weight(course),
        chart=chart(course.points, course.name),
        now=_now(course.newest),
        badge=_badge(course.newest.state),
        weeks_with_drift=f"drift in {counted(drifted, 'week')}" if drifted else "no drift",
    )


def described(name: str) -> str:
    """A feature's description, without the full stop and what follows a semicolon; its name when nobody knows it."""
    known = BY_NAME | {output.name: output for output in OUTPUTS}
    return known[name].description.partition(";")[0].rstrip(".") if name in known else name


def _weight(course: _Course) -> str:
    if course.name in {output.name for output in OUTPUTS}:
        return "the model's answer"
    return "weight unknown" if course.importance is None else f"{course.importance:.1%} of the model's weight"


def _now(newest: Point) -> str:
    if newest.multiple is not None:
        return stated_multiple(newest.multiple)
    return "not tested" if newest.state == "untested" else "no verdict"


def _badge(state: State) -> Badge | None:
    if state == "page":
        return Badge("drift", "drift")
    return Badge("warning", "warning") if state == "warning" else None


def legend() -> Chart:
    """An example of everything that a chart can show."""
    weeks: list[tuple[float | None, State]] = [(0.4, "none"), (0.6, "none"), (None, "missing"), (1.4, "warning")]
    weeks += [(2.2, "page"), (2.4, "page")]
    points = [Point(f"week {number}", *week) for number, week in enumerate(weeks, start=1)]
    return chart(points, "How to read the charts")
