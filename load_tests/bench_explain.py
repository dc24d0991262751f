"""Time explanations beside `shap.TreeExplainer`: same forest, same customers, same process, in turns.

`make bench` runs it for the champion and for forests of other shapes, prints a Markdown table,
and writes that and the figures as JSON to `--out`.

Each round times every way once, one after the other, so that a busy moment of the machine
meets all of them; a figure is the median over the rounds, a ratio the median of the rounds'
ratios. Processor time is measured, which other processes disturb little; where two threads
work, it is the time on the clock, of shap too, which needs an otherwise idle machine. shap is given the forest with
one output, which is less work than it has with scikit-learn's two.
"""

import argparse
import io
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import shap
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from churn.command import run, say, show
from churn.contract import NUMERIC
from churn.model.artifact import Column, Forest, StoredModel
from churn.model.champion import champion_path
from churn.model.counterfactual import Counterfactual
from churn.model.explaining import Explainer
from churn.model.scoring import Matrix, Scorer
from churn.model.store import champion_model
from churn.model.treeshap import TreeShap
from training.forest.export import forest_arrays

BATCH: Final = 100
SINGLE: Final = 20
"""One-customer calls in a round."""

Way = Callable[[Matrix], Any]
SHAP: Final = "shap.TreeExplainer"

GENERATED: Final = {
    "200 trees, depth 6": {"n_estimators": 200, "max_depth": 6},
    "200 trees, depth 8": {"n_estimators": 200, "max_depth": 8},
    "300 trees, depth 12": {"n_estimators": 300, "max_depth": 12},
    "100 trees, any depth": {"n_estimators": 100, "min_samples_leaf": 1},
}


@dataclass(frozen=True)
class Case:
    """A forest, its columns, and customers to explain."""

    name: str
    forest: Forest
    columns: tuple[Column, ...]
    matrix: Matrix
    model: StoredModel | None = None


@dataclass(frozen=True)
class Figure:
    """One way on one forest. Times are microseconds per customer, ratios are shap's time over this one's.

    `thread_gain` is the time of a batch on one thread over that on two, by the clock.
    """

    forest: str
    nodes: int
    way: str
    batch_us: float
    single_us: float
    batch_ratio: float | None
    single_ratio: float | None
    largest_difference: float | None
    thread_gain: float | None


def main() -> None:
    arguments = _arguments()
    figures = [figure for case in cases() for figure in measure(case, arguments.rounds)]
    show(table(figures))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "explain.md").write_text(table(figures) + "\n")
    (arguments.out / "explain.json").write_text(json.dumps(report(figures, arguments.rounds), indent=1) + "\n")
    show(f"\nwritten to {arguments.out}/explain.md and explain.json")


def cases() -> Iterator[Case]:
    """The forest that is served, if there is one, then others."""
    if champion_path().exists():
        yield served()
    else:
        say("no champion to measure; `make train` makes one")
    for name, settings in GENERATED.items():
        yield generated(name, settings)


def served() -> Case:
    model = champion_model()
    reference = pd.read_parquet(io.BytesIO(model.reference()))
    matrix = Scorer(model).encoder.frame({name: reference[name] for name in model.manifest.features})
    return Case("served", model.forest(), model.manifest.columns, matrix[:BATCH], model)


def generated(name: str, settings: dict[str, Any]) -> Case:
    """A class-balanced forest on random counts with a weak signal."""
    generator = np.random.default_rng(0)
    columns = tuple(Column(feature=feature) for feature in NUMERIC)
    matrix = np.floor(generator.gamma(1, 20, (4_000, len(columns)))).astype(np.float32)
    churned = generator.random(len(matrix)) < 1 / (1 + np.exp(2 + 0.05 * matrix[:, 0] - 0.05 * matrix[:, 1]))
    options = {"min_samples_leaf": 5, "class_weight": "balanced", "random_state": 0, "n_jobs": -1} | settings
    classifier = RandomForestClassifier(**options).fit(matrix, churned)
    return Case(name, forest_arrays(classifier), columns, matrix[:BATCH])


def measure(case: Case, rounds: int) -> Iterator[Figure]:
    """Time every way on one forest."""
    say(f"{case.name}: {len(case.forest.left):,} nodes")
    explainer = Explainer(case.forest, case.columns)
    reference = shap_explainer(case.forest)
    ways: dict[str, Way] = {
        SHAP: lambda matrix: reference.shap_values(matrix, check_additivity=False),
        "NumPy, 1 thread": TreeShap(case.forest, len(case.columns)),
        f"{explainer.engine}, 1 thread": explainer.column_contributions,
        f"{explainer.engine}, 2 threads": lambda matrix: explainer.column_contributions(matrix, 2),
    }
    expected = np.asarray(reference.shap_values(case.matrix, check_additivity=False)).reshape(case.matrix.shape)
    differences = {
        name: float(np.abs(way(case.matrix).reshape(expected.shape) - expected).max()) for name, way in ways.items()
    }
    if case.model is not None:
        finder, scorer = Counterfactual(case.forest, case.columns), Scorer(case.model)
        scorer.threshold = 0.0  # as if all were at risk
        ways["what would help"] = lambda matrix: finder.what_would_help(matrix, scorer)
    yield from _figures(case, timed(ways, case.matrix, rounds), differences)


def shap_explainer(forest: Forest) -> shap.TreeExplainer:
    """The path-dependent explainer of shap for the same arrays."""
    trees = []
    for start, stop in zip(forest.roots, [*forest.roots[1:], len(forest.left)], strict=True):
        nodes = slice(start, stop)
        left, right = (np.where(side[nodes] < 0, -1, side[nodes] - start) for side in (forest.left, forest.right))
        trees.append(
            {
                "children_left": left,
                "children_right": right,
                "children_default": left,
                "features": forest.column[nodes],
                "thresholds": forest.threshold[nodes].astype(np.float64),
                "values": forest.value[nodes, None] / len(forest.roots),
                "node_sample_weight": forest.cover[nodes],
            }
        )
    return shap.TreeExplainer({"trees": trees}, feature_perturbation="tree_path_dependent")


def timed(ways: dict[str, Way], matrix: Matrix, rounds: int) -> dict[str, NDArray[np.float64]]:
    """Microseconds per customer, [rounds, 2, 2]: in a batch, and alone; of the processor, and by the clock."""
    found = {name: np.empty((rounds, 2, 2)) for name in ways}
    for turn in range(rounds):
        for name, way in ways.items():
            found[name][turn, 0] = _microseconds(way, matrix) / len(matrix)
            alone = [_microseconds(way, matrix[row : row + 1]) for row in range(SINGLE)]
            found[name][turn, 1] = np.median(alone, axis=0)
    return found


def _microseconds(way: Way, matrix: Matrix) -> NDArray[np.float64]:
    processor, clock = time.thread_time(), time.perf_counter()
    way(matrix)
    return np.array([time.thread_time() - processor, time.perf_counter() - clock]) * 1e6


def _figures(case: Case, times: dict[str, NDArray[np.float64]], differences: dict[str, float]) -> Iterator[Figure]:
    for name, both in times.items():
        kind = 1 if name.endswith("threads") else 0
        microseconds, shaps = both[..., kind], times[SHAP][..., kind]
        batch, single = np.median(microseconds, axis=0).tolist()
        batch_ratio, single_ratio = np.median(shaps / microseconds, axis=0).tolist()
        comparable = name in differences
        yield Figure(
            case.name,
            len(case.forest.left),
            name,
            batch,
            single,
            batch_ratio if comparable else None,
            single_ratio if comparable else None,
            differences.get(name),
            _thread_gain(times, name),
        )


def _thread_gain(times: dict[str, NDArray[np.float64]], name: str) -> float | None:
    if not name.endswith("2 threads"):
        return None
    return float(np.median(times[name.replace("2 threads", "1 thread")][:, 0, 1] / times[name][:, 0, 1]))


def table(figures: list[Figure]) -> str:
    lines = [
        "| forest | way | µs a customer, of 100 | µs, of one | shap / it, of 100 | of one | difference | two threads |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for each in figures:
        cells = [f"{each.forest} ({each.nodes:,} nodes)", each.way, f"{each.batch_us:,.0f}", f"{each.single_us:,.0f}"]
        cells += ["" if ratio is None else f"{ratio:.1f}" for ratio in (each.batch_ratio, each.single_ratio)]
        cells.append("" if each.largest_difference is None else f"{each.largest_difference:.0e}")
        cells.append("" if each.thread_gain is None else f"{each.thread_gain:.2f} times as fast")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def report(figures: list[Figure], rounds: int) -> dict[str, Any]:
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    return {
        "machine": machine,
        "rounds": rounds,
        "shap": shap.__version__,
        "figures": [asdict(each) for each in figures],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="how often every way takes its turn")
    parser.add_argument("--out", type=Path, default=Path("reports/bench"), help="folder of the table and the JSON")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
