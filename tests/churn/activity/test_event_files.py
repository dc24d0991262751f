import gzip
from pathlib import Path

import pytest

from churn.activity.files import find_files, inspect, line_numbers, without_malformed_lines
from churn.errors import EventLogError


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def test_a_folder_gives_its_logs_sorted_without_bookkeeping(tmp_path: Path) -> None:
    _touch(tmp_path, "b.json", "a/c.CSV.gz", "_SUCCESS", "_temporary/d.json", ".b.json.crc", "notes.md", ".x/e.json")
    assert [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path)] == ["a/c.CSV.gz", "b.json"]


def test_a_name_with_pattern_characters_is_a_name_first(tmp_path: Path) -> None:
    _touch(tmp_path, "a[1].json", "a1.json")
    assert find_files(tmp_path / "a[1].json") == [tmp_path / "a[1].json"]
    (tmp_path / "a[1].json").unlink()
    assert find_files(tmp_path / "a[1].json") == [tmp_path / "a1.json"]


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
    path = tmp_path / "log.json"
    path.write_bytes(content)
    file = inspect(path, tmp_path)
    assert file is not None
    assert file.kind == kind


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
    path = tmp_path / "log.csv"
    path.write_text(f"x,y,z\n{line}\n")
    file = inspect(path, tmp_path)
    assert file is not None
    assert (file.header, file.escape) == (("x", "y", "z"), escape)


def test_the_escape_may_show_late_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("x,y\n" + "1,2\n" * 400_000 + '1,"\\"a\\""\n')
    file = inspect(path, tmp_path)
    assert file is not None
    assert file.escape == "\\"


def test_compression_is_known_by_content_not_by_name(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(gzip.compress(b'{"a": 1}'))
    packed = inspect(path, tmp_path)
    path.write_bytes(b'{"a": 1}')
    plain = inspect(path, tmp_path)
    assert packed is not None
    assert plain is not None
    assert (packed.compression, plain.compression) == ("gzip", "none")


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.json.gz"
    path.write_bytes(b"\x1f\x8b not really")
    with pytest.raises(EventLogError, match=r"log\.json\.gz: "):
        inspect(path, tmp_path)


def test_rows_are_found_again_past_blank_and_malformed_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('x,y\n1,2\n\n"open\n3,"a,b"\n\n4\n5,6\n')
    file = inspect(path, tmp_path)
    assert file is not None
    clean = without_malformed_lines(file, tmp_path)
    assert clean.malformed == (4, 7)
    assert clean.readable.read_text() == 'x,y\n1,2\n3,"a,b"\n5,6\n'
    assert line_numbers(clean, {1, 2, 3}) == {1: 2, 2: 5, 3: 8}
