"""Names, texts and paths in DuckDB's SQL: the one place that quotes them."""

from pathlib import Path


def quoted(name: str) -> str:
    """A column's or a table's name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, as a constant."""
    return "'" + text.replace("'", "''") + "'"


def exactly(path: Path) -> str:
    """A path to read, of which DuckDB would take `*`, `?` and `[` for a pattern; not yet a constant."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))
