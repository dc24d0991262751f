"""Which rows are trained on and which are held out: time crossed with customers."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.errors import NotEnoughDataError, SettingError
from churn.features import DAY_MS
from training.dataset import LABEL

MINIMUM_CUSTOMERS: Final = 30
MINIMUM_CHURNERS: Final = 10
ORIGINS: Final = 4
FOLDS: Final = 5

SplitKind = Literal["time and customers", "customers"]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """Rows of the training table: fit on `train`, score `test` (customers of `number` at `origin`)."""

    origin: int
    number: int
    train: Index
    test: Index


@dataclass(frozen=True)
class Split:
    """Every held-out row is in exactly one fold's `test`.

    `kind` says what separates it from the rows its model was fitted on: one horizon in
    time and being another customer, or only being another customer.
    """

    kind: SplitKind
    folds: tuple[Fold, ...]
    origins: tuple[int, ...]

    @property
    def sentence(self) -> str:
        if self.kind == "time and customers":
            return "other customers, at dates whose labels were known one horizon before the tested date"
        return "other customers at the same dates (the log is too short for a gap of one horizon in time)"


def check_enough(table: pd.DataFrame) -> None:
    """Raise `NotEnoughDataError` where nothing could be concluded: too few customers, churners or stayers."""
    customers = table.customer_id.nunique()
    churners = table.customer_id[table[LABEL] == 1].nunique()
    stayers = table.customer_id[table[LABEL] == 0].nunique()
    if customers < MINIMUM_CUSTOMERS or churners < MINIMUM_CHURNERS or stayers < MINIMUM_CHURNERS:
        raise NotEnoughDataError(
            f"{customers} customers at risk, {churners} with a churn and {stayers} without; training needs at least "
            f"{MINIMUM_CUSTOMERS} customers, {MINIMUM_CHURNERS} with and {MINIMUM_CHURNERS} without: take a longer or "
            "larger log"
        )


def customer_folds(table: pd.DataFrame, folds: int, seed: int) -> Index:
    """The fold of each row, by customer, with churners dealt evenly."""
    if not 2 <= folds <= 20:
        raise SettingError("folds", folds, "2 to 20")
    ever = table.groupby("customer_id", sort=True)[LABEL].max()
    shuffled = ever.sample(frac=1, random_state=seed).sort_values(kind="stable")
    fold_of = pd.Series(np.arange(len(shuffled)) % folds, index=shuffled.index)
    return table.customer_id.map(fold_of).to_numpy(dtype=np.int64)


def split(table: pd.DataFrame, horizon_days: int, seed: int, folds: int = FOLDS, origins: int = ORIGINS) -> Split:
    """Cross time with customers; where the log is too short for the gap, customers only.

    For each origin (a snapshot with its full history) and customer fold: train on the
    other folds' snapshots at or before origin - horizon, whose labels were known at the
    origin; test this fold's customers at the origin.
    """
    check_enough(table)
    number = customer_folds(table, folds, seed)
    as_of = table.as_of.to_numpy()
    dates = _testable(table)
    crossed = [date for date in dates if _learnable(table[as_of <= date - horizon_days * DAY_MS])][:origins]
    if crossed:
        parts = [
            _fold(date, k, as_of, number, as_of <= date - horizon_days * DAY_MS)
            for date in crossed
            for k in range(folds)
        ]
        return Split("time and customers", tuple(parts), tuple(crossed))
    everything = np.ones(len(table), dtype=bool)
    kept = dates[:origins]
    return Split(
        "customers",
        tuple(_fold(date, k, as_of, number, everything) for date in kept for k in range(folds)),
        tuple(kept),
    )


def _testable(table: pd.DataFrame) -> list[int]:
    """Snapshots to test at, newest first: those with full history, or the newest if none has it."""
    full = table.as_of[~table.short]
    dates = full if len(full) else table.as_of
    return [int(date) for date in sorted(dates.unique(), reverse=True)][: None if len(full) else 1]


def _learnable(rows: pd.DataFrame) -> bool:
    churners = rows.customer_id[rows[LABEL] == 1].nunique()
    return churners >= 2 * MINIMUM_CHURNERS and rows.customer_id.nunique() >= 2 * MINIMUM_CUSTOMERS


def _fold(origin: int, number: int, as_of: Index, folds: Index, known: NDArray[np.bool_]) -> Fold:
    return Fold(
        origin,
        number,
        train=np.flatnonzero(known & (folds != number)),
        test=np.flatnonzero((as_of == origin) & (folds == number)),
    )
