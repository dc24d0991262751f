"""A column of a sample as its distinct values with their counts: all that a drift test needs to see.

`summarise_frame` makes such summaries from a frame in memory; a `GROUP BY` makes the same
ones from a week of ten million rows, so that one decision serves both. There, numbers are
rounded to a step far below anything that matters, the same one on both sides:

    step = rounding_step(reference)
    SELECT round(songs_7d / step) * step AS value, count(*) FROM week
     WHERE songs_7d IS NOT NULL GROUP BY 1 ORDER BY 1
    ColumnSummary(feature, rows, nulls, numbers=values, counts=counts)   # against reference.rounded(step)

**One row per customer.** Rows must be independent for the tests to mean what they say: of a
customer scored several times in a week, the caller keeps the newest row only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.contract import Feature

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

STEPS_PER_DEVIATION: Final = 1_000
"""A rounding step is this fraction of a standard deviation: a fiftieth of the smallest shift that counts."""


def _no_numbers() -> FloatArray:
    return np.empty(0)


def _no_counts() -> IntArray:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class ColumnSummary:
    """One feature in one sample.

    `numbers` (ascending and distinct) or `labels` (distinct) stand beside `counts`. `nulls`
    counts missing values and NaN. `mistyped` counts what the feature cannot hold: text or
    infinity for a number, a fraction for a count, a number for a category. `outside` counts
    values of the right type beyond the contract's bounds or closed set; they are part of
    `counts`. So `sum(counts) == rows - nulls - mistyped`.

    Raises ValueError where these figures contradict each other.
    """

    feature: Feature
    rows: int
    nulls: int = 0
    mistyped: int = 0
    outside: int = 0
    numbers: FloatArray = field(default_factory=_no_numbers)
    labels: tuple[str, ...] = ()
    counts: IntArray = field(default_factory=_no_counts)

    def __post_init__(self) -> None:
        keys, unused = (self.labels, self.numbers) if self.feature.is_category else (self.numbers, self.labels)
        name = self.feature.name
        if len(unused) or len(keys) != len(self.counts):
            raise ValueError(f"{name}: {len(self.counts)} counts for {len(keys)} values; expected one for each")
        if self.valid != self.rows - self.nulls - self.mistyped:
            raise ValueError(
                f"{name}: counts add up to {self.valid}, expected rows - nulls - mistyped = "
                f"{self.rows} - {self.nulls} - {self.mistyped}"
            )
        if not self.feature.is_category and np.any(np.diff(self.numbers) <= 0):
            raise ValueError(f"{name}: numbers must ascend without repeats")

    @property
    def valid(self) -> int:
        """Rows with a value of the right type."""
        return int(self.counts.sum())

    def quantiles(self, shares: FloatArray) -> FloatArray:
        """The number below or at which each share of the valid rows lies, for shares within 0 and 1."""
        found: FloatArray = self.numbers[np.searchsorted(np.cumsum(self.counts), shares * self.valid)]
        return found

    def moved(self, by: float) -> Self:
        """The same column with every number larger by `by`."""
        return replace(self, numbers=self.numbers + by)

    def rounded(self, step: float) -> Self:
        """The same column with numbers rounded to multiples of `step`; a category stays as it is."""
        if self.feature.is_category:
            return self
        values, counts = _added_up(np.round(self.numbers / step) * step, self.counts)
        return replace(self, numbers=values, counts=counts)


def _added_up(values: FloatArray, counts: IntArray) -> tuple[FloatArray, IntArray]:
    distinct, position = np.unique(values, return_inverse=True)
    sums = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(sums, position, counts)
    return distinct, sums


def rounding_step(reference: ColumnSummary) -> float:
    """The step to round a number to before grouping by it: a thousandth of the reference's deviation.

    Never below 1 for a count, and 1 where the reference has no spread. Values beyond its
    middle 99.8 % do not widen it.
    """
    finest = 1.0 if reference.feature.kind == "count" else 0.0
    return max(_middle_deviation(reference) / STEPS_PER_DEVIATION, finest) or 1.0


def _middle_deviation(column: ColumnSummary) -> float:
    if column.valid == 0 or column.feature.is_category:
        return 0.0
    below = np.cumsum(column.counts) / column.valid
    low, high = np.searchsorted(below, [0.001, 0.999])
    middle = np.clip(column.numbers, column.numbers[low], column.numbers[high])
    mean = column.counts @ middle / column.valid
    return float(np.sqrt(column.counts @ (middle - mean) ** 2 / column.valid))


@dataclass(frozen=True, eq=False)
class Population:
    """A sample of customers, one row each: its number of rows, and the summary of every column it has.

    Raises ValueError where a column has another number of rows.
    """

    rows: int
    columns: Mapping[str, ColumnSummary]

    def __post_init__(self) -> None:
        for name, column in self.columns.items():
            if column.rows != self.rows:
                raise ValueError(f"{name}: {column.rows} rows in a population of {self.rows}")


def summarise_frame(frame: pd.DataFrame, features: Sequence[Feature]) -> Population:
    """Summaries of the features that `frame` has; one row per customer (see the module's text)."""
    present = [feature for feature in features if feature.name in frame.columns]
    return Population(len(frame), {feature.name: summarise(frame[feature.name], feature) for feature in present})


def summarise(column: "pd.Series[Any]", feature: Feature) -> ColumnSummary:
    """The summary of a column of any type: what does not fit the feature is counted, never raised."""
    return _category(column, feature) if feature.is_category else _number(column, feature)


def _number(column: "pd.Series[Any]", feature: Feature) -> ColumnSummary:
    numbers, mistyped = _numbers(column)
    present = numbers[~np.isnan(numbers)]
    fitting = np.isfinite(present)
    if feature.kind == "count":
        fitting &= present == np.trunc(present)
    values, counts = np.unique(present[fitting], return_counts=True)
    beyond = (values < feature.minimum) | (values > feature.maximum)
    return ColumnSummary(
        feature,
        rows=len(numbers),
        nulls=len(numbers) - len(present) - mistyped,
        mistyped=mistyped + int((~fitting).sum()),
        outside=int(counts[beyond].sum()),
        numbers=values,
        counts=counts.astype(np.int64),
    )


def _numbers(column: "pd.Series[Any]") -> tuple[FloatArray, int]:
    """The column as float64 (NaN where null or not a number), and how many values were not numbers."""
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), 0
    present = column[column.notna()]
    numbers = np.full(len(column), np.nan)
    fits = np.fromiter((_is_number(value) for value in present), dtype=bool, count=len(present))
    position = np.flatnonzero(column.notna().to_numpy())
    numbers[position[fits]] = np.asarray(list(present[fits]), dtype=np.float64)
    return numbers, int((~fits).sum())


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _category(column: "pd.Series[Any]", feature: Feature) -> ColumnSummary:
    present = column[column.notna()]
    found = Counter(_labels(present, feature))
    mistyped = found.pop(None, 0)
    known = feature.categories
    ordered = sorted((label, count) for label, count in found.items() if label is not None)
    return ColumnSummary(
        feature,
        rows=len(column),
        nulls=len(column) - len(present),
        mistyped=mistyped,
        outside=sum(count for label, count in ordered if known is not None and label not in known),
        labels=tuple(label for label, _ in ordered),
        counts=np.array([count for _, count in ordered], dtype=np.int64),
    )


def _labels(values: Iterable[object], feature: Feature) -> Iterable[str | None]:
    """Each value as a label, None where it is not one; true and false where the feature lists them."""
    boolean = feature.categories is not None and {"true", "false"} <= set(feature.categories)
    for value in values:
        if isinstance(value, str):
            yield value
        elif boolean and isinstance(value, (bool, np.bool_)):
            yield str(bool(value)).lower()
        else:
            yield None
