"""The small charts: a break where a week is missing, a shape where something drifted, one scale for all."""

import math
import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from monitoring.pages.sparkline import HEIGHT, STEP, Point, chart, stated_multiple
from monitoring.pages.web_page import _environment


def sparkline(points: list[Point], name: str) -> str:
    """The chart as it stands on the page."""
    return str(_environment().get_template("macros.html.jinja").module.sparkline(chart(points, name)))  # type: ignore[attr-defined]  # made by the template


def line(svg: str) -> str:
    found = re.search(r'<path class="line" d="([^"]*)"', svg)
    assert found is not None
    return found[1]


def test_weeks_in_a_row_are_one_stroke() -> None:
    points = [Point("2018-W01", 0.0, "none"), Point("2018-W02", 3.0, "none")]
    assert line(sparkline(points, "songs_7d")) == "M5 32L15 6"


def test_a_missing_week_breaks_the_line_and_is_drawn_as_a_band() -> None:
    points = [Point("a", 1.5, "none"), Point("b", None, "missing"), Point("c", 1.5, "none"), Point("d", 1.5, "none")]
    svg = sparkline(points, "songs_7d")
    assert line(svg) == "M5 19h0M25 19L35 19"
    assert svg.count('class="gap"') == 1
    assert f'<rect class="gap" x="{STEP + 1}"' in svg


def test_drift_and_a_warning_have_shapes_and_words() -> None:
    svg = sparkline([Point("a", 0.2, "none"), Point("b", 1.2, "warning"), Point("c", 2.0, "page")], "songs_7d")
    assert svg.count('<path class="warning"') == svg.count('<path class="page"') == 1
    assert "a: 0.2×; b: 1.2× warning; c: 2.0× drift</title>" in svg


def test_what_is_far_past_the_gate_stays_in_the_chart() -> None:
    for multiple in (3.0, 50.0, math.inf):
        assert line(sparkline([Point("a", multiple, "page")], "os")) == "M5 6h0"
    assert stated_multiple(math.inf) == "over 99×"


def test_the_dashed_line_is_the_gate() -> None:
    svg = sparkline([Point("a", 1.0, "none"), Point("b", 1.0, "none")], "os")
    (height,) = {point.split(" ")[1] for point in line(svg)[1:].split("L")}
    assert f'<path class="gate" d="M0 {height}H20"' in svg


def test_a_name_is_text() -> None:
    svg = sparkline([Point("</title><script>", 1.0, "none")], "</title><script>")
    assert "<script" not in svg
    assert svg.count("</title>") == 1


points = st.builds(
    Point,
    st.just("week"),
    st.none() | st.floats(min_value=0, allow_nan=False),
    st.sampled_from(["none", "warning", "page", "untested", "missing"]),
)


@given(st.lists(points, max_size=60))
def test_whatever_is_drawn_is_well_formed_and_inside(drawn: list[Point]) -> None:
    svg = sparkline(drawn, "songs_7d")
    ET.fromstring(svg)
    heights = [float(height) for height in re.findall(r"[ML]\d+ ([\d.]+)", line(svg))]
    assert all(0 <= height <= HEIGHT for height in heights)
    assert len(heights) == sum(point.multiple is not None for point in drawn)
