"""A fitted model into the BentoML model store, and the decision to make it the champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.errors import ModelStoreError
from churn.model.artifact import MODEL_NAME, Champion, load, read_champion, write, write_champion


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and why."""

    promote: bool
    reason: str


def save(
    manifest: Mapping[str, Any], files: Mapping[str, bytes], labels: Mapping[str, str], versions: Mapping[str, str]
) -> Champion:
    """Save to the store and read it back verified. A failure on the way leaves no model behind."""
    import bentoml  # noqa: PLC0415  # slow to import, and reads its settings when it is

    context = bentoml.models.ModelContext(framework_name="onnx", framework_versions=dict(versions))
    with bentoml.models.create(MODEL_NAME, labels=dict(labels), context=context, signatures={}) as model:
        digest = write(Path(model.path), manifest, files)
        tag = str(model.tag)
    stored = bentoml.models.get(tag)
    load(Path(stored.path), tag, digest)
    return Champion(tag, digest)


def current_champion(path: Path) -> Champion | None:
    """The champion, or None when there is no pointer yet."""
    return read_champion(path) if path.exists() else None


def decide(champion: Champion | None, challenger: Champion, forced: bool) -> Decision:
    """Promote the first model and what the user asks for; nothing else."""
    if champion is None:
        return Decision(True, "no champion yet")
    if forced:
        return Decision(True, f"asked for; replaces {champion.tag}")
    return Decision(False, f"{champion.tag} stays champion; PROMOTE=1 makes {challenger.tag} the champion")


def promote(path: Path, challenger: Champion, forced: bool) -> Decision:
    """Point to the challenger if it is to be champion.

    Raises:
        ModelStoreError: the pointer is there but cannot be read, and was not asked to be replaced.
    """
    try:
        champion = current_champion(path)
    except ModelStoreError:
        if not forced:
            raise
        champion = None
    decision = decide(champion, challenger, forced)
    if decision.promote:
        write_champion(path, challenger)
    return decision
