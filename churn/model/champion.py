"""The champion pointer: which model is in use, by its exact tag and the sha256 of its manifest."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson

from churn import settings
from churn.errors import ModelStoreError
from churn.files import replace_file
from churn.model.artifact import is_exact_tag

_SHA256: Final = re.compile(r"[0-9a-f]{64}")

BESIDE_THE_SERVICE: Final = Path(__file__).parent.parent.parent / "champion.json"


@dataclass(frozen=True)
class Champion:
    """The pointer to the model in use: exact tag, and sha256 of its manifest."""

    tag: str
    sha256: str


def champion_path() -> Path:
    """The place of the champion pointer: `CHURN_CHAMPION`, or `champion.json` beside `service.py`."""
    given = settings.given(settings.CHAMPION)
    return Path(given) if given else BESIDE_THE_SERVICE


def read_champion(path: Path) -> Champion:
    """Read the pointer.

    Raises:
        ModelStoreError: there is none, or it is not one.
    """
    try:
        raw = orjson.loads(path.read_bytes())
        champion = Champion(str(raw["tag"]), str(raw["sha256"]))
    except FileNotFoundError as error:
        raise ModelStoreError(f"no champion: {path} does not exist; run `make train`") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelStoreError(f"{path} is not a champion pointer ({error}); run `make train PROMOTE=1`") from error
    if not is_exact_tag(champion.tag) or not _SHA256.fullmatch(champion.sha256):
        raise ModelStoreError(
            f"{path} is not a champion pointer: expected an exact tag such as `churn:<version>` and a sha256 of 64 "
            "hexadecimal digits; run `make train PROMOTE=1`"
        )
    return champion


def write_champion(path: Path, champion: Champion) -> None:
    """Replace the pointer in one step: a reader sees the old or the new one, never half."""
    replace_file(path, (json.dumps(asdict(champion), indent=1) + "\n").encode())
