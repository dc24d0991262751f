"""Entries of a folder that are not read: named, counted, and refused where they are too many to ignore."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MOST_UNREAD: Final = 0.01
"""Share of the bytes in a folder that may stay unread."""

SHOWN: Final = 5

REMEDIES: Final = {
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


@dataclass(frozen=True)
class PassedOver:
    """An entry of a folder that is not read: its name within the folder, why, and how many bytes it holds.

    `lost` marks what holds data by its name, so that reading the rest alone would give a part for the whole.
    """

    name: str
    why: str
    size: int = 0
    lost: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.why})"


def printable(name: str | os.PathLike[str]) -> str:
    """A name for a message; whatever could not be shown is escaped."""
    text = os.fspath(name)
    return text if text.isprintable() else ascii(text)[1:-1]


def listed(entries: Sequence[PassedOver]) -> str:
    """The first few by name, and how many more there are."""
    named = ", ".join(map(str, entries[:SHOWN]))
    more = len(entries) - SHOWN
    return f"{named}, and {more} more" if more > 0 else named


def why_too_much(entries: Sequence[PassedOver], read: int, most: float = MOST_UNREAD) -> str | None:
    """Why what is passed over cannot be ignored beside the `read` bytes; None when it can."""
    lost = [entry for entry in entries if entry.lost]
    if lost:
        return f"{len(lost)} files with data cannot be read: {listed(lost)}"
    unread = sum(entry.size for entry in entries)
    if unread <= most * (read + unread):
        return None
    largest = sorted(entries, key=lambda entry: -entry.size)
    return f"{unread / (read + unread):.1%} of the bytes are not read (at most {most:.1%} may be): {listed(largest)}"
