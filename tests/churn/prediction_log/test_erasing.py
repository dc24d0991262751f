"""Erasing a customer from the prediction log: every line of theirs, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from churn.errors import PredictionLogError
from churn.prediction_log.erasing import erase
from churn.prediction_log.listing import files
from churn.prediction_log.parsing import read
from serving.prediction_writer import PredictionLog
from tests.serving.test_prediction_writer import Clock, append, logged

PROJECT = Path(__file__).parent.parent.parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


def test_erasing_a_customer_leaves_all_other_lines_and_the_running_writer_untouched(folder: Path) -> None:
    clock = Clock()
    log, other = PredictionLog(folder, "m", clock=clock), PredictionLog(folder, "m", clock=clock)
    append(log, "30", "3", "30")
    append(other, 'quote"30', "30")
    size = sum(path.stat().st_size for path in files(folder))

    assert erase(folder, "30") == 3

    append(log, "31")
    assert sorted(logged(folder)) == ["3", "31", 'quote"30']
    assert sum(path.stat().st_size for path in files(folder)) > size
    assert [read(path).erased for path in files(folder)] == [2, 1]
    assert [read(path).foreign for path in files(folder)] == [0, 0]
    assert b'"customer_id":"30"' not in b"".join(path.read_bytes() for path in files(folder))
    assert erase(folder, "30") == 0


def test_erasing_reaches_the_half_line_of_a_killed_process(folder: Path) -> None:
    append(PredictionLog(folder, "m", clock=Clock()), "1", "30")
    [path] = files(folder)
    path.write_bytes(path.read_bytes()[:-20])
    assert erase(folder, "30") == 1
    assert logged(folder) == ["1"]
    assert b'"30"' not in path.read_bytes()


def test_the_erase_command_says_how_many_lines(folder: Path) -> None:
    append(PredictionLog(folder, "m"), "30", "31")
    command = [sys.executable, "-m", "churn.prediction_log", "erase", "--customer", "30"]
    environment = os.environ | {"CHURN_LOG_DIR": str(folder)}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"1 lines erased in {folder}\n"
    assert logged(folder) == ["31"]


def test_a_log_that_cannot_be_erased_in_is_an_error(folder: Path) -> None:
    append(PredictionLog(folder, "m", clock=Clock()), "30")
    [path] = files(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(PredictionLogError, match="cannot erase"):
        erase(folder, "30")
