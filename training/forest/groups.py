"""Groups of features: those that a log can fill, and the set that ranks held-out customers best."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.contract import GROUPS
from churn.model.artifact import Column
from churn.model.scoring import Encoder, Matrix
from churn.quality.measures import LABEL
from churn.quality.paired import Paired
from training.forest.fit import DEFAULT_GROUPS, PROFILE, ForestSettings, columns_for
from training.table.split import Split, before

ERRORS_TO_WIN: Final = 2.0
"""A larger set of features must gain this many standard errors of the paired difference."""

FEWEST_SNAPSHOTS: Final = 3
"""Training snapshots that a group must be filled on, where a gap in time separates them from the tested dates."""

Vector = NDArray[np.float64]
Judge = Callable[[pd.DataFrame], Paired]


@dataclass(frozen=True)
class GroupSet:
    """A set of groups that was tried, beside `profile`.

    `gain` is its AUC minus that of the default groups, `gain_error` the standard error of the gain (paired bootstrap
    over customers).
    """

    groups: tuple[str, ...]
    columns: int
    auc: float
    gain: float
    gain_error: float


@dataclass(frozen=True)
class GroupChoice:
    """The groups that were chosen, the sets they were chosen from, and the groups that the log cannot fill."""

    chosen: tuple[str, ...] = DEFAULT_GROUPS
    tried: tuple[GroupSet, ...] = ()
    not_offered: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": f"the set with fewest columns; a larger one wins by {ERRORS_TO_WIN:g} standard errors of the "
            "paired difference",
            "chosen": self.chosen,
            "tried": [asdict(one) for one in self.tried],
            "not_offered": self.not_offered,
        }


@dataclass(frozen=True)
class Offer:
    """The groups that the rows can fill, and those that they cannot."""

    filled: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def offered(table: pd.DataFrame, parts: Split, horizon_days: int) -> Offer:
    """The groups that may be tried beside the default ones.

    A group is filled at a snapshot where any of its features has a value. It must be so at every tested date. Where a
    gap in time separates training from test, it must be so on three snapshots before the gap as well; without a gap,
    the other customers' rows of the tested dates are trained on.
    """
    rows = table.iloc[before(table, parts, horizon_days)]
    gap = parts.kind == "time and customers"
    filled: list[str] = []
    missing: list[str] = []
    for group in GROUPS:
        if group.name in (PROFILE, *DEFAULT_GROUPS):
            continue
        dates = _filled(table, group.names)
        earlier = dates & set(rows.as_of.unique().tolist())
        ready = dates >= set(parts.origins) and (not gap or len(earlier) >= FEWEST_SNAPSHOTS)
        (filled if ready else missing).append(group.name)
    return Offer(tuple(filled), tuple(missing))


def _filled(table: pd.DataFrame, names: Sequence[str]) -> set[int]:
    values = table[list(names)].notna().any(axis=1).groupby(table.as_of).any()
    return set(values.index[values].tolist())


def candidates(filled: Sequence[str]) -> list[tuple[str, ...]]:
    """The default groups, each offered group added to them, and all."""
    sets = [DEFAULT_GROUPS, *((*DEFAULT_GROUPS, name) for name in filled), (*DEFAULT_GROUPS, *filled)]
    return list(dict.fromkeys(sets))


@dataclass(frozen=True)
class WideMatrix:
    """Rows with the columns of all offered groups, from which each set takes its own."""

    rows: pd.DataFrame
    columns: tuple[Column, ...]
    matrix: Matrix

    @classmethod
    def of(cls, rows: pd.DataFrame, base: ForestSettings, groups: Sequence[str]) -> "WideMatrix":
        """Encode the rows; `base` names the categories that are left out."""
        columns = columns_for(rows, replace(base, groups=tuple(groups)))
        return cls(rows, tuple(columns), Encoder(columns).frame(rows))

    @property
    def churned(self) -> NDArray[np.int64]:
        return self.rows[LABEL].to_numpy()

    def taken(self, groups: Sequence[str]) -> Matrix:
        """The matrix of a set of groups."""
        group_of = {name: group.name for group in GROUPS for name in group.names}
        used = [at for at, column in enumerate(self.columns) if group_of[column.feature] in (PROFILE, *groups)]
        return self.matrix[:, used]


def choose_groups(
    offer: Offer,
    score: Callable[[tuple[str, ...]], tuple[Vector, int]],
    judge: Judge,
    progress: Callable[[str], None],
) -> GroupChoice:
    """Try the candidates.

    Args:
        offer: the groups that may be tried.
        score: gives the held-out scores of a set of groups, and its number of columns.
        judge: compares the scores of all sets on the same rows.
        progress: told a line per set.
    """
    sets = candidates(offer.filled)
    scores, columns = {}, []
    started = time.monotonic()
    for count, groups in enumerate(sets, 1):
        left = (time.monotonic() - started) / max(count - 1, 1) * (len(sets) - count + 1)
        to_go = f"; about {left:.0f} s to go" if count > 1 else ""
        progress(f"feature groups {count} of {len(sets)}: {', '.join(groups)}{to_go}")
        scores[str(count)], width = score(groups)
        columns.append(width)
    judged = judge(pd.DataFrame(scores))
    tried = tuple(_tried(groups, columns[at], judged, at) for at, groups in enumerate(sets))
    return GroupChoice(sets[winner(columns, judged)], tried, offer.missing)


def winner(columns: Sequence[int], judged: Paired) -> int:
    """The place of the winning set: from the smallest on, a larger set must beat the best so far."""
    best, *larger = sorted(range(len(columns)), key=lambda at: (columns[at], at))
    for at in larger:
        gain, error = _gain(judged, at, best)
        if gain > ERRORS_TO_WIN * error:
            best = at
    return best


def _gain(judged: Paired, at: int, than: int) -> tuple[float, float]:
    gain = judged.points[at] - judged.points[than]
    return float(gain), float((judged.draws[:, at] - judged.draws[:, than]).std())


def _tried(groups: tuple[str, ...], columns: int, judged: Paired, at: int) -> GroupSet:
    return GroupSet(groups, columns, float(judged.points[at]), *_gain(judged, at, 0))
