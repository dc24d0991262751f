"""What would help: the smallest change of one feature that brings a customer below the threshold.

With all other columns of a row held, a forest is a piecewise constant function of one column,
and its pieces end at the forest's own split points. One walk down the trees finds, for all
actionable columns at once, every leaf that the row reaches when one column alone may change,
together with the interval of that column which leads there. Sorted by where the intervals
begin and end, the leaves' differences to the row's own leaf add up to the score on each piece.

What is proposed could be true: within the contract's bounds and without contradicting the
other features, which stay as they are (`churn.contradictions`), also those that the forest
does not see. A trend is the ratio of two windows: what is proposed helps with the trend as it
was sent, which is what `predict` says of the changed row, and also with the trend that follows
from the change.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from churn.contract import BY_NAME, NUMERIC, TREND_DAYS, TREND_MAXIMUM, WINDOWS, Feature
from churn.contradictions import AT_MOST, NEEDED, NULL_WITHOUT, RECENT, Numbers
from churn.model.artifact import Column, Forest
from churn.model.scoring import NULL_VALUE
from churn.model.treeshap import Floats, Indices, Matrix, Paths, paths

_BLOCK: Final = 64
"""Rows walked together: enough that NumPy's cost per call does not matter."""

_NONE: Final = -1
_PLACE: Final = {name: index for index, name in enumerate(NUMERIC)}
_OF_TREND: Final = ("trend", f"{min(WINDOWS)}d", f"{TREND_DAYS}d")


class Scorer(Protocol):
    """What is needed of `churn.model.scoring.Scorer`."""

    @property
    def threshold(self) -> float: ...
    def score(self, matrix: Matrix) -> Floats: ...
    def probability(self, score: Floats) -> Floats: ...


@dataclass(frozen=True)
class Suggestion:
    """One change that brings the probability below the threshold, everything else as it is."""

    feature: str
    from_value: float
    to_value: float
    churn_probability: float


@dataclass(frozen=True)
class Movable:
    """A feature that may be proposed, and what it must agree with.

    Attributes:
        feature: actionable, and a number.
        column: its column in the matrix.
        at_least: numbers it may not fall below, such as shorter windows of the measure.
        at_most: numbers it may not rise above, such as longer windows, and all events of its window.
        positive: numbers that are above 0 only where it is.
        recencies: the days since the last of what it counts, where it has a window.
        divided: the trend that is divided by it; if any.
        trend: columns of the trend that it enters, of its newest window and of its longest; if any.

    Numbers are places in `contract.NUMERIC`.
    """

    feature: Feature
    column: int
    at_least: tuple[int, ...]
    at_most: tuple[int, ...]
    positive: tuple[int, ...]
    recencies: tuple[int, ...]
    divided: tuple[int, ...]
    trend: tuple[int, int, int] | None

    def bounds(self, numbers: Numbers) -> tuple[Floats, Floats]:
        """Smallest and largest value of each row that agrees with the row's other features, float64 [rows].

        Args:
            numbers: float64 [rows, len(contract.NUMERIC)], null as `NULL_VALUE`.
        """
        below, above = numbers[:, self.at_least], numbers[:, self.at_most]
        low = np.maximum(self.feature.minimum, below.max(axis=1, initial=-np.inf))
        above = np.where(above == NULL_VALUE, np.inf, above)
        high = np.minimum(self.feature.maximum, above.min(axis=1, initial=np.inf))
        some, none = self._certain(numbers)
        low, high = np.where(some, np.maximum(low, 1), low), np.where(none, 0, high)
        divides = (numbers[:, self.divided] != NULL_VALUE).any(axis=1)  # then the window cannot be empty
        low = np.where(divides, np.maximum(low, 1), low)
        return low.astype(np.float64), high.astype(np.float64)

    def _certain(self, numbers: Numbers) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Rows whose other features say that there is some of it, and rows where they say that there is none."""
        others, since = numbers[:, self.positive], numbers[:, self.recencies]
        within = since <= (self.feature.window or 0)
        given, dated = others != NULL_VALUE, since != NULL_VALUE
        some = (given & (others > 0)).any(axis=1) | (dated & within).any(axis=1)
        return some, (given & (others == 0)).any(axis=1) | (dated & ~within).any(axis=1)

    def follow(self, matrix: Matrix) -> None:
        """Set the trend of changed rows to what their windows say, in place."""
        if self.trend is not None:
            trend, newest, longest = self.trend
            some = matrix[:, longest] > 0
            pace = np.divide(matrix[:, newest], matrix[:, longest], where=some, out=np.zeros(len(matrix), np.float32))
            matrix[:, trend] = np.where(some, TREND_MAXIMUM * pace, NULL_VALUE)


def movable(columns: Sequence[Column]) -> list[Movable]:
    """The actionable numbers of the contract, by their place in the matrix."""
    place = {column.feature: index for index, column in enumerate(columns) if column.category is None}
    return [_movable(BY_NAME[name], place) for name in place if BY_NAME[name].actionable]


def _movable(feature: Feature, place: dict[str, int]) -> Movable:
    def numbers(names: Iterable[str]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(_PLACE[name] for name in names))

    name = feature.name
    trend = [place[of] for part in _OF_TREND if (of := f"{feature.measure}_{part}") in place]
    enters = len(trend) == len(_OF_TREND) and place[name] in trend[1:]
    return Movable(
        feature,
        place[name],
        numbers(rule.feature for rule in AT_MOST if rule.other == name),
        numbers(rule.other for rule in AT_MOST if rule.feature == name),
        numbers(rule.other for rule in NEEDED if rule.feature == name),
        numbers(rule.other for rule in RECENT if rule.feature == name),
        numbers(rule.feature for rule in NULL_WITHOUT if rule.other == name),
        (trend[0], trend[1], trend[2]) if enters else None,
    )


@dataclass(frozen=True)
class _Leaves:
    """Leaves that rows reach when one column alone may change: `column`, through `edge` at last; or none, -1."""

    row: Indices
    column: Indices
    edge: Indices
    value: Floats
    tree: Indices


@dataclass(frozen=True)
class _Pieces:
    """Where a column of a row may lie, `low < x <= high`, and the row's score if it lies there."""

    row: Indices
    column: Indices
    low: Floats
    high: Floats
    score: Floats


@dataclass(frozen=True)
class _Changes:
    """One feature's new value in each of some rows."""

    feature: Feature
    row: Indices
    own: Floats
    value: Floats
    changed: Matrix
    followed: Matrix


class Counterfactual:
    """Finds what would help, for the forest it was made for. Callable from many threads at once."""

    def __init__(self, forest: Forest, columns: Sequence[Column]) -> None:
        self._paths = paths(forest)
        self._left = _left_children(self._paths)
        self._low, self._high = _intervals(self._paths)
        self._movable = movable(columns)
        self._numeric = [(index, _PLACE[one.feature]) for index, one in enumerate(columns) if one.category is None]
        self._may_move = np.zeros(len(columns), dtype=bool)
        self._may_move[[one.column for one in self._movable]] = True

    def what_would_help(self, matrix: Matrix, scorer: Scorer, numbers: Numbers | None = None) -> list[list[Suggestion]]:
        """The smallest helpful change of each actionable feature alone.

        Args:
            matrix: float32 [rows, columns], as `churn.model.scoring.Encoder` makes it.
            scorer: of the same model; its answer for the changed row is the answer here.
            numbers: all numeric features of the rows, float64 [rows, len(contract.NUMERIC)], null as NaN: a suggestion
                agrees with them. Without them, it agrees with the features that the forest sees.

        Returns:
            For each row, at most one suggestion for each feature, lowest probability first;
            none for a row that is below the threshold as it is.
        """
        told = self._told(matrix) if numbers is None else np.where(np.isnan(numbers), NULL_VALUE, numbers)
        answer: list[list[Suggestion]] = [[] for _ in range(len(matrix))]
        at_risk = np.flatnonzero(scorer.probability(scorer.score(matrix)) >= scorer.threshold)
        for start in range(0, len(at_risk), _BLOCK):
            rows = at_risk[start : start + _BLOCK]
            for row, suggestion in self._suggestions(matrix[rows], told[rows], scorer):
                answer[rows[row]].append(suggestion)
        for suggestions in answer:
            suggestions.sort(key=lambda suggestion: suggestion.churn_probability)
        return answer

    def _told(self, matrix: Matrix) -> Numbers:
        """The numbers that the forest sees, all others null."""
        numbers: Numbers = np.full((len(matrix), len(NUMERIC)), NULL_VALUE, dtype=np.float64)
        for column, place in self._numeric:
            numbers[:, place] = matrix[:, column]
        return numbers

    def _suggestions(self, matrix: Matrix, told: Numbers, scorer: Scorer) -> Iterator[tuple[int, Suggestion]]:
        pieces = self._pieces(matrix)
        rounded = pieces.score.astype(np.float32).astype(np.float64)  # as ONNX Runtime answers: ties must stay ties
        helps = scorer.probability(rounded) < scorer.threshold
        changes = [_nearest(one, matrix, told, pieces, helps) for one in self._movable]
        rows = np.concatenate([part for each in changes for part in (each.changed, each.followed)])
        probability = scorer.probability(scorer.score(rows)) if len(rows) else np.empty(0)
        start = 0
        for each in changes:
            stop = start + 2 * len(each.row)
            yield from _confirmed(each, probability[start:stop].reshape(2, -1), scorer.threshold)
            start = stop

    def _pieces(self, matrix: Matrix) -> _Pieces:
        """The score along each movable column of each row."""
        leaves = self._leaves(matrix)
        own, moved = leaves.column == _NONE, leaves.column != _NONE
        of_tree = np.zeros((len(matrix), self._paths.trees))
        of_tree[leaves.row[own], leaves.tree[own]] = leaves.value[own]
        row, edge = leaves.row[moved], leaves.edge[moved]
        difference = leaves.value[moved] - of_tree[row, leaves.tree[moved]]
        row, column = np.tile(row, 2), np.tile(leaves.column[moved], 2)
        at = np.concatenate([self._low[edge], self._high[edge]])
        step = np.concatenate([difference, -difference])
        order = np.lexsort((at, column, row))
        row, column, at = row[order], column[order], at[order]
        score = of_tree.sum(axis=1)[row] + np.cumsum(step[order])  # the steps of each column and row add up to 0
        piece = np.flatnonzero((row[:-1] == row[1:]) & (column[:-1] == column[1:]) & (at[:-1] < at[1:]))
        return _Pieces(row[piece], column[piece], at[piece], at[piece + 1], score[piece])

    def _leaves(self, matrix: Matrix) -> _Leaves:
        layout = self._paths
        row = np.repeat(np.arange(len(matrix)), layout.trees)
        node = edge = np.tile(np.arange(layout.trees), len(matrix))
        column = np.full(len(node), _NONE)
        arrived = []
        while len(node):
            leaf = layout.is_leaf[node]
            at = node[leaf]
            arrived.append((row[leaf], column[leaf], edge[leaf], layout.value[at], layout.tree[at]))
            row, node, column, edge = (part[~leaf] for part in (row, node, column, edge))
            left = self._left[node]
            split = layout.column[left]
            right = matrix[row, split] > layout.threshold[left]
            taken, other = left + right, left + ~right
            turns = (column == split) | ((column == _NONE) & self._may_move[split])
            edge = np.concatenate([np.where(column == split, taken, edge), other[turns]])
            column = np.concatenate([column, split[turns]])
            row = np.concatenate([row, row[turns]])
            node = np.concatenate([taken, other[turns]])
        rows, columns, edges, values, trees = zip(*arrived, strict=True)
        return _Leaves(*map(np.concatenate, (rows, columns, edges, values, trees)))


def _left_children(layout: Paths) -> Indices:
    left = np.full(len(layout.parent), _NONE)
    edges = np.arange(layout.trees, len(layout.parent), 2)
    left[layout.parent[edges]] = edges
    return left


def _intervals(layout: Paths) -> tuple[Floats, Floats]:
    """The values of its column that lead through each edge: `low < x <= high`."""
    low, high = np.full(len(layout.parent), -np.inf), np.full(len(layout.parent), np.inf)
    for start, stop in pairwise(layout.levels[1:]):
        level = slice(start, stop)
        before, right, threshold = layout.previous[level], layout.is_right[level], layout.threshold[level]
        low[level] = np.where(right, np.maximum(low[before], threshold), low[before])
        high[level] = np.where(right, high[before], np.minimum(high[before], threshold))
    return low, high


def _nearest(one: Movable, matrix: Matrix, told: Numbers, pieces: _Pieces, helps: NDArray[np.bool_]) -> _Changes:
    """Of the pieces that help, the value nearest to the row's own that agrees with its other features."""
    chosen = np.flatnonzero(helps & (pieces.column == one.column))
    row, low, high = pieces.row[chosen], pieces.low[chosen], pieces.high[chosen]
    own = matrix[row, one.column].astype(np.float64)
    smallest, largest = _ends(one, told, row, low, high)
    above = low >= own
    allowed = (smallest <= largest) & (above | (high < own)) & (own >= one.feature.minimum)
    row, own, value = row[allowed], own[allowed], np.where(above, smallest, largest)[allowed]
    order = np.lexsort((value, np.abs(value - own), row))
    _, first = np.unique(row[order], return_index=True)
    best = order[first]
    changed = matrix[row[best]]
    changed[:, one.column] = value[best]
    followed = changed.copy()
    one.follow(followed)
    return _Changes(one.feature, row[best], own[best], value[best], changed, followed)


def _ends(one: Movable, told: Numbers, row: Indices, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Smallest and largest allowed value in `low < x <= high`."""
    least, most = one.bounds(told)
    if one.feature.kind == "count":
        return np.maximum(np.floor(low) + 1, least[row]), np.floor(np.minimum(high, most[row]))
    above_low = np.nextafter(low.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    return np.maximum(above_low, least[row]), np.minimum(high, most[row])


def _confirmed(changes: _Changes, probability: Floats, threshold: float) -> Iterator[tuple[int, Suggestion]]:
    """Those that help both as changed alone, and with the trend that follows; `probability` is of both."""
    number = int if changes.feature.kind == "count" else float
    for index in np.flatnonzero((probability < threshold).all(axis=0)):
        yield (
            int(changes.row[index]),
            Suggestion(
                changes.feature.name,
                number(changes.own[index]),
                number(changes.value[index]),
                float(probability[0, index]),
            ),
        )
