"""The model as stored: write, verify, load. The only file that knows the format.

A model is a folder of plain files, none of which runs code when loaded:

| file | what |
|---|---|
| `manifest.json` | `Manifest`: contract, columns, threshold, calibration, metrics, sha256 of every other file |
| `forest.onnx` | the forest for scoring: float64 [n, columns] -> float32 [n, 1] |
| `forest.npz` | the forest for explaining: the arrays of `Forest` |
| `reference.parquet` | the sample that monitoring compares with: features, score, probability, label |
"""

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from churn.contract import CONTRACT_VERSION, NAMES
from churn.errors import ArtifactError, ContractMismatchError, ModelStoreError
from churn.model.facts import EvaluationFacts, Facts, PeerFacts, PolicyFacts, TrainingFacts

FORMAT_VERSION: Final = 1
MODEL_NAME: Final = "churn"
MANIFEST: Final = "manifest.json"
ONNX: Final = "forest.onnx"
FOREST: Final = "forest.npz"
REFERENCE: Final = "reference.parquet"
FILES: Final = frozenset({ONNX, FOREST, REFERENCE})
MAXIMUM_FOREST_BYTES: Final = 256 * 1024 * 1024
"""A forest's arrays, unpacked: some 7 million nodes. A larger file is a mistake or an attack."""

_TAG: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?:[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")

Recorded = TypeVar("Recorded", bound=Facts)


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Stored):
    """One column of the forest's matrix: a numeric feature, or one category of a categorical one."""

    feature: str
    category: str | None = None


class Calibration(_Stored):
    """`churn_probability = 1 / (1 + exp(-(slope * score + intercept)))`, slope > 0 (Platt 1999)."""

    slope: float
    intercept: float


class Manifest(_Stored):
    """The manifest: digests of the files beside it, and how they came to be.

    `typical` holds, over the customers of the reference who stayed, the median of each
    numeric feature and the share of each category. `importance` is each feature's share
    of the mean absolute contribution on the reference; it sums to 1. `peers` are the customers
    who stayed by plan and tenure, for reasons that tell customers apart. A model that was made
    for a benchmark has no `peers`, `policy`, `training` and `metrics`.
    """

    format_version: Literal[1] = FORMAT_VERSION
    contract: str
    features: tuple[str, ...]
    columns: tuple[Column, ...]
    null_value: float
    threshold: float
    policy: PolicyFacts | None
    calibration: Calibration
    typical: dict[str, float | dict[str, float] | None]
    importance: dict[str, float]
    peers: dict[str, PeerFacts] | None = Field(default=None, exclude_if=lambda value: value is None)
    training: TrainingFacts | None
    metrics: EvaluationFacts | None
    files: dict[str, str]


@dataclass(frozen=True)
class Forest:
    """All nodes of all trees, one after the other.

    A row goes left where `x[column] <= threshold`. The score of a row is the mean over
    the trees of the `value` of the leaf it reaches.

    Attributes:
        roots: int32 [trees], index of each tree's root.
        left, right: int32 [nodes], index of the children; -1 in a leaf.
        column: int32 [nodes], column of the matrix; -1 in a leaf.
        threshold: float32 [nodes].
        value: float64 [nodes], share of churners at the node, class-balanced.
        cover: float64 [nodes], weight of the training rows at the node.
    """

    roots: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    column: NDArray[np.int32]
    threshold: NDArray[np.float32]
    value: NDArray[np.float64]
    cover: NDArray[np.float64]

    def to_bytes(self) -> bytes:
        """The arrays as `.npz`; the same forest gives the same bytes."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{field.name: getattr(self, field.name) for field in fields(self)})
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Forest":
        """The forest in a `.npz`.

        Raises:
            ArtifactError: it is none, or unpacks to more than `MAXIMUM_FOREST_BYTES`; then nothing is unpacked.
        """
        try:
            _check_unpacked_size(content)
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ArtifactError(f"{FOREST} is not a forest ({error}); retrain or restore it") from error


@dataclass(frozen=True)
class StoredModel:
    """A verified model. `sha256` is that of its manifest, and so of everything."""

    tag: str
    path: Path
    manifest: Manifest
    sha256: str

    def onnx(self) -> bytes:
        return self._verified(ONNX)

    def forest(self) -> Forest:
        return Forest.from_bytes(self._verified(FOREST))

    def reference(self) -> bytes:
        """The reference sample as Parquet."""
        return self._verified(REFERENCE)

    @property
    def training(self) -> TrainingFacts:
        """The data and the settings it was trained with."""
        return _recorded(self.tag, "training", self.manifest.training)

    @property
    def evaluation(self) -> EvaluationFacts:
        """Its figures on held-out rows."""
        return _recorded(self.tag, "metrics", self.manifest.metrics)

    def _verified(self, name: str) -> bytes:
        return _read_verified(self.tag, self.path / name, self.manifest.files[name])


def _recorded(tag: str, field: str, facts: Recorded | None) -> Recorded:
    if facts is None:
        raise ArtifactError(f"{tag}: {MANIFEST}: {field} is null: the model was not made by training; run `make train`")
    return facts


def _check_unpacked_size(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAXIMUM_FOREST_BYTES:
        raise ArtifactError(
            f"{FOREST} unpacks to {size:,} bytes, expected at most {MAXIMUM_FOREST_BYTES:,}; retrain or restore it"
        )


def is_exact_tag(tag: str) -> bool:
    """Return true if a text is `name:version` as the model store writes it; `latest` moves, so it is none."""
    return _TAG.fullmatch(tag) is not None and not tag.endswith(":latest")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write(folder: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """Write a model into an empty folder; the manifest last, so that a torn write never loads.

    Args:
        folder: exists, and is empty.
        manifest: the fields of `Manifest`, without `files`, `contract` and `features`.
        files: content of each of `FILES`.

    Returns:
        sha256 of the manifest.
    """
    if set(files) != FILES:
        raise ArtifactError(f"a model holds {sorted(FILES)}, found {sorted(files)}")
    complete = Manifest(
        contract=CONTRACT_VERSION,
        features=NAMES,
        files={name: sha256(content) for name, content in sorted(files.items())},
        **manifest,
    )
    for name, content in files.items():
        (folder / name).write_bytes(content)
    content = complete.model_dump_json(indent=1).encode()
    (folder / MANIFEST).write_bytes(content)
    return sha256(content)


def load(folder: Path, tag: str, expected_sha256: str | None = None, *, any_contract: bool = False) -> StoredModel:
    """Read a model and verify it: hash of the manifest, of every file, and the contract.

    A model of `any_contract` tells what it was trained on and which probabilities it gave;
    it must score nobody, since its features are not ours.

    Raises:
        ModelStoreError: there is no model at `folder`.
        ArtifactError: a file is missing or altered, or the format is not ours.
        ContractMismatchError: the model was made for another feature contract.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ModelStoreError(f"{tag}: no {MANIFEST} in {folder} ({error.strerror}); run `make train`") from error
    found = sha256(content)
    if expected_sha256 is not None and found != expected_sha256:
        raise ArtifactError(
            f"{tag}: {MANIFEST} was altered: sha256 {found[:12]}…, the pointer says {expected_sha256[:12]}…; "
            "retrain, or point to a model that is intact"
        )
    model = StoredModel(tag, folder, _parse_manifest(tag, content, any_contract), found)
    for name, digest in model.manifest.files.items():
        _read_verified(tag, folder / name, digest)
    return model


def _parse_manifest(tag: str, content: bytes, any_contract: bool) -> Manifest:
    try:
        raw = orjson.loads(content)
        version, contract = raw["format_version"], raw["contract"]
        names = set(raw["features"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{tag}: {MANIFEST} is not a model manifest ({error})") from error
    if version != FORMAT_VERSION:
        raise ArtifactError(f"{tag}: format {version}, this code reads {FORMAT_VERSION}; retrain")
    if contract != CONTRACT_VERSION and not any_contract:
        raise ContractMismatchError(tag, set(NAMES) - names, names - set(NAMES), contract, CONTRACT_VERSION)
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise ArtifactError(f"{tag}: {MANIFEST}: {error}") from error
    if set(manifest.files) != FILES:
        raise ArtifactError(f"{tag}: {MANIFEST} lists {sorted(manifest.files)}, expected {sorted(FILES)}")
    return manifest


def _read_verified(tag: str, path: Path, expected: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{tag}: {path.name} cannot be read ({error.strerror}); retrain or restore it") from error
    found = sha256(content)
    if found != expected:
        raise ArtifactError(
            f"{tag}: {path.name} was altered: sha256 {found[:12]}…, the manifest says {expected[:12]}…; "
            "retrain or restore it"
        )
    return content
