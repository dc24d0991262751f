"""The name of a file: which kind of log it promises, or why the file cannot be read."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final, Literal

from churn.passed_over import REMEDIES

Kind = Literal["json lines", "json array", "csv", "parquet"]

SUFFIXES: Final[dict[str, Kind]] = {
    ".json": "json lines",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".csv": "csv",
    ".parquet": "parquet",
}
EXPECTED: Final = "JSON lines (.json, .jsonl, .ndjson), CSV (.csv), both also .gz or .bz2, or Parquet (.parquet)"

_PACKED: Final = re.compile(r"\.(?:gz|bz2)(?=(?:[.\-_]\d[\dt:._-]*)?$)", re.IGNORECASE)

# What a rotation or a compression adds after the suffix: `.1`, `-20181001`, `.2018-10-01`, `.gz`.
_ADDED: Final = re.compile(r"(?:\.(?:gz|bz2)|[.\-_]\d[\dt:._-]*)$")


@dataclass(frozen=True)
class FileName:
    """The facts that a file's name states.

    `kind` is None where the suffix is unknown; `without_suffix` where there is none at all.
    `plain` is the path of the same file when it is not packed. `remedy` is what to do with
    data that is not read here.
    """

    kind: Kind | None
    without_suffix: bool
    plain: Path
    remedy: str | None


def parse(path: Path) -> FileName:
    """Read the name of a file; case does not count, nor what a rotation added."""
    name = path.name.lower()
    while (shorter := _ADDED.sub("", name)) not in {name, ""}:
        name = shorter
    suffix = PurePath(name).suffix
    kind = SUFFIXES.get(suffix)
    plain = path.with_name(_PACKED.sub("", path.name) or path.name)
    remedy = "unpack it with gunzip or bunzip2" if kind == "parquet" and plain != path else REMEDIES.get(suffix)
    return FileName(kind, not suffix, plain, remedy)
