"""Verdict of Evidently's default drift preset on two populations, computed from their counts.

Evidently itself takes seconds for a report; these are its formulas (reference above 1,000
rows: Wasserstein distance over the reference's deviation for numbers with more than five
values, Jensen-Shannon distance for the rest, each against 0.1; the data set drifts when half
of the columns do). `installed_scores` asks the installed package, to hold them against it.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.spatial import distance

from monitoring.drift import two_sample
from monitoring.drift.column_summary import ColumnSummary, Population

THRESHOLD: Final = 0.1
DRIFT_SHARE: Final = 0.5
FEW_VALUES: Final = 5


@dataclass(frozen=True)
class EvidentlyVerdict:
    """Two flags: any column drifted, and the data set drifted."""

    any_column: bool
    dataset: bool


def verdict(reference: Population, current: Population) -> EvidentlyVerdict:
    flagged = [score >= THRESHOLD for score in scores(reference, current).values()]
    return EvidentlyVerdict(any(flagged), sum(flagged) >= DRIFT_SHARE * len(flagged))


def scores(reference: Population, current: Population) -> dict[str, float]:
    """Evidently's distance for each column."""
    return {name: _score(column, current.columns[name]) for name, column in reference.columns.items()}


def _score(reference: ColumnSummary, current: ColumnSummary) -> float:
    if reference.feature.is_category:
        keys = sorted({*reference.labels, *current.labels})
        return _jensen_shannon(*(_counts(side.labels, side.counts.tolist(), keys) for side in (reference, current)))
    samples = two_sample.pool(reference.numbers, reference.counts, current.numbers, current.counts)
    if len(samples.values) <= FEW_VALUES:
        return _jensen_shannon(samples.reference.tolist(), samples.current.tolist())
    mean = reference.counts @ reference.numbers / reference.valid
    deviation = float(np.sqrt(reference.counts @ (reference.numbers - mean) ** 2 / reference.valid))
    return two_sample.wasserstein_distance(samples) / max(deviation, 0.001)


def _counts(labels: tuple[str, ...], counts: list[int], keys: list[str]) -> list[int]:
    found = dict(zip(labels, counts, strict=True))
    return [found.get(key, 0) for key in keys]


def _jensen_shannon(reference: list[int], current: list[int]) -> float:
    return float(distance.jensenshannon(np.array(reference) / sum(reference), np.array(current) / sum(current)))


def installed_scores(reference: Population, current: Population) -> dict[str, float]:
    """The same from the installed package, with the rows written out."""
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415  # takes seconds, and only this needs it
    from evidently.presets import DataDriftPreset  # noqa: PLC0415  # takes seconds, and not every caller needs it

    kinds = {name: column.feature.is_category for name, column in reference.columns.items()}
    definition = DataDefinition(
        numerical_columns=[name for name, is_category in kinds.items() if not is_category],
        categorical_columns=[name for name, is_category in kinds.items() if is_category],
    )
    samples = [Dataset.from_pandas(_rows(side), data_definition=definition) for side in (current, reference)]
    metrics: list[dict[str, Any]] = Report([DataDriftPreset()]).run(*samples).dict()["metrics"]
    return {m["config"]["column"]: float(m["value"]) for m in metrics if "column" in m["config"]}


def _rows(population: Population) -> pd.DataFrame:
    return pd.DataFrame({name: _values(column) for name, column in population.columns.items()})


def _values(column: ColumnSummary) -> list[Any]:
    keys: list[Any] = list(column.labels) if column.feature.is_category else column.numbers.tolist()
    present = [key for key, count in zip(keys, column.counts.tolist(), strict=True) for _ in range(count)]
    return present + [None] * column.nulls
