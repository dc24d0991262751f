"""A file or a folder is there as a whole or not at all, whoever looks, writes, fails or is killed."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from churn import files
from churn.files import replace_file, whole_file, whole_folder

PROJECT = Path(__file__).parent.parent.parent


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_folder(target: Path, content: str) -> None:
    with whole_folder(target) as folder:
        (folder / "content.txt").write_text(content)


def test_a_file_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "made" / "on the way" / "champion.json"
    for content in (b"old", b"new"):
        replace_file(target, content)
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["champion.json"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_has_the_mode_it_was_given_whatever_it_had(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "table"
    target.write_bytes(b"")
    target.chmod(0o666)
    replace_file(target, b"new", mode)
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_nobody_else_can_read_what_is_not_complete(tmp_path: Path) -> None:
    with whole_file(tmp_path / "table") as fresh:
        assert stat.S_IMODE(fresh.parent.stat().st_mode) == 0o700
        fresh.write_bytes(b"")


def test_content_is_on_the_disk_before_it_takes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, bool]] = []

    def fsync(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").resolve().name, target.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    target = tmp_path / "file"
    replace_file(target, b"content")
    assert synced == [("file", False), (tmp_path.name, True)]
    synced.clear()
    target = tmp_path / "folder"
    write_folder(target, "content")
    assert synced == [("content.txt", False), ("folder", False), (tmp_path.name, True)]


def test_a_file_that_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "table"
    replace_file(target, b"old")

    def fail() -> None:
        with whole_file(target) as fresh:
            fresh.write_bytes(b"half")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["table"]


def test_a_folder_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "reports" / "card"
    for content in ("old", "new"):
        with whole_folder(target) as folder:
            (folder / f"{content}.txt").write_text(content)
    assert names(target) == ["new.txt"]
    assert names(target.parent) == ["card"]


@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_folder_has_the_mode_it_was_given(tmp_path: Path, mode: int) -> None:
    with whole_folder(tmp_path / "requests", mode):
        pass
    assert stat.S_IMODE((tmp_path / "requests").stat().st_mode) == mode


def test_a_folder_that_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "card"
    write_folder(target, "old")

    def fail() -> None:
        with whole_folder(target) as folder:
            (folder / "half.txt").write_text("half")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    assert names(target) == ["content.txt"]
    assert names(tmp_path) == ["card"]


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "card"
    target.write_text("somebody's file")
    with pytest.raises(NotADirectoryError):
        write_folder(target, "new")
    assert target.read_text() == "somebody's file"
    assert names(tmp_path) == ["card"]


def test_a_reader_never_finds_the_folder_missing(tmp_path: Path) -> None:
    target = tmp_path / "card"
    write_folder(target, "0")
    missed, done = [], threading.Event()

    def look() -> None:
        while not done.is_set():
            if not target.exists():
                missed.append(1)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(50):
        write_folder(target, str(number))
    done.set()
    reader.join()
    assert not missed


@pytest.mark.parametrize("exchanges", [True, False])
def test_two_writers_at_once_leave_one_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    if not exchanges:
        monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    target = tmp_path / "card"

    def write(content: str) -> None:
        for _ in range(20):
            write_folder(target, content)

    writers = [threading.Thread(target=write, args=(content,)) for content in ("one", "two")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (target / "content.txt").read_text() in {"one", "two"}
    assert names(tmp_path) == ["card"]


def test_where_names_cannot_be_exchanged_a_failure_gives_the_old_folder_its_name_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "card"
    write_folder(target, "old")
    rename, refused = Path.rename, []

    def full(path: Path, to: Path) -> Path:
        if path.parent.name.endswith(".unfinished") and not target.exists():
            refused.append(path)
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(path, to)

    monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        write_folder(target, "new")
    assert refused
    assert (target / "content.txt").read_text() == "old"
    assert names(tmp_path) == ["card"]


KILLED = """
import os, signal, sys
from pathlib import Path
from churn import files

target = Path(sys.argv[2])
if sys.argv[1] == "between the names":
    files._exchanged = lambda *_: False
    rename = Path.rename
    def once(path, to):
        rename(path, to)
        os.kill(os.getpid(), signal.SIGKILL)
    Path.rename = lambda path, to: once(path, to) if "replaced" in str(to) else rename(path, to)
    with files.whole_folder(target) as folder:
        (folder / "content.txt").write_text("new")
with (files.whole_file if sys.argv[1] == "in a file" else files.whole_folder)(target) as fresh:
    (fresh if sys.argv[1] == "in a file" else fresh / "content.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill(when: str, target: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, when, str(target)], cwd=PROJECT, check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("when", ["in a file", "in a folder"])
def test_a_killed_writer_leaves_the_old_content_and_the_next_writer_sweeps(tmp_path: Path, when: str) -> None:
    target = tmp_path / "target"
    if when == "in a file":
        replace_file(target, b"old")
    else:
        write_folder(target, "old")
    kill(when, target)
    assert (target if when == "in a file" else target / "content.txt").read_text() == "old"
    assert len(names(tmp_path)) == 2
    replace_file(tmp_path / "another", b"")
    assert names(tmp_path) == ["another", "target"]


def test_the_next_writer_repairs_a_kill_between_the_names(tmp_path: Path) -> None:
    target = tmp_path / "card"
    write_folder(target, "old")
    kill("between the names", target)
    assert not target.exists()
    replace_file(tmp_path / "another", b"")
    assert (target / "content.txt").read_text() == "old"
    assert names(tmp_path) == ["another", "card"]


def test_a_writer_at_work_is_not_swept_away(tmp_path: Path) -> None:
    with whole_file(tmp_path / "slow") as fresh:
        fresh.write_text("slow")
        replace_file(tmp_path / "quick", b"quick")
    assert (tmp_path / "slow").read_text() == "slow"


def test_what_others_hide_in_the_folder_stays(tmp_path: Path) -> None:
    for name in (".slow.abcdefgh.old", ".slow.backup", "slow.unfinished"):
        (tmp_path / name).mkdir()
    replace_file(tmp_path / "slow", b"")
    assert len(names(tmp_path)) == 4
