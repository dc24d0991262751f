"""The listing of a folder of the prediction log."""

import os
from datetime import date
from pathlib import Path

import pytest

from churn.errors import PredictionLogError
from churn.prediction_log.listing import Listing, listing


def names(found: Listing) -> list[str]:
    return [file.name for file in found.files]


def test_files_are_the_oldest_first_whatever_folder_they_lie_in(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("2018-11-03_h_1_1_1.jsonl", "a/2018-11-01_h_1_1_1.jsonl.gz", "2018-11-02_h_1_1_1.jsonl-20181103-1"):
        (tmp_path / name).write_bytes(b"12")
    found = listing(tmp_path)
    assert names(found) == [
        "a/2018-11-01_h_1_1_1.jsonl.gz",
        "2018-11-02_h_1_1_1.jsonl-20181103-1",
        "2018-11-03_h_1_1_1.jsonl",
    ]
    first = found.files[0]
    assert (first.day, first.size, first.is_packed, first.stem) == (
        date(2018, 11, 1),
        2,
        True,
        "2018-11-01_h_1_1_1.jsonl",
    )
    assert found.passed_over == ()


def test_what_is_hidden_is_bookkeeping_and_no_folder_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / ".probe-h_1_1").touch()
    (tmp_path / ".snapshot").mkdir()
    (tmp_path / ".snapshot" / "2018-11-03_h_1_1_1.jsonl").touch()
    (tmp_path / "lost+found").mkdir()
    assert listing(tmp_path) == Listing(tmp_path)
    assert listing(tmp_path / "missing") == Listing(tmp_path / "missing")


def test_other_names_are_passed_over_with_their_bytes(tmp_path: Path) -> None:
    sizes = {"2018-11-03.jsonl": 1, "2018-11-03_h_1_1_1.jsonl.bak": 2, "2018-11-03_h_1_1_1.txt": 3, "new\nline": 4}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(b"x" * size)
    found = listing(tmp_path).passed_over
    assert {entry.name: entry.size for entry in found} == {
        name.replace("\n", "\\n"): size for name, size in sizes.items()
    }


def test_a_name_that_is_no_text_can_be_told(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).touch()
    (entry,) = listing(tmp_path).passed_over
    assert entry.name == "\\udcff"


def test_bytes_behind_a_link_count_unless_they_are_in_the_log(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "log", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.write_bytes(b"123")
    (folder / "2018-11-03_h_1_1_1.jsonl").write_bytes(b"12345")
    (folder / "newest").symlink_to("2018-11-03_h_1_1_1.jsonl")
    (folder / "old").symlink_to(elsewhere)
    (folder / "loop").symlink_to("loop")
    (folder / "more").symlink_to(tmp_path)
    found = listing(folder).passed_over
    assert [(entry.name, entry.size, entry.lost) for entry in found] == [
        ("loop", 0, False),
        ("more", 0, True),
        ("newest", 0, False),
        ("old", 3, False),
    ]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pod").mkdir()
    scan = os.scandir

    def denied(path: Path) -> object:
        if path.name == "pod":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    (entry,) = listing(tmp_path).passed_over
    assert (str(entry), entry.lost) == ("pod (a folder that cannot be read: Permission denied)", True)
    with pytest.raises(PredictionLogError, match=r"cannot be listed: .*pod: Permission denied"):
        listing(tmp_path / "pod")
