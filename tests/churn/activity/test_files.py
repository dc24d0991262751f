import gzip
from pathlib import Path

import pytest

from churn.activity.files import LogFile, inspect
from churn.activity.names import Kind
from churn.activity.settings import UNPACKED_MB
from churn.errors import EventLogError
from tests.support.raw_logs import COLUMNS

HEADER = ",".join(COLUMNS)


def inspected(folder: Path, kind: Kind, content: bytes) -> LogFile:
    path = folder / "log"
    path.write_bytes(content)
    file = inspect(path, kind, folder)
    assert file is not None
    return file


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"a": 1}\n', "json lines"),
        (b'[{"a": 1},\n{"a": 2}]', "json array"),
        (b'\n  [{"a": 1}]\n\n', "json array"),
        (b'[1, 2]\n{"a": 1}\n', "json lines"),
        (b"[" * 100_000, "json array"),
    ],
)
def test_lines_and_arrays_are_told_apart_by_content(tmp_path: Path, content: bytes, kind: str) -> None:
    assert inspected(tmp_path, "json lines", content).kind == kind


@pytest.mark.parametrize(
    ("line", "escape"),
    [
        ('a,"\\"Mozilla (X, Y)\\"",""', "\\"),
        ('a,"""Mozilla (X, Y)""",""', '"'),
        ('a,"say ""hi""",b\\', '"'),
        ('"","",""', '"'),
        ('"a","ends with a slash\\\\",""', "\\"),
        ("a,b,c", '"'),
    ],
)
def test_the_escape_of_quotes_is_read_from_the_content(tmp_path: Path, line: str, escape: str) -> None:
    file = inspected(tmp_path, "csv", f"{HEADER}\n{line}\n".encode())
    assert (file.header, file.escape) == (COLUMNS, escape)


def test_the_escape_may_show_late_in_the_file(tmp_path: Path) -> None:
    file = inspected(tmp_path, "csv", (HEADER + "\n" + "1,2\n" * 400_000 + '1,"\\"a\\""\n').encode())
    assert file.escape == "\\"


def test_compression_is_known_by_content_not_by_name(tmp_path: Path) -> None:
    assert inspected(tmp_path, "json lines", gzip.compress(b'{"a": 1}', mtime=0)).compression == "gzip"
    assert inspected(tmp_path, "json lines", b'{"a": 1}').compression == "none"


@pytest.mark.parametrize("content", [b"", b"\n \n", gzip.compress(b"", mtime=0), b"\xef\xbb\xbf"])
def test_nothing_is_in_an_empty_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(content)
    assert inspect(path, "json lines", tmp_path) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b not really", "truncated or damaged archive"),
        (b"BZh9 not really", "truncated or damaged archive"),
        (b"\xfd7zXZ\x00\x00", "packed by xz; unpack it with unxz"),
        (b"\x28\xb5\x2f\xfd\x00", "packed by zstd; unpack it with unzstd"),
        (b"PK\x03\x04\x00", "zip archive; unpack it with unzip"),
        (b'{"a": 1}\r{"a": 2}\r', r"lines end in a carriage return \(CR\) alone; expected LF"),
        ('{"ts": 1}'.encode("utf-16"), "is UTF-16 text"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(EventLogError, match=rf"/log: .*{message}"):
        inspected(tmp_path, "json lines", content)


def test_names_of_columns_are_known_in_any_case_and_with_blanks(tmp_path: Path) -> None:
    content = b'{"TS": 1, "USERID": 2}\n{"TS": 1, "PAGE": 3}\n'
    names = dict(inspected(tmp_path, "json lines", content).names)
    assert (names["ts"], names["userId"], names["page"], names["itemInSession"]) == (
        "TS",
        "USERID",
        "PAGE",
        "ITEMINSESSION",
    )
    file = inspected(tmp_path, "csv", ("," + ", ".join(COLUMNS).upper() + ',"x""y",\n').encode())
    assert file.header == ("_0", *COLUMNS, "_19", "_20")


def test_an_exact_name_comes_before_one_in_another_case(tmp_path: Path) -> None:
    assert (
        dict(inspected(tmp_path, "json lines", b'{"userid": 1, "userId": 2, "USERID": 3}').names)["userId"] == "userId"
    )


@pytest.mark.parametrize(("kind", "start"), [("csv", f"{HEADER}\n"), ("json lines", '{"ts": 1}\n')])
def test_a_sound_bomb_that_duckdb_would_unpack_is_refused_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, start: str
) -> None:
    bomb = gzip.compress(start.encode() + b"\n" * 1_200_000, 9)
    assert len(bomb) < 10_000
    assert inspected(tmp_path, kind, bomb).compression == "gzip"
    monkeypatch.setenv(UNPACKED_MB.name, "1")
    with pytest.raises(EventLogError, match=f"unpacks to more than 1 MB; if it should, set {UNPACKED_MB.name} higher"):
        inspected(tmp_path, kind, bomb)


def test_unpacking_stops_at_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(UNPACKED_MB.name, "1")
    bomb = gzip.compress(b"0" * (1 << 20), 9) * 2
    with pytest.raises(EventLogError, match=f"unpacks to more than 1 MB; if it should, set {UNPACKED_MB.name} higher"):
        inspected(tmp_path, "csv", gzip.compress(f"{HEADER}\n".encode()) + bomb)
