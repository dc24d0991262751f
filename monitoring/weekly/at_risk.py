"""The week's list for the retention team: who is about to leave, how likely, and three reasons.

Kept apart from the report: it is the one result with customer ids, of mode 0600.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from churn.contract import NAMES
from churn.customer_ids import customer_key
from churn.errors import ReportError
from churn.model.artifact import StoredModel
from churn.model.explaining import Explainer, Value, reasons
from churn.model.scoring import Encoder
from churn.spreadsheet import cell, text_of

REASONS: Final = 3
HEADER: Final = ("customer_id", "churn_probability", *(f"reason_{number}" for number in range(1, REASONS + 1)))
_BLOCK: Final = 2_000


@dataclass(frozen=True)
class AtRisk:
    """One customer of the list; `reasons` in plain words, strongest first, at most three."""

    customer_id: str
    churn_probability: float
    reasons: tuple[str, ...]


def explained(customers: pd.DataFrame, model: StoredModel) -> Iterator[AtRisk]:
    """Why each customer is on the list.

    Args:
        customers: `customer_id`, `churn_probability` and the contract's features.
        model: the one that answered.
    """
    explainer, encoder = Explainer(model.forest(), model.manifest.columns), Encoder(model.manifest.columns)
    for start in range(0, len(customers), _BLOCK):
        block = customers.iloc[start : start + _BLOCK]
        contributions = explainer.contributions(encoder.frame(block))
        for row, (who, probability, values) in enumerate(_rows(block)):
            found = reasons(values, contributions[row], model.manifest.typical, REASONS)
            yield AtRisk(who, probability, tuple(reason.text for reason in found))


def _rows(block: pd.DataFrame) -> Iterator[tuple[str, float, dict[str, Value]]]:
    values = block[list(NAMES)].astype(object)
    columns: list[list[Any]] = [values[name].where(values[name].notna(), other=None).tolist() for name in NAMES]  # type: ignore[call-overload]  # pandas takes None
    for who, probability, *row in zip(block["customer_id"], block["churn_probability"], *columns, strict=True):
        yield str(who), float(probability), dict(zip(NAMES, row, strict=True))


def table(customers: list[AtRisk]) -> bytes:
    """The list as CSV, UTF-8, most at risk first.

    No cell is run as a formula by a spreadsheet; `churn.spreadsheet.text_of` reads a cell back.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(HEADER)
    for customer in sorted(customers, key=lambda one: (-one.churn_probability, one.customer_id)):
        why = [*customer.reasons, *[""] * (REASONS - len(customer.reasons))]
        writer.writerow(map(cell, [customer.customer_id, f"{customer.churn_probability:.4f}", *why]))
    return buffer.getvalue().encode()


def read_table(content: bytes, file: object) -> list[AtRisk]:
    """What `table` was given, ids as their keys.

    Raises:
        ReportError: it is no such list; the message names `file`, the line and the field.
    """
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig", errors="replace"), newline=""))
    for name in HEADER:
        if name not in (reader.fieldnames or ()):
            raise ReportError(f"{file}: header: {name} is missing; make the report of this week again")
    return [_read_row(row, f"{file}: line {reader.line_num}") for row in reader]


def _read_row(row: dict[str, Any], place: str) -> AtRisk:
    texts = {name: text_of(row[name] or "") for name in HEADER}
    try:
        probability = float(texts["churn_probability"])
    except ValueError as error:
        found = repr(texts["churn_probability"][:40])
        raise ReportError(
            f"{place}: churn_probability: found {found}, expected a number; make the report of this week again"
        ) from error
    why = tuple(texts[name] for name in HEADER[2:] if texts[name])
    return AtRisk(customer_key(texts["customer_id"]), probability, why)
