import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from churn.errors import ArtifactError, ContractMismatchError, ModelStoreError
from churn.model.artifact import FILES, MANIFEST, MAXIMUM_FOREST_BYTES, Forest, load, write


@pytest.fixture
def folder(champion, tmp_path: Path) -> Path:
    return Path(shutil.copytree(champion.model.path, tmp_path / "model"))


def test_what_was_written_is_loaded(champion, folder: Path) -> None:
    model = load(folder, "churn:x", champion.champion.sha256)
    assert model.manifest == champion.model.manifest
    assert set(model.manifest.files) == FILES
    assert model.sha256 == champion.champion.sha256


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("where", [0, -1])
def test_one_altered_byte_is_refused_and_named(folder: Path, name: str, where: int) -> None:
    content = bytearray((folder / name).read_bytes())
    content[where] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"churn:x: {name} was altered"):
        load(folder, "churn:x")


def test_an_altered_manifest_is_refused(champion, folder: Path) -> None:
    path = folder / MANIFEST
    path.write_text(path.read_text().replace('"threshold"', '"threshold" '))
    with pytest.raises(ArtifactError, match=r"manifest\.json was altered"):
        load(folder, "churn:x", champion.champion.sha256)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "forest.npz").unlink()
    with pytest.raises(ArtifactError, match=r"forest\.npz cannot be read"):
        load(folder, "churn:x")


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError, match="run `make train`"):
        load(tmp_path, "churn:x")


def _edit(folder: Path, **changes: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_model_of_another_contract_is_refused_with_the_difference(folder: Path) -> None:
    features = json.loads((folder / MANIFEST).read_text())["features"]
    _edit(folder, contract="0-old", features=[*features[1:], "gender_Male"])
    with pytest.raises(ContractMismatchError, match=r"missing \['level'\], unexpected \['gender_Male'\]"):
        load(folder, "churn:x")


def test_another_format_is_refused(folder: Path) -> None:
    _edit(folder, format_version=2)
    with pytest.raises(ArtifactError, match="format 2, this code reads 1"):
        load(folder, "churn:x")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff"])
def test_a_manifest_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(ArtifactError, match="is not a model manifest"):
        load(folder, "churn:x")


def test_a_model_with_a_file_too_few_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="a model holds"):
        write(tmp_path, {}, {"forest.onnx": b""})


def test_the_same_forest_gives_the_same_bytes(champion) -> None:
    forest = champion.model.forest()
    assert forest.to_bytes() == champion.trained.fitted.arrays.to_bytes()
    assert np.array_equal(Forest.from_bytes(forest.to_bytes()).threshold, forest.threshold)


def test_a_forest_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("left.npy", "w") as member:
        for _ in range(MAXIMUM_FOREST_BYTES // 2**20 + 1):
            member.write(bytes(2**20))
    assert len(packed.getvalue()) < MAXIMUM_FOREST_BYTES / 100
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(ArtifactError, match=r"forest\.npz unpacks to 26[0-9,]+ bytes, expected at most 268,435,456"):
        Forest.from_bytes(packed.getvalue())


@pytest.mark.parametrize("content", [b"", b"PK", b"\x80\x04K\x01.", b"\x93NUMPY\x01\x00"])
def test_what_is_no_forest_is_refused_with_a_message(content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"forest\.npz is not a forest"):
        Forest.from_bytes(content)


def test_a_forest_without_one_of_its_arrays_is_refused(champion) -> None:
    packed, lacking = io.BytesIO((champion.model.path / "forest.npz").read_bytes()), io.BytesIO()
    with zipfile.ZipFile(packed) as whole, zipfile.ZipFile(lacking, "w") as part:
        for name in whole.namelist():
            if name != "cover.npy":
                part.writestr(name, whole.read(name))
    with pytest.raises(ArtifactError, match=r"forest\.npz is not a forest .*cover"):
        Forest.from_bytes(lacking.getvalue())


@pytest.mark.parametrize("content", ["[" * 200_000, '{"format_version": ' * 200_000])
def test_a_manifest_of_nested_brackets_is_refused_with_a_message(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content)
    with pytest.raises(ArtifactError, match=r"manifest\.json is not a model manifest"):
        load(folder, "churn:x")
