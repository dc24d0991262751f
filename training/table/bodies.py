"""Rows of features to request bodies, ready to post to the service."""

from collections.abc import Iterator
from typing import Any, Final

import orjson
import pandas as pd

from churn.contract import FEATURES, Feature, whole
from churn.moments import iso

CUSTOMERS_PER_BODY: Final = 1_000
"""A request body that both `predict` and `explain` accept."""


def customers(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Each row as the service takes it; a missing value is null."""
    columns: dict[str, list[Any]] = {
        "customer_id": table.customer_id.tolist(),
        "as_of": [iso(int(moment)) for moment in table.as_of],
    }
    for feature in FEATURES:
        values = table[feature.name]
        found = zip(values.tolist(), values.isna(), strict=True)
        columns[feature.name] = [None if missing else _sent(feature, value) for value, missing in found]
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _sent(feature: Feature, value: Any) -> Any:
    """A count as the integer it is: pandas holds those that may be null as fractions."""
    return whole(value) if feature.kind == "count" else value


def bodies(table: pd.DataFrame, size: int = CUSTOMERS_PER_BODY) -> Iterator[bytes]:
    """The table as JSON bodies of at most `size` customers."""
    for start in range(0, len(table), size):
        yield orjson.dumps({"customers": customers(table.iloc[start : start + size])})
