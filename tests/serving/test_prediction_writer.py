"""The log's writer: what is acknowledged is there, what failed is not, and nothing is glued together."""

import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.contract import CONTRACT_VERSION, NAMES, example_customer
from churn.errors import PredictionLogError
from churn.prediction_log.line import FIELDS
from serving.prediction_writer import Answered, PredictionLog
from tests.support.log_contents import files, odd_entries, read

NOON = datetime(2018, 11, 2, 12, 0, 0, 123_456, tzinfo=UTC)
PROJECT = Path(__file__).parent.parent.parent

EXAMPLE = {name: value for name, value in example_customer().items() if name in NAMES}


def answered(customers: Sequence[str], request_id: str = "r1", **changes: Any) -> Answered:
    count = len(customers)
    as_of, features = ["2018-11-02T00:00:00Z"] * count, [EXAMPLE] * count
    return Answered(request_id, customers, as_of, features, [0.25] * count, [False] * count)._replace(**changes)


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def append(log: PredictionLog, *customers: str, request_id: str = "r1") -> None:
    log.append("predict", [answered(customers, request_id)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


def logged(folder: Path) -> list[str]:
    return [line["customer_id"] for path in files(folder) for line in read(path).lines]


def test_a_line_holds_exactly_what_was_asked_and_answered(folder: Path) -> None:
    log = PredictionLog(folder, "churn:abc", clock=Clock())
    features = [EXAMPLE, EXAMPLE | {"gender": None}]
    log.append(
        "explain",
        [answered(["30", "31"], "request-7", features=features, probabilities=[0.125, 0.75], flags=[False, True])],
    )

    [path] = files(folder)
    assert path.name.startswith("2018-11-02_")
    first, second = map(orjson.loads, path.read_bytes().splitlines())
    assert tuple(sorted(first)) == tuple(sorted(FIELDS))
    assert second == {
        "schema": 2,
        "request_id": "request-7",
        "row": 1,
        "api": "explain",
        "time": "2018-11-02T12:00:00.123Z",
        "as_of": "2018-11-02T00:00:00Z",
        "customer_id": "31",
        "model": "churn:abc",
        "contract": CONTRACT_VERSION,
        "features": features[1],
        "churn_probability": 0.75,
        "will_churn": True,
        "source": "features",
        "generation": None,
    }
    assert (first["row"], first["features"]["gender"]) == (0, "F")


def test_requests_answered_together_are_one_append_and_each_counts_its_own_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, write = PredictionLog(folder, "m", clock=Clock()), Mock(side_effect=os.write)
    monkeypatch.setattr(os, "write", write)
    log.append("predict", [answered(["1", "2"], "a"), answered(["1"], "b"), answered(["3"], 'quoted"')])
    lines = read(files(folder)[0]).lines
    assert [(line["request_id"], line["row"], line["customer_id"]) for line in lines] == [
        ("a", 0, "1"),
        ("a", 1, "2"),
        ("b", 0, "1"),
        ('quoted"', 0, "3"),
    ]
    assert write.call_count == 1


def test_only_the_owner_may_read_it(folder: Path) -> None:
    append(PredictionLog(folder, "m", clock=Clock()), "30")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(files(folder)[0].stat().st_mode) == 0o600


def test_a_day_has_its_own_file_and_so_has_every_process_start(folder: Path) -> None:
    clock = Clock()
    log, restarted = PredictionLog(folder, "m", clock=clock), PredictionLog(folder, "m", clock=clock)
    append(log, "1")
    append(log, "2")
    append(restarted, "3")
    clock.now += timedelta(days=1)
    append(log, "4")
    assert [path.name[:10] for path in files(folder)] == ["2018-11-02", "2018-11-02", "2018-11-03"]
    assert logged(folder) == ["1", "2", "3", "4"]


def test_a_clock_that_goes_back_over_midnight_loses_nothing(folder: Path) -> None:
    clock = Clock()
    log = PredictionLog(folder, "m", clock=clock)
    for step, customer in ((0, "1"), (1, "2"), (-1, "3")):
        clock.now += timedelta(days=step)
        append(log, customer)
    assert sorted(logged(folder)) == ["1", "2", "3"]


def test_a_folder_moved_at_run_time_is_made_again(folder: Path) -> None:
    log = PredictionLog(folder, "m", clock=Clock())
    append(log, "1")
    moved = folder.rename(folder.parent / "moved")
    append(log, "2")
    assert (logged(moved), logged(folder)) == (["1"], ["2"])


def test_a_folder_deleted_at_run_time_is_made_again(folder: Path) -> None:
    log = PredictionLog(folder, "m", clock=Clock())
    append(log, "1")
    for path in files(folder):
        path.unlink()
    folder.rmdir()
    append(log, "2")
    assert logged(folder) == ["2"]


def test_a_folder_that_is_no_folder_is_refused_at_start_and_works_once_it_is_one(folder: Path) -> None:
    folder.write_text("in the way")
    log = PredictionLog(folder, "m", clock=Clock())
    with pytest.raises(PredictionLogError, match="cannot be written"):
        log.check()
    with pytest.raises(PredictionLogError, match=f"{folder}.*make the folder writable"):
        append(log, "1")
    folder.unlink()
    append(log, "2")
    assert logged(folder) == ["2"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from churn.errors import PredictionLogError
from serving.prediction_writer import PredictionLog
from tests.serving.test_prediction_writer import append
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = PredictionLog(Path(sys.argv[1]), "m")
append(log, "first")
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))  # the next write fits only in part
for _ in range(3):
    try:
        append(log, "second", "third", "fourth")
    except PredictionLogError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
append(log, "fifth")
"""


def test_a_write_that_fits_only_in_part_is_taken_back_and_the_log_recovers(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder)], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("bytes were written, the disk is probably full") == 3
    [path] = files(folder)
    contents = read(path)
    assert [line["customer_id"] for line in contents.lines] == ["first", "fifth"]
    assert (contents.partial, contents.foreign) == (0, 0)


def test_after_a_write_that_cannot_be_taken_back_the_next_goes_to_a_new_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(folder, "m", clock=Clock())
    append(log, "1")
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, block: write(descriptor, block[:100]))
    monkeypatch.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError(5, "broken")))
    with pytest.raises(PredictionLogError, match="100 of"):
        append(log, "2")
    monkeypatch.undo()
    append(log, "3")
    torn, fresh = (read(path) for path in files(folder))
    assert [line["customer_id"] for line in torn.lines] == ["1"]
    assert torn.partial == 1
    assert [line["customer_id"] for line in fresh.lines] == ["3"]


def test_fsync_is_asked_for_only_when_it_is_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    append(PredictionLog(folder, "m", clock=Clock()), "1")
    assert synced == []
    append(PredictionLog(folder, "m", clock=Clock(), fsync=True), "1")
    assert len(synced) == 1


def test_old_days_are_deleted_at_start_and_whenever_it_is_asked(folder: Path) -> None:
    clock = Clock()
    log = PredictionLog(folder, "m", clock=clock, retention_days=2)
    for _ in range(4):
        append(log, "1")
        log.retain()
        clock.now += timedelta(days=1)
    assert [path.name[:10] for path in files(folder)] == ["2018-11-03", "2018-11-04", "2018-11-05"]
    (folder / "2001-01-01_notes.txt").write_text("not ours")
    clock.now += timedelta(days=1)
    append(log, "1")
    PredictionLog(folder, "m", clock=clock, retention_days=2).check()
    assert [path.name[:10] for path in files(folder)] == ["2018-11-05", "2018-11-07"]
    assert (folder / "2001-01-01_notes.txt").exists()


def test_why_old_days_are_kept_is_told_once_and_keeps_nobody_from_being_answered(folder: Path) -> None:
    clock, said = Clock(), list[str]()
    log = PredictionLog(folder, "m", clock=clock, retention_days=2, warn=said.append)
    log.check()
    append(log, "1")
    clock.now += timedelta(days=450)
    for _ in range(3):
        log.retain()
        append(log, "2")
    (warning,) = said
    assert warning.startswith(f"old days of the prediction log are kept: the log of {folder} ends on 2018-11-02")
    assert logged(folder) == ["1", "2", "2", "2"]


def test_odd_entries_are_told_at_start_and_stop_nothing(folder: Path) -> None:
    said: list[str] = []
    log = PredictionLog(folder, "m", clock=Clock(), retention_days=2, warn=said.append)
    odd = odd_entries(folder)
    log.check()
    append(log, "1")
    assert said == [
        "4 entries of the prediction log are passed over: "
        + ", ".join(f"{name} ({why})" for name, why in sorted(odd.items()))
    ]
    assert logged(folder) == ["1"]


def test_a_folder_that_cannot_be_listed_is_told_and_stops_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    log = PredictionLog(folder, "m", clock=Clock(), retention_days=2, warn=said.append)
    append(log, "1")
    monkeypatch.setattr(os, "scandir", Mock(side_effect=OSError(5, "Input/output error")))
    assert log.retain() is None
    assert said == [f"the prediction log cannot be listed: {folder}: Input/output error"]


def test_without_retention_nothing_is_deleted(folder: Path) -> None:
    clock = Clock()
    log = PredictionLog(folder, "m", clock=clock)
    append(log, "1")
    clock.now += timedelta(days=4000)
    append(log, "2")
    assert logged(folder) == ["1", "2"]


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=8))
def test_any_customer_id_comes_back_as_it_was(ids: list[str]) -> None:
    lines = PredictionLog(Path(), "m")._lines("predict", NOON, answered(ids))
    assert [orjson.loads(line)["customer_id"] for line in lines] == ids
