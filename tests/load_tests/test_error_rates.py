"""How often the drift decision is right, by seeded repetition: the promises of docs/drift.md.

Two hundred reports a cell; `make bench-drift` makes two thousand. Repetitions are seeded, so
the figures are the same on every run.
"""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from load_tests.drift_worlds import CELLS, THIRTY_FIVE, Cell
from load_tests.error_rates import Rates, exact_interval, measured

pytestmark = pytest.mark.slow

REPETITIONS = 200
QUIET = tuple(cell for cell in CELLS if cell.at_most is not None)
CHANGED = tuple(cell for cell in CELLS if cell.at_least is not None)


def named(cell: Cell) -> str:
    return f"{cell.name}, {cell.rows} rows"


def rates_of(cell: Cell) -> Rates:
    return measured(cell, THIRTY_FIVE, range(REPETITIONS))


@pytest.fixture(scope="module")
def rates() -> Iterator[dict[Cell, Rates]]:
    # Spawned, not forked: the other tests' threads may hold locks.
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield dict(zip(CELLS, pool.map(rates_of, CELLS), strict=True))


@pytest.mark.parametrize("cell", QUIET, ids=named)
def test_an_unchanged_world_or_a_trifle_alarms_in_at_most_the_promised_share(
    cell: Cell, rates: dict[Cell, Rates]
) -> None:
    assert rates[cell].repetitions == REPETITIONS
    assert rates[cell].pages <= rates[cell].alarms <= (cell.at_most or 0) * REPETITIONS


@pytest.mark.parametrize("cell", CHANGED, ids=named)
def test_a_change_pages_in_at_least_the_promised_share(cell: Cell, rates: dict[Cell, Rates]) -> None:
    assert rates[cell].repetitions == REPETITIONS
    assert rates[cell].pages >= (cell.at_least or 1) * REPETITIONS


def test_a_report_has_thirty_five_features_of_every_kind() -> None:
    kinds = [feature.kind for feature in THIRTY_FIVE]
    assert len(set(THIRTY_FIVE)) == 35
    assert {kind: kinds.count(kind) for kind in kinds} == {"category": 4, "real": 19, "count": 12}


def test_the_cells_are_those_promised() -> None:
    promised = {(cell.name, cell.rows): cell.at_most or cell.at_least for cell in CELLS}
    assert promised == {
        ("nothing changed", 500): 0.05,
        ("nothing changed", 2_000): 0.05,
        ("nothing changed", 20_000): 0.05,
        ("nothing changed", 100_000): 0.05,
        ("mean + 0.02 sd", 100_000): 0.05,
        ("mean + 0.2 sd", 2_000): 0.95,
        ("variance × 1.3", 2_000): 0.90,
        ("nulls 0 → 5 %", 2_000): 0.95,
        ("a category's share 10 → 15 %", 2_000): 0.90,
        ("flagged 5 → 20 %", 2_000): 0.95,
    }


@pytest.mark.parametrize(("hits", "low", "high"), [(0, 0.0, 0.0183), (10, 0.0242, 0.0900), (200, 0.9817, 1.0)])
def test_an_exact_interval_is_the_one_of_the_tables(hits: int, low: float, high: float) -> None:
    assert list(exact_interval(hits, 200)) == pytest.approx([low, high], abs=1e-4)


def test_a_promise_is_refuted_only_beyond_chance() -> None:
    quiet, changed = QUIET[0], CHANGED[0]
    assert not Rates(quiet, 200, pages=14, alarms=14).refuted
    assert Rates(quiet, 200, pages=30, alarms=30).refuted
    assert not Rates(changed, 200, pages=186, alarms=190).refuted
    assert Rates(changed, 200, pages=170, alarms=190).refuted
