from datetime import UTC, datetime

import pandas as pd
import pytest

from churn.activity.features import DAY_MS
from churn.contract import NAMES
from churn.errors import NotEnoughDataError
from churn.moments import epoch_ms
from tests.support.logs import event, event_table
from training.table.dataset import fingerprint, newest_table, snapshots, training_table

START = epoch_ms(datetime(2018, 10, 1, tzinfo=UTC))


def log(days: int):
    """Two customers active every second day; `b` cancels on day 40."""
    rows = [event("a", START + day * DAY_MS) for day in range(0, days, 2)]
    rows += [event("b", START + day * DAY_MS) for day in range(0, 40, 2)]
    rows += [event("b", START + 40 * DAY_MS, "Cancellation Confirmation"), event("a", START + days * DAY_MS)]
    return event_table(rows), START, START + days * DAY_MS


def test_snapshots_go_back_week_by_week_from_the_end_minus_the_horizon() -> None:
    found = snapshots(START, START + 65 * DAY_MS)
    assert [(s.as_of - START) / DAY_MS for s in found] == [35, 28, 21, 14]
    assert [s.short for s in found] == [False, False, True, True]
    assert [s.history_days for s in found] == [35, 28, 21, 14]


@pytest.mark.parametrize(("days", "count"), [(43.9, 0), (44, 1), (50.9, 1), (51, 2)])
def test_the_shortest_log(days: float, count: int) -> None:
    end = START + round(days * DAY_MS)
    if count:
        assert len(snapshots(START, end)) == count
        return
    with pytest.raises(NotEnoughDataError, match=r"spans 43.9 days \(2018-10-01T00:00:00Z to .* 44 in all"):
        snapshots(START, end)


def test_the_training_table_has_a_row_per_customer_at_risk_and_snapshot() -> None:
    table = training_table(*log(86))
    assert list(table.columns) == ["customer_id", "as_of", "short", *NAMES, "churned"]
    days = ((table.as_of - START) / DAY_MS).astype(int)
    assert list(zip(days, table.customer_id, table.churned, strict=True)) == [
        (14, "a", 0),
        (14, "b", 1),
        (21, "a", 0),
        (21, "b", 1),
        (28, "a", 0),
        (28, "b", 1),
        (35, "a", 0),
        (35, "b", 1),
        (42, "a", 0),
        (49, "a", 0),
        (56, "a", 0),
    ]
    assert table.short.tolist() == [day < 28 for day in days]


def test_the_newest_table_stands_right_after_the_last_event() -> None:
    events, first_ts, log_end = log(86)
    table = newest_table(events, first_ts, log_end)
    assert table.as_of.tolist() == [log_end + 1]
    assert table.days_since_last_event.tolist() == [1 / DAY_MS]


def test_a_short_log_still_has_newest_features() -> None:
    events, first_ts, log_end = log(2)
    assert newest_table(events, first_ts, log_end).short.all()


def test_the_fingerprint_changes_with_any_value() -> None:
    table = training_table(*log(60))
    changed = table.copy()
    changed["songs_7d"] += 1
    assert fingerprint(table) == fingerprint(table.copy())
    assert fingerprint(table) != fingerprint(changed)
    assert isinstance(table, pd.DataFrame)


def test_one_row_of_a_wrong_clock_makes_no_snapshots_and_no_history() -> None:
    events, first_ts, log_end = log(86)
    lost = event_table([*events.to_pyarrow().to_pylist(), event("a", epoch_ms(datetime(2000, 1, 1, tzinfo=UTC)))])
    told: list[str] = []
    table = training_table(lost, epoch_ms(datetime(2000, 1, 1, tzinfo=UTC)), log_end, progress=told.append)
    expected = training_table(events, first_ts, log_end)
    assert len(told) == expected.as_of.nunique()
    kept = ["customer_id", "as_of", "short", "churned", "songs_28d"]
    pd.testing.assert_frame_equal(table[kept], expected[kept])


def test_where_nobody_is_at_risk_the_error_says_so() -> None:
    rows = [event("a", START), event("a", START + 200 * DAY_MS)]
    with pytest.raises(NotEnoughDataError, match="nobody is at risk at a snapshot"):
        training_table(event_table(rows), START, START + 200 * DAY_MS)
