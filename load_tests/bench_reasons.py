"""`make bench-reasons`: whether reasons tell customers apart, and stay the same when the forest is fitted again.

Beside each other: reasons beside everybody who stays, as `explain` gives them, and beside peers, as the list has them.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.activity.reading import read_events
from churn.command import run, say, show
from churn.contract import NAMES
from churn.model.explaining import Explainer, Reason, Value, reasons
from churn.quality.measures import LABEL
from churn.retention.peers import OF_TOPIC, reasons_beside_peers
from training.forest.fit import ForestSettings, fit
from training.model.peers import peers
from training.model.typical import typical
from training.simulate import SimulationSettings, simulate, write_log
from training.table.dataset import newest_table, training_table

SHOWN: Final = 3
TOP: Final = 50
FITS: Final = 4
"""The forest, and three more of other seeds."""

Contributions = NDArray[np.float64]
Explained = Callable[[Mapping[str, Value], Contributions], list[Reason]]
Sets = list[frozenset[str]]


@dataclass(frozen=True)
class Fitted:
    """One forest: the newest customers' scores and contributions, and both ways to give reasons."""

    score: NDArray[np.float64]
    contributions: Contributions
    ways: Mapping[str, Explained]


def tables(log: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The training table and the newest features of a log; of the default world without one."""
    with tempfile.TemporaryDirectory(prefix="bench-reasons-") as name:
        path = log or str(Path(name, "log.json.gz"))
        if log is None:
            write_log(simulate(SimulationSettings()), Path(path))
        found = read_events(path, progress=say)
        first, end = found.report.first_ts, found.log_end
        return training_table(found.events, first, end), newest_table(found.events, first, end)


def fitted(table: pd.DataFrame, newest: pd.DataFrame, seed: int) -> Fitted:
    forest = fit(table, ForestSettings(seed=seed))
    last = table.sort_values("as_of").groupby("customer_id").tail(1)
    stayed = last[last[LABEL] == 0]
    everybody, groups = typical(stayed), peers(forest, stayed)
    matrix = forest.encoder.frame(newest)
    return Fitted(
        forest.score(matrix),
        Explainer(forest.arrays, forest.encoder.columns).contributions(matrix),
        {
            "beside everybody": lambda values, row: reasons(values, row, everybody, SHOWN),
            "beside peers": lambda values, row: reasons_beside_peers(values, row, groups, SHOWN),
        },
    )


def topics(customers: Sequence[Mapping[str, Value]], contributions: Contributions, way: Explained) -> Sets:
    """The topics of each customer's first reasons."""
    return [
        frozenset(OF_TOPIC[NAMES.index(reason.feature)] for reason in way(values, row))
        for values, row in zip(customers, contributions, strict=True)
    ]


def agreement(found: Sets, again: Sets) -> float:
    """Mean share of a customer's topics that are given again."""
    return float(np.mean([len(one & other) / max(len(one), 1) for one, other in zip(found, again, strict=True)]))


def lines(table: pd.DataFrame, newest: pd.DataFrame) -> Iterator[str]:
    fits = [fitted(table, newest, seed) for seed in range(7, 7 + FITS)]
    top = np.argsort(-fits[0].score)[:TOP]
    values = newest[list(NAMES)].astype(object)
    rows = values.where(values.notna(), other=None).to_dict("records")  # type: ignore[call-overload]  # pandas takes None
    customers = [rows[place] for place in top]
    yield f"| reasons of the top {len(top)} | different sets | among the top 12 | agreement over {FITS - 1} refits |"
    yield "|---|---|---|---|"
    for name in fits[0].ways:
        first, *others = [topics(customers, one.contributions[top], one.ways[name]) for one in fits]
        agreed = np.mean([agreement(first, other) for other in others])
        yield f"| {name} | {len(set(first))} | {len(set(first[:12]))} | {agreed:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m load_tests.bench_reasons", description=main.__doc__)
    parser.add_argument("--events", help="a log; the default world of the simulator without one")
    for line in lines(*tables(parser.parse_args().events)):
        show(line)


if __name__ == "__main__":
    run(main)
