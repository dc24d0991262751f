"""A folder of results is there as a whole or not at all."""

from pathlib import Path

import pytest

from churn.whole_folder import whole_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "reports" / "card"
    for content in ("old", "new"):
        with whole_folder(target) as folder:
            (folder / f"{content}.txt").write_text(content)
    assert names(target) == ["new.txt"]
    assert names(target.parent) == ["card"]


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "card"
    with whole_folder(target) as folder:
        (folder / "old.txt").write_text("old")

    def fail() -> None:
        with whole_folder(target) as folder:
            (folder / "half.txt").write_text("half")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    assert names(target) == ["old.txt"]
    assert names(tmp_path) == ["card"]
