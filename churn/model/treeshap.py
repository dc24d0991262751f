"""Exact path-dependent TreeSHAP of a forest, many rows at once, in plain NumPy.

Consider one leaf of value v. Each feature i split on its path has z_i, the product of the
cover ratios child/parent over its splits there (the chance of taking the path when the
feature is unknown), and o_i, 1 if the row satisfies all of these splits, else 0. The game
is v(S) = v * prod_{i in S} o_i * prod_{i not in S} z_i. The Shapley weight
|S|! (d-1-|S|)! / d! is the Beta integral of t^|S| (1-t)^(d-1-|S|), so that

    phi_j = v * (o_j - z_j) * integral_0^1 prod_{i != j} (z_i (1-t) + o_i t) dt.

The integrand is a polynomial of degree d-1: Gauss-Legendre with d/2 nodes is exact, and
since all its terms are positive, nothing cancels. With f_i = z_i (1-t) + o_i t at a
quadrature node t, one walk down each tree gives P(node), the product of the factors on its
path (a further split on a feature replaces that feature's factor), and one walk up gives
S(node), the sum of v * P over the leaves below. A leaf's (o_j - z_j) / f_j is that of the
last split on j; telescoped over the splits before it, the edge into a node gives its feature

    ((o - z) / f  at this edge  -  (o - z) / f  at the previous edge of the feature) * S(node),

where the last term is 0 for a first split. The cost is nodes x quadrature nodes for a row.

Sources: Lundberg et al., "From local explanations to global understanding with explainable
AI for trees" (2020); the sharing of products is that of Yu et al., "Linear TreeShap",
arXiv 2209.08192.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Indices = NDArray[np.intp]
Floats = NDArray[np.float64]

_UNREACHED: Final = 1e-150
"""Stands for a cover ratio of 0, so that its factor can be divided out again."""

_BLOCK: Final = 12_000
"""Nodes x rows worked on at once: the half dozen arrays of this size stay in the processor's cache."""


class Trees(Protocol):
    """The arrays of `churn.model.artifact.Forest` that are needed here."""

    @property
    def roots(self) -> NDArray[np.int32]: ...
    @property
    def left(self) -> NDArray[np.int32]: ...
    @property
    def right(self) -> NDArray[np.int32]: ...
    @property
    def column(self) -> NDArray[np.int32]: ...
    @property
    def threshold(self) -> NDArray[np.float32]: ...
    @property
    def value(self) -> NDArray[np.float64]: ...
    @property
    def cover(self) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class Paths:
    """Every node of every tree as its path from the root sees it; parents before children.

    Nodes are sorted by level, the two children of a node stand side by side, left first.
    An entry describes the edge into the node; for a root it is an edge that changes nothing.

    Attributes:
        levels: `levels[k]:levels[k + 1]` are the nodes of level k; level 0 holds the roots.
        tree: which tree the node is in.
        parent: index of the parent; a root is its own.
        previous: the nearest node above whose edge splits on the same column, else the root.
        column, threshold: of the parent's split; column -1 in a root.
        is_right: whether the node is the right child.
        is_leaf: whether the node is a leaf.
        unknown: z, the chance of satisfying the path's splits on this column unseen.
        value: what the leaf adds to the score (its value over the number of trees); 0 elsewhere.
        depth: the number of different columns on the path.
    """

    levels: tuple[int, ...]
    tree: Indices
    parent: Indices
    previous: Indices
    column: Indices
    threshold: Matrix
    is_right: NDArray[np.bool_]
    is_leaf: NDArray[np.bool_]
    unknown: Floats
    value: Floats
    depth: Indices

    @property
    def trees(self) -> int:
        return self.levels[1]

    def quadrature_nodes(self) -> int:
        """How many Gauss-Legendre nodes make the integral over the longest path exact."""
        return max(1, -(-int(self.depth.max()) // 2))


def paths(forest: Trees, roots: NDArray[np.int32] | None = None) -> Paths:
    """Lay a forest, or the trees of some of its roots, out by level and look back along each path."""
    node, parent, levels = _by_level(forest, forest.roots if roots is None else roots)
    tree = np.arange(len(node))
    for start, stop in pairwise(levels[1:]):
        tree[start:stop] = tree[parent[start:stop]]
    above = node[parent]
    is_root = parent == np.arange(len(node))
    column = np.where(is_root, -1, forest.column[above]).astype(np.intp)
    previous = _previous(parent, column)
    is_leaf = forest.left[node] < 0
    first = previous < levels[1]
    depth = np.zeros(len(node), dtype=np.intp)
    unknown = np.where(is_root, 1.0, _cover_ratio(forest.cover[node], forest.cover[above]))
    for start, stop in pairwise(levels[1:]):
        depth[start:stop] = depth[parent[start:stop]] + first[start:stop]
        unknown[start:stop] *= unknown[previous[start:stop]]
    return Paths(
        levels=levels,
        tree=tree,
        parent=parent,
        previous=previous,
        column=column,
        threshold=np.asarray(forest.threshold[above], dtype=np.float32),
        is_right=~is_root & (forest.right[above] == node),
        is_leaf=is_leaf,
        unknown=np.maximum(unknown, _UNREACHED),
        value=np.where(is_leaf, forest.value[node] / len(forest.roots), 0.0),
        depth=depth,
    )


def _by_level(forest: Trees, roots: NDArray[np.int32]) -> tuple[Indices, Indices, tuple[int, ...]]:
    """The nodes level by level, the position of each one's parent, and where the levels start."""
    nodes = [roots.astype(np.intp)]
    parents = [np.arange(len(roots))]
    levels = [0, len(roots)]
    while True:
        splits = np.flatnonzero(forest.left[nodes[-1]] >= 0)
        if not len(splits):
            return np.concatenate(nodes), np.concatenate(parents), tuple(levels)
        children = np.column_stack([forest.left[nodes[-1][splits]], forest.right[nodes[-1][splits]]])
        parents.append(np.repeat(splits + levels[-2], 2))
        nodes.append(children.ravel().astype(np.intp))
        levels.append(levels[-1] + 2 * len(splits))


def _previous(parent: Indices, column: Indices) -> Indices:
    """Climb from every node until an edge of its column, or the root."""
    previous = parent.copy()
    climbing = np.arange(len(parent))
    while len(climbing):
        at = previous[climbing]
        climbing = climbing[(column[at] != column[climbing]) & (column[at] >= 0)]
        previous[climbing] = parent[previous[climbing]]
    return previous


def _cover_ratio(cover: Floats, cover_above: Floats) -> Floats:
    return np.divide(cover, cover_above, out=np.zeros_like(cover), where=cover_above > 0)


def quadrature(nodes: int) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights on (0, 1); exact for polynomials of degree 2 * nodes - 1."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return (points + 1) / 2, weights / 2


def base_value(forest: Paths) -> float:
    """The score when nothing is known of the customer: the leaves, weighted by their chance unseen."""
    chance = np.ones(len(forest.parent))
    for start, stop in pairwise(forest.levels[1:]):
        edge = slice(start, stop)
        before = forest.unknown[forest.previous[edge]]
        chance[edge] = chance[forest.parent[edge]] * forest.unknown[edge] / before
    return float(chance @ forest.value)


class TreeShap:
    """Contributions of the columns to a forest's score, in plain NumPy.

    The reference for the native kernel, and what serves where that is not available.
    """

    def __init__(self, forest: Trees, columns: int) -> None:
        self._columns = columns
        trees = len(forest.roots)
        per_group = max(1, _BLOCK * trees // len(forest.left))
        self._groups = [
            _Walk(paths(forest, forest.roots[start : start + per_group])) for start in range(0, trees, per_group)
        ]

    def __call__(self, matrix: Matrix) -> Floats:
        """Contribution of each column to each row's score, float64 [rows, columns]."""
        result = np.zeros((len(matrix), self._columns))
        for walk in self._groups:
            walk.add(matrix, result)
        return result


class _Walk:
    """Down and up some trees at once: one NumPy call for each level and quadrature node."""

    def __init__(self, forest: Paths) -> None:
        self._forest = forest
        self._points, self._weights = quadrature(forest.quadrature_nodes())
        levels = list(pairwise(forest.levels))
        self._edges = [slice(start, stop) for start, stop in levels[1:]]
        self._splits = [start + np.flatnonzero(~forest.is_leaf[start:stop]) for start, stop in levels[:-1]]
        repeats = np.flatnonzero(forest.previous >= forest.trees)
        bounds = np.searchsorted(repeats, forest.levels)
        self._repeats = repeats
        self._repeats_by_level = np.split(repeats, bounds[1:-1])
        self._by_column = np.argsort(forest.column, kind="stable")[forest.trees :]
        columns = forest.column[self._by_column]
        self._starts = np.flatnonzero(np.diff(columns, prepend=-1))
        self._split_columns = columns[self._starts]

    def add(self, matrix: Matrix, result: Floats) -> None:
        """Add these trees' contributions to `result`."""
        rows = max(1, _BLOCK // len(self._forest.parent))
        for start in range(0, len(matrix) if self._edges else 0, rows):
            gains = self._gains(self._satisfied(matrix[start : start + rows]))
            by_column = np.add.reduceat(gains.T[:, self._by_column], self._starts, axis=1)
            result[start : start + rows, self._split_columns] += by_column

    def _satisfied(self, matrix: Matrix) -> Floats:
        """o: 1 where a row satisfies all splits of the node's column on its path, float64 [nodes, rows]."""
        forest = self._forest
        values = np.ascontiguousarray(matrix.T)[forest.column]
        satisfied = (values <= forest.threshold[:, None]) != forest.is_right[:, None]
        satisfied[: forest.trees] = True
        for nodes in self._repeats_by_level:
            satisfied[nodes] &= satisfied[forest.previous[nodes]]
        return np.asarray(satisfied, dtype=np.float64)

    def _gains(self, satisfied: Floats) -> Floats:
        """The contribution of each edge to its column: the integral over t, float64 [nodes, rows]."""
        gains = np.zeros(satisfied.shape)
        for point, weight in zip(self._points, self._weights, strict=True):
            gain, products = self._down(satisfied, point)
            self._up(products)
            gain *= products
            gain *= weight
            gains += gain
        return gains

    def _down(self, satisfied: Floats, point: float) -> tuple[Floats, Floats]:
        """(o - z) / f less that of the previous edge; and v * P, which is 0 but in the leaves."""
        forest = self._forest
        unknown = forest.unknown[:, None]
        factor = satisfied * point
        factor += unknown * (1 - point)
        gain = satisfied - unknown
        gain /= factor
        previous = forest.previous[self._repeats]
        gain[self._repeats] -= gain[previous]
        replaced = factor[previous]
        products = factor
        products[self._repeats] /= replaced
        products[: forest.trees] = 1.0
        for splits, edges in zip(self._splits, self._edges, strict=True):
            products[edges] *= np.repeat(products[splits], 2, axis=0)
        products *= forest.value[:, None]
        return gain, products

    def _up(self, products: Floats) -> None:
        """Sum the leaves into the nodes above them, in place."""
        for splits, edges in zip(reversed(self._splits), reversed(self._edges), strict=True):
            below = products[edges]
            products[splits] = below[0::2] + below[1::2]
