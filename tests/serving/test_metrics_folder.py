"""The metrics folder: each service has its own, and what killed ones left is taken away."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving import metrics_folder

PROJECT = Path(__file__).parent.parent.parent
START = """
import sys
from bentoml._internal.configuration.containers import BentoMLContainer
from serving.metrics_folder import use_own_folder
use_own_folder()
print(BentoMLContainer.prometheus_multiproc_dir.get(), flush=True)
sys.stdin.read()
"""


def start(home: Path, **more: str) -> subprocess.Popen[str]:
    environment = os.environ | {"BENTOML_HOME": str(home)} | more
    command = [sys.executable, "-c", START]
    return subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def folder_of(process: subprocess.Popen[str]) -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().strip())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_each_service_has_a_folder_of_its_own_and_removes_it_at_its_end(home: Path) -> None:
    with start(home) as first, start(home) as second:
        folders = {folder_of(first), folder_of(second)}
        assert len(folders) == 2
        assert all(folder.is_dir() and folder.is_relative_to(home) for folder in folders)
    assert not any(folder.exists() for folder in folders)


def test_the_folder_of_a_killed_service_goes_when_another_starts_and_that_of_a_running_one_stays(home: Path) -> None:
    with start(home) as running, start(home) as killed:
        kept, left = folder_of(running), folder_of(killed)
        (left / "counter_1.db").write_bytes(b"counts")
        killed.kill()
        killed.wait()
        assert left.is_dir()
        with start(home) as third:
            folder_of(third)
            assert (kept.is_dir(), left.exists()) == (True, False)


def test_a_store_that_can_only_be_read_is_no_obstacle(home: Path, tmp_path: Path) -> None:
    (home / "churn-metrics").write_text("in the way")
    with start(home, TMPDIR=str(tmp_path)) as process:
        folder = folder_of(process)
        assert folder.parent == tmp_path
        assert folder.is_dir()


def test_a_worker_uses_the_folder_that_was_chosen_for_it(home: Path, tmp_path: Path) -> None:
    with start(home, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)) as worker:
        assert folder_of(worker) == home / "prometheus_multiproc_dir"  # BentoML's default, which no worker reads
        assert not (home / "churn-metrics").exists()


def test_room_is_taken_for_what_this_worker_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = (tmp_path / f"counter_{process}.db" for process in (os.getpid(), 1))
    for path in (mine, other):
        with path.open("wb") as file:
            file.truncate(65_536)
    monkeypatch.setenv(metrics_folder.CHOSEN, str(tmp_path))
    metrics_folder.reserve_room()
    assert [path.stat().st_blocks * 512 for path in (mine, other)] == [65_536, 0]


def test_what_a_dead_worker_was_answering_is_forgotten_and_what_it_counted_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = [f"{kind}_{process}.db" for kind in ("gauge_livesum", "counter") for process in (dead.pid, os.getpid())]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setenv(metrics_folder.CHOSEN, str(tmp_path))
    metrics_folder.forget_dead_workers()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(set(names) - {names[0]})
