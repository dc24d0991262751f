"""The columns of a file, whatever the case and the blanks around their names; those in the names of its folders.

Spark writes `partitionBy("level")` into folders named `level=paid`, and leaves the column out of the files.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from churn.activity.rows import RAW_COLUMNS, REQUIRED_COLUMNS
from churn.errors import EventLogError

_NULL_PARTITION: Final = "__HIVE_DEFAULT_PARTITION__"


def _folded(name: str) -> str:
    return name.strip(' \t\r\n"').lower()


_RAW: Final = {_folded(column): column for column in RAW_COLUMNS}


def raw_column(name: str) -> str | None:
    """The raw column that a name means, if it means one."""
    return _RAW.get(_folded(name))


def of_folders(path: Path) -> dict[str, str]:
    """The raw columns whose values stand in the names of the file's folders."""
    found = {}
    for part in path.parts[:-1]:
        name, equals, value = part.partition("=")
        column = raw_column(name)
        if equals and column is not None and value != _NULL_PARTITION:
            found[column] = unquote(value)
    return found


def matched(path: Path, names: Iterable[str], folders: dict[str, str]) -> dict[str, str]:
    """The name in the file of each raw column it has, from a header or a schema.

    Raises EventLogError when a column is named twice or a required one is missing. The
    message repeats known names only: a file without a header has a customer's data there.
    """
    found: dict[str, str] = {}
    for name in names:
        column = raw_column(name)
        if column is None:
            continue
        if column in found:
            raise EventLogError(f"{path}: the header names a column twice: {column}; remove one of the two")
        found[column] = name
    missing = [column for column in REQUIRED_COLUMNS if column not in found and column not in folders]
    if missing:
        known = [column for column in RAW_COLUMNS if column in found]
        what = f"found {', '.join(known)}" if known else "expected a header line with these names, between commas"
        raise EventLogError(f"{path}: not an activity log: no column {', '.join(missing)}; {what}")
    return found


def spelled(objects: Iterable[dict[str, object]]) -> dict[str, str]:
    """The key of each raw column in a JSON file, from its first rows; warehouses fold all names to one case.

    A column that these rows lack is spelled as the others are.
    """
    found: dict[str, str] = {}
    for name in sorted({name for row in objects for name in row}):
        column = raw_column(name)
        if column is not None and (column not in found or name == column):
            found[column] = name
    return {column: found.get(column) or _like(found, column) for column in RAW_COLUMNS}


def spellings(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """All keys by the raw column that they mean, the column's own spelling first."""
    found: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        column = raw_column(name)
        if column is not None:
            found.setdefault(column, []).append(name)
    return {column: tuple(sorted(keys, key=lambda key: key != column)) for column, keys in found.items()}


def _like(found: dict[str, str], column: str) -> str:
    for fold in (str.lower, str.upper):
        if found and all(name == fold(known) for known, name in found.items()):
            return fold(column)
    return column
