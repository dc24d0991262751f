"""The facts of a data folder: `dataset.json`, which `make featurize` writes beside its tables."""

from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict

from churn.activity.labels import LabelKind
from churn.activity.report import ReadReport
from churn.errors import NotEnoughDataError
from churn.stored_json import read_json

FILE: Final = "dataset.json"


class LogFacts(BaseModel):
    """The log that was read. The fields stand in the order in which the file has them."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    source: str
    """Name of the log's file, folder or pattern."""
    contract: str
    """Version of the feature contract that the tables follow."""
    first_ts: int
    """Oldest event, UTC epoch milliseconds."""
    log_end: int
    """Newest event, UTC epoch milliseconds."""
    label: LabelKind
    """Definition of churn: `cancellation`, `inactivity` or `either`."""
    horizon_days: int
    """Days that the label looks ahead."""
    newest_rows: int
    """Customers at risk right after the log's end."""
    read: ReadReport
    """Rows of the log, by what became of them."""
    refused: str | None
    """Reason why there is no training table; null when there is one."""


class TableFacts(LogFacts):
    """The log, and the training table made from it."""

    refused: None
    """Null: there is a training table."""
    rows: int
    """Rows of the training table: one per customer at risk and snapshot."""
    customers: int
    """Customers in the training table."""
    snapshots: tuple[str, ...]
    """Moments that the rows describe, ISO 8601, oldest first."""
    short_snapshots: tuple[str, ...]
    """Snapshots with less history than the features look back."""
    churn_rate: float
    """Share of the rows that churned."""
    fingerprint: str
    """sha256 of the table's values."""


Facts = TypeVar("Facts", bound=LogFacts)


def log_facts(folder: Path) -> LogFacts:
    """The facts of the log that the last `make featurize` read into this data folder.

    Raises:
        NotEnoughDataError: `make featurize` has not run.
        StoredFileError: the file is damaged.
    """
    return _read(folder, LogFacts)


def table_facts(folder: Path) -> TableFacts:
    """The same facts, with those of the training table.

    Raises:
        NotEnoughDataError: `make featurize` has not run, or refused to make a training table.
        StoredFileError: the file is damaged.
    """
    refused = _read(folder, LogFacts).refused
    if refused is not None:
        raise NotEnoughDataError(refused)
    return _read(folder, TableFacts)


def _read(folder: Path, kind: type[Facts]) -> Facts:
    path = folder / FILE
    try:
        return read_json(path, kind, "run `make featurize` again")
    except FileNotFoundError as error:
        raise NotEnoughDataError(f"{path} does not exist; run `make featurize` first") from error
