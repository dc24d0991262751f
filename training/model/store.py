"""A trained model into the store, and the decision to make it the champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from churn.errors import ModelStoreError
from churn.model.champion import Champion, read_champion, write_champion
from churn.model.store import save
from training.model.manifest import ModelFacts


@dataclass(frozen=True)
class Decision:
    """The decision to promote, and its reason."""

    promote: bool
    reason: str


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


def store(
    facts: ModelFacts, files: Mapping[str, bytes], pointer: Path, forced: bool, labels: Mapping[str, str]
) -> tuple[Champion, Decision]:
    """Save the model and, where it is to be champion, point to it."""
    own = {"label": facts.training.label, "fingerprint": facts.training.fingerprint[:12]}
    versions = {name: facts.training.versions[name] for name in ("onnx", "onnxruntime")}
    challenger = save(vars(facts), files, {**own, **labels}, versions)
    return challenger, promote(pointer, challenger, forced)
