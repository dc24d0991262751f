"""Errors of the model: quality by kind of customer, who is missed, and who is wrongly flagged. Aggregates only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from churn.contract import BY_NAME, NUMERIC
from churn.moments import iso
from churn.quality.figure import Figure
from churn.quality.intervals import share_interval
from churn.quality.measures import LABEL
from churn.quality.paired import paired

UNKNOWN: Final = "not known"
RARE: Final = "all others"
RARE_CUSTOMERS: Final = 20
"""An operating system of fewer customers is not shown by itself."""

FEWEST_OF_EACH: Final = 10
"""An AUC is shown for at least so many customers who churned, and as many who did not."""

FEWEST_CUSTOMERS: Final = 5
"""A median of fewer customers would be about persons."""

RESAMPLES: Final = 500
CONTRASTS: Final = 6

_TENURE: Final = ((30, "up to 30 days"), (90, "30 to 90 days"), (180, "90 to 180 days"), (np.inf, "over 180 days"))
_RECENCY: Final = ((1, "within a day"), (7, "1 to 7 days ago"), (14, "7 to 14 days ago"), (np.inf, "over 14 days ago"))


@dataclass(frozen=True)
class Segment:
    """One kind of held-out rows. A figure is None where too few rows would have to carry it.

    Attributes:
        dimension, name: such as `plan`, `paid`.
        rows, customers, churners: how many; churners are customers.
        churned: share of rows.
        predicted: mean probability.
        auc: within the segment.
        caught: share of its churners' rows that were flagged.
        wrongly_flagged: share of its stayers' rows that were flagged.
    """

    dimension: str
    name: str
    rows: int
    customers: int
    churners: int
    churned: float
    predicted: float
    auc: Figure | None
    caught: Figure | None
    wrongly_flagged: Figure | None


def dimensions(rows: pd.DataFrame) -> dict[str, "pd.Series[str]"]:
    """What kind each row is of, by each way to divide them; the kinds of one in the order of first mention."""
    songs = rows["songs_28d"]
    return {
        "date": pd.Series([iso(int(moment))[:10] for moment in rows.as_of], index=rows.index),
        "plan": rows["level"].fillna(UNKNOWN),
        "tenure": _bands(rows["tenure_days"], _TENURE),
        "operating system": _common(rows["os"].fillna(UNKNOWN), rows.customer_id),
        "gender": rows["gender"].fillna(UNKNOWN),
        "last active": _bands(rows["days_since_last_event"], _RECENCY),
        "songs in 28 days": _bands(songs, tuple(_thirds(songs))),
    }


def _bands(values: "pd.Series[float]", bounds: tuple[tuple[float, str], ...]) -> "pd.Series[str]":
    at = np.searchsorted([upper for upper, _ in bounds], values.fillna(0))
    names = [
        UNKNOWN if missing else bounds[min(int(band), len(bounds) - 1)][1]
        for band, missing in zip(at, values.isna(), strict=True)
    ]
    return pd.Series(names, index=values.index)


def _thirds(values: "pd.Series[float]") -> Iterator[tuple[float, str]]:
    low, high = (int(value) for value in np.quantile(values, [1 / 3, 2 / 3]))
    yield low, f"up to {low}"
    if high > low:
        yield high, f"{low + 1} to {high}"
    yield np.inf, f"over {max(low, high)}"


def _common(values: "pd.Series[str]", customer_id: "pd.Series[str]") -> "pd.Series[str]":
    customers = customer_id.groupby(values).nunique()
    return values.where(values.map(customers) >= RARE_CUSTOMERS, RARE)


def segments(rows: pd.DataFrame, seed: int) -> list[Segment]:
    """Quality on each kind of held-out rows.

    Args:
        rows: held-out rows: the contract's features, `customer_id`, `as_of`, `churned`, `score`,
            `probability`, `flagged`.
        seed: of the bootstrap.
    """
    return [
        _segment(dimension, str(name), rows[kind == name], seed)
        for dimension, kind in dimensions(rows).items()
        for name in _ordered(dimension, kind)
    ]


def _ordered(dimension: str, kind: "pd.Series[str]") -> list[str]:
    order = [name for bounds in (_TENURE, _RECENCY) for _, name in bounds] + [RARE, UNKNOWN]
    found = sorted(kind.unique(), key=lambda name: (order.index(name) if name in order else -1, name))
    if dimension == "songs in 28 days":
        found.sort(key=lambda name: (not name.startswith("up"), name.startswith("over")))
    return found


def _segment(dimension: str, name: str, rows: pd.DataFrame, seed: int) -> Segment:
    churned = rows[LABEL] == 1
    return Segment(
        dimension,
        name,
        len(rows),
        int(rows.customer_id.nunique()),
        int(rows.customer_id[churned].nunique()),
        float(churned.mean()),
        float(rows["probability"].mean()),
        auc=_auc(rows, seed),
        caught=_flagged_share(rows[churned]),
        wrongly_flagged=_flagged_share(rows[~churned]),
    )


def _auc(rows: pd.DataFrame, seed: int) -> Figure | None:
    if any(rows.customer_id[rows[LABEL] == outcome].nunique() < FEWEST_OF_EACH for outcome in (0, 1)):
        return None
    scores, churned = rows[["score"]], rows[LABEL].to_numpy(np.float64)
    return paired(scores, churned, rows.customer_id, seed, resamples=RESAMPLES).figure("score")


def _flagged_share(rows: pd.DataFrame) -> Figure | None:
    if rows.customer_id.nunique() < FEWEST_CUSTOMERS:
        return None
    by_customer = rows["flagged"].astype(np.float64).groupby(rows.customer_id).agg(["sum", "size"])
    hits, cases = by_customer["sum"].to_numpy(np.float64), by_customer["size"].to_numpy(np.float64)
    return Figure(float(hits.sum() / cases.sum()), *share_interval(hits, cases))


@dataclass(frozen=True)
class Outcome:
    """Rows with the same answer and the same truth: `caught`, `missed`, `wrongly flagged`, `rightly left alone`."""

    name: str
    rows: int
    customers: int
    probability: float


@dataclass(frozen=True)
class Contrast:
    """One feature's median among the errors and among the rows the model got right.

    `distance` is that of the means, in standard deviations of all held-out rows.
    """

    feature: str
    description: str
    wrong: float
    right: float
    distance: float


@dataclass(frozen=True)
class Errors:
    """Compare missed with caught churners, and wrongly flagged with rightly ignored stayers."""

    outcomes: tuple[Outcome, ...]
    missed: tuple[Contrast, ...]
    wrongly_flagged: tuple[Contrast, ...]


def errors(rows: pd.DataFrame) -> Errors:
    """Divide held-out rows by answer and truth, and compare the wrong with the right; see `segments` for `rows`."""
    churned, flagged = rows[LABEL] == 1, rows["flagged"].astype(bool)
    kinds = {
        "caught": rows[churned & flagged],
        "missed": rows[churned & ~flagged],
        "wrongly flagged": rows[~churned & flagged],
        "rightly left alone": rows[~churned & ~flagged],
    }
    spread = rows[list(NUMERIC)].std()
    return Errors(
        tuple(_outcome(name, part) for name, part in kinds.items()),
        _contrasts(kinds["missed"], kinds["caught"], spread),
        _contrasts(kinds["wrongly flagged"], kinds["rightly left alone"], spread),
    )


def _outcome(name: str, rows: pd.DataFrame) -> Outcome:
    probability = float(rows["probability"].mean()) if len(rows) else 0.0
    return Outcome(name, len(rows), int(rows.customer_id.nunique()), probability)


def _contrasts(wrong: pd.DataFrame, right: pd.DataFrame, spread: "pd.Series[float]") -> tuple[Contrast, ...]:
    """The features that differ most, one of each measure; none where a group is of too few customers."""
    if min(wrong.customer_id.nunique(), right.customer_id.nunique()) < FEWEST_CUSTOMERS:
        return ()
    numbers = list(NUMERIC)
    distance = (wrong[numbers].mean() - right[numbers].mean()) / spread.replace(0, np.nan)
    chosen: dict[str, str] = {}
    for name in distance.dropna().abs().sort_values(ascending=False, kind="stable").index:
        chosen.setdefault(BY_NAME[name].measure, str(name))
    medians = {"wrong": wrong[numbers].median(), "right": right[numbers].median()}
    return tuple(_contrast(name, medians, float(distance[name])) for name in list(chosen.values())[:CONTRASTS])


def _contrast(name: str, medians: Mapping[str, Any], distance: float) -> Contrast:
    wrong, right = float(medians["wrong"][name]), float(medians["right"][name])
    return Contrast(name, BY_NAME[name].description, wrong, right, distance)
