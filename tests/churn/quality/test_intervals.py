import numpy as np
import pandas as pd

from churn.quality.intervals import decision_intervals, share_interval


def test_precision_and_recall_count_each_customers_own_rows() -> None:
    customers = pd.Series(["a", "a", "b", "c"])
    churned, flagged = np.array([1.0, 1, 0, 1]), np.array([1.0, 0, 1, 1])
    found = decision_intervals(customers, churned, flagged)
    assert found["precision"] == share_interval(np.array([1.0, 0, 1]), np.array([1.0, 1, 1]))
    assert found["recall"] == share_interval(np.array([1.0, 0, 1]), np.array([2.0, 0, 1]))


def test_a_row_that_stands_for_several_is_as_good_as_those() -> None:
    generator = np.random.default_rng(0)
    customers = pd.Series(generator.integers(0, 30, 60).astype(str))
    churned, flagged = generator.integers(0, 2, (2, 60)).astype(np.float64)
    count = generator.integers(1, 4, 60)
    again = np.repeat(np.arange(60), count)
    assert decision_intervals(customers, churned, flagged, count.astype(np.float64)) == decision_intervals(
        customers.iloc[again], churned[again], flagged[again]
    )
