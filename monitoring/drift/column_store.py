"""A week's column summaries as one Parquet file, so that the next week is compared without reading the log again."""

import io
import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from churn.contract import CONTRACT_VERSION, Feature
from monitoring.drift.column_summary import ColumnSummary, Population
from monitoring.drift.decision import MONITORED

_KEY: Final = b"churn"
_SCHEMA: Final = pa.schema(
    [("feature", pa.dictionary(pa.int32(), pa.string())), ("number", pa.float64()), ("label", pa.string()),
     ("count", pa.int64())]
)  # fmt: skip


def to_bytes(population: Population, model: str) -> bytes:
    """Values with their counts, column by column; nobody's row can be put together from it."""
    columns = population.columns.values()
    table = pa.table(
        {
            "feature": _joined([[column.feature.name] * len(column.counts) for column in columns]),
            "number": _joined([_numbers(column) for column in columns]),
            "label": _joined([_labels(column) for column in columns]),
            "count": _joined([column.counts.tolist() for column in columns]),
        }
    ).cast(_SCHEMA)
    figures = {c.feature.name: {"nulls": c.nulls, "mistyped": c.mistyped, "outside": c.outside} for c in columns}
    about = {"contract": CONTRACT_VERSION, "model": model, "rows": population.rows, "columns": figures}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({_KEY: json.dumps(about).encode()}), buffer, compression="zstd")
    return buffer.getvalue()


def _joined(parts: list[list[Any]]) -> list[Any]:
    return [value for part in parts for value in part]


def _numbers(column: ColumnSummary) -> list[Any]:
    return [None] * len(column.counts) if column.feature.is_category else column.numbers.tolist()


def _labels(column: ColumnSummary) -> list[Any]:
    return list(column.labels) if column.feature.is_category else [None] * len(column.counts)


def from_bytes(content: bytes) -> tuple[str, Population] | None:
    """The model and its population; None when it was made under another contract."""
    table = pq.read_table(io.BytesIO(content))
    about = json.loads(table.schema.metadata[_KEY])
    if about["contract"] != CONTRACT_VERSION:
        return None
    frame = table.to_pandas()
    parts = dict(iter(frame.groupby("feature", observed=True, sort=False)))
    columns = {
        feature.name: _column(feature, parts.get(feature.name, frame.iloc[:0]), about["rows"], figures)
        for feature in MONITORED
        if (figures := about["columns"].get(feature.name)) is not None
    }
    return str(about["model"]), Population(about["rows"], columns)


def _column(feature: Feature, part: Any, rows: int, figures: Mapping[str, int]) -> ColumnSummary:
    counts = part["count"].to_numpy(np.int64)
    kept = (rows, figures["nulls"], figures["mistyped"], figures["outside"])
    if feature.is_category:
        return ColumnSummary(feature, *kept, labels=tuple(part["label"]), counts=counts)
    return ColumnSummary(feature, *kept, numbers=part["number"].to_numpy(np.float64), counts=counts)
