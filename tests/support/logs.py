"""Typed event tables for tests, from a few readable tuples."""

from collections.abc import Iterable
from typing import Any

import ibis
import pyarrow as pa
from ibis import Table

from churn.activity.typed import EVENT_SCHEMA

SCHEMA = ibis.schema(EVENT_SCHEMA).to_pyarrow()


def event(customer_id: str, ts: int, page: str = "Home", **changes: Any) -> dict[str, Any]:
    """One event; a song has an artist and a length."""
    row: dict[str, Any] = dict.fromkeys(SCHEMA.names) | {
        "customer_id": customer_id,
        "ts": ts,
        "session_id": 1,
        "item": 0,
        "page": page,
        "level": "free",
        "status": 200,
    }
    if page == "NextSong":
        row |= {"artist": "A", "length_ms": 240_000}
    return row | changes


def event_table(rows: Iterable[dict[str, Any]]) -> Table:
    """The rows as `churn.activity.reading` would give them, on DuckDB."""
    return ibis.memtable(pa.Table.from_pylist(list(rows), schema=SCHEMA))
