"""The benchmark's reading of Evidently's defaults is what the installed Evidently computes."""

import pytest

from load_tests.drift_worlds import CELLS, THIRTY_FIVE, Cell, Change
from load_tests.error_rates import populations
from load_tests.evidently_defaults import installed_scores, scores, verdict


def test_every_column_has_the_distance_of_the_installed_package() -> None:
    reference, current = populations(CELLS[5], THIRTY_FIVE, repetition=0)
    assert scores(reference, current) == pytest.approx(installed_scores(reference, current), abs=1e-9)


def test_a_column_past_a_tenth_is_flagged_and_one_column_is_no_dataset_drift() -> None:
    shifted = Cell("", 2_000, Change("session_minutes_14d", shift=0.5))
    found = verdict(*populations(shifted, THIRTY_FIVE, repetition=0))
    assert (found.any_column, found.dataset) == (True, False)
