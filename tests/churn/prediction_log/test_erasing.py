"""Erasing a customer from the prediction log: every line of theirs, and nothing else."""

import gzip
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from churn.errors import PredictionLogError
from churn.prediction_log import erasing
from churn.prediction_log.erasing import Erasure, erase
from churn.prediction_log.listing import LogFile
from serving.prediction_writer import PredictionLog
from tests.serving.test_prediction_writer import Clock, append, logged
from tests.support.log_contents import files, odd_entries, read

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

    assert erase(folder, "30") == Erasure(3, ())

    append(log, "31")
    assert sorted(logged(folder)) == ["3", "31", 'quote"30']
    assert sum(path.stat().st_size for path in files(folder)) > size
    assert [read(path).erased for path in files(folder)] == [2, 1]
    assert [read(path).foreign for path in files(folder)] == [0, 0]
    assert b'"customer_id":"30"' not in b"".join(path.read_bytes() for path in files(folder))
    assert erase(folder, "30").lines == 0


def test_erasing_reaches_the_half_line_of_a_killed_process(folder: Path) -> None:
    append(PredictionLog(folder, "m", clock=Clock()), "1", "30")
    [path] = files(folder)
    path.write_bytes(path.read_bytes()[:-20])
    assert erase(folder, "30").lines == 1
    assert logged(folder) == ["1"]
    assert b'"30"' not in path.read_bytes()


@pytest.mark.parametrize("spelling", ["104", " 104", "104.0", "104.00 ", "\t104\u3000"])
def test_every_spelling_of_an_id_is_erased_by_any_other(folder: Path, spelling: str) -> None:
    spellings = ["104", " 104", "104.0", "104.00 ", "\t104\u3000"]
    others = ["0104", "1040", "104.5", "1e2", 'x"104"']
    append(PredictionLog(folder, "m", clock=Clock()), *spellings, *others)
    assert erase(folder, spelling).lines == len(spellings)
    assert logged(folder) == others


def packed(path: Path, content: bytes | None = None) -> Path:
    """A file packed as `gzip` does it, or another one with the content given."""
    archive = path.with_name(path.name + ".gz")
    archive.write_bytes(gzip.compress(path.read_bytes() if content is None else content))
    path.unlink(missing_ok=True)
    return archive


def test_archives_rotated_files_and_sub_folders_are_erased_in_too(folder: Path) -> None:
    pod = folder / "pod-a"
    for place in (folder, folder, folder, pod):
        append(PredictionLog(place, "m", clock=Clock()), "30", "31")
    plain, rotated, archived = sorted(folder.glob("*.jsonl"))
    rotated.rename(rotated.with_name(rotated.name + ".1"))
    archive = packed(archived)
    before = archive.stat()

    assert erase(folder, "30") == Erasure(4, ())

    assert logged(folder) == ["31"] * 4
    assert [read(path).erased for path in files(folder)] == [1] * 4
    after = archive.stat()
    assert stat.S_IMODE(after.st_mode) == 0o600
    assert (after.st_uid, after.st_gid, after.st_mtime_ns) == (before.st_uid, before.st_gid, before.st_mtime_ns)
    assert len(gzip.decompress(archive.read_bytes())) == plain.stat().st_size
    assert sorted(path.name for path in folder.rglob(".*")) == []


def test_an_archive_without_the_customer_is_left_as_it_is(folder: Path) -> None:
    append(PredictionLog(folder, "m", clock=Clock()), "31")
    archive = packed(files(folder)[0])
    before = archive.stat()
    assert erase(folder, "30").lines == 0
    assert archive.stat() == before


KILLED = """
import os, signal, sys
from pathlib import Path
from churn import files
from churn.prediction_log import erasing
from churn.prediction_log.erasing import erase
files._sync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
erase(Path(sys.argv[1]), "30")
"""


def test_what_a_killed_erasure_left_is_cleaned_by_the_next(folder: Path) -> None:
    append(PredictionLog(folder, "m", clock=Clock()), "30", "31")
    packed(files(folder)[0])
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder)], cwd=PROJECT, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = folder.glob(".*")
    assert stat.S_IMODE(left.stat().st_mode) == 0o700
    assert sorted(logged(folder)) == ["30", "31"]

    assert erase(folder, "30").lines == 1

    assert not list(folder.glob(".*"))
    assert logged(folder) == ["31"]


def test_odd_entries_are_named_and_passed_over(folder: Path) -> None:
    expected = odd_entries(folder)
    append(PredictionLog(folder, "m", clock=Clock()), "30")
    done = erase(folder, "30")
    assert done.lines == 1
    assert {entry.name: entry.why for entry in done.passed_over} == expected
    assert done.unseen == ()


def test_a_link_is_never_followed(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    append(PredictionLog(tmp_path / "elsewhere", "m", clock=Clock()), "30")
    (target,) = files(tmp_path / "elsewhere")
    (folder / target.name).symlink_to(target)
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    done = erase(folder, "30")
    assert done.lines == 0
    assert [entry.name for entry in done.unseen] == [target.name, "more"]
    assert logged(tmp_path / "elsewhere") == ["30"]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("2026-01-01_host_1_1_1.jsonl.gz", gzip.compress(b"{}\n")[:-4], "cannot be unpacked: "),
        ("2026-01-01_host_1_1_1.jsonl.gz", b"no gzip", "cannot be unpacked: "),
        ("2026-01-01_host_1_1_1.jsonl.xz", b"x", "cannot be read as it is; unpack it with unxz"),
        ("2026-99-99_host_1_1_1.jsonl", b"x", "there is no such date"),
    ],
    ids=["cut short", "no gzip", "xz", "no date"],
)
def test_what_may_hold_lines_of_the_customer_and_cannot_be_looked_into_is_told(
    folder: Path, name: str, content: bytes, why: str
) -> None:
    append(PredictionLog(folder, "m", clock=Clock()), "30")
    (folder / name).write_bytes(content)
    done = erase(folder, "30")
    assert done.lines == 1
    (entry,) = done.unseen
    assert entry.name == name
    assert why in entry.why


def test_an_archive_that_unpacks_to_more_than_the_setting_allows_is_told_with_the_setting(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHURN_LOG_UNPACKED_MB", "1")
    folder.mkdir(exist_ok=True)
    (folder / "2026-01-01_host_1_1_1.jsonl.gz").write_bytes(gzip.compress(b"{}\n" * 1_000_000))
    (entry,) = erase(folder, "30").unseen
    assert entry.why.endswith("it holds more than 1 MB; if it should, set CHURN_LOG_UNPACKED_MB higher")


def test_a_file_that_is_rotated_while_others_are_read_is_not_missed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(PredictionLog(folder, "m", clock=Clock()), "30")
    append(PredictionLog(folder, "m", clock=Clock()), "30")
    second = files(folder)[1]
    looked = erasing._erase_in

    def rotated_after_the_first(file: LogFile, customer: Any) -> int:
        if second.exists():
            packed(second)
        return looked(file, customer)

    monkeypatch.setattr(erasing, "_erase_in", rotated_after_the_first)
    assert erase(folder, "30").lines == 2
    assert logged(folder) == []


MEMORY = """
import resource, sys
from pathlib import Path
from churn.prediction_log import erasing
from churn.prediction_log.erasing import erase
erase(Path(sys.argv[2]), "30")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = erase(Path(sys.argv[1]), "30").lines
print(found, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_does_not_grow_with_the_file_nor_with_a_line(folder: Path, tmp_path: Path) -> None:
    append(PredictionLog(folder, "m", clock=Clock()), "30", "31")
    append(PredictionLog(tmp_path / "small", "m", clock=Clock()), "30", "31")
    [path] = files(folder)
    content = path.read_bytes()
    path.write_bytes(content * 8_000 + b"\0" * 30_000_000 + content)
    packed(folder / "2018-11-02_host_1_1_2.jsonl", content * 8_000)
    assert path.stat().st_size > 50_000_000
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(folder), str(tmp_path / "small")],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines, megabytes = map(int, done.stdout.split())
    assert lines == 16_001
    assert megabytes < 20
    assert [read(path).erased for path in files(folder)] == [8_000, 8_001]


def test_a_line_shorter_than_what_replaces_it_costs_the_next_one_nothing(folder: Path) -> None:
    append(PredictionLog(folder, "m", clock=Clock()), "31")
    [path] = files(folder)
    path.write_bytes(b'{"customer_id":"30"}\n' + path.read_bytes())
    assert erase(folder, "30").lines == 1
    assert logged(folder) == ["31"]


def test_erasing_needs_a_folder_and_a_customer(folder: Path) -> None:
    with pytest.raises(PredictionLogError, match="there is no such folder"):
        erase(folder, "30")
    folder.mkdir()
    with pytest.raises(PredictionLogError, match="the customer's id is empty"):
        erase(folder, " ")


def command(*arguments: str, module: str = "churn.prediction_log", folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=PROJECT,
        env=os.environ | {"CHURN_LOG_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("module", ["churn.prediction_log", "monitoring.prediction_log"])
def test_the_erase_command_says_how_many_lines(folder: Path, module: str) -> None:
    append(PredictionLog(folder, "m"), "30", "31")
    done = command("erase", "--customer", "30", module=module, folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"1 lines erased in {folder}\n", "")
    assert logged(folder) == ["31"]


def test_the_erase_command_has_a_status_for_each_outcome(folder: Path) -> None:
    missing = command("erase", "--customer", "30", folder=folder)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "there is no such folder" in missing.stderr

    append(PredictionLog(folder, "m"), "31")
    nothing = command("erase", "--customer", "30", folder=folder)
    assert (nothing.returncode, nothing.stdout) == (3, f"0 lines erased in {folder}\n")

    (folder / "2026-01-01_host_1_1_1.jsonl.zst").write_bytes(b"x")
    unseen = command("erase", "--customer", "31", folder=folder)
    assert (unseen.returncode, unseen.stdout) == (4, f"1 lines erased in {folder}\n")
    assert "2026-01-01_host_1_1_1.jsonl.zst (cannot be read as it is; unpack it with unzstd)" in unseen.stderr


def test_erasing_needs_the_standard_library_and_orjson_only() -> None:
    program = (
        "import sys; before = {*sys.modules}; import churn.prediction_log.__main__; "
        "print(*sorted({name.partition('.')[0] for name in {*sys.modules} - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"churn", "orjson"}
