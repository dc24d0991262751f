"""From the pointer to the verified model, and what is said when something on the way is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from churn.errors import ArtifactError, ModelStoreError
from churn.model.champion import Champion, write_champion
from churn.model.store import champion_model, stored_model

PROJECT = Path(__file__).parent.parent.parent.parent


def test_the_pointer_leads_to_the_model(champion, monkeypatch: pytest.MonkeyPatch) -> None:
    assert champion_model(champion.pointer).sha256 == champion.champion.sha256
    monkeypatch.setenv("CHURN_CHAMPION", str(champion.pointer))
    assert champion_model().tag == champion.champion.tag


@pytest.mark.parametrize("tag", ["churn:gone", "no tag at all: nothing"])
def test_a_model_that_is_not_in_the_store_is_named_with_what_to_do(champion, tag: str) -> None:
    with pytest.raises(ModelStoreError, match=f"{tag} is not in the model store; import it"):
        stored_model(tag)


def test_another_manifest_than_the_pointer_s_is_refused(champion, tmp_path: Path) -> None:
    write_champion(tmp_path / "champion.json", Champion(champion.champion.tag, "0" * 64))
    with pytest.raises(ArtifactError, match="the pointer says 000000000000"):
        champion_model(tmp_path / "champion.json")


def test_importing_the_store_does_not_import_bentoml() -> None:
    loaded = "import sys, churn.model.store; sys.exit('bentoml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=PROJECT, check=False).returncode == 0
