import random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.activity.features import Moment, come_back, features
from churn.activity.pages import PAGES
from churn.contract import BY_NAME, FEATURES, NAMES, NEEDS_HISTORY, NUMERIC, WINDOWS, Customer
from churn.contradictions import contradictions
from churn.moments import DAY_MS, iso
from tests.support import formulas
from tests.support.logs import event, event_table

AS_OF = 1_543_622_400_000  # 2018-12-01
CUSTOMERS = [f"customer {number}" for number in range(60)]
PAGE_NAMES = [*PAGES.values(), "Home", "Logout", "Cancellation Confirmation"]


def computed(rows: list[dict[str, Any]], history_days: float = 60) -> dict[str, dict[str, Any]]:
    table = features(event_table(rows), Moment(AS_OF, history_days)).to_pyarrow().to_pylist()
    return {row.pop("customer_id"): row for row in table}


def one(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return computed(rows)["a"]


def before(days: float) -> int:
    return AS_OF - round(days * DAY_MS)


def test_columns_are_the_contracts_in_its_order() -> None:
    assert tuple(one([event("a", before(1))])) == NAMES


def test_counts_of_one_small_life() -> None:
    row = one(
        [
            event("a", before(20), "NextSong", session_id=7, artist="X", length_ms=60_000),
            event("a", before(10), "NextSong", session_id=8, artist="X", length_ms=90_000),
            event("a", before(10) + 60_000, "NextSong", session_id=8, artist="Y", length_ms=30_000),
            event("a", before(10) + 120_000, "Thumbs Down", session_id=8),
            event("a", before(2), "Roll Advert", session_id=9),
        ]
    )
    assert {name: row[name] for name in row if name.startswith("songs_") and BY_NAME[name].group == "windows"} == {
        "songs_7d": 0,
        "songs_14d": 2,
        "songs_28d": 3,
        "songs_per_session_7d": 0.0,
        "songs_per_session_14d": 1.0,
        "songs_per_session_28d": 1.0,
        "songs_trend": 0.0,
    }
    assert [row[f"artists_{w}d"] for w in WINDOWS] == [0, 2, 2]
    assert [row[f"sessions_{w}d"] for w in WINDOWS] == [1, 2, 3]
    assert [row[f"session_minutes_{w}d"] for w in WINDOWS] == [0.0, 1.0, 2 / 3]
    assert [row[f"listening_minutes_{w}d"] for w in WINDOWS] == [0.0, 2.0, 3.0]
    assert [row[f"active_days_{w}d"] for w in WINDOWS] == [1, 2, 3]
    assert [row[f"thumbs_down_{w}d"] for w in WINDOWS] == [0, 1, 1]
    assert [row[f"adverts_{w}d"] for w in WINDOWS] == [1, 1, 1]
    assert row["adverts_trend"] == 4.0
    assert row["thumbs_up_trend"] is None
    assert row["days_since_last_event"] == 2.0


def test_each_page_is_counted_under_its_measure() -> None:
    visits = [event(measure, before(days), page) for measure, page in PAGES.items() for days in (1, 9)]
    found = computed([*visits, *(event(measure, before(1), "Home") for measure in PAGES)])
    counts = {measure: [found[measure][f"{measure}_{w}d"] for w in WINDOWS] for measure in PAGES}
    assert [counts[measure] for measure in PAGES] == [[1, 2, 2]] * len(PAGES)


def test_a_window_is_closed_at_its_start_and_open_at_as_of() -> None:
    edges = {w: [before(w) - 1, before(w), AS_OF - 1, AS_OF] for w in WINDOWS}
    found = computed([event(str(w), moment) for w, moments in edges.items() for moment in moments])
    assert {w: found[str(w)][f"events_{w}d"] for w in WINDOWS} == dict.fromkeys(WINDOWS, 2)
    inside = computed([event(str(w), moment) for w, moments in edges.items() for moment in moments[1:3]])
    assert {w: inside[str(w)][f"active_days_{w}d"] for w in WINDOWS} == dict.fromkeys(WINDOWS, 2)


def test_who_is_at_risk() -> None:
    rows = [
        event("quiet for exactly 30 days", before(30)),
        event("quiet for longer", before(30) - 1),
        event("cancelled", before(5)),
        event("cancelled", before(4), "Cancellation Confirmation"),
        event("cancels later", before(5)),
        event("cancels later", AS_OF, "Cancellation Confirmation"),
        event("comes later", AS_OF),
    ]
    assert set(computed(rows)) == {"quiet for exactly 30 days", "cancels later"}


def test_who_plays_a_song_after_cancelling_has_come_back() -> None:
    cancelled = [
        event(who, before(5), "Cancellation Confirmation") for who in ("back", "looks", "same moment", "again")
    ]
    rows = [
        *cancelled,
        event("back", before(4), "NextSong"),
        event("looks", before(4), "Home"),
        event("same moment", before(5), "NextSong"),
        event("again", before(4), "NextSong"),
        event("again", before(3), "Cancellation Confirmation"),
        event("again", before(2), "Login"),
        event("back too late", before(40), "Cancellation Confirmation"),
        event("back too late", before(31), "NextSong"),
        event("back later", before(5), "Cancellation Confirmation"),
        event("back later", AS_OF, "NextSong"),
    ]
    assert set(computed(rows)) == {"back"}
    past = event_table([row for row in rows if row["ts"] < AS_OF])
    assert {row["customer_id"] for row in come_back(past).to_pyarrow().to_pylist()} == {"back", "back too late"}


def test_someone_quiet_for_29_days_has_zeros_and_nulls() -> None:
    row = one([event("a", before(29), "NextSong", level="paid", os="Linux")])
    assert (row["level"], row["os"], row["songs_28d"], row["sessions_28d"]) == ("paid", "Linux", 0, 0)
    assert row["session_minutes_28d"] is None
    assert row["songs_trend"] is None


def test_the_profile_is_the_last_known_before_as_of() -> None:
    row = one(
        [
            event("a", before(3), level="paid", gender="F", os="Linux", browser="Chrome", registration=before(100)),
            event("a", before(2), level="free"),
            event("a", AS_OF, level="paid", gender="M", os="iOS", browser="Safari"),
        ]
    )
    assert [row[n] for n in ("level", "gender", "os", "browser", "tenure_days")] == [
        "free",
        "F",
        "Linux",
        "Chrome",
        100.0,
    ]


def test_events_at_the_same_moment_are_ordered_by_their_place_in_the_session() -> None:
    rows = [event("a", before(1), item=2, level="paid"), event("a", before(1), item=1, level="free")]
    assert one(rows)["level"] == one(rows[::-1])["level"] == "paid"


def test_a_registration_after_as_of_is_not_known_yet() -> None:
    assert one([event("a", before(1), registration=AS_OF + 1)])["tenure_days"] is None


def test_sessions_of_two_customers_with_one_number_are_two() -> None:
    rows = [event("a", before(1), session_id=5), event("b", before(2), session_id=5)]
    assert [row["sessions_7d"] for row in computed(rows).values()] == [1, 1]


def test_values_above_their_bound_are_capped() -> None:
    row = one([event("a", before(1) + i, "Thumbs Up") for i in range(70_001)])
    assert row["thumbs_up_7d"] == BY_NAME["thumbs_up_7d"].maximum == 70_000


@pytest.mark.parametrize(("history_days", "longest"), [(27.9, 0), (28, 28), (55.9, 28), (56, 56)])
def test_a_group_that_looks_further_back_than_the_log_is_null(history_days: float, longest: int) -> None:
    rows = [event("a", before(days), "Thumbs Down", session_id=days) for days in range(1, 6)]
    row = computed(rows, history_days)["a"]
    assert {name for name in NEEDS_HISTORY if row[name] is not None} == {
        name for name, days in NEEDS_HISTORY.items() if days <= longest
    }
    assert row["thumbs_down_28d"] == 5


def test_a_customers_features_are_the_same_alone_and_among_all() -> None:
    rows = random_rows(11)
    together = computed(rows)
    alone = sorted(together)[:2]
    assert [computed([row for row in rows if row["customer_id"] == who])[who] for who in alone] == [
        together[who] for who in alone
    ]


def random_rows(seed: int) -> list[dict[str, Any]]:
    """A random log. Many customers at once: a query costs the same for one as for sixty."""
    draw = random.Random(seed)
    edges = [before(7), before(14), before(28), before(30), before(56), AS_OF]

    def row() -> dict[str, Any]:
        return event(
            draw.choice(CUSTOMERS),
            draw.choice([*edges, *(draw.randrange(before(70), AS_OF + 10 * DAY_MS) for _ in range(25))]),
            draw.choice([*PAGE_NAMES, *PAGE_NAMES[:-1], *PAGE_NAMES[:-1]]),
            session_id=draw.randint(1, 4),
            item=draw.randint(0, 9),
            level=draw.choice(["free", "paid"]),
            gender=draw.choice(["F", "M", None]),
            os=draw.choice(["Linux", "iOS", None]),
            registration=draw.choice([None, before(50), before(3), AS_OF + DAY_MS]),
            artist=draw.choice(["X", "Y", None]),
            length_ms=draw.choice([None, 1, 200_123]),
        )

    return [row() for _ in range(draw.randint(4, 24) * len(CUSTOMERS))]


def test_no_features_of_any_events_contradict_each_other() -> None:
    generator = np.random.default_rng(5)
    pages = ["Home", *PAGES.values()]
    rows = []
    for customer in range(300):
        count = int(generator.integers(1, 12))
        ages = generator.choice(
            [0, 1, *(days * DAY_MS for days in (7, 14, 28, 56))], count
        )  # at the windows' edges, too
        ages = np.where(
            generator.random(count) < 0.5, ages, generator.integers(0, 30 * DAY_MS, count) * generator.integers(1, 3)
        )
        for age, page, session in zip(
            ages, generator.choice(pages, count), generator.integers(1, 4, count), strict=True
        ):
            artist = None if generator.random() < 0.1 else str(generator.integers(3))
            length = None if generator.random() < 0.1 else int(generator.integers(1, 500_000))
            song = {"artist": artist, "length_ms": length} if page == "NextSong" else {}
            rows.append(event(str(customer), AS_OF - 1 - int(age), str(page), session_id=int(session), **song))
    table = features(event_table(rows), Moment(AS_OF, 56)).to_pandas()
    assert len(table) > 250
    assert list(contradictions(table[list(NUMERIC)].to_numpy(dtype=np.float64))) == []


few = settings(max_examples=3, deadline=None)
seeds = st.integers(0, 2**32)


@few
@given(seeds)
def test_events_at_or_after_as_of_change_nothing(seed: int) -> None:
    rows = random_rows(seed)
    past = [row for row in rows if row["ts"] < AS_OF]
    both = past + [row | {"ts": AS_OF + row["ts"] % DAY_MS} for row in rows]
    random.Random(seed).shuffle(both)
    assert computed(past) == computed(both)


@few
@given(
    st.lists(
        st.builds(
            event,
            st.sampled_from(CUSTOMERS[:20]),
            st.integers(-20, 20).map(lambda hour: AS_OF + hour * DAY_MS // 24),
            st.sampled_from(["NextSong", "Cancellation Confirmation", "Home"]),
        ),
        min_size=40,
        max_size=200,
    )
)
def test_who_came_back_by_as_of_is_decided_by_what_came_before_it(rows: list[dict[str, Any]]) -> None:
    past = [row for row in rows if row["ts"] < AS_OF]
    newest = {(row["customer_id"], row["page"]): row["ts"] for row in sorted(past, key=lambda row: int(row["ts"]))}
    at_risk = {
        who
        for who, _ in newest
        if (who, "Cancellation Confirmation") not in newest
        or newest.get((who, "NextSong"), 0) > newest[who, "Cancellation Confirmation"]
    }
    assert set(computed(rows)) == set(computed(past)) == at_risk


@few
@given(seeds)
def test_features_equal_a_plain_reckoning_and_keep_the_contract(seed: int) -> None:
    rows = random_rows(seed)
    found = computed(rows)
    assert found == {customer: pytest.approx(row) for customer, row in reckoned(rows).items()}
    for customer_id, row in found.items():
        Customer.model_validate({"customer_id": customer_id, "as_of": iso(AS_OF)} | row)


def reckoned(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The definition once more, customer by customer, in plain Python."""
    past = [row for row in rows if row["ts"] < AS_OF]
    found = {}
    for customer_id in {row["customer_id"] for row in past}:
        mine = sorted(
            (row for row in past if row["customer_id"] == customer_id),
            key=lambda r: [
                (r[n] is None, r[n]) for n in ("ts", "item", "session_id", "page", "level", "os", "browser", "gender")
            ],
        )
        left = max((row["ts"] for row in mine if row["page"] == "Cancellation Confirmation"), default=None)
        stayed = left is None or any(row["page"] == "NextSong" and row["ts"] > left for row in mine)
        if stayed and mine[-1]["ts"] >= before(30):
            old = formulas.behaviour(pd.DataFrame(mine), AS_OF)
            found[customer_id] = _reckon_one([row for row in mine if row["ts"] >= before(30)], old)
    return found


def _reckon_one(mine: list[dict[str, Any]], behaviour: dict[str, Any]) -> dict[str, Any]:
    def last(name: str) -> Any:
        return next((row[name] for row in reversed(mine) if row[name] is not None), None)

    registration = last("registration")
    row: dict[str, Any] = {name: last(name) for name in ("level", "gender", "os", "browser")}
    row["tenure_days"] = None if registration is None or registration > AS_OF else (AS_OF - registration) / DAY_MS
    row["days_since_last_event"] = (AS_OF - mine[-1]["ts"]) / DAY_MS
    for window in WINDOWS:
        row |= {f"{name}_{window}d": v for name, v in _reckon_window(mine, window).items()}
    for feature in FEATURES:
        if feature.group == "windows" and feature.name.endswith("_trend"):
            whole = row[f"{feature.measure}_28d"]
            row[feature.name] = 4 * row[f"{feature.measure}_7d"] / whole if whole else None
    row |= behaviour
    return {name: row[name] for name in NAMES}


def _reckon_window(mine: list[dict[str, Any]], window: int) -> dict[str, Any]:
    rows = [row for row in mine if row["ts"] >= before(window)]
    songs = [row for row in rows if row["page"] == "NextSong"]
    sessions: dict[int, list[int]] = {}
    for row in rows:
        sessions.setdefault(row["session_id"], []).append(row["ts"])
    spans = [max(ts) - min(ts) for ts in sessions.values()]
    found: dict[str, Any] = {m: sum(row["page"] == page for row in rows) for m, page in PAGES.items()}
    return found | {
        "events": len(rows),
        "listening_minutes": sum(row["length_ms"] or 0 for row in songs) / 60_000,
        "artists": len({row["artist"] for row in songs} - {None}),
        "sessions": len(sessions),
        "active_days": len({(AS_OF - 1 - row["ts"]) // DAY_MS for row in rows}),
        "songs_per_session": len(songs) / len(sessions) if sessions else None,
        "session_minutes": sum(spans) / len(spans) / 60_000 if spans else None,
    }
