"""Forests to serve: a large one made for the benchmark, and any stored one as scikit-learn's, for the rivals."""

import argparse
import json
import random
from itertools import islice
from pathlib import Path
from typing import Final

import joblib  # type: ignore[import-untyped]  # what the rivals load their forest with; it ships no types
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import NODE_DTYPE, Tree

from churn.command import run, show
from churn.contract import NAMES
from churn.model.artifact import FOREST, ONNX, REFERENCE, Calibration, Forest, StoredModel
from churn.model.champion import Champion, champion_path, write_champion
from churn.model.scoring import NULL_VALUE, Matrix, Scorer
from churn.model.store import champion_model, save
from churn.quality.measures import LABEL
from load_tests.customers import draw
from training.forest.fit import ForestSettings, fit
from training.model.typical import typical
from training.table.folder import parquet_bytes

LARGE: Final = ForestSettings(trees=200, depth=8, leaf=5, seed=0)
ROWS: Final = 4_000
AGREEMENT: Final = 1e-5


def large(settings: ForestSettings = LARGE, rows: int = ROWS) -> Champion:
    """Fit a forest on drawn customers with noisy labels, so that its trees are full, and store it."""
    table = pd.DataFrame(list(islice(draw(random.Random(settings.seed)), rows)))
    noise = np.random.default_rng(settings.seed).random(rows)
    table[LABEL] = (noise < 0.1 + 0.2 * (table["thumbs_down_14d"] > table["thumbs_up_14d"] / 2)).astype(int)
    fitted = fit(table, settings)
    manifest = {
        "columns": fitted.encoder.columns,
        "null_value": NULL_VALUE,
        "threshold": 0.5,
        "policy": None,
        "calibration": Calibration(slope=4.0, intercept=-2.0),
        "typical": typical(table[table[LABEL] == 0]),
        "importance": {},
        "training": None,
        "metrics": None,
    }
    reference = parquet_bytes(table[[*NAMES, LABEL]])
    files = {ONNX: fitted.onnx, FOREST: fitted.arrays.to_bytes(), REFERENCE: reference}
    return save(manifest, files, {}, {})


def as_scikit_learn(forest: Forest, columns: int) -> RandomForestClassifier:
    """The same forest as scikit-learn's object, as a service that pickles its model has it."""
    blank = np.zeros((2, columns), dtype=np.float32)
    classifier = RandomForestClassifier(n_estimators=len(forest.roots), max_depth=1).fit(blank, [0, 1])
    ends = [*forest.roots[1:].tolist(), len(forest.left)]
    classifier.estimators_ = [
        _estimator(forest, slice(start, end), columns) for start, end in zip(forest.roots.tolist(), ends, strict=True)
    ]
    return classifier


def _estimator(forest: Forest, nodes: slice, columns: int) -> DecisionTreeClassifier:
    count = nodes.stop - nodes.start
    leaf = forest.left[nodes] < 0
    entries = np.zeros(count, dtype=NODE_DTYPE)
    entries["left_child"] = np.where(leaf, -1, forest.left[nodes] - nodes.start)
    entries["right_child"] = np.where(leaf, -1, forest.right[nodes] - nodes.start)
    entries["feature"] = np.where(leaf, -2, forest.column[nodes])
    entries["threshold"] = np.where(leaf, -2, forest.threshold[nodes])
    entries["weighted_n_node_samples"] = forest.cover[nodes]
    entries["n_node_samples"] = 1
    churned = forest.value[nodes]
    tree = Tree(columns, np.array([2], dtype=np.intp), 1)
    values = np.ascontiguousarray(np.stack([1 - churned, churned], axis=1)[:, None, :])
    tree.__setstate__({"max_depth": 64, "node_count": count, "nodes": entries, "values": values})
    estimator = DecisionTreeClassifier().fit(np.zeros((2, columns), dtype=np.float32), [0, 1])
    estimator.tree_ = tree
    return estimator


class ForestsDifferError(Exception):
    """The rivals would not score what the service scores."""


def keep_for_rivals(model: StoredModel, path: Path) -> None:
    """Write the model's forest and encoder to a file for the rivals, once they score the same.

    Raises:
        ForestsDifferError: they do not.
    """
    scorer = Scorer(model)
    classifier = as_scikit_learn(model.forest(), len(model.manifest.columns))
    matrix = _matrix(scorer)
    gap: float = np.abs(_scores(classifier, matrix) - scorer.score(matrix)).max()
    if not gap <= AGREEMENT:
        raise ForestsDifferError(f"scikit-learn's copy of {model.tag} differs by {gap:.2g}")
    joblib.dump({"forest": classifier, "columns": model.manifest.columns}, path)


def _matrix(scorer: Scorer, rows: int = 200) -> Matrix:
    frame = pd.DataFrame(list(islice(draw(random.Random(3)), rows)))
    return scorer.encoder.frame(frame)


def _scores(classifier: RandomForestClassifier, matrix: Matrix) -> NDArray[np.float64]:
    return np.asarray(classifier.predict_proba(matrix)[:, 1], dtype=np.float64)


def main() -> None:
    """Command line: make the forest for a benchmark, in a process with a model store of its own."""
    parser = argparse.ArgumentParser(prog="python -m load_tests.models", description=main.__doc__)
    parser.add_argument("--large", action="store_true", help="fit and store the large forest, and point to it")
    parser.add_argument("--rivals", type=Path, help="write the forest as scikit-learn's here")
    arguments = parser.parse_args()
    if arguments.large:
        write_champion(champion_path(), large())
    model = champion_model()
    if arguments.rivals:
        keep_for_rivals(model, arguments.rivals)
    forest = model.forest()
    show(json.dumps({"model": model.tag, "trees": len(forest.roots), "nodes": len(forest.left)}))


if __name__ == "__main__":
    run(main)
