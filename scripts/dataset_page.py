"""`make docs`: the fields of `dataset.json` in the documentation, from the types that read and write it."""

from pathlib import Path
from typing import Any, Final

from churn.activity.dataset_facts import LogFacts, TableFacts
from churn.activity.report import ReadReport
from churn.command import run
from scripts import schema_tables

PAGE: Final = Path(__file__).parent.parent / "docs" / "dataset.md"
PARTS: Final[tuple[type[Any], ...]] = (TableFacts, LogFacts, ReadReport)
HEAD: Final = """# `dataset.json`

Made from `churn/activity/dataset_facts.py` by `make docs`. `make featurize` writes the file into the data folder,
beside its tables: the facts of the log that it read, and of the training table that it made. When the log allows no
training table, the file has the fields of [log facts](#log-facts) alone, and `refused` says why. The file holds no
customer ids. A damaged file is refused with its name and field.
"""


def page() -> str:
    """The whole page; a test compares it with the file."""
    return schema_tables.page(HEAD, PARTS)


def main() -> None:
    schema_tables.write(PAGE, HEAD, PARTS)


if __name__ == "__main__":
    run(main)
