"""A week's folder is replaced as a whole, whoever looks and however many write."""

import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from churn.errors import ReportError
from monitoring.reports.report_folder import AT_RISK, DRIFT, SUMMARY, ReportFolder
from monitoring.reports.week import Week
from tests.support.summaries import quiet

WEEK = Week.parse("2018-W44")
PROJECT = Path(__file__).parent.parent.parent.parent


@pytest.fixture
def reports(tmp_path: Path) -> ReportFolder:
    return ReportFolder(tmp_path / "reports")


def version(number: int) -> dict[str, bytes]:
    return {
        DRIFT: f"page {number}".encode(),
        SUMMARY: f'{{"models": [], "number": {number}}}'.encode(),
        AT_RISK: b"ids",
    }


def test_a_second_run_replaces_all_of_the_first(reports: ReportFolder) -> None:
    reports.replace_week(WEEK, version(1) | {"drift-old.html": b"gone with the next run"})
    folder = reports.replace_week(WEEK, version(2))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == version(2)
    assert [path.name for path in reports.path.iterdir()] == ["2018-W44"]


def test_the_list_of_customers_is_for_its_owner_only(reports: ReportFolder) -> None:
    folder = reports.replace_week(WEEK, version(1))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {DRIFT: 0o644, SUMMARY: 0o644, AT_RISK: 0o600}


def test_a_run_that_fails_leaves_the_last_good_report(reports: ReportFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    reports.replace_week(WEEK, version(1))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ReportError, match="No space left on device"):
        reports.replace_week(WEEK, version(2))
    assert {path.name: path.read_bytes() for path in reports.week(WEEK).iterdir()} == version(1)
    assert [path.name for path in reports.path.iterdir()] == ["2018-W44"]


def test_two_at_once_leave_one_whole_report(reports: ReportFolder) -> None:
    def write(number: int) -> None:
        for _ in range(20):
            reports.replace_week(WEEK, version(number))

    writers = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = {path.name: path.read_bytes() for path in reports.week(WEEK).iterdir()}
    assert found in (version(1), version(2))
    assert [path.name for path in reports.path.iterdir()] == ["2018-W44"]


def test_what_is_no_report_is_not_taken_for_one_and_told(reports: ReportFolder) -> None:
    reports.replace_week(WEEK, {SUMMARY: quiet().to_bytes()})
    damaged = [b"no JSON", b"[]", b"{}", quiet().to_bytes().replace(b'"customers": 1200', b'"customers": "many"')]
    names = ["notes", *(f"2018-W{number}" for number in range(45, 45 + len(damaged)))]
    for name, content in zip(names, [quiet().to_bytes(), *damaged], strict=True):
        (reports.path / name).mkdir()
        (reports.path / name / SUMMARY).write_bytes(content)
    (reports.path / "2018-W43").mkdir()
    (reports.path / "2018-W42" / SUMMARY).mkdir(parents=True)
    told: list[str] = []
    assert reports.summaries(told.append) == {WEEK: quiet()}
    assert sorted(line[:26] for line in told) == [
        f"no report of week 2018-W{number}" for number in (42, 45, 46, 47, 48)
    ]
    assert any(f"{reports.path}/2018-W48/summary.json: customers: found 'many'" in line for line in told)


def test_one_file_is_changed_and_the_others_stay(reports: ReportFolder) -> None:
    folder = reports.replace_week(WEEK, version(1))
    reports.change(WEEK, SUMMARY, lambda content: content.replace(b"1", b"2"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == version(1) | {SUMMARY: version(2)[SUMMARY]}
    assert stat.S_IMODE((folder / AT_RISK).stat().st_mode) == 0o600
    assert [path.name for path in reports.path.iterdir()] == ["2018-W44"]


def test_what_follows_from_a_changed_file_is_replaced_with_it(reports: ReportFolder) -> None:
    folder = reports.replace_week(WEEK, version(1))
    reports.change(WEEK, SUMMARY, lambda _: b"2", lambda content: {DRIFT: b"drawn from " + content})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == version(1) | {
        SUMMARY: b"2",
        DRIFT: b"drawn from 2",
    }


def test_what_fails_to_change_stays(reports: ReportFolder) -> None:
    folder = reports.replace_week(WEEK, version(1))
    with pytest.raises(ReportError, match=r"has no none\.json"):
        reports.change(WEEK, "none.json", lambda content: content)
    with pytest.raises(ReportError, match="No such file"):
        reports.change(Week(WEEK.end), SUMMARY, lambda content: content)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == version(1)


def test_a_change_is_never_lost_to_another_at_the_same_time(reports: ReportFolder) -> None:
    reports.replace_week(WEEK, version(0) | {SUMMARY: b"0"})

    def count() -> None:
        for _ in range(20):
            reports.change(WEEK, SUMMARY, lambda content: str(int(content) + 1).encode())

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (reports.week(WEEK) / SUMMARY).read_bytes() == b"80"


KILLED = """
import os, signal, sys
from pathlib import Path
from monitoring.reports.report_folder import ReportFolder
from monitoring.reports.week import Week

class Killing(dict):
    def items(self):
        yield "at_risk.csv", b"ids"
        os.kill(os.getpid(), signal.SIGKILL)

ReportFolder(Path(sys.argv[1])).replace_week(Week.parse("2018-W44"), Killing())
"""


def test_a_killed_run_leaves_the_last_good_report_and_the_next_one_sweeps(reports: ReportFolder) -> None:
    good = version(1) | {SUMMARY: quiet().to_bytes()}
    reports.replace_week(WEEK, good)
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(reports.path)], cwd=PROJECT, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert {path.name: path.read_bytes() for path in reports.week(WEEK).iterdir()} == good
        assert list(reports.summaries()) == [WEEK]
        assert len(list(reports.path.iterdir())) == 2
    reports.replace_week(Week(WEEK.end), version(2))
    assert sorted(path.name for path in reports.path.iterdir()) == ["2018-W44", "2018-W45"]
