"""What one week leaves for the next says the same as the log did."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest

from monitoring.drift import column_store
from monitoring.drift.column_store import from_bytes, to_bytes
from monitoring.drift.column_summary import Population, summarise_frame
from monitoring.drift.decision import MONITORED, decide
from tests.support.predictions import week_of_customers


def population(rows: int = 300, seed: int = 1) -> Population:
    frame = week_of_customers(rows, seed).assign(churn_probability=0.25, will_churn=False)
    frame.loc[3, "tenure_days"] = np.nan
    frame["errors_7d"] = 1.5  # of another type in every row: a column without a value
    return summarise_frame(frame, MONITORED)


def test_a_population_comes_back_as_it_was() -> None:
    before = population()
    found = from_bytes(to_bytes(before, "churn:a"))
    assert found is not None
    model, after = found
    assert (model, after.rows, list(after.columns)) == ("churn:a", before.rows, list(before.columns))
    for name, column in before.columns.items():
        again = after.columns[name]
        np.testing.assert_array_equal(again.numbers, column.numbers)
        np.testing.assert_array_equal(again.counts, column.counts)
        assert (again.labels, again.nulls, again.mistyped, again.outside) == (
            column.labels,
            column.nulls,
            column.mistyped,
            column.outside,
        )


def test_a_decision_about_it_is_the_same() -> None:
    reference, current = population(300, 1), population(300, 2)
    found = from_bytes(to_bytes(current, "churn:a"))
    assert found is not None
    assert decide(reference, found[1]) == decide(reference, current)


def test_another_contracts_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    content = to_bytes(population(), "churn:a")
    monkeypatch.setattr(column_store, "CONTRACT_VERSION", "1-00000000")
    assert from_bytes(content) is None


def test_it_holds_no_rows_of_customers() -> None:
    assert pq.read_schema(io.BytesIO(to_bytes(population(), "churn:a"))).names == [
        "feature",
        "number",
        "label",
        "count",
    ]
