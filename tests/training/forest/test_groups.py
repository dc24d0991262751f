"""Groups of features: which a log can fill, which set wins, and what the chosen forest sees."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from churn.activity.features import DAY_MS
from churn.contract import GROUPS, NUMERIC
from churn.errors import SettingError
from churn.model.scoring import Encoder
from churn.quality.paired import paired
from tests.support import synthetic
from training.forest.fit import ForestSettings, columns_for, fit_unchecked
from training.forest.groups import Offer, candidates, offered, winner
from training.forest.search import SearchSettings, search, search_forests
from training.table.split import split

BASE = ForestSettings(trees=20, seed=3, jobs=1)
SMALL = SearchSettings(trees=(10, 20), depths=(2,), leaves=(10,), folds=2)
OTHERS = tuple(group.name for group in GROUPS if group.name not in ("profile", "windows"))
NAMES_OF = {group.name: group.names for group in GROUPS}


def quiet(_: str) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic.training_table(snapshots=14)


def emptied(table: pd.DataFrame, group: str, rows: "pd.Series[bool]") -> pd.DataFrame:
    """The table without the values of a group on some rows."""
    return table.assign(**{name: table[name].where(~rows) for name in NAMES_OF[group]})


def test_a_group_is_offered_where_it_is_filled_at_the_tested_dates_and_three_before(table: pd.DataFrame) -> None:
    parts = split(table, 30, 1)
    assert parts.kind == "time and customers"
    assert offered(table, parts, 30) == Offer(OTHERS, ())
    dates = sorted(table.as_of.unique())
    known = [date for date in dates if date <= min(parts.origins) - 30 * DAY_MS]
    for gone, still in ((table.as_of == parts.origins[0], False), (table.as_of.isin(known[:-3]), True),
                        (table.as_of.isin(known[:-2]), len(known) < 3)):  # fmt: skip
        found = offered(emptied(table, "friction", gone), parts, 30)
        assert ("friction" in found.filled) is still
        assert ("friction" in found.missing) is not still


def test_without_a_gap_the_tested_dates_alone_must_be_filled(table: pd.DataFrame) -> None:
    short = table[table.as_of >= sorted(table.as_of.unique())[-2]].reset_index(drop=True)
    parts = split(short, 30, 1)
    assert parts.kind == "customers"
    assert offered(short, parts, 30).filled == OTHERS
    gone = emptied(short, "habit_gaps_56d", short.as_of == short.as_of.max())
    assert offered(gone, parts, 30).missing == ("habit_gaps_56d",)


def test_the_candidates_are_the_default_each_added_and_all() -> None:
    assert candidates(("a", "b")) == [("windows",), ("windows", "a"), ("windows", "b"), ("windows", "a", "b")]
    assert candidates(("a",)) == [("windows",), ("windows", "a")]


@pytest.mark.parametrize(("strength", "wins"), [(2.0, 1), (0.0, 0)])
def test_a_larger_set_wins_only_by_two_standard_errors(strength: float, wins: int) -> None:
    draw = np.random.default_rng(5)
    churned = (draw.random(600) < 0.3).astype(np.float64)
    plain = churned + draw.normal(size=600) * 2
    scores = pd.DataFrame({"small": plain, "large": plain + strength * churned + draw.normal(size=600) * 0.2})
    judged = paired(scores, churned, pd.Series(np.arange(600).astype(str)), 1, resamples=200)
    assert winner([5, 9], judged) == wins
    assert winner([9, 5], judged) == 1 if strength else winner([9, 5], judged) in (0, 1)


def test_the_group_that_tells_is_chosen_and_the_others_are_not(table: pd.DataFrame) -> None:
    """One group's features become the outcome, all others chance: the search finds it, and stores it."""
    draw = np.random.default_rng(1)
    told = {name: table.churned + draw.normal(size=len(table)) * 0.3 for name in NAMES_OF["friction"]}
    chance = {name: draw.random(len(table)) for name in NUMERIC if name not in told and not table[name].isna().all()}
    found = search(table.assign(**told, **chance), BASE, SMALL, quiet, Offer(("friction", "last_session"), ("x",)))
    assert found.groups.chosen == ("windows", "friction")
    assert found.chosen.groups == ("windows", "friction")
    assert found.to_dict()["groups"]["not_offered"] == ("x",)
    gains = {one.groups: one.gain for one in found.groups.tried}
    assert gains[("windows",)] == 0
    assert gains[("windows", "friction")] > 0.1


def test_the_search_of_groups_never_sees_the_test(table: pd.DataFrame) -> None:
    parts = split(table, 30, 1)
    unseen = table.as_of > min(parts.origins) - 30 * DAY_MS
    turned = table.assign(churned=table.churned.where(~unseen, 1 - table.churned))
    first, second = (search_forests(frame, parts, 30, BASE, SMALL, quiet) for frame in (table, turned))
    assert first == second
    assert first.found is not None
    assert len(first.found.groups.tried) == len(OTHERS) + 2


def test_a_forest_sees_the_columns_of_its_groups_only(table: pd.DataFrame) -> None:
    columns = columns_for(table, replace(BASE, groups=("friction",)))
    assert {column.feature for column in columns} == {*NAMES_OF["profile"], *NAMES_OF["friction"]}
    fitted = fit_unchecked(table, replace(BASE, groups=("friction",)))
    other = table.assign(**dict.fromkeys(NAMES_OF["windows"], 0.0))
    assert (fitted.score(fitted.encoder.frame(table)) == fitted.score(fitted.encoder.frame(other))).all()


def test_a_batch_and_a_frame_are_encoded_alike_by_a_model_of_few_features(table: pd.DataFrame) -> None:
    encoder = Encoder(columns_for(table, replace(BASE, groups=("friction",))))
    numbers = table[list(NUMERIC)].to_numpy(np.float64)
    categories = [tuple(row) for row in table[["level", "gender", "os", "browser"]].itertuples(index=False)]
    assert (encoder.batch(numbers, categories) == encoder.frame(table)).all()


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(SettingError, match="groups"):
        ForestSettings(groups=("profile",))
