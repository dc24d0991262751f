"""What the model answers is watched like what it is asked: a jump in whom it flags pages by itself."""

import numpy as np
import pandas as pd
import pytest

from monitoring.drift.column_summary import Population, summarise_frame
from monitoring.drift.decision import MONITORED, decide
from tests.support import synthetic


def answered(customers: int, flagged_share: float, seed: int) -> Population:
    """Customers of an unchanged world, some of them flagged at random."""
    generator = np.random.default_rng(seed)
    rows: pd.DataFrame = synthetic.training_table(customers, 1, seed)
    rows["churn_probability"] = generator.beta(1.5, 10, customers)
    rows["will_churn"] = generator.permutation(np.arange(customers) < round(flagged_share * customers))
    return summarise_frame(rows, MONITORED)


@pytest.mark.parametrize("customers", [300, 2_000])
def test_a_flagged_share_from_5_to_20_percent_pages(customers: int) -> None:
    decision = decide(answered(5_000, 0.05, 1), answered(customers, 0.20, 2))
    assert decision.verdict == "drift"
    assert decision.drifted_features == ("will_churn",)
    leading = decision.leading("will_churn")
    assert leading is not None
    assert leading.severity == "page"
    assert leading.effect == pytest.approx(0.15, abs=0.001)


@pytest.mark.parametrize("customers", [300, 2_000])
def test_a_flagged_share_that_stays_at_5_percent_does_not(customers: int) -> None:
    decision = decide(answered(5_000, 0.05, 1), answered(customers, 0.05, 2))
    assert decision.verdict == "ok"
    leading = decision.leading("will_churn")
    assert leading is None or leading.severity == "none"


def test_higher_probabilities_page_though_nobody_more_is_flagged() -> None:
    before, after = answered(5_000, 0.05, 1), answered(2_000, 0.05, 2)
    rows = synthetic.training_table(2_000, 1, 2)
    rows["churn_probability"] = np.random.default_rng(2).beta(1.5, 10, 2_000) + 0.05
    columns = dict(after.columns) | dict(summarise_frame(rows, MONITORED).columns)
    assert decide(before, Population(2_000, columns)).drifted_features == ("churn_probability",)
