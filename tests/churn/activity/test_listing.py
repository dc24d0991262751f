import bz2
import gzip
import os
from pathlib import Path

import pytest

from churn.activity.listing import Listing, find_files
from churn.activity.settings import PASSED_OVER_PERCENT
from churn.errors import EventLogError
from tests.support.raw_logs import COLUMNS, json_lines, raw

LINE = json_lines([raw()]).encode()
HEADER = (",".join(COLUMNS) + "\n").encode()


def put(folder: Path, *names: str, content: bytes = LINE) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read(folder: Path, listing: Listing) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in listing.files]


def passed_over(folder: Path, listing: Listing) -> dict[str, str]:
    return {one.path.relative_to(folder).as_posix(): one.reason for one in listing.passed_over}


@pytest.fixture
def any_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSED_OVER_PERCENT.name, "100")


@pytest.mark.usefixtures("any_share")
def test_a_folder_gives_its_logs_sorted_without_bookkeeping(tmp_path: Path) -> None:
    put(tmp_path, "b.json", "a/c.CSV.gz", "_SUCCESS", "_temporary/d.json", ".b.json.crc", "notes.md", ".x/e.json")
    listing = find_files(tmp_path)
    assert read(tmp_path, listing) == ["a/c.CSV.gz", "b.json"]
    assert passed_over(tmp_path, listing) == {"notes.md": "unknown kind of file"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("events.json.1", "json lines"),
        ("events.json.2.gz", "json lines"),
        ("events.json.gz.3", "json lines"),
        ("events.jsonl-20181001", "json lines"),
        ("events.csv.2018-10-01.bz2", "csv"),
        ("events.csv.2018-10-01T00:00", "csv"),
        ("part-00000.snappy.parquet", "parquet"),
        ("2018-10-01.ndjson", "json lines"),
    ],
)
def test_a_rotated_file_is_of_the_kind_that_its_name_began_with(tmp_path: Path, name: str, kind: str) -> None:
    put(tmp_path, name)
    assert find_files(tmp_path).files == {tmp_path / name: kind}
    assert find_files(tmp_path / name).files == {tmp_path / name: kind}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (LINE, "json lines"),
        (b"\xef\xbb\xbf\n\n  " + LINE, "json lines"),
        (gzip.compress(LINE, mtime=0), "json lines"),
        (HEADER, "csv"),
        (b' "TS" , "Page"\n', "csv"),
        (bz2.compress(HEADER), "csv"),
        (b"PAR1", "parquet"),
    ],
)
def test_a_file_without_a_suffix_is_known_by_its_first_line(tmp_path: Path, content: bytes, kind: str) -> None:
    put(tmp_path, "part-00000", content=content)
    assert find_files(tmp_path).files == {tmp_path / "part-00000": kind}


@pytest.mark.usefixtures("any_share")
@pytest.mark.parametrize(
    "content", [b"ts only\n", b"[1]\n", b'{"name": "x"}\n', b"\x1f\x8b not really", b"\xff\xfe", b""]
)
def test_a_file_without_a_suffix_that_is_no_log_is_passed_over(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, "a.json")
    put(tmp_path, "part-00000", content=content)
    expected = {"part-00000": "no suffix, and the first line is no row or header of a log"}
    assert passed_over(tmp_path, find_files(tmp_path)) == expected


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("b.json.xz", "unpack it with unxz"),
        ("b.json.1.zst", "unpack it with unzstd"),
        ("b.ZIP", "unpack it with unzip"),
        ("b.tar.gz", "unpack it with tar xf"),
        ("b.parquet.gz", "unpack it with gunzip or bunzip2"),
        ("b.avro", "write it as Parquet"),
        ("deep/er/b.tsv", "write it as CSV, with commas"),
    ],
)
def test_data_that_is_not_read_here_is_refused_with_what_to_do(tmp_path: Path, name: str, remedy: str) -> None:
    put(tmp_path, "a.json", content=LINE * 1000)
    put(tmp_path, name, content=b"x")
    with pytest.raises(EventLogError, match=rf"{name}: cannot be read as it is; {remedy}, or move it"):
        find_files(tmp_path)
    with pytest.raises(EventLogError, match=remedy):
        find_files(tmp_path / name)


def test_other_files_may_hold_one_percent_of_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.json", content=b"x" * 9_900)
    put(tmp_path, "notes.md", content=b"x" * 100)
    assert passed_over(tmp_path, find_files(tmp_path)) == {"notes.md": "unknown kind of file"}
    put(tmp_path, "events.dat", content=b"x")
    with pytest.raises(EventLogError) as refused:
        find_files(tmp_path)
    assert "2 of its files, with 1.0% of the bytes, cannot be read as part of a log" in str(refused.value)
    assert f"{tmp_path}/notes.md (unknown kind of file), {tmp_path}/events.dat (unknown" in str(refused.value)
    monkeypatch.setenv(PASSED_OVER_PERCENT.name, "2")
    assert len(find_files(tmp_path).passed_over) == 2


def test_the_same_file_plain_and_packed_counts_once(tmp_path: Path) -> None:
    put(tmp_path, "a.json", "a.json.1")
    put(tmp_path, "a.json.gz", "a.json.1.gz", content=gzip.compress(LINE, mtime=0))
    put(tmp_path, "a.json.bz2", "other/a.json.bz2", content=bz2.compress(LINE))
    listing = find_files(tmp_path)
    assert read(tmp_path, listing) == ["a.json", "a.json.1", "other/a.json.bz2"]
    copies = ("a.json.1.gz", "a.json.bz2", "a.json.gz")
    assert passed_over(tmp_path, listing) == dict.fromkeys(copies, "packed copy of a file that is read")


@pytest.mark.parametrize(
    "packed", [gzip.compress(LINE * 2, mtime=0), gzip.compress(LINE[:-1], mtime=0), gzip.compress(b"", mtime=0)]
)
def test_a_file_that_differs_plain_and_packed_is_refused(tmp_path: Path, packed: bytes) -> None:
    put(tmp_path, "a.json")
    put(tmp_path, "a.json.gz", content=packed)
    with pytest.raises(EventLogError, match=r"a\.json\.gz: holds other rows than a\.json.*remove or rename one"):
        find_files(tmp_path)


def test_links_are_followed_once_and_what_is_no_file_is_named(tmp_path: Path) -> None:
    put(tmp_path, "log/a.json", "elsewhere/2018/b.json")
    folder = tmp_path / "log"
    (folder / "2018").symlink_to(tmp_path / "elsewhere" / "2018")
    (folder / "again").symlink_to(folder)
    (folder / "0-newest.json").symlink_to("a.json")
    (folder / "gone.json").symlink_to("nowhere.json")
    (folder / "loop.json").symlink_to("loop.json")
    os.mkfifo(folder / "pipe.json")
    put(folder, "day.json/c.json", content=LINE * 2)
    listing = find_files(folder)
    assert read(folder, listing) == ["2018/b.json", "a.json", "day.json/c.json"]
    assert passed_over(folder, listing) == {
        "0-newest.json": "another name of a file that is read",
        "gone.json": "link that leads nowhere",
        "loop.json": "link that leads nowhere",
        "pipe.json": "no file but a FIFO, socket or device",
    }


def test_a_place_that_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "gone.json").symlink_to("nowhere.json")
    with pytest.raises(EventLogError, match=r"pipe\.json: no file but a FIFO"):
        find_files(tmp_path / "pipe.json")
    with pytest.raises(EventLogError, match=r"gone\.json: link that leads nowhere"):
        find_files(tmp_path / "gone.json")


def test_hidden_data_is_named_though_it_is_not_read(tmp_path: Path) -> None:
    put(tmp_path, "a.json", "_b.json", ".c.csv")
    listing = find_files(tmp_path)
    assert read(tmp_path, listing) == ["a.json"]
    assert passed_over(tmp_path, listing) == dict.fromkeys((".c.csv", "_b.json"), "hidden, or Spark's bookkeeping")


def test_a_name_with_pattern_characters_is_a_name_first(tmp_path: Path) -> None:
    put(tmp_path, "a[1].json", "a1.json")
    assert list(find_files(tmp_path / "a[1].json").files) == [tmp_path / "a[1].json"]
    (tmp_path / "a[1].json").unlink()
    assert list(find_files(tmp_path / "a[1].json").files) == [tmp_path / "a1.json"]
