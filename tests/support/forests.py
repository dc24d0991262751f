"""Random forests to explain: scikit-learn's, and small ones of any shape at all."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier

from churn.model.artifact import Forest
from training.forest.export import forest_arrays


@dataclass(frozen=True)
class Fitted:
    """A fitted forest, its arrays, and rows it has not seen."""

    classifier: RandomForestClassifier
    arrays: Forest
    rows: np.ndarray


def fitted(seed: int, columns: int = 12, train: int = 300, rows: int = 40, **settings) -> Fitted:
    """A class-balanced forest on rare churners: real, counted, one-hot and null (-1) columns."""
    generator = np.random.default_rng(seed)
    matrix = generator.gamma(1, 10, (train + rows, columns)).astype(np.float32)
    matrix[:, columns // 3 :] = np.floor(matrix[:, columns // 3 :])
    choice = generator.integers(-1, 3, len(matrix))  # -1: null, in none of the three columns
    matrix[:, -3:] = choice[:, None] == np.arange(3)
    matrix[:, :-3][generator.random((len(matrix), columns - 3)) < 0.1] = -1
    logit = -2 + 0.1 * matrix[:, 0] - 0.1 * matrix[:, 1] * (matrix[:, -1] > 0)
    churned = generator.random(len(matrix)) < 1 / (1 + np.exp(-logit))
    settings = {"n_estimators": 10, "class_weight": "balanced", "random_state": seed, "n_jobs": 1} | settings
    classifier = RandomForestClassifier(**settings).fit(matrix[:train], churned[:train])
    return Fitted(classifier, forest_arrays(classifier), matrix[train:])


Node = tuple[float, float, "tuple[int, float, Node, Node] | None"]
"""value, cover, and for a split: column, threshold, left, right."""


def small_forests(columns: int = 4, depth: int = 4) -> st.SearchStrategy[Forest]:
    """One to three trees: columns repeat on a path, covers may be 0 and need not add up, values are of any sign."""
    number = st.floats(-1, 1, width=32)
    cover = st.sampled_from([0.0, 0.25, 1.0, 3.0])
    leaf = st.tuples(number, cover, st.none())

    def grow(below: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        split = st.tuples(st.integers(0, columns - 1), st.sampled_from([-1.0, 0.0, 1.0, 2.0]), below, below)
        return st.tuples(number, cover, st.one_of(st.none(), split))

    tree: st.SearchStrategy[Node] = leaf
    for _ in range(depth):
        tree = grow(tree)
    return st.lists(tree, min_size=1, max_size=3).map(_arrays)


def _arrays(trees: list[Node]) -> Forest:
    names = ("left", "right", "column", "threshold", "value", "cover")
    arrays: dict[str, list[float]] = {name: [] for name in names}

    def add(node: Node) -> int:
        value, cover, split = node
        index = len(arrays["left"])
        column, threshold = (-1, 0.0) if split is None else split[:2]
        for name, entry in zip(names, (-1, -1, column, threshold, value, cover), strict=True):
            arrays[name].append(entry)
        if split is not None:
            arrays["left"][index], arrays["right"][index] = add(split[2]), add(split[3])
        return index

    roots = [add(tree) for tree in trees]
    indices = {name: np.array(arrays[name], dtype=np.int32) for name in ("left", "right", "column")}
    return Forest(
        roots=np.array(roots, dtype=np.int32),
        threshold=np.array(arrays["threshold"], dtype=np.float32),
        value=np.array(arrays["value"]),
        cover=np.array(arrays["cover"]),
        **indices,
    )


def chain(length: int) -> Forest:
    """One tree, one path: every split on a column of its own."""
    tree: Node = (1.0, 1.0, None)
    for column in reversed(range(length)):
        leaf: Node = (column / length, 1.0, None)
        tree = (0.5, tree[1] + 1.0, (column, 0.0, leaf, tree))
    return _arrays([tree])


def score(forest: Forest, row: np.ndarray) -> float:
    """Down each tree, one node at a time."""
    total = 0.0
    for root in forest.roots:
        node = root
        while forest.left[node] >= 0:
            goes_left = row[forest.column[node]] <= forest.threshold[node]
            node = forest.left[node] if goes_left else forest.right[node]
        total += float(forest.value[node])
    return total / len(forest.roots)
