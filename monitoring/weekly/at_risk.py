"""The week's list for the retention team: who is about to leave, how likely, three reasons, and what would help.

Kept apart from the report: it is the one result with customer ids, of mode 0600.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.contract import BY_NAME, NAMES, NUMERIC
from churn.customer_ids import customer_key
from churn.errors import ReportError
from churn.model.artifact import Manifest, StoredModel
from churn.model.counterfactual import Counterfactual, Suggestion
from churn.model.explaining import Explainer, Value, reasons, rounded, stated
from churn.model.scoring import Scorer
from churn.retention.peers import context, reasons_beside_peers
from churn.spreadsheet import cell, text_of

REASONS: Final = 3
_BEFORE: Final = ("customer_id", "churn_probability", *(f"reason_{number}" for number in range(1, REASONS + 1)))
"""The columns that lists have always had."""

HEADER: Final = (*_BEFORE, "context", "what_would_help")
SUGGESTIONS: Final = 3
_BLOCK: Final = 2_000
_SEPARATOR: Final = " or "


@dataclass(frozen=True)
class AtRisk:
    """One customer of the list; `reasons` in plain words, strongest first, at most three.

    `context` says how long a customer it is, and on which plan; `help` what would bring it below the threshold.
    """

    customer_id: str
    churn_probability: float
    reasons: tuple[str, ...]
    context: str = ""
    help: tuple[str, ...] = ()


def explained(customers: pd.DataFrame, model: StoredModel) -> Iterator[AtRisk]:
    """Why each customer is on the list.

    Args:
        customers: `customer_id`, `churn_probability` and the contract's features.
        model: the one that answered.
    """
    explainer, scorer = Explainer(model.forest(), model.manifest.columns), Scorer(model)
    counterfactual = Counterfactual(model.forest(), model.manifest.columns)
    for start in range(0, len(customers), _BLOCK):
        block = customers.iloc[start : start + _BLOCK]
        matrix = scorer.encoder.frame(block)
        contributions = explainer.contributions(matrix)
        helpful = counterfactual.what_would_help(matrix, scorer, block[list(NUMERIC)].astype(np.float64).to_numpy())
        for row, (who, probability, values) in enumerate(_rows(block)):
            why = raising(values, contributions[row], model.manifest)
            yield AtRisk(who, probability, why, context(values), tuple(map(_change, helpful[row][:SUGGESTIONS])))


def raising(values: Mapping[str, Value], contributions: NDArray[np.float64], manifest: Manifest) -> tuple[str, ...]:
    """Reasons that raise a customer's risk, in words; a model without peers compares with everybody who stays."""
    if manifest.peers is None:
        found = reasons(values, contributions, manifest.typical, REASONS)
    else:
        found = reasons_beside_peers(values, contributions, manifest.peers, REASONS)
    return tuple(reason.text for reason in found if reason.contribution > 0)


def _change(one: Suggestion) -> str:
    """`5 thumbs down in the last 14 days, now 9: 11 %`."""
    to, now = stated(BY_NAME[one.feature], one.to_value), rounded(one.from_value)
    return f"{to} (now {now}): {one.churn_probability:.1%}".replace("%", " %")


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
        texts = [customer.customer_id, f"{customer.churn_probability:.4f}", *why, customer.context]
        writer.writerow(map(cell, [*texts, _SEPARATOR.join(customer.help)]))
    return buffer.getvalue().encode()


def read_table(content: bytes, file: object) -> list[AtRisk]:
    """Read the customers back that `table` was given, ids as their keys.

    Raises:
        ReportError: it is no such list; the message names `file`, the line and the field.
    """
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig", errors="replace"), newline=""))
    for name in _BEFORE:
        if name not in (reader.fieldnames or ()):
            raise ReportError(f"{file}: header: {name} is missing; make the report of this week again")
    return [_read_row(row, f"{file}: line {reader.line_num}") for row in reader]


def _read_row(row: dict[str, Any], place: str) -> AtRisk:
    texts = {name: text_of(row.get(name) or "") for name in HEADER}
    try:
        probability = float(texts["churn_probability"])
    except ValueError as error:
        found = repr(texts["churn_probability"][:40])
        raise ReportError(
            f"{place}: churn_probability: found {found}, expected a number; make the report of this week again"
        ) from error
    why = tuple(texts[name] for name in _BEFORE[2:] if texts[name])
    helpful = tuple(filter(None, texts["what_would_help"].split(_SEPARATOR)))
    return AtRisk(customer_key(texts["customer_id"]), probability, why, texts["context"], helpful)
