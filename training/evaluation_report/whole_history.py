"""The published predecessor's protocol, to be compared with and for nothing else.

It adds up everything a customer ever did, up to the last event, and asks for a label that
the end of the log decides. Who has left has a shorter history by definition, so the
features know the answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from ibis import Table
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from churn.activity.labels import TRIGGERS
from churn.activity.pages import PAGES, SONG
from churn.errors import NotEnoughDataError, SettingError
from churn.model.scoring import NULL_VALUE, Matrix
from churn.moments import DAY_MS, MINUTE_MS
from churn.quality.intervals import percentile
from churn.quality.measures import LABEL, Judged, auc, average_precision, f1, precision, recall
from training.forest.fit import ForestSettings, fit_classifier
from training.table.split import Split

SILENCE_DAYS: Final = 30
TEST_SHARE: Final = 0.2
SPLITS: Final = 200
OBSERVED: Final = "observed_days"
"""Time from a customer's first event to the last one: the leak by itself."""

CATEGORIES: Final = ("level", "gender", "os", "browser")
TOTALS: Final = (
    "songs",
    "thumbs_up",
    "thumbs_down",
    "playlist_adds",
    "friends_added",
    "adverts",
    "downgrade_visits",
    "downgrade_submits",
    "help_visits",
    "errors",
)
"""The pages that the predecessor counted; a page that the contract counts later is none of them."""

NUMBERS: Final = (
    *TOTALS,
    "listening_minutes",
    "artists",
    "sessions",
    "songs_per_session",
    "session_minutes",
    "tenure_days",
)
METRICS: Final = {
    "auc": auc,
    "average_precision": average_precision,
    "f1": f1,
    "precision": precision,
    "recall": recall,
}
MINIMUM_OF_A_KIND: Final = 5
"""Customers who left, and who stayed: so many, at least, can be split into training and test."""

Progress = Callable[[str], None]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class SplitRange:
    """A measure over random splits: its mean, and where 95 % of the single test sets lie."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ProtocolResult:
    """Results of random splits of one row per customer.

    `customers` and `churners` are all there are, `test_customers` and `test_churners` those
    of one test set.
    """

    figures: dict[str, SplitRange]
    customers: int
    churners: int
    test_customers: int
    test_churners: float
    splits: int


def history(events: Table, until: int | None = None) -> pd.DataFrame:
    """The predecessor's features: one row per customer, over all events before `until` (UTC epoch ms; None: all).

    Columns: `customer_id`, `NUMBERS`, `CATEGORIES`, `observed_days`.
    """
    seen = events if until is None else events.filter(events.ts < until)
    # A customer's events in time: ties of the millisecond by their number in the session.
    moment = seen.ts * 1_000_000 + seen.item
    songs = seen.page == SONG
    last = {name: seen[name].argmax(moment, where=seen[name].notnull()) for name in CATEGORIES}  # noqa: PD004 - Ibis
    totals = seen.group_by("customer_id").aggregate(
        **{name: (seen.page == PAGES[name]).sum() for name in TOTALS},
        **last,
        artists=seen.artist.nunique(where=songs),
        listening_ms=seen.length_ms.sum(where=songs).fill_null(0).cast("int64"),
        first_ts=seen.ts.min(),
        last_ts=seen.ts.max(),
        registration=seen.registration.max(),
    )
    sessions = seen.group_by(["customer_id", "session_id"]).aggregate(length=seen.ts.max() - seen.ts.min())
    by_customer = sessions.group_by("customer_id").aggregate(
        sessions=sessions.session_id.count(), session_ms=sessions.length.sum()
    )
    frame: pd.DataFrame = totals.inner_join(by_customer, "customer_id").to_pandas()
    return _shaped(frame)


def _shaped(frame: pd.DataFrame) -> pd.DataFrame:
    derived = frame.assign(
        listening_minutes=frame.listening_ms / MINUTE_MS,
        songs_per_session=frame.songs / frame.sessions,
        session_minutes=frame.session_ms / frame.sessions / MINUTE_MS,
        tenure_days=(frame.last_ts - frame.registration) / DAY_MS,
        observed_days=(frame.last_ts - frame.first_ts) / DAY_MS,
    )
    shaped = derived[["customer_id", *NUMBERS, *CATEGORIES, OBSERVED]]
    return shaped.sort_values("customer_id", ignore_index=True)


def published_label(events: Table, log_end: int) -> pd.DataFrame:
    """`customer_id`, `churned`: a trigger action ever, and a last event over 30 days before the log's newest."""
    customers = events.group_by("customer_id").aggregate(
        triggers=events.page.isin(TRIGGERS).sum(), last_ts=events.ts.max()
    )
    left = (customers.triggers > 0) & (customers.last_ts < log_end - SILENCE_DAYS * DAY_MS)
    frame: pd.DataFrame = customers.select("customer_id", churned=left.cast("int64")).to_pandas()
    return frame


def labelled(events: Table, log_end: int, until: int | None = None) -> pd.DataFrame:
    """Features up to `until` with the published label, for every customer with an event before it."""
    return history(events, until).merge(published_label(events, log_end), on="customer_id", validate="1:1")


def random_splits(
    rows: pd.DataFrame, numbers: Sequence[str], seed: int, splits: int = SPLITS, progress: Progress = lambda _: None
) -> ProtocolResult:
    """Fit on 80 % of the customers and test on 20 %, again and again; each split has the overall share of churners.

    The forest is scikit-learn's as it comes, class-balanced, and flags from 0.5 on.

    Args:
        rows: of `labelled`.
        numbers: numeric columns to use; the categories are always used.
        seed: of the splits and the forests.
        splits: how many.
        progress: told a line now and then.

    Raises:
        NotEnoughDataError: too few customers of a kind to be split.
        SettingError: `splits` out of range.
    """
    if not 2 <= splits <= 10_000:
        raise SettingError("splits", splits, "2 to 10000")
    churned = rows[LABEL].to_numpy(np.int64)
    _check_enough(churned)
    matrix = encoded(rows, numbers)
    drawn: dict[str, list[float]] = {name: [] for name in METRICS}
    test_churners = 0
    for number in range(splits):
        if number % 50 == 0:
            progress(f"random split {number + 1} of {splits}")
        train, test = train_test_split(
            np.arange(len(rows)), test_size=TEST_SHARE, random_state=seed + number, stratify=churned
        )
        forest = RandomForestClassifier(class_weight="balanced", random_state=seed + number)
        score = forest.fit(matrix[train], churned[train]).predict_proba(matrix[test])[:, 1]
        judged = Judged(churned[test].astype(np.float64), score, score, (score >= 0.5).astype(np.float64))
        test_churners += int(churned[test].sum())
        for name, metric in METRICS.items():
            drawn[name].append(metric(judged, np.ones(len(test))))
    figures = {
        name: SplitRange(float(np.mean(values)), *percentile(np.array(values))) for name, values in drawn.items()
    }
    return ProtocolResult(figures, len(rows), int(churned.sum()), len(test), test_churners / splits, splits)


def _check_enough(churned: NDArray[np.int64]) -> None:
    left, stayed = int(churned.sum()), int((1 - churned).sum())
    if min(left, stayed) < MINIMUM_OF_A_KIND:
        raise NotEnoughDataError(
            f"the published label finds {left} customers who left and {stayed} who stayed; random splits need at least "
            f"{MINIMUM_OF_A_KIND} of each: take a longer or larger log"
        )


def encoded(rows: pd.DataFrame, numbers: Sequence[str]) -> Matrix:
    """The numbers, null as -1, and one column per category; float32 [rows, columns]."""
    plain = rows[list(numbers)].astype(np.float32).fillna(NULL_VALUE)
    dummies = pd.get_dummies(rows[list(CATEGORIES)], dtype=np.float32)
    return np.ascontiguousarray(np.column_stack([plain.to_numpy(), dummies.to_numpy()]), dtype=np.float32)


def point_in_time(events: Table, table: pd.DataFrame, progress: Progress) -> pd.DataFrame:
    """The predecessor's features of each row of the training table, from the events before its `as_of` only."""
    parts: list[Any] = []
    for as_of, rows in table.groupby("as_of"):
        progress(f"the predecessor's features at snapshot {len(parts) + 1} of {table.as_of.nunique()}")
        known = rows[["customer_id", LABEL]].reset_index()
        part = known.merge(history(events, int(str(as_of))), on="customer_id", how="left", validate="1:1")
        parts.append(part.set_index("index"))
    together: pd.DataFrame = pd.concat(parts)
    return together.sort_index()


def held_out_scores(
    rows: pd.DataFrame, numbers: Sequence[str], parts: Split, forest: ForestSettings, progress: Progress
) -> "pd.Series[float]":
    """Score the rows that `parts` holds out with forests on the predecessor's features.

    Args:
        rows: of `point_in_time`, in the order of the training table.
        numbers: numeric columns to use.
        parts: how the training table was split.
        forest: the same as that of the model it is compared with.
        progress: told a line per forest.

    Returns:
        The scores; the index is the row of the training table.
    """
    matrix, churned = encoded(rows, numbers), rows[LABEL].to_numpy(np.int64)
    found = []
    for count, fold in enumerate(parts.folds, 1):
        progress(f"the predecessor's features: held-out forest {count} of {len(parts.folds)}")
        classifier = fit_classifier(matrix[fold.train], churned[fold.train], forest).set_params(n_jobs=1)
        score = classifier.predict_proba(matrix[fold.test])[:, 1] if len(fold.test) else np.empty(0)
        found.append(pd.Series(score, index=fold.test, dtype=np.float64))
    return pd.concat(found).sort_index()
