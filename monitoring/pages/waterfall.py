"""A score as a waterfall: from the score of a customer of whom nothing is known, one step for each contribution."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 100
SHOWN: Final = 8


@dataclass(frozen=True)
class Step:
    """One contribution: `label`, its size, and where its bar lies on a scale of `WIDTH`."""

    label: str
    contribution: float
    start: float
    width: float

    @property
    def raises(self) -> bool:
        return self.contribution > 0

    @property
    def signed(self) -> str:
        """`+0.031` or `−0.012`."""
        return f"{self.contribution:+.3f}".replace("-", "−")


def waterfall(base: float, contributions: Sequence[tuple[str, float]], shown: int = SHOWN) -> list[Step]:
    """The steps from `base` to the score, largest first; what is small is one step, the last.

    Args:
        base: the score of a customer of whom nothing is known.
        contributions: with their labels.
        shown: steps of their own.
    """
    ordered = sorted(contributions, key=lambda one: -abs(one[1]))
    rest = ordered[shown:]
    steps = [(label, value) for label, value in ordered[:shown] if value]
    if any(value for _, value in rest):
        steps.append((f"{len(rest)} others together", sum(value for _, value in rest)))
    return list(_drawn(base, steps))


def _drawn(base: float, steps: Sequence[tuple[str, float]]) -> Iterator[Step]:
    edges = [base]
    for _, value in steps:
        edges.append(edges[-1] + value)
    low, high = min(edges), max(edges)
    scale = WIDTH / ((high - low) or 1)
    for (label, value), before, after in zip(steps, edges, edges[1:], strict=False):
        start = round((min(before, after) - low) * scale, 1)
        yield Step(label, value, start, max(round(abs(value) * scale, 1), 0.5))
