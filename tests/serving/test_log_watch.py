"""The watch over the log's volume: what it measures, and that it deletes without anybody asking."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving import log_watch, metrics
from serving.log_watch import LogWatch, free_bytes, retain
from serving.prediction_writer import PredictionLog
from tests.serving.test_prediction_writer import NOON, Clock, append
from tests.support.log_contents import files


def value(name: str) -> float:
    (sample,) = [
        sample
        for metric in metrics.METRICS
        for family in metric.collect()
        for sample in family.samples
        if sample.name == name
    ]
    return sample.value


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_free_space_is_what_an_unprivileged_writer_may_use(tmp_path: Path) -> None:
    volume = os.statvfs(tmp_path)
    assert free_bytes(tmp_path) == pytest.approx(volume.f_bavail * volume.f_frsize, rel=0.2)


def test_the_age_is_that_of_the_first_day_left(tmp_path: Path) -> None:
    clock = Clock()
    log = PredictionLog(tmp_path, "m", clock=clock, retention_days=2)
    retain(log, NOON)
    assert value("churn_prediction_log_oldest_seconds") == 0
    for _ in range(4):
        append(log, "1")
        clock.now += timedelta(days=1)
    retain(log, datetime(2018, 11, 6, tzinfo=UTC))
    assert value("churn_prediction_log_oldest_seconds") == 3 * 86_400
    assert value("churn_prediction_log_retention_blocked") == 0


def test_a_clock_that_is_ahead_shows_that_nothing_is_deleted(tmp_path: Path) -> None:
    clock = Clock()
    log = PredictionLog(tmp_path, "m", clock=clock, retention_days=2)
    append(log, "1")
    clock.now += timedelta(days=450)
    retain(log, clock.now)
    assert value("churn_prediction_log_retention_blocked") == 1
    assert len(files(tmp_path)) == 1
    clock.now -= timedelta(days=450)
    retain(log, clock.now)
    assert value("churn_prediction_log_retention_blocked") == 0


def test_it_looks_again_and_again_and_outlives_a_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []

    def looked(folder: Path) -> int:
        looks.append(folder)
        if len(looks) == 2:
            raise FileNotFoundError(2, "No such file or directory")
        return 5

    monkeypatch.setattr(log_watch, "free_bytes", looked)
    clock = Clock()
    log = PredictionLog(tmp_path, "m", clock=clock, retention_days=2)
    for _ in range(4):
        append(log, "1")
        clock.now += timedelta(days=1)
    watch = LogWatch(log, seconds=0.001)
    eventually(lambda: len(looks) > log_watch.RETAIN_EVERY)
    watch.close()
    count = len(looks)
    assert value("churn_prediction_log_free_bytes") == 5
    assert [path.name[:10] for path in files(tmp_path)] == ["2018-11-03", "2018-11-04", "2018-11-05"]
    time.sleep(0.05)
    assert len(looks) == count
