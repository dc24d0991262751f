"""The champion pointer: read back, in one piece, and found where the setting says."""

import json
from pathlib import Path

import pytest

from churn.errors import ModelStoreError
from churn.model.champion import Champion, champion_path, read_champion, write_champion

DIGEST = "f" * 64
PROJECT = Path(__file__).parent.parent.parent.parent


@pytest.mark.parametrize(
    ("given", "expected"), [("", PROJECT / "champion.json"), ("/other/pointer", Path("/other/pointer"))]
)
def test_the_setting_says_where_the_pointer_is(monkeypatch: pytest.MonkeyPatch, given: str, expected: Path) -> None:
    monkeypatch.setenv("CHURN_CHAMPION", given)
    assert champion_path() == expected


def test_the_pointer_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "champion.json"
    write_champion(path, Champion("churn:a", "0" * 64))
    write_champion(path, Champion("churn:b", "1" * 64))
    assert read_champion(path) == Champion("churn:b", "1" * 64)
    assert [file.name for file in path.parent.iterdir()] == ["champion.json"]


def test_no_pointer_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError, match="run `make train`"):
        read_champion(tmp_path / "champion.json")


def test_a_damaged_pointer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "champion.json"
    path.write_text('{"tag": ')
    with pytest.raises(ModelStoreError, match="not a champion pointer"):
        read_champion(path)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 200_000,
        '{"tag": ' * 200_000,
        "[]",
        '"churn:a"',
        "\x00",
        json.dumps({"tag": "", "sha256": DIGEST}),
        json.dumps({"tag": "churn", "sha256": DIGEST}),
        json.dumps({"tag": "churn:", "sha256": DIGEST}),
        json.dumps({"tag": "churn:latest", "sha256": DIGEST}),
        json.dumps({"tag": "/etc/churn:a", "sha256": DIGEST}),
        json.dumps({"tag": "churn:../../a", "sha256": DIGEST}),
        json.dumps({"tag": "churn:a", "sha256": ""}),
        json.dumps({"tag": "churn:a", "sha256": None}),
    ],
    ids=lambda content: content[:40],
)
def test_what_is_no_exact_tag_and_digest_is_refused_with_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "champion.json"
    path.write_text(content)
    with pytest.raises(ModelStoreError, match=r"is not a champion pointer.*run `make train"):
        read_champion(path)
