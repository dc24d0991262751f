"""Size and shape of the forest: the smallest that is as good as the best, searched on rows before the test."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from churn.errors import SettingError
from churn.model.scoring import Encoder, Matrix
from churn.quality.measures import LABEL
from churn.quality.paired import Paired, paired
from training.forest.fit import ForestSettings, columns_for, fit_classifier
from training.table.split import Fold, Split, before, customer_folds

TOLERANCE: Final = 0.0025
"""An AUC this much smaller is the same, whatever the rows say."""

RESAMPLES: Final = 200
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class SearchSettings:
    """Which forests are tried. The trees of a smaller forest are the first of a larger one.

    `folds` of customers are held out in turn. More than `rows` rows are more than a search
    needs: customers are drawn until there are as many.
    """

    trees: tuple[int, ...] = (50, 100, 200)
    depths: tuple[int, ...] = (4, 6, 8)
    leaves: tuple[int, ...] = (10, 20, 50, 100)
    folds: int = 5
    rows: int = 20_000

    def __post_init__(self) -> None:
        for name in ("trees", "depths", "leaves"):
            if not getattr(self, name):
                raise SettingError(name, getattr(self, name), "at least one value to try")
        if self.rows < 1:
            raise SettingError("rows", self.rows, "1 or more")


@dataclass(frozen=True)
class Candidate:
    """A forest that was tried.

    `nodes` are what it costs to explain. `auc` is that of the held-out customers; `loss`
    how much less that is than the best, and `loss_error` the standard error of the loss
    (paired bootstrap over customers).
    """

    trees: int
    depth: int
    leaf: int
    nodes: int
    auc: float
    loss: float
    loss_error: float

    @property
    def as_good_as_best(self) -> bool:
        return self.loss <= max(self.loss_error, TOLERANCE)


@dataclass(frozen=True)
class Search:
    """The forest chosen, and the curve it was chosen from, smallest forest first."""

    chosen: ForestSettings
    curve: tuple[Candidate, ...]
    rows: int
    customers: int
    churners: int

    @property
    def winner(self) -> Candidate:
        return choose(self.curve)

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": "the smallest forest whose AUC is at most one standard error of the loss, "
            f"or {TOLERANCE}, below the best",
            "chosen": asdict(self.winner),
            "curve": [asdict(candidate) for candidate in self.curve],
            "rows": self.rows,
            "customers": self.customers,
            "churners": self.churners,
        }


def choose(curve: tuple[Candidate, ...]) -> Candidate:
    """The smallest forest that is as good as the best; of two of a size, the better."""
    return min((c for c in curve if c.as_good_as_best), key=lambda c: (c.nodes, -c.auc))


def search(
    table: pd.DataFrame, base: ForestSettings, settings: SearchSettings, progress: Callable[[str], None]
) -> Search:
    """Try every combination on held-out customers of `table`.

    Args:
        table: rows that may be seen: none of those the chosen forest is to be judged on.
        base: seed, cores and left-out categories of the forests tried.
        settings: what to try.
        progress: told a line per depth and leaf.
    """
    rows = _sample(table, settings.rows, base.seed)
    # Folds of their own: those of the evaluation would deal the same customers together again.
    number = customer_folds(rows, settings.folds, base.seed + 1)
    encoder = Encoder(columns_for(rows, base.without))
    matrix, churned = encoder.frame(rows), rows[LABEL].to_numpy()
    scores: dict[tuple[int, int, int], Vector] = {}
    nodes: dict[tuple[int, int, int], float] = {}
    shapes = list(product(settings.depths, settings.leaves))
    for count, (depth, leaf) in enumerate(shapes, 1):
        progress(f"search {count} of {len(shapes)}: depth {depth}, at least {leaf} rows in a leaf")
        shape = replace(base, trees=max(settings.trees), depth=depth, leaf=leaf)
        found, size = _held_out(matrix, churned, number, shape, settings.trees)
        for trees in settings.trees:
            scores[trees, depth, leaf], nodes[trees, depth, leaf] = found[trees], size[trees]
    judged = paired(pd.DataFrame(scores), churned.astype(np.float64), rows.customer_id, base.seed, resamples=RESAMPLES)
    curve = _curve(list(scores), nodes, judged)
    winner = choose(curve)
    return Search(
        chosen=replace(base, trees=winner.trees, depth=winner.depth, leaf=winner.leaf),
        curve=curve,
        rows=len(rows),
        customers=int(rows.customer_id.nunique()),
        churners=int(rows.customer_id[rows[LABEL] == 1].nunique()),
    )


@dataclass(frozen=True)
class Forests:
    """The forest to store, and those to judge it by: `by_fold` where each fold has one of its own."""

    final: ForestSettings
    by_fold: dict[int, ForestSettings] = field(default_factory=dict)
    found: Search | None = None

    def of(self, fold: Fold) -> ForestSettings:
        return self.by_fold.get(fold.number, self.final)

    def to_dict(self) -> dict[str, Any] | None:
        """What the search found; None without one."""
        if self.found is None:
            return None
        own = {str(k): {name: getattr(s, name) for name in ("trees", "depth", "leaf")} for k, s in self.by_fold.items()}
        return self.found.to_dict() | {"by_fold": own}


def search_forests(
    table: pd.DataFrame,
    parts: Split,
    horizon_days: int,
    base: ForestSettings,
    settings: SearchSettings,
    progress: Callable[[str], None],
) -> Forests:
    """Search where the test does not see it.

    With a gap in time: once, on the rows whose labels were known at the first tested date.
    Without: for each fold on the customers of the others, and for the stored model on all.
    """
    if parts.kind == "time and customers":
        found = search(table.iloc[before(table, parts, horizon_days)], base, settings, progress)
        return Forests(found.chosen, found=found)
    by_fold = {}
    for count, fold in enumerate(parts.folds, 1):
        told = _prefixed(progress, f"fold {count} of {len(parts.folds)}, ")
        by_fold[fold.number] = search(table.iloc[fold.train], base, settings, told).chosen
    found = search(table, base, settings, progress)
    return Forests(found.chosen, by_fold, found)


def _prefixed(progress: Callable[[str], None], prefix: str) -> Callable[[str], None]:
    return lambda text: progress(prefix + text)


def _sample(table: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """At most `rows` rows, of customers drawn with all of theirs."""
    if len(table) <= rows:
        return table
    sizes = table.groupby("customer_id", sort=True).size().sample(frac=1, random_state=seed)
    return table[table.customer_id.isin(sizes.index[sizes.cumsum() <= rows])]


def _held_out(
    matrix: Matrix, churned: NDArray[np.int64], number: NDArray[np.int64], shape: ForestSettings, trees: tuple[int, ...]
) -> tuple[dict[int, Vector], dict[int, float]]:
    """Scores of all rows and mean number of nodes, for the first of the trees and for more of them."""
    scores = {count: np.empty(len(churned)) for count in trees}
    nodes = dict.fromkeys(trees, 0.0)
    folds = np.unique(number)
    for fold in folds:
        forest = fit_classifier(matrix[number != fold], churned[number != fold], shape)
        sums = _running_sums(forest, matrix[number == fold])
        sizes = np.cumsum([tree.tree_.node_count for tree in forest.estimators_])
        for count in trees:
            scores[count][number == fold] = sums[count - 1] / count
            nodes[count] += float(sizes[count - 1]) / len(folds)
    return scores, nodes


def _running_sums(forest: RandomForestClassifier, matrix: Matrix) -> Vector:
    """Sum over the first tree, the first two and so on of their shares of churners, [trees, rows]."""
    votes = [tree.predict_proba(matrix, check_input=False)[:, 1] for tree in forest.estimators_]
    return np.asarray(np.cumsum(votes, axis=0), dtype=np.float64)


def _curve(
    tried: list[tuple[int, int, int]], nodes: dict[tuple[int, int, int], float], judged: Paired
) -> tuple[Candidate, ...]:
    best = int(np.argmax(judged.points))
    losses = judged.points[best] - judged.points
    errors = (judged.draws[:, [best]] - judged.draws).std(axis=0)
    curve = [
        Candidate(trees, depth, leaf, round(nodes[trees, depth, leaf]), *map(float, (value, loss, error)))
        for (trees, depth, leaf), value, loss, error in zip(tried, judged.points, losses, errors, strict=True)
    ]
    return tuple(sorted(curve, key=lambda candidate: (candidate.nodes, candidate.trees, candidate.depth)))
