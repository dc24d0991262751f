"""Who got an offer, and when: a file of customers and dates, CSV with a header or Parquet.

An offer that works makes the model look wrong: the customer was about to leave, and stays.
So what was realised is told apart for the treated and the others. A file of a campaign has
a group too: some of its customers are held out, so that there is something to compare with.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from churn.customer_ids import customer_key
from churn.errors import TreatmentsError
from churn.raw_text import ABSENT
from churn.spreadsheet import text_of

CUSTOMER: Final = "customer_id"
DATE: Final = "date"
GROUP: Final = "group"
OFFERED: Final = "offered"
HELD_OUT: Final = "held_out"
EXPECTED_CUSTOMER: Final = "a customer's id as the prediction log has it, as text"
EXPECTED_DATE: Final = "a date such as 2018-11-05, or a moment in UTC such as 2018-11-05T12:00:00Z"

_LARGEST_EXACT: Final = 2**53
"""Whole numbers above this lose digits in a column of floats."""

_EPOCH: Final = date(1970, 1, 1)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)?")

Row = tuple[str, Any, Any, Any]
"""A line's place, customer, date and group; `_NO_GROUP` in a file without groups."""

_NO_GROUP: Final = object()


@dataclass(frozen=True)
class Treatment:
    """One row of the file.

    Attributes:
        place: where it stands, for messages.
        customer_id: the customer's key.
        day: a UTC day in days since 1970.
        group: `offered` or `held_out`; None in a file without groups.
    """

    place: str
    customer_id: str
    day: int
    group: str | None


def read_treatments(path: Path) -> pd.DataFrame:
    """The treatments, each once: `customer_id`, `day` in days since 1970 (UTC), and `group`, null where there is none.

    Raises:
        TreatmentsError: it cannot be read, a row has no customer, no date or no such group, or a customer has two.
    """
    found = treatments(path)
    groups = {one.customer_id: one.group for one in found}
    rows = [
        (customer, day, groups[customer]) for customer, day in sorted({(one.customer_id, one.day) for one in found})
    ]
    return pd.DataFrame(rows, columns=[CUSTOMER, "day", GROUP]).astype({CUSTOMER: "object", "day": "int64"})


def treatments(path: Path) -> list[Treatment]:
    """The rows of the file, in its order; raises as `read_treatments` does."""
    try:
        rows = _parquet(path) if path.suffix == ".parquet" else _csv(path)
        found = [
            Treatment(row[0], _customer(path, *row[:2]), _day(path, row[0], row[2]), _group(path, row[0], row[3]))
            for row in rows
        ]
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        why = (getattr(error, "strerror", None) or str(error)).partition("\n")[0]
        raise TreatmentsError(path, "file", "content", why, "CSV in UTF-8 with a header, or *.parquet") from error
    _check_groups(path, found)
    return found


def _csv(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        _check_columns(path, "header", reader.fieldnames or ())
        for row in reader:
            customer = row[CUSTOMER]
            # The list of customers at risk, from which offers are made, has its ids as cells of a spreadsheet.
            name = customer if customer is None else text_of(customer)
            yield f"line {reader.line_num}", name, row[DATE], row.get(GROUP, _NO_GROUP)


def _parquet(path: Path) -> Iterator[Row]:
    table = pq.ParquetFile(path)
    _check_columns(path, "columns", table.schema_arrow.names)
    number = 0
    wanted = [name for name in (CUSTOMER, DATE, GROUP) if name in table.schema_arrow.names]
    for batch in table.iter_batches(columns=wanted):
        for row in batch.to_pylist():
            number += 1
            yield f"row {number}", row[CUSTOMER], row[DATE], row.get(GROUP, _NO_GROUP)


def _check_columns(path: Path, place: str, names: Iterable[str]) -> None:
    for name in (CUSTOMER, DATE):
        if name not in names:
            raise TreatmentsError(path, place, name, ", ".join(names) or "nothing", f"columns {CUSTOMER} and {DATE}")


def _customer(path: Path, place: str, value: Any) -> str:
    """The customer's key; an error names the kind of value that was found, never the id."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise TreatmentsError(path, place, CUSTOMER, type(value).__name__, EXPECTED_CUSTOMER)
    key = customer_key(str(value))
    if key in ABSENT:
        raise TreatmentsError(path, place, CUSTOMER, str(value), EXPECTED_CUSTOMER)
    if isinstance(value, float | Decimal) and not (key.isdecimal() and int(key) <= _LARGEST_EXACT):
        raise TreatmentsError(
            path, place, CUSTOMER, "a number that is not whole, or has lost digits", EXPECTED_CUSTOMER
        )
    return key


def _group(path: Path, place: str, value: Any) -> str | None:
    if value is _NO_GROUP:
        return None
    group = value.strip() if isinstance(value, str) else ""
    if group not in {OFFERED, HELD_OUT}:
        raise TreatmentsError(path, place, GROUP, value, f"{OFFERED} or {HELD_OUT}")
    return group


def _check_groups(path: Path, found: Iterable[Treatment]) -> None:
    """A customer in both groups would belong to neither."""
    first: dict[str, Treatment] = {}
    for one in found:
        earlier = first.setdefault(one.customer_id, one)
        if one.group != earlier.group:
            expected = f"{earlier.group}, the customer's group in {earlier.place}"
            raise TreatmentsError(path, one.place, GROUP, one.group, expected)


def _day(path: Path, place: str, value: Any) -> int:
    day = _date(value)
    if day is None:
        raise TreatmentsError(path, place, DATE, value, EXPECTED_DATE)
    return (day - _EPOCH).days


def _date(value: Any) -> date | None:
    """The UTC day; a moment without a zone is UTC."""
    if isinstance(value, datetime):
        return value.date() if value.utcoffset() in (None, _EPOCH - _EPOCH) else None
    if isinstance(value, date):
        return value
    text = value.strip() if isinstance(value, str) else ""
    moment = _MOMENT.fullmatch(text)
    if not moment and not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(moment[1] if moment else text)
    except ValueError:
        return None
