"""A feature over the weeks as a small chart: a line that breaks where a week is missing.

Height is the effect as a multiple of its gate, cut off at `CEILING`, the same in every
chart, so that they can be compared; the dashed line is the gate. What is marked has a
shape, not a colour only: a full diamond for drift, an empty one for a warning, a band for a
week without a verdict.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

State = Literal["none", "warning", "page", "untested", "missing"]

CEILING: Final = 3.0
STEP: Final = 10
HEIGHT: Final = 36
_TOP: Final = 6
_BOTTOM: Final = HEIGHT - 4
_DIAMOND: Final = 4

_WORDS: Final[dict[State, str]] = {
    "none": "",
    "warning": " warning",
    "page": " drift",
    "untested": "not tested",
    "missing": "no verdict",
}


@dataclass(frozen=True)
class Point:
    """One week: the effect as a multiple of its gate, None where there is none to draw."""

    week: str
    multiple: float | None
    state: State

    def words(self) -> str:
        figure = "" if self.multiple is None else stated_multiple(self.multiple)
        return f"{self.week}: {figure}{_WORDS[self.state]}"


@dataclass(frozen=True)
class Band:
    """A rectangle that marks a week without a verdict."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Mark:
    """A diamond at a week that drifted or warned; `path` is SVG's."""

    state: State
    path: str


@dataclass(frozen=True)
class Chart:
    """A chart as its shapes; `gate` and `line` are paths of SVG, `title` says in words what is drawn."""

    title: str
    width: int
    bands: tuple[Band, ...]
    gate: str
    line: str
    marks: tuple[Mark, ...]
    height: int = HEIGHT


def stated_multiple(multiple: float) -> str:
    """`1.8×`; what is far past the gate needs no digits."""
    if multiple > 99:
        return "over 99×"
    return f"{multiple:.1f}×"


def chart(points: Sequence[Point], name: str) -> Chart:
    """The chart of a feature, oldest week first."""
    width = STEP * max(len(points), 1)
    return Chart(
        title=f"{name}, effect as a multiple of its gate. " + "; ".join(point.words() for point in points),
        width=width,
        bands=tuple(_bands(points)),
        gate=f"M0 {_height(1.0)}H{width}",
        line="".join(_strokes(points)),
        marks=tuple(_marks(points)),
    )


def _middle(index: int) -> int:
    return STEP * index + STEP // 2


def _height(multiple: float) -> str:
    share = min(max(multiple, 0.0), CEILING) / CEILING
    return f"{_BOTTOM - share * (_BOTTOM - _TOP):.1f}".removesuffix(".0")


def _bands(points: Sequence[Point]) -> Iterator[Band]:
    for index, point in enumerate(points):
        if point.state == "missing":
            yield Band(x=STEP * index + 1, y=2, width=STEP - 2, height=HEIGHT - 4)


def _strokes(points: Sequence[Point]) -> Iterator[str]:
    """One stroke for each run of weeks with a value; a single one is a dot, by its round cap."""
    for drawn, run in groupby(enumerate(points), key=lambda one: one[1].multiple is not None):
        if drawn:
            ends = [f"{_middle(index)} {_height(point.multiple or 0.0)}" for index, point in run]
            yield f"M{'L'.join(ends)}" + ("h0" if len(ends) == 1 else "")


def _marks(points: Sequence[Point]) -> Iterator[Mark]:
    for index, point in enumerate(points):
        if point.multiple is not None and point.state in ("page", "warning"):
            across, down, d = _middle(index), _height(point.multiple), _DIAMOND
            yield Mark(point.state, f"M{across} {down}m0 -{d}l{d} {d}l-{d} {d}l-{d} -{d}z")
