"""The forest: its groups of features, then the smallest shape that is as good as the best, on rows before the test."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from churn.errors import SettingError
from churn.model.scoring import Matrix
from churn.quality.measures import LABEL
from churn.quality.paired import Paired, paired
from training.forest.fit import ForestSettings, fit_classifier
from training.forest.groups import GroupChoice, Offer, WideMatrix, choose_groups, offered
from training.table.split import Fold, Split, before, customer_folds

TOLERANCE: Final = 0.0025
"""An AUC this much smaller is the same, whatever the rows say."""

REPEATED_FOLDS: Final = 3
RESAMPLES: Final = 200
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class SearchSettings:
    """Which forests are tried. The trees of a smaller forest are the first of a larger one.

    `folds` of customers are held out in turn. More than `rows` rows are more than a search
    needs: customers are drawn until there are as many. A smaller forest may lose `errors` standard
    errors of its loss, or `TOLERANCE`. `groups`: whether groups of features are searched too.
    """

    trees: tuple[int, ...] = (50, 100, 200)
    depths: tuple[int, ...] = (4, 6, 8)
    leaves: tuple[int, ...] = (10, 20, 50, 100)
    folds: int = 5
    rows: int = 20_000
    errors: float = 0.5
    groups: bool = True

    def __post_init__(self) -> None:
        for name in ("trees", "depths", "leaves"):
            if not getattr(self, name):
                raise SettingError(name, getattr(self, name), "at least one value to try")
        if self.rows < 1:
            raise SettingError("rows", self.rows, "1 or more")

    def repeated(self) -> "SearchSettings":
        """The settings of a search that each fold repeats: fewer inner folds and no forests of most trees."""
        return replace(self, folds=min(self.folds, REPEATED_FOLDS), trees=self.trees[: max(1, len(self.trees) - 1)])


VERSION_1: Final = SearchSettings(errors=1.0, groups=False)
"""The search of contract 1: the windows' features alone, and a whole standard error for a smaller forest."""


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

    def as_good_as_best(self, errors: float) -> bool:
        """True if the loss is at most `errors` standard errors, or `TOLERANCE`."""
        return self.loss <= max(errors * self.loss_error, TOLERANCE)


@dataclass(frozen=True)
class Search:
    """The forest chosen, and the curve it was chosen from, smallest forest first."""

    chosen: ForestSettings
    curve: tuple[Candidate, ...]
    rows: int
    customers: int
    churners: int
    errors: float
    groups: GroupChoice = field(default_factory=GroupChoice)

    @property
    def winner(self) -> Candidate:
        return choose(self.curve, self.errors)

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": f"the smallest forest whose AUC is at most {self.errors:g} standard errors of the loss, "
            f"or {TOLERANCE}, below the best",
            "groups": self.groups.to_dict(),
            "chosen": asdict(self.winner),
            "curve": [asdict(candidate) for candidate in self.curve],
            "rows": self.rows,
            "customers": self.customers,
            "churners": self.churners,
        }


NO_OFFER: Final = Offer()


def choose(curve: tuple[Candidate, ...], errors: float) -> Candidate:
    """The smallest forest that is as good as the best; of two of a size, the better."""
    return min((c for c in curve if c.as_good_as_best(errors)), key=lambda c: (c.nodes, -c.auc))


def search(
    table: pd.DataFrame,
    base: ForestSettings,
    settings: SearchSettings,
    progress: Callable[[str], None],
    offer: Offer = NO_OFFER,
) -> Search:
    """Choose the groups of features at the shape of `base`, then try every shape, on held-out customers of `table`.

    Args:
        table: rows that may be seen: none of those the chosen forest is to be judged on.
        base: seed, cores and left-out categories of the forests tried; its shape for the groups.
        settings: what to try.
        progress: told a line per set of groups, and per depth and leaf.
        offer: the groups of features that may be tried.
    """
    rows = _sample(table, settings.rows, base.seed)
    wide = WideMatrix.of(rows, base, (*base.groups, *offer.filled))
    # Folds of their own: those of the evaluation would deal the same customers together again.
    trial = _Trial(wide, customer_folds(rows, settings.folds, base.seed + 1), base.seed)
    groups = _groups(trial, base, offer, progress)
    base = replace(base, groups=groups.chosen)
    curve = _shapes(trial, base, settings, progress)
    winner = choose(curve, settings.errors)
    return Search(
        chosen=replace(base, trees=winner.trees, depth=winner.depth, leaf=winner.leaf),
        curve=curve,
        rows=len(rows),
        customers=int(rows.customer_id.nunique()),
        churners=int(rows.customer_id[rows[LABEL] == 1].nunique()),
        errors=settings.errors,
        groups=groups,
    )


@dataclass(frozen=True)
class _Trial:
    """The rows of a search, with the fold of each."""

    wide: WideMatrix
    number: NDArray[np.int64]
    seed: int

    def scores(self, shape: ForestSettings, trees: tuple[int, ...]) -> tuple[dict[int, Vector], dict[int, float], int]:
        """Scores of all rows and mean number of nodes, by number of trees; and the number of columns."""
        matrix = self.wide.taken(shape.groups)
        return *_held_out(matrix, self.wide.churned, self.number, shape, trees), matrix.shape[1]

    def judge(self, scores: pd.DataFrame) -> Paired:
        rows = self.wide.rows
        churned = self.wide.churned.astype(np.float64)
        return paired(scores, churned, rows.customer_id, self.seed, resamples=RESAMPLES)


def _groups(trial: _Trial, base: ForestSettings, offer: Offer, progress: Callable[[str], None]) -> GroupChoice:
    """The groups of features, chosen at one shape of forest."""
    if not offer.filled:
        return GroupChoice(base.groups, (), offer.missing)

    def score(groups: tuple[str, ...]) -> tuple[Vector, int]:
        scores, _, columns = trial.scores(replace(base, groups=groups), (base.trees,))
        return scores[base.trees], columns

    return choose_groups(offer, score, trial.judge, progress)


def _shapes(
    trial: _Trial, base: ForestSettings, settings: SearchSettings, progress: Callable[[str], None]
) -> tuple[Candidate, ...]:
    """Every shape of forest on the chosen groups."""
    scores: dict[tuple[int, int, int], Vector] = {}
    nodes: dict[tuple[int, int, int], float] = {}
    shapes = list(product(settings.depths, settings.leaves))
    started = time.monotonic()
    for count, (depth, leaf) in enumerate(shapes, 1):
        left = (time.monotonic() - started) / max(count - 1, 1) * (len(shapes) - count + 1)
        to_go = f"; about {left:.0f} s to go" if count > 1 else ""
        progress(f"search {count} of {len(shapes)}: depth {depth}, at least {leaf} rows in a leaf{to_go}")
        shape = replace(base, trees=max(settings.trees), depth=depth, leaf=leaf)
        found, size, _ = trial.scores(shape, settings.trees)
        for trees in settings.trees:
            scores[trees, depth, leaf], nodes[trees, depth, leaf] = found[trees], size[trees]
    return _curve(list(scores), nodes, trial.judge(pd.DataFrame(scores)))


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
        own = {
            str(k): {name: getattr(s, name) for name in ("groups", "trees", "depth", "leaf")}
            for k, s in self.by_fold.items()
        }
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
    offer = offered(table, parts, horizon_days) if settings.groups else NO_OFFER
    if parts.kind == "time and customers":
        found = search(table.iloc[before(table, parts, horizon_days)], base, settings, progress, offer)
        return Forests(found.chosen, found=found)
    by_fold, settings = {}, settings.repeated()
    for count, fold in enumerate(parts.folds, 1):
        told = _prefixed(progress, f"fold {count} of {len(parts.folds)}, ")
        by_fold[fold.number] = search(table.iloc[fold.train], base, settings, told, offer).chosen
    found = search(table, base, settings, progress, offer)
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
