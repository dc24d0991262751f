from datetime import UTC, datetime

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.activity.features import DAY_MS, at_risk
from churn.activity.labels import Definition, labels, labels_at
from churn.errors import NotEnoughDataError, SettingError
from churn.moments import epoch_ms
from tests.support.logs import event, event_table

AS_OF = epoch_ms(datetime(2018, 11, 1, tzinfo=UTC))
END = AS_OF + 30 * DAY_MS


def labelled(rows, kind="either", log_end=END, horizon=30) -> dict[str, int]:
    table = labels(event_table(rows), AS_OF, log_end, kind, horizon).to_pyarrow().to_pylist()
    return {row["customer_id"]: row["churned"] for row in table}


LIVES = [
    event("stays", AS_OF - 1, "Thumbs Down"),
    event("stays", AS_OF + 1),
    event("cancels", AS_OF - 1),
    event("cancels", AS_OF + 1, "Cancellation Confirmation"),
    event("silent after thumbs down", AS_OF - 5 * DAY_MS, "Thumbs Down"),
    event("silent after downgrade", AS_OF - 50 * DAY_MS, "Submit Downgrade"),
    event("silent without a trigger", AS_OF - 1, "Thumbs Up"),
    event("trigger only later", AS_OF - 1),
    event("trigger only later", AS_OF + 1, "Thumbs Down"),
]


@pytest.mark.parametrize(
    ("kind", "churned"),
    [
        ("either", {"cancels", "silent after thumbs down", "silent after downgrade"}),
        ("inactivity", {"silent after thumbs down", "silent after downgrade"}),
        ("cancellation", {"cancels"}),
    ],
)
def test_who_churns(kind, churned) -> None:
    found = labelled(LIVES, kind)
    assert {customer for customer, label in found.items() if label == 1} == churned
    assert len(found) == 6


def test_customers_who_come_later_have_no_label() -> None:
    assert labelled([event("new", AS_OF)]) == {}


@pytest.mark.parametrize(("ts", "label"), [(AS_OF, 0), (END, 0), (END + 1, 1), (AS_OF - 1, 1)])
def test_the_horizon_is_closed_at_both_ends(ts: int, label: int) -> None:
    rows = [event("a", AS_OF - DAY_MS, "Thumbs Down"), event("a", ts)]
    assert labelled(rows, "inactivity", END + 1) == {"a": label}


def test_a_cancellation_after_the_horizon_is_not_seen() -> None:
    rows = [event("a", AS_OF - 1), event("a", AS_OF + 1), event("a", END + 1, "Cancellation Confirmation")]
    assert labelled(rows, "either", END + 1) == {"a": 0}


def test_not_yet_known_is_not_zero() -> None:
    with pytest.raises(
        NotEnoughDataError, match=r"known only after 2018-12-01T00:00:00Z; the log ends at 2018-11-30T23"
    ):
        labelled(LIVES, log_end=END - 1)


@pytest.mark.parametrize(("kind", "horizon"), [("churned", 30), ("either", 0), ("either", 366)])
def test_settings_out_of_range_are_refused(kind, horizon) -> None:
    with pytest.raises(SettingError, match="expected"):
        labelled(LIVES, kind, horizon=horizon)


@settings(max_examples=5, deadline=None)
@given(
    st.lists(
        st.builds(
            event,
            st.sampled_from("abcdefghi"),
            st.integers(AS_OF - 60 * DAY_MS, END),
            st.sampled_from(["Home", "Thumbs Down", "Submit Downgrade", "Thumbs Up"]),
        ),
        min_size=1,
        max_size=80,
    )
)
def test_inactivity_is_the_published_label(rows) -> None:
    """Published: a trigger, and the last event more than 30 days before the newest event of the log."""
    rows.append(event("z", END))
    published = {}
    for customer in {row["customer_id"] for row in rows if row["ts"] < AS_OF}:
        mine = [row for row in rows if row["customer_id"] == customer]
        trigger = any(row["page"] in {"Thumbs Down", "Submit Downgrade"} for row in mine)
        published[customer] = int(trigger and END - max(row["ts"] for row in mine) > 30 * DAY_MS)
    assert labelled(rows, "inactivity") == published


def labelled_at(rows, moments: list[tuple[str, int]], kind="either", log_end=END + 60 * DAY_MS):
    pairs = {"customer_id": [customer for customer, _ in moments], "as_of": [moment for _, moment in moments]}
    table = ibis.memtable(pa.table(pairs, schema=pa.schema([("customer_id", pa.string()), ("as_of", pa.int64())])))
    found = labels_at(event_table(rows), table, log_end, Definition(kind)).to_pyarrow().to_pylist()
    return {(row["customer_id"], row["as_of"]): (row["churned"], row["at_risk"]) for row in found}


SOME_EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from("abcdefghi"),
        st.integers(-3, 100).map(lambda day: AS_OF + day * DAY_MS) | st.integers(AS_OF - 60 * DAY_MS, END),
        st.sampled_from(["Home", "NextSong", "Thumbs Down", "Submit Downgrade", "Cancellation Confirmation"]),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=8, deadline=None)
@given(
    SOME_EVENTS,
    st.sets(
        st.tuples(st.sampled_from("abcdefghij"), st.integers(0, 50).map(lambda day: AS_OF + day * DAY_MS)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["either", "inactivity", "cancellation"]),
)
def test_labels_at_moments_of_their_own_are_those_of_each_moment(rows, moments, kind) -> None:
    events, log_end = event_table(rows), AS_OF + 65 * DAY_MS
    expected = {}
    for customer, moment in moments:
        if moment + 30 * DAY_MS <= log_end:
            found = {row["customer_id"]: row for row in labels(events, moment, log_end, kind).to_pyarrow().to_pylist()}
            here = {
                row["customer_id"]
                for row in at_risk(events.filter(events.ts < moment), moment).to_pyarrow().to_pylist()
            }
            if customer in found:
                expected[customer, moment] = (found[customer]["churned"], customer in here)
    assert labelled_at(rows, sorted(moments), kind, log_end) == expected


def test_who_is_gone_already_is_not_at_risk() -> None:
    rows = [
        event("here", AS_OF - 1),
        event("cancelled", AS_OF - 2, "Cancellation Confirmation"),
        event("cancelled", AS_OF - 1, "Thumbs Down"),
        event("quiet", AS_OF - 31 * DAY_MS, "Thumbs Down"),
    ]
    found = labelled_at(rows, [("here", AS_OF), ("cancelled", AS_OF), ("quiet", AS_OF), ("unknown", AS_OF)])
    assert found == {("here", AS_OF): (0, True), ("cancelled", AS_OF): (1, False), ("quiet", AS_OF): (1, False)}


def test_who_came_back_is_at_risk_and_may_leave_again() -> None:
    rows = [
        event("back", AS_OF - 9, "Cancellation Confirmation"),
        event("back", AS_OF - 8, "NextSong"),
        event("back", AS_OF + 5, "Cancellation Confirmation"),
        event("comes back later", AS_OF - 9, "Cancellation Confirmation"),
        event("comes back later", AS_OF, "NextSong"),
    ]
    moments = [("back", AS_OF), ("back", AS_OF + 6), ("comes back later", AS_OF), ("comes back later", AS_OF + 1)]
    assert labelled_at(rows, moments) == {
        ("back", AS_OF): (1, True),
        ("back", AS_OF + 6): (0, False),
        ("comes back later", AS_OF): (0, False),
        ("comes back later", AS_OF + 1): (0, True),
    }


def test_at_moments_whose_horizon_has_not_elapsed_nothing_is_known() -> None:
    moments = [("stays", AS_OF), ("stays", AS_OF + 1)]
    assert set(labelled_at(LIVES, moments, log_end=END)) == {("stays", AS_OF)}
