"""A change in one part of the customers is found in that part."""

import numpy as np

from monitoring.drift.decision import rank
from monitoring.drift.segments import comparisons
from monitoring.findings.drift import Segment
from tests.support.predictions import week_of_customers


def test_every_customer_is_in_one_segment_of_each_kind_that_it_has() -> None:
    reference = week_of_customers(600, 1).assign(churn_probability=0.2, will_churn=False)
    current = week_of_customers(500, 2).assign(churn_probability=0.2, will_churn=False)
    found = comparisons(reference, current)
    for side, frame in enumerate((reference, current)):
        rows = {str(segment): populations[side].rows for segment, populations in found.items()}
        for column in ("level", "os"):
            assert sum(n for name, n in rows.items() if name.startswith(f"{column}=")) == frame[column].notna().sum()
        tenured = sum(n for name, n in rows.items() if name.startswith("tenure_days"))
        assert tenured == frame["tenure_days"].notna().sum()


def test_bands_have_no_gap_and_no_overlap() -> None:
    frame = week_of_customers(4).assign(
        churn_probability=0.2, will_churn=False, tenure_days=[0.0, 30.0, 89.9, 36_500.0]
    )
    found = {
        str(segment): current.rows
        for segment, (_, current) in comparisons(frame, frame).items()
        if isinstance(segment, Segment) and segment.feature == "tenure_days"
    }
    assert found == {
        "tenure_days 0 to 30": 1,
        "tenure_days 30 to 90": 2,
        "tenure_days 90 to 365": 0,
        "tenure_days from 365": 1,
    }


def test_a_change_for_free_customers_only_is_ranked_there() -> None:
    reference = week_of_customers(2000, 1).assign(churn_probability=0.2, will_churn=False)
    current = week_of_customers(1500, 2).assign(churn_probability=0.2, will_churn=False)
    current["adverts_7d"] += np.where(current["level"] == "free", 3, 0)
    ranking = rank(comparisons(reference, current))
    assert "adverts_7d" in ranking.drifted(Segment(feature="level", category="free"))
    assert "adverts_7d" not in ranking.drifted(Segment(feature="level", category="paid"))
    assert ranking.tests[0].result.severity == "none"
