"""Training rows and held-out rows: time crossed with customers."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.activity.features import DAY_MS
from churn.errors import NotEnoughDataError, SettingError
from churn.moments import iso
from churn.quality.measures import LABEL

MINIMUM_CUSTOMERS: Final = 30
MINIMUM_CHURNERS: Final = 10
ORIGINS: Final = 4
FOLDS: Final = 5

SplitKind = Literal["time and customers", "customers"]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Fold:
    """Rows of the training table: fit on `train`, score `test` and `known`.

    Customers of fold `number` are in none of `train`. `test` are theirs at `origin` (where
    only customers are held out: at every tested date, of which `origin` is the newest).
    `known` are theirs whose labels were known at `origin`: with those of the other folds,
    they tell calibration and threshold.
    """

    origin: int
    number: int
    train: Index
    test: Index
    known: Index


@dataclass(frozen=True)
class Split:
    """Every held-out row is in exactly one fold's `test`.

    `kind` says what separates it from the rows its model was fitted on: one horizon in
    time and being another customer, or only being another customer. `origins` are the
    tested dates, newest first.
    """

    kind: SplitKind
    folds: tuple[Fold, ...]
    origins: tuple[int, ...]

    @property
    def sentence(self) -> str:
        if self.kind == "time and customers":
            return "other customers, at dates whose labels were known one horizon before the tested date"
        return "other customers at the same dates (the log is too short for a gap of one horizon in time)"


def check_enough(table: pd.DataFrame, where: str = "") -> None:
    """Raise `NotEnoughDataError` where nothing could be concluded: too few customers, churners or stayers."""
    customers = table.customer_id.nunique()
    churners = table.customer_id[table[LABEL] == 1].nunique()
    stayers = table.customer_id[table[LABEL] == 0].nunique()
    if customers < MINIMUM_CUSTOMERS or churners < MINIMUM_CHURNERS or stayers < MINIMUM_CHURNERS:
        raise NotEnoughDataError(
            f"{where}{customers} customers at risk, {churners} with a churn and {stayers} without; training needs at "
            f"least {MINIMUM_CUSTOMERS} customers, {MINIMUM_CHURNERS} with and {MINIMUM_CHURNERS} without: take a "
            "longer or larger log"
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

    Raises:
        NotEnoughDataError: too few customers, churners or stayers, in all or at the tested dates.
        SettingError: folds or origins out of range.
    """
    check_enough(table)
    if not 1 <= origins <= 52:
        raise SettingError("origins", origins, "1 to 52")
    number = customer_folds(table, folds, seed)
    dates = _testable(table)
    crossed = [date for date in dates if _learnable(table[_known_at(date, table, horizon_days)])][:origins]
    kept = tuple(crossed or dates[:origins])
    check_enough(table[table.as_of.isin(kept)], f"at the tested dates ({', '.join(map(iso, kept))}): ")
    if crossed:
        parts = [_crossed(table, number, date, k, horizon_days) for date in kept for k in range(folds)]
        return Split("time and customers", tuple(parts), kept)
    return Split("customers", everything(table, number, kept), kept)


def everything(table: pd.DataFrame, number: Index, dates: tuple[int, ...] | None = None) -> tuple[Fold, ...]:
    """Hold out customers only: each fold's at `dates` (None: wherever the history is full), fit on all others.

    What is known is everything the table says, as it is to the model that is stored.

    Args:
        table: the training table.
        number: the fold of each row (`customer_folds`).
        dates: to test at.
    """
    known = _telling(table, np.ones(len(table), dtype=np.bool_))
    tested = known if dates is None else table.as_of.isin(dates).to_numpy(np.bool_)
    newest = int(table.as_of[tested].max())
    return tuple(
        Fold(
            newest,
            k,
            train=np.flatnonzero(number != k),
            test=np.flatnonzero(tested & (number == k)),
            known=np.flatnonzero(known & (number == k)),
        )
        for k in np.unique(number).tolist()
    )


def before(table: pd.DataFrame, parts: Split, horizon_days: int) -> Index:
    """Rows whose labels were known before the first tested date: nothing chosen on them has seen the test."""
    return np.flatnonzero(_known_at(min(parts.origins), table, horizon_days))


def _known_at(origin: int, table: pd.DataFrame, horizon_days: int) -> Flags:
    return (table.as_of <= origin - horizon_days * DAY_MS).to_numpy(np.bool_)


def _crossed(table: pd.DataFrame, number: Index, origin: int, k: int, horizon_days: int) -> Fold:
    known = _known_at(origin, table, horizon_days)
    return Fold(
        origin,
        k,
        train=np.flatnonzero(known & (number != k)),
        test=np.flatnonzero((table.as_of == origin).to_numpy() & (number == k)),
        known=np.flatnonzero(_telling(table, known) & (number == k)),
    )


def _telling(table: pd.DataFrame, known: Flags) -> Flags:
    """Select the known rows that are like the rows to come: with full history, unless too few have it."""
    full = known & ~table.short.to_numpy(np.bool_)
    return full if _learnable(table[full]) else known


def _testable(table: pd.DataFrame) -> list[int]:
    """Snapshots to test at, newest first: those with full history, or the newest if none has it."""
    full = table.as_of[~table.short]
    dates = full if len(full) else table.as_of
    return [int(date) for date in sorted(dates.unique(), reverse=True)][: None if len(full) else 1]


def _learnable(rows: pd.DataFrame) -> bool:
    churners = rows.customer_id[rows[LABEL] == 1].nunique()
    stayers = rows.customer_id[rows[LABEL] == 0].nunique()
    enough = churners >= 2 * MINIMUM_CHURNERS and stayers >= 2 * MINIMUM_CHURNERS
    return enough and rows.customer_id.nunique() >= 2 * MINIMUM_CUSTOMERS
