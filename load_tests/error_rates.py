"""How often the drift decision is right: seeded repetitions of a cell, with exact intervals."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from churn.contract import Feature
from load_tests import evidently_defaults
from load_tests.drift_worlds import REFERENCE_ROWS, Cell, World
from monitoring.drift.column_summary import Population
from monitoring.drift.decision import decide


@dataclass(frozen=True)
class Rates:
    """Outcomes of `repetitions` reports of one cell."""

    cell: Cell
    repetitions: int = 0
    pages: int = 0
    alarms: int = 0
    evidently_columns: int = 0
    evidently_datasets: int = 0

    def __add__(self, other: "Rates") -> "Rates":
        names = ("repetitions", "pages", "alarms", "evidently_columns", "evidently_datasets")
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def alarmed(self) -> float:
        """Share of the reports that page or warn."""
        return self.alarms / self.repetitions

    @property
    def refuted(self) -> bool:
        """True if the exact 95 % interval lies wholly beyond the cell's promise."""
        at_most, at_least = self.cell.at_most, self.cell.at_least
        too_often = at_most is not None and exact_interval(self.alarms, self.repetitions)[0] > at_most
        too_rarely = at_least is not None and exact_interval(self.pages, self.repetitions)[1] < at_least
        return too_often or too_rarely


def exact_interval(hits: int, repetitions: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson interval of a share."""
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else float(stats.beta.ppf(tail, hits, repetitions - hits + 1))
    high = 1.0 if hits == repetitions else float(stats.beta.ppf(1 - tail, hits + 1, repetitions - hits))
    return low, high


def populations(cell: Cell, features: tuple[Feature, ...], repetition: int) -> tuple[Population, Population]:
    """Reference and current sample of one repetition; the same ones every time."""
    generator = np.random.default_rng([repetition, cell.rows])
    reference = World(features).population(REFERENCE_ROWS, generator)
    return reference, World(features, cell.change).population(cell.rows, generator)


def measured(cell: Cell, features: tuple[Feature, ...], repetitions: Iterable[int], evidently: bool = False) -> Rates:
    """Decide on each repetition; with `evidently`, also what its defaults would have said."""
    columns = World(features).columns
    rates = Rates(cell)
    for repetition in repetitions:
        reference, current = populations(cell, features, repetition)
        decision = decide(reference, current, columns)
        other = evidently_defaults.verdict(reference, current) if evidently else None
        rates += Rates(
            cell,
            repetitions=1,
            pages=decision.severity == "page",
            alarms=decision.severity != "none",
            evidently_columns=other is not None and other.any_column,
            evidently_datasets=other is not None and other.dataset,
        )
    return rates
