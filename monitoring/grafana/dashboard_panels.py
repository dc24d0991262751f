"""What a dashboard is made of, and how the Grafana foundation SDK writes it; `dashboards` says which there are."""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_types
from grafana_foundation_sdk.models import dashboard as types

COLUMNS: Final = 24
"""Width of Grafana's grid."""

HEIGHTS: Final = {"number": 4, "lines": 8, "shares": 8, "bars": 10, "table": 8}
GREEN: Final = "green"
RED: Final = "red"
SOURCE: Final = types.DataSourceRef(type_val="prometheus", uid="${datasource}")

_RED: Final = types.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": RED})

Kind = Literal["number", "lines", "shares", "bars", "table"]


@dataclass(frozen=True)
class Query:
    """A PromQL expression, and what its series are called: text with `{{label}}`."""

    expression: str
    legend: str


@dataclass(frozen=True)
class Limit:
    """From `value` on a figure is bad; where `below`, it is bad under it."""

    value: float
    below: bool = False


@dataclass(frozen=True)
class Chart:
    """One panel.

    Attributes:
        kind: `number` shows the newest value, `lines` its course, `shares` a course stacked to 100 %,
            `bars` the newest values side by side, `table` the newest labels.
        unit: Grafana's id of it, such as `s`, `percentunit`.
        description: what the figure means and when to worry, shown at the panel's corner.
        limit: from where on it is drawn in red.
        width: of 24.
        top: end of the axis, where it has one.
        bad: names of series that are drawn in red.
    """

    title: str
    kind: Kind
    unit: str
    description: str
    queries: tuple[Query, ...]
    limit: Limit | None = None
    width: int = 8
    top: float | None = None
    bad: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """Panels under one heading."""

    title: str
    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class Page:
    """A dashboard. `span` is how far back it looks, `refresh` how often it looks again."""

    uid: str
    title: str
    description: str
    span: str
    refresh: str
    sections: tuple[Section, ...]


def to_json(page: Page) -> str:
    """The file that Grafana provisions; the same page gives the same text."""
    return json.dumps(build(page), cls=JSONEncoder, sort_keys=True, indent=1) + "\n"


def build(page: Page) -> Any:
    """The SDK's own object."""
    board = (
        dashboard.Dashboard(page.title)
        .uid(page.uid)
        .description(page.description)
        .tags(["churn"])
        .timezone("utc")
        .time(f"now-{page.span}", "now")
        .refresh(page.refresh)
        .readonly()
        .tooltip(types.DashboardCursorSync.CROSSHAIR)
        .with_variable(_source())
        .link(
            dashboard.DashboardLink("Churn").type(types.DashboardLinkType.DASHBOARDS).tags(["churn"]).keep_time(False)
        )
    )
    number = 0
    for section in page.sections:
        number += 1
        board.with_row(dashboard.Row(section.title).id(number))
        for chart in section.charts:
            number += 1
            board.with_panel(_panel(chart).id(number))
    return board.build()


def _source() -> Any:
    """Which Prometheus, for a Grafana that knows several."""
    return dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _panel(chart: Chart) -> Any:
    panel = (
        _DRAWN[chart.kind](chart)
        .title(chart.title)
        .description(chart.description)
        .datasource(SOURCE)
        .unit(chart.unit)
        .thresholds(_thresholds(chart.limit))
        .span(chart.width)
        .height(HEIGHTS[chart.kind])
    )
    for index, query in enumerate(chart.queries):
        panel.with_target(_target(chart, query, chr(ord("A") + index)))
    for name in chart.bad:
        panel.override_by_name(name, [_RED])
    return panel if chart.top is None else panel.min(0).max(chart.top)


def _target(chart: Chart, query: Query, reference: str) -> Any:
    made = (
        prometheus.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(reference).datasource(SOURCE)
    )
    if chart.kind in {"lines", "shares"}:
        return made.range()
    return made.instant().format("table") if chart.kind == "table" else made.instant()


def _thresholds(limit: Limit | None) -> Any:
    config = dashboard.ThresholdsConfig().mode(types.ThresholdsMode.ABSOLUTE)
    if limit is None:
        return config.steps([types.Threshold(color=GREEN)])
    first, then = (RED, GREEN) if limit.below else (GREEN, RED)
    return config.steps([types.Threshold(color=first), types.Threshold(value=limit.value, color=then)])


def _by_threshold() -> Any:
    return dashboard.FieldColor().mode(types.FieldColorModeId.THRESHOLDS)


def _number(chart: Chart) -> Any:
    """A labelled value is told by its label: `drift`, not 1."""
    by_name = any("{{" in query.legend for query in chart.queries)
    mode = common_types.BigValueTextMode.NAME if by_name else common_types.BigValueTextMode.VALUE
    return (
        stat.Panel()
        .text_mode(mode)
        .graph_mode(common_types.BigValueGraphMode.NONE)
        .color_mode(common_types.BigValueColorMode.VALUE)
        .color_scheme(_by_threshold())
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _lines(chart: Chart) -> Any:
    legend = common.VizLegendOptions().show_legend(True).placement(common_types.LegendPlacement.BOTTOM)
    panel = timeseries.Panel().line_width(2).fill_opacity(0).min(0).legend(legend)
    panel.tooltip(common.VizTooltipOptions().mode(common_types.TooltipDisplayMode.MULTI))
    if chart.limit is not None:
        style = common.GraphThresholdsStyleConfig().mode(common_types.GraphThresholdsStyleMode.DASHED)
        panel.thresholds_style(style)
    return panel


def _shares(chart: Chart) -> Any:
    stacked = common.StackingConfig().mode(common_types.StackingMode.PERCENT)
    return _lines(chart).stacking(stacked).fill_opacity(60).line_width(0)


def _bars(_: Chart) -> Any:
    return (
        bargauge.Panel()
        .orientation(common_types.VizOrientation.HORIZONTAL)
        .color_scheme(_by_threshold())
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .min(0)
    )


def _table(_: Chart) -> Any:
    """The labels are what is to be read."""
    hidden = {"Time": True, "Value": True, "__name__": True, "job": True, "instance": True}
    organize = types.DataTransformerConfig(id_val="organize", options={"excludeByName": hidden})
    return table.Panel().transformations([organize])


_DRAWN: Final[dict[Kind, Any]] = {
    "number": _number,
    "lines": _lines,
    "shares": _shares,
    "bars": _bars,
    "table": _table,
}
