import numpy as np
import pandas as pd
import pytest

from churn.activity.features import DAY_MS
from churn.errors import NotEnoughDataError, SettingError
from tests.support.logs import event, event_table
from tests.support.synthetic import training_table
from training.evaluation_report.whole_history import (
    NUMBERS,
    OBSERVED,
    held_out_scores,
    history,
    labelled,
    point_in_time,
    published_label,
    random_splits,
)
from training.forest.fit import ForestSettings
from training.table.split import split

START = 1_538_352_000_000
MINUTE = 60_000


def test_the_predecessors_features_by_hand() -> None:
    rows = [
        event("a", START, "NextSong", registration=START - 10 * DAY_MS, artist="A", length_ms=240_000, item=0),
        event("a", START + 4 * MINUTE, "NextSong", artist="B", length_ms=120_000, item=1),
        event("a", START + 6 * MINUTE, "Thumbs Down", item=2),
        event("a", START + 2 * DAY_MS, "Home", session_id=2, level="paid"),
        event("b", START, "Roll Advert", gender="F"),
    ]
    table = history(event_table(rows)).set_index("customer_id")
    a = table.loc["a"]
    assert (a.songs, a.artists, a.thumbs_down, a.sessions) == (2, 2, 1, 2)
    assert a.listening_minutes == 6
    assert a.songs_per_session == 1
    assert a.session_minutes == 3
    assert a.tenure_days == 12
    assert a.observed_days == 2
    assert a.level == "paid"
    assert (table.loc["b"].adverts, table.loc["b"].gender, table.loc["b"].listening_minutes) == (1, "F", 0)


def test_until_sees_nothing_after() -> None:
    rows = [event("a", START, "NextSong"), event("a", START + DAY_MS, "NextSong"), event("b", START + DAY_MS)]
    found = history(event_table(rows), START + DAY_MS)
    assert found.customer_id.tolist() == ["a"]
    assert found.songs.tolist() == [1]


def test_the_published_label_by_hand() -> None:
    """A trigger, and silence for more than 30 days before the end: 30 days sharp are not more."""
    end = START + 40 * DAY_MS
    rows = [
        event("gone", START + 9 * DAY_MS, "Thumbs Down"),
        event("sharp", START + 10 * DAY_MS, "Thumbs Down"),
        event("quiet", START, "Home"),
        event("stays", START, "Submit Downgrade"),
        event("stays", end, "Home"),
    ]
    found = published_label(event_table(rows), end).set_index("customer_id").churned
    assert found.to_dict() == {"gone": 1, "sharp": 0, "quiet": 0, "stays": 0}


def customers(count: int, seed: int = 0) -> pd.DataFrame:
    """Customers who behave alike; those who left were only seen for a shorter time."""
    generator = np.random.default_rng(seed)
    churned = (np.arange(count) < count // 5).astype(int)
    observed = np.where(churned == 1, generator.uniform(1, 30, count), generator.uniform(30, 60, count))
    frame = pd.DataFrame({name: generator.poisson(5, count).astype(float) for name in NUMBERS})
    return frame.assign(
        customer_id=[str(number) for number in range(count)],
        level="free",
        gender="F",
        os=None,
        browser=None,
        observed_days=observed,
        churned=churned,
    )


def test_the_observed_time_span_gives_the_answer_away() -> None:
    rows = customers(200)
    with_span, without = (random_splits(rows, names, 1, 10) for names in ([*NUMBERS, OBSERVED], NUMBERS))
    assert with_span.figures["auc"].mean > 0.95
    assert without.figures["auc"].mean < 0.65
    assert without.figures["auc"].low < without.figures["auc"].mean < without.figures["auc"].high
    assert (with_span.customers, with_span.churners, with_span.test_customers) == (200, 40, 40)
    assert with_span.test_churners == 8


def test_the_same_seed_splits_the_same() -> None:
    rows = customers(60)
    assert random_splits(rows, NUMBERS, 1, 3) == random_splits(rows, NUMBERS, 1, 3)
    assert random_splits(rows, NUMBERS, 1, 3) != random_splits(rows, NUMBERS, 2, 3)


def test_too_few_who_left_are_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="4 customers who left and 16 who stayed"):
        random_splits(customers(20), NUMBERS, 1)


@pytest.mark.parametrize("splits", [1, 10_001])
def test_splits_out_of_range_are_refused(splits: int) -> None:
    with pytest.raises(SettingError, match=f"splits={splits}"):
        random_splits(customers(60), NUMBERS, 1, splits)


def test_labels_come_with_the_features_of_those_seen_before() -> None:
    rows = [event("a", START), event("b", START + 5 * DAY_MS)]
    assert labelled(event_table(rows), START + 9 * DAY_MS, START + DAY_MS).customer_id.tolist() == ["a"]


def test_each_row_of_the_table_gets_its_own_moment() -> None:
    rows = [event("a", START + day * DAY_MS, "NextSong", item=day) for day in range(10)]
    table = pd.DataFrame(
        {"customer_id": "a", "as_of": [START + 2 * DAY_MS, START + 7 * DAY_MS], "churned": [0, 1]}, index=[0, 1]
    )
    found = point_in_time(event_table(rows), table, lambda _: None)
    assert found.songs.tolist() == [2, 7]
    assert found.churned.tolist() == [0, 1]


def test_the_comparison_scores_the_rows_that_are_held_out() -> None:
    table = training_table(customers=120, snapshots=3)
    parts = split(table, 30, 1, folds=2)
    rows = customers(len(table)).assign(churned=table.churned.to_numpy())
    scores = held_out_scores(rows, NUMBERS, parts, ForestSettings(10, 3, 10, jobs=1), lambda _: None)
    assert scores.index.tolist() == sorted(np.concatenate([fold.test for fold in parts.folds]))
    fold = parts.folds[0]
    turned = rows.copy()
    turned.loc[fold.test, "churned"] = 1 - turned.loc[fold.test, "churned"]
    again = held_out_scores(turned, NUMBERS, parts, ForestSettings(10, 3, 10, jobs=1), lambda _: None)
    assert again[fold.test].equals(scores[fold.test])
