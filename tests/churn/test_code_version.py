"""Which code a model was made with."""

import subprocess
from pathlib import Path

import pytest

from churn.code_version import UNKNOWN, CodeVersion, code_version


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a.py").write_text("1\n")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    return tmp_path


def test_a_clean_checkout_is_its_revision(checkout: Path) -> None:
    assert code_version(checkout) == CodeVersion(git(checkout, "rev-parse", "HEAD"), dirty=False)


def test_a_changed_file_makes_it_dirty_and_a_new_one_does_not(checkout: Path) -> None:
    (checkout / "data.txt").write_text("not code\n")
    assert not code_version(checkout).dirty
    (checkout / "a.py").write_text("2\n")
    assert code_version(checkout).dirty
    assert str(code_version(checkout)).endswith("with local changes")
    assert code_version(checkout).name == f"{git(checkout, 'rev-parse', 'HEAD')}-dirty"


def test_outside_of_a_checkout_it_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_version(tmp_path) == CodeVersion(UNKNOWN, dirty=False)
    assert str(code_version(tmp_path)) == "unknown"


def test_without_git_it_is_unknown(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert code_version(checkout).revision == UNKNOWN
