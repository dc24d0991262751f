"""Which files a report reads: each once, and none where too much would be missing."""

import gzip
from pathlib import Path

import pytest

from churn.errors import PredictionLogError
from churn.prediction_log.packing import UNPACKED_MB
from monitoring.prediction_log.log_files import Spool, log_files
from tests.support.log_contents import odd_entries

NAME = "2018-11-02_host_1_1_1.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / NAME).write_bytes(b"x" * 9_900)
    return tmp_path


def test_what_is_not_of_the_log_is_named_as_long_as_it_is_little(folder: Path) -> None:
    (folder / "notes.txt").write_bytes(b"x" * 100)
    found = log_files(folder)
    assert [file.name for file in found.files] == [NAME]
    assert list(map(str, found.passed_over)) == ["notes.txt (not a file of the prediction log)"]


def test_what_is_not_read_may_hold_one_byte_in_a_hundred_or_as_many_as_is_allowed(folder: Path) -> None:
    (folder / "notes.txt").write_bytes(b"x" * 101)
    with pytest.raises(PredictionLogError, match=r"1\.0% of the bytes are not read .*: notes\.txt"):
        log_files(folder)
    assert len(log_files(folder, most_unread=0.02).files) == 1


@pytest.mark.parametrize(("suffix", "program"), [(".xz", "unxz"), (".zst", "unzstd"), (".bz2", "bunzip2")])
def test_an_archive_that_cannot_be_read_is_refused_with_the_way_to_unpack_it(
    folder: Path, suffix: str, program: str
) -> None:
    (folder / f"2018-11-03_host_1_1_1.jsonl{suffix}").write_bytes(b"x")
    with pytest.raises(
        PredictionLogError, match=rf"2018-11-03\S+{suffix} \(cannot be read as it is; unpack it with {program}"
    ):
        log_files(folder)


def test_odd_entries_are_passed_over(folder: Path) -> None:
    expected = odd_entries(folder)
    assert {entry.name: entry.why for entry in log_files(folder).passed_over} == expected


def test_a_file_plain_and_packed_and_in_an_archive_counts_once(folder: Path) -> None:
    content = (folder / NAME).read_bytes()
    (folder / f"{NAME}.gz").write_bytes(gzip.compress(content))
    (folder / "archive").mkdir()
    (folder / "archive" / NAME).write_bytes(content)
    assert [file.stem for file in log_files(folder).files] == [NAME]


def test_copies_that_differ_are_refused(folder: Path) -> None:
    (folder / f"{NAME}.gz").write_bytes(gzip.compress(b"x" * 9_899))
    with pytest.raises(PredictionLogError, match=rf"{NAME} and {NAME}\.gz should hold the same lines and differ"):
        log_files(folder)


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"{}\n")[:-6], gzip.compress(b"{}\n" * 99)[:20] + b"x" * 9, b"{}\n"],
    ids=["cut short", "broken", "no gzip"],
)
def test_an_archive_that_is_damaged_is_refused_by_name(folder: Path, content: bytes, tmp_path: Path) -> None:
    (folder / "2018-11-03_host_1_1_1.jsonl.gz").write_bytes(content)
    (_, damaged) = log_files(folder).files
    with pytest.raises(PredictionLogError, match=r"2018-11-03_host_1_1_1\.jsonl\.gz: cannot be unpacked"):
        Spool(tmp_path).readable(damaged)


def test_what_unpacks_to_more_than_the_setting_allows_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(UNPACKED_MB.name, "1")
    (folder / "2018-11-03_host_1_1_1.jsonl.gz").write_bytes(gzip.compress(b"{}\n" * 1_000_000))
    (_, bomb) = log_files(folder).files
    with pytest.raises(
        PredictionLogError, match=r"_1\.jsonl\.gz: .* more than 1 MB; if it should, set CHURN_LOG_UNPACKED_MB"
    ):
        Spool(tmp_path).readable(bomb)
    assert sum(path.stat().st_size for path in tmp_path.glob("0-*")) <= 1_000_000


def test_a_copy_is_made_once(folder: Path, tmp_path: Path) -> None:
    (folder / "2018-11-03_host_1_1_1.jsonl.gz").write_bytes(gzip.compress(b"{}\n"))
    (plain, packed) = log_files(folder).files
    spool = Spool(tmp_path)
    assert spool.readable(plain).path == plain.path
    assert spool.readable(packed) is spool.copied(packed)
    assert spool.readable(packed).path.read_bytes() == b"{}\n"


def test_the_bound_of_unpacking_is_documented() -> None:
    page = Path(__file__).parent.parent.parent.parent / "docs" / "api.md"
    assert f"unpacks to more than `{UNPACKED_MB.name}` ({UNPACKED_MB.default}) is not read" in page.read_text()
