"""Where the model errs, on rows whose errors are known."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tests.support import synthetic
from training.evaluation.error_analysis import FEWEST_OF_EACH, RARE, UNKNOWN, Segment, dimensions, errors, segments

FLAGGED_FROM = 0.25


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    table = synthetic.training_table(customers=300, snapshots=3)
    noise = np.random.default_rng(1).random(len(table))
    probability = np.clip(0.15 + 0.3 * table["churned"] * noise + 0.2 * noise, 0, 1)
    return table.assign(score=probability, probability=probability, flagged=probability >= FLAGGED_FROM)


@pytest.fixture(scope="module")
def found(rows: pd.DataFrame) -> list[Segment]:
    return segments(rows, seed=1)


def named(found: list[Segment], dimension: str) -> dict[str, Segment]:
    return {segment.name: segment for segment in found if segment.dimension == dimension}


def test_every_way_to_divide_the_rows_counts_each_row_once(rows: pd.DataFrame, found: list[Segment]) -> None:
    for dimension in dimensions(rows):
        assert sum(segment.rows for segment in named(found, dimension).values()) == len(rows), dimension


def test_it_is_divided_by_time_plan_tenure_system_and_gender(found: list[Segment]) -> None:
    assert {"date", "plan", "tenure", "operating system", "gender"} <= {segment.dimension for segment in found}


def test_a_segment_counts_its_own_rows(rows: pd.DataFrame, found: list[Segment]) -> None:
    free = rows[rows["level"] == "free"]
    segment = named(found, "plan")["free"]
    assert segment.rows == len(free)
    assert segment.customers == free.customer_id.nunique()
    assert segment.churners == free.customer_id[free.churned == 1].nunique()
    assert segment.churned == pytest.approx(free.churned.mean())
    assert segment.predicted == pytest.approx(free.probability.mean())
    assert segment.auc is not None
    assert segment.auc.value == pytest.approx(roc_auc_score(free.churned, free.score))
    assert segment.caught is not None
    assert segment.caught.value == pytest.approx(free.flagged[free.churned == 1].mean())
    assert segment.wrongly_flagged is not None
    assert segment.wrongly_flagged.value == pytest.approx(free.flagged[free.churned == 0].mean())


def test_missing_values_are_a_kind_of_their_own(rows: pd.DataFrame, found: list[Segment]) -> None:
    assert named(found, "gender")[UNKNOWN].rows == rows["gender"].isna().sum()
    assert named(found, "tenure")[UNKNOWN].rows == rows["tenure_days"].isna().sum()


def test_tenure_bands_hold_their_days(rows: pd.DataFrame, found: list[Segment]) -> None:
    tenure = rows["tenure_days"]
    assert named(found, "tenure")["30 to 90 days"].rows == ((tenure > 30) & (tenure <= 90)).sum()
    assert next(iter(named(found, "tenure"))) == "up to 30 days"


def test_a_system_of_few_customers_is_not_shown_by_itself(rows: pd.DataFrame) -> None:
    odd = rows.copy()
    odd.loc[odd.customer_id.isin(["1", "2", "3"]), "os"] = "Plan 9"
    names = set(dimensions(odd)["operating system"])
    assert "Plan 9" not in names
    assert RARE in names


def test_too_few_churners_give_no_auc(rows: pd.DataFrame) -> None:
    churners = rows.customer_id[rows.churned == 1].unique()[FEWEST_OF_EACH - 1 :]
    few = rows[~rows.customer_id.isin(churners)]
    assert all(segment.auc is None for segment in segments(few, seed=1))


def test_every_row_has_one_outcome(rows: pd.DataFrame) -> None:
    outcomes = {outcome.name: outcome for outcome in errors(rows).outcomes}
    churned = rows.churned == 1
    assert outcomes["caught"].rows == (churned & rows.flagged).sum()
    assert outcomes["missed"].rows == (churned & ~rows.flagged).sum()
    assert outcomes["wrongly flagged"].rows == (~churned & rows.flagged).sum()
    assert sum(outcome.rows for outcome in outcomes.values()) == len(rows)
    assert outcomes["caught"].probability > FLAGGED_FROM > outcomes["missed"].probability


def test_what_sets_the_missed_apart_is_found(rows: pd.DataFrame) -> None:
    quiet = rows.copy()
    missed = (quiet.churned == 1) & ~quiet.flagged
    quiet.loc[missed, "help_visits_28d"] = 500
    first = errors(quiet).missed[0]
    assert first.feature == "help_visits_28d"
    assert first.wrong == 500
    assert first.distance > 1


def test_a_measure_is_named_once(rows: pd.DataFrame) -> None:
    names = [contrast.feature for contrast in errors(rows).wrongly_flagged]
    stems = [name.rsplit("_", 1)[0] for name in names if name.endswith("d")]
    assert len(stems) == len(set(stems))


def test_a_group_of_few_customers_is_not_described(rows: pd.DataFrame) -> None:
    assert errors(rows.assign(flagged=False)).missed == ()
    assert errors(rows.assign(flagged=True)).wrongly_flagged == ()


def test_no_customer_is_named(rows: pd.DataFrame, found: list[Segment]) -> None:
    marked = rows.assign(customer_id="id-" + rows.customer_id)
    assert "id-" not in str([asdict(segment) for segment in segments(marked, seed=1)])
    assert "id-" not in str(asdict(errors(marked)))
    assert [segment.auc for segment in segments(marked, seed=1)] != []
    assert found
