"""Measure the drift decision's error rates, Evidently's defaults beside it, and its p-values' accuracy.

Prints the tables of docs/drift.md as Markdown, and progress on the error output:

    python -m load_tests.bench_drift                      # 2,000 repetitions a cell: over an hour on two cores
    python -m load_tests.bench_drift --repetitions 200 --features 35
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from churn.contract import BY_NAME, Feature
from load_tests.drift_worlds import (
    CELLS,
    CONTRACT,
    FURTHER_CELLS,
    REFERENCE_ROWS,
    THIRTY_FIVE,
    Cell,
    World,
    unchanged_column,
)
from load_tests.error_rates import Rates, exact_interval, measured, populations
from load_tests.evidently_defaults import installed_scores, scores
from monitoring.drift.comparison import Drawing, Gates, compare
from monitoring.drift.decision import decide

log = logging.getLogger("bench-drift")

FAMILIES: Final = {len(THIRTY_FIVE): THIRTY_FIVE, len(CONTRACT): CONTRACT}
BLOCK: Final = 25
WINDOWS: Final = (500, 2_000, 100_000)
LEVELS: Final = (0.05, 0.01, 0.001, 0.0001)
SHAPES: Final = {
    "normal": "session_minutes_14d",
    "log-normal": "listening_minutes_7d",
    "count": "thumbs_up_7d",
    "rare count": "errors_28d",
    "category": "os",
}

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RateJob:
    """A block of repetitions of one cell."""

    cell: Cell
    features: int
    repetitions: range

    def run(self) -> Rates:
        return measured(self.cell, FAMILIES[self.features], self.repetitions, evidently=True)


@dataclass(frozen=True)
class TailJob:
    """A block of tests of one unchanged feature."""

    feature: str
    rows: int
    repetitions: range

    def run(self) -> dict[str, list[float]]:
        """The p-values of each test."""
        feature = BY_NAME[self.feature]
        found: dict[str, list[float]] = {}
        for repetition in self.repetitions:
            generator = np.random.default_rng([repetition, self.rows])
            samples = [unchanged_column(feature, rows, generator) for rows in (REFERENCE_ROWS, self.rows)]
            for test in compare(feature, samples[0], samples[1], Gates(), Drawing(seed=repetition)):
                found.setdefault(test.test, []).append(test.p or 0.0)
        return found


def _blocks(repetitions: int) -> list[range]:
    return [range(start, min(start + BLOCK, repetitions)) for start in range(0, repetitions, BLOCK)]


def _rate_job(job: RateJob) -> Rates:
    return job.run()


def _tail_job(job: TailJob) -> dict[str, list[float]]:
    return job.run()


def check_evidently(features: tuple[Feature, ...]) -> None:
    """Raise RuntimeError where our reading of Evidently's defaults is not what the installed one computes."""
    reference, current = populations(CELLS[5], features, repetition=0)
    ours, theirs = scores(reference, current), installed_scores(reference, current)
    wrong = {name for name in ours if abs(ours[name] - theirs.get(name, np.inf)) > 1e-9}
    if wrong:
        raise RuntimeError(f"Evidently computes other distances for {sorted(wrong)}: update evidently_defaults.py")


RATE_HEADER: Final = (
    "| change | rows | promised | pages | pages and warnings | Evidently: any column | Evidently: data set |\n"
    "|---|---|---|---|---|---|---|"
)


def rates_of(pool: ProcessPoolExecutor, features: int, repetitions: int) -> Iterator[Rates]:
    """Every cell's rates, as they come; those without a promise for the smallest report only."""
    further = FURTHER_CELLS if features == min(FAMILIES) else ()
    for cell in (*CELLS, *further):
        began = time.monotonic()
        jobs = [RateJob(cell, features, block) for block in _blocks(repetitions)]
        yield sum(pool.map(_rate_job, jobs), start=Rates(cell))
        log.info("%d features, %s, %d rows: %.0f s", features, cell.name, cell.rows, time.monotonic() - began)


def _rate_line(rates: Rates) -> str:
    cell, n = rates.cell, rates.repetitions
    ours = [_share(hits, n) for hits in (rates.pages, rates.alarms)]
    theirs = [f"{hits / n:.1%}" for hits in (rates.evidently_columns, rates.evidently_datasets)]
    return "| " + " | ".join([cell.name, f"{cell.rows:,}", _promise(cell), *ours, *theirs]) + " |"


def _promise(cell: Cell) -> str:
    if cell.at_most is not None:
        return f"≤ {cell.at_most:.0%}"
    return "–" if cell.at_least is None else f"≥ {cell.at_least:.0%}"


def _share(hits: int, repetitions: int) -> str:
    low, high = exact_interval(hits, repetitions)
    return f"{hits / repetitions:.1%} ({100 * low:.1f}–{100 * high:.1f})"


def tail_table(pool: ProcessPoolExecutor, repetitions: int) -> Iterator[str]:
    yield "| feature | rows | test | " + " | ".join(f"p ≤ {level:g}" for level in LEVELS) + " |"
    yield "|---|---|---|" + "---|" * len(LEVELS)
    for shape, feature in SHAPES.items():
        for rows in WINDOWS:
            began = time.monotonic()
            found: dict[str, list[float]] = {}
            jobs = [TailJob(feature, rows, block) for block in _blocks(repetitions)]
            for block in pool.map(_tail_job, jobs, chunksize=20):
                for test, p in block.items():
                    found.setdefault(test, []).extend(p)
            log.info("p-values of a %s, %d rows: %.0f s", shape, rows, time.monotonic() - began)
            yield from (_tail_line(shape, rows, test, np.array(p)) for test, p in found.items())


def _tail_line(shape: str, rows: int, test: str, p: FloatArray) -> str:
    shares = [f"{float((p <= level).mean()):.3g}" for level in LEVELS]
    return f"| {shape} | {rows:,} | {test} | " + " | ".join(shares) + " |"


def timing(rows: int) -> str:
    """How long one decision on the whole contract takes, from summaries."""
    reference, current = populations(Cell("", rows, CELLS[0].change), CONTRACT, repetition=0)
    began = time.monotonic()
    decide(reference, current, World(CONTRACT).columns)
    took = time.monotonic() - began
    return f"One decision, {len(CONTRACT)} features, {REFERENCE_ROWS:,} against {rows:,} rows: {took:.2f} s"


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-drift", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repetitions", type=int, default=2_000, help="reports a cell (default 2,000); 0 for none")
    parser.add_argument("--tail-repetitions", type=int, default=20_000, help="tests a p-value table line; 0 for none")
    parser.add_argument("--features", type=int, choices=sorted(FAMILIES), help="one size of report only")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; exit status 1 when a promise is not kept."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    given = _arguments(arguments)
    broken: list[Rates] = []
    sizes = [given.features] if given.features else sorted(FAMILIES)
    with ProcessPoolExecutor(given.workers) as pool:
        for features in sizes if given.repetitions else []:
            check_evidently(FAMILIES[features])
            print(f"\n{features} features, {given.repetitions:,} repetitions:\n\n{RATE_HEADER}", flush=True)
            for rates in rates_of(pool, features, given.repetitions):
                print(_rate_line(rates), flush=True)
                broken += [rates] if rates.refuted else []
        if given.tail_repetitions:
            print(f"\nShare of p-values, {given.tail_repetitions:,} repetitions:\n", flush=True)
            for line in tail_table(pool, given.tail_repetitions):
                print(line, flush=True)
    print(f"\n{timing(100_000)}")
    for rates in broken:
        log.error("not as promised: %s, %d rows: %s", rates.cell.name, rates.cell.rows, rates)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
