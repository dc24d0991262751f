"""The name of a file: which kind of log it promises, or why the file cannot be read."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final, Literal

Kind = Literal["json lines", "json array", "csv", "parquet"]

SUFFIXES: Final[dict[str, Kind]] = {
    ".json": "json lines",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".csv": "csv",
    ".parquet": "parquet",
}
EXPECTED: Final = "JSON lines (.json, .jsonl, .ndjson), CSV (.csv), both also .gz or .bz2, or Parquet (.parquet)"

_REMEDIES: Final = {
    ".xz": "unpack it with unxz",
    ".lzma": "unpack it with unlzma",
    ".zst": "unpack it with unzstd",
    ".lz4": "unpack it with unlz4",
    ".lzo": "unpack it with lzop -d",
    ".br": "unpack it with brotli -d",
    ".z": "unpack it with uncompress",
    ".snappy": "unpack it",
    ".zip": "unpack it with unzip",
    ".7z": "unpack it with 7z x",
    ".tar": "unpack it with tar xf",
    ".tgz": "unpack it with tar xzf",
    ".avro": "write it as Parquet",
    ".orc": "write it as Parquet",
    ".arrow": "write it as Parquet",
    ".feather": "write it as Parquet",
    ".tsv": "write it as CSV, with commas",
}
"""Suffixes of data that is not read here, and what makes it readable."""

_PACKED: Final = re.compile(r"\.(?:gz|bz2)(?=(?:[.\-_]\d[\dt:._-]*)?$)", re.IGNORECASE)

# What a rotation or a compression adds after the suffix: `.1`, `-20181001`, `.2018-10-01`, `.gz`.
_ADDED: Final = re.compile(r"(?:\.(?:gz|bz2)|[.\-_]\d[\dt:._-]*)$")


@dataclass(frozen=True)
class FileName:
    """What the name says.

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
    remedy = "unpack it with gunzip or bunzip2" if kind == "parquet" and plain != path else _REMEDIES.get(suffix)
    return FileName(kind, not suffix, plain, remedy)
