"""The plots of the model card and of the leaderboard, as SVG with a text for those who cannot see them."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from churn.quality.figure import Figure

INK, CHURN, STAY, PALE = "#1f2933", "#b4431f", "#2b6f9e", "#c8d0d8"
_STYLE: Final[dict[str, Any]] = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "grid.color": "#e6eaee",
    "svg.fonttype": "none",
    "svg.hashsalt": "churn",
    "text.parse_math": False,  # category names come from the log: a dollar sign is a dollar sign
}

Vector = NDArray[np.float64]
Axes = Any


@dataclass(frozen=True)
class Caption:
    """A plot. `name` is its file's stem; `alt` describes it in words."""

    name: str
    title: str
    alt: str


@dataclass(frozen=True)
class Plot:
    """A picture and what it is of."""

    caption: Caption
    svg: bytes


@dataclass(frozen=True)
class Curve:
    """A line through `x`, `y`, with the 95 % band of `y` where it is known."""

    x: Vector
    y: Vector
    low: Vector | None = None
    high: Vector | None = None
    label: str = ""
    colour: str = CHURN


@dataclass(frozen=True)
class Bar:
    """A figure with its interval beside a name; None where there were too few rows to say."""

    name: str
    figure: Figure | None


@contextmanager
def _axes(width: float = 5.2, height: float = 4.0) -> Iterator[tuple[Canvas, Axes]]:
    """Axes of a figure that no window will show: pyplot keeps figures alive, and wants a display."""
    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=(width, height))
        yield canvas, canvas.subplots()


def _svg(canvas: Canvas) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def curves(
    caption: Caption,
    labels: tuple[str, str],
    lines: Sequence[Curve],
    diagonal: bool = False,
    finish: Callable[[Axes], None] = lambda _: None,
) -> Plot:
    """Lines between 0 and 1 on both axes. `labels`: of the two axes. `finish` adds what only this plot has."""
    with _axes() as (canvas, axes):
        if diagonal:
            axes.plot([0, 1], [0, 1], color=PALE, linestyle="--", linewidth=1)
        for line in lines:
            axes.plot(line.x, line.y, color=line.colour, label=line.label or None, linewidth=1.8)
            if line.low is not None:
                axes.fill_between(line.x, line.low, line.high, color=line.colour, alpha=0.15, linewidth=0)
        axes.set(xlabel=labels[0], ylabel=labels[1], xlim=(0, 1), ylim=(0, 1.02))
        finish(axes)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False)
        return Plot(caption, _svg(canvas))


def reliability(caption: Caption, expected: Vector, observed: Sequence[Figure], share: Vector) -> Plot:
    """Observed share of churners with its interval against the mean probability, bin by bin.

    Args:
        caption: of the plot.
        expected: mean probability of each bin.
        observed: share of churners of each bin.
        share: of all rows, by probability in twenty equal steps from 0 to 1, drawn below.
    """
    with _axes() as (canvas, axes):
        top = min(1.0, 1.15 * max([*expected, *(figure.high for figure in observed)]))
        axes.plot([0, 1], [0, 1], color=PALE, linestyle="--", linewidth=1)
        steps = np.linspace(0, 1, len(share) + 1)
        axes.bar(steps[:-1], 0.25 * top * share / share.max(), np.diff(steps), align="edge", color=PALE, alpha=0.6)
        middle = np.array([figure.value for figure in observed])
        axes.errorbar(expected, middle, yerr=_errors(observed), fmt="o", color=CHURN, capsize=3, markersize=4)
        axes.set(xlabel="mean predicted probability", ylabel="observed share of churners", xlim=(0, top), ylim=(0, top))
        return Plot(caption, _svg(canvas))


def bars(
    caption: Caption,
    label: str,
    rows: Sequence[Bar],
    reference: float | None = None,
    highlighted: str | None = None,
    limits: tuple[float, float] | None = None,
) -> Plot:
    """Figures with their intervals, one below the other; a dashed line at `reference`, an axis between `limits`."""
    with _axes(6.4, 1.1 + 0.27 * len(rows)) as (canvas, axes):
        if reference is not None:
            axes.axvline(reference, color=INK, linestyle="--", linewidth=1)
        for at, row in enumerate(rows):
            if row.figure is not None:
                colour = CHURN if row.name == highlighted else STAY
                axes.errorbar(
                    row.figure.value, at, xerr=_errors([row.figure]), fmt="o", color=colour, capsize=3, markersize=4
                )
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.set(xlabel=label, xlim=limits, ylim=(len(rows) - 0.5, -0.5))
        return Plot(caption, _svg(canvas))


def sizes(caption: Caption, labels: tuple[str, str], size: Vector, quality: Vector, chosen: int) -> Plot:
    """Quality against size, on a logarithmic axis; the chosen one stands out. `labels`: of the two axes."""
    with _axes() as (canvas, axes):
        axes.plot(size, quality, "o", color=STAY, markersize=4)
        axes.plot(size[chosen], quality[chosen], "o", color=CHURN, markersize=9, label="chosen")
        axes.set(xlabel=labels[0], ylabel=labels[1], xscale="log")
        axes.legend(frameon=False)
        return Plot(caption, _svg(canvas))


def _errors(figures: Sequence[Figure]) -> Vector:
    below = [max(figure.value - figure.low, 0) for figure in figures]
    above = [max(figure.high - figure.value, 0) for figure in figures]
    return np.array([below, above])


def beeswarm(caption: Caption, features: Sequence[str], contributions: Vector, values: Vector, seed: int) -> Plot:
    """Each row's contribution of each feature, spread where many lie together.

    Args:
        caption: of the plot.
        features: names, most important first, [k].
        contributions: to the score, [rows, k].
        values: rank of the feature's value from 0 to 1, NaN where it has none, [rows, k].
        seed: of the spread.
    """
    generator = np.random.default_rng(seed)
    with _axes(6.4, 1.3 + 0.34 * len(features)) as (canvas, axes):
        axes.axvline(0, color=INK, linewidth=1)
        for at in range(len(features)):
            x, colour = contributions[:, at], values[:, at]
            y = at + _spread(x) * generator.uniform(-0.4, 0.4, len(x))
            known = ~np.isnan(colour)
            axes.scatter(x[~known], y[~known], s=5, color=PALE, rasterized=True)
            points = axes.scatter(
                x[known], y[known], c=colour[known], s=5, cmap="coolwarm", vmin=0, vmax=1, rasterized=True
            )
        axes.set_yticks(range(len(features)), features)
        axes.locator_params(axis="x", nbins=5)
        axes.set(xlabel="contribution to the score (right: towards churn)", ylim=(len(features) - 0.5, -0.5))
        scale = canvas.colorbar(points, ax=axes, shrink=0.6, ticks=[0, 1])
        scale.ax.set_yticklabels(["low value", "high value"])
        return Plot(caption, _svg(canvas))


def _spread(x: Vector) -> Vector:
    """How crowded it is around each point, from 0 to 1."""
    counts, edges = np.histogram(x, bins=40)
    crowd = counts[np.clip(np.digitize(x, edges) - 1, 0, len(counts) - 1)]
    return np.asarray(np.sqrt(crowd / crowd.max()))
