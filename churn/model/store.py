"""The BentoML model store: models go in and come out verified.

BentoML takes seconds to import and reads its settings then, so it is imported where a model is wanted.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn.errors import ModelStoreError
from churn.model.artifact import MODEL_NAME, StoredModel, is_exact_tag, load, write
from churn.model.champion import Champion, champion_path, read_champion


def save(
    manifest: Mapping[str, Any], files: Mapping[str, bytes], labels: Mapping[str, str], versions: Mapping[str, str]
) -> Champion:
    """Save to the store and read it back verified. A failure on the way leaves no model behind."""
    import bentoml  # noqa: PLC0415  # slow to import, and reads its settings when it is

    context = bentoml.models.ModelContext(framework_name="onnx", framework_versions=dict(versions))
    with bentoml.models.create(MODEL_NAME, labels=dict(labels), context=context, signatures={}) as model:
        digest = write(Path(model.path), manifest, files)
        tag = str(model.tag)
    stored_model(tag, digest)
    return Champion(tag, digest)


def stored_model(tag: str, sha256: str | None = None, *, any_contract: bool = False) -> StoredModel:
    """A model of the store, verified; against `sha256` of its manifest when it is known.

    `any_contract` is as in `churn.model.artifact.load`.

    Raises:
        ModelStoreError: it is not there.
        ArtifactError: it was altered.
        ContractMismatchError: it was made for another feature contract.
    """
    if not is_exact_tag(tag):
        raise _missing(tag)
    import bentoml  # noqa: PLC0415  # slow to import, and reads its settings when it is
    from bentoml.exceptions import BentoMLException  # noqa: PLC0415  # as above

    try:
        folder = Path(bentoml.models.get(tag).path)
    except BentoMLException as error:
        raise _missing(tag) from error
    return load(folder, tag, sha256, any_contract=any_contract)


def champion_model(pointer: Path | None = None) -> StoredModel:
    """The model that a pointer names, verified; the pointer of `champion_path` without one.

    Raises:
        ModelStoreError: no pointer, or no such model.
        ArtifactError: it is not what the pointer and its manifest say.
        ContractMismatchError: it was made for another feature contract.
    """
    champion = read_champion(pointer or champion_path())
    return stored_model(champion.tag, champion.sha256)


def _missing(tag: str) -> ModelStoreError:
    return ModelStoreError(
        f"{tag:.80} is not in the model store; import it, name its store (BENTOML_HOME), or run `make train PROMOTE=1`"
    )
