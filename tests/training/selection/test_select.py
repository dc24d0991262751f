"""AutoGluon's models and the forest meet on the rows that training holds out, and nothing else gets in."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn.contract import CATEGORICAL, FEATURES, NAMES
from churn.errors import AutoGluonMissingError, SettingError
from tests.support import synthetic
from training import select
from training.forest.fit import ForestSettings, held_out_scores
from training.forest.search import SearchSettings, search_forests
from training.select import SelectionSettings
from training.selection import automl
from training.selection.automl import automl_scores
from training.selection.leaderboard import FOREST, Leaderboard, Timing, leaderboard, markdown, verdict
from training.table.split import split

pytestmark = pytest.mark.slow

SMALL = ForestSettings(trees=20, depth=4, leaf=10, jobs=1)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic.training_table(customers=300, snapshots=8)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, of which none should be left; another to run in."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(there))
    return tmp_path


def test_the_features_are_the_contracts_and_no_more(table: pd.DataFrame) -> None:
    frame = automl.features(table, synthetic.ALL_GROUPS)
    assert tuple(frame.columns) == NAMES
    of_windows = automl.features(table, ("windows",)).columns
    assert set(of_windows) == {feature.name for feature in FEATURES if feature.group in ("profile", "windows")}
    assert [name for name in frame.columns if frame[name].dtype == "category"] == list(CATEGORICAL)
    assert tuple(automl.features(table, synthetic.ALL_GROUPS, "churned").columns) == (*NAMES, "churned")


def test_selection_judges_the_forest_as_training_does(
    table: pd.DataFrame, temporary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = SelectionSettings(time_limit=60, folds=2, origins=1, forest=SMALL)
    said: list[str] = []
    board = select.select(table, 30, settings, said.append)
    folds = split(table, 30, settings.seed, settings.folds, settings.origins).folds
    rows = held_out_scores(table, folds, SMALL, lambda _: None)
    alone = leaderboard(rows[["score"]].set_axis([FOREST], axis=1), rows, {FOREST: Timing(1, 1)}, "", settings.seed)
    assert board.forest.auc == alone.forest.auc
    assert board.rows == len(rows)
    assert board.customers == rows.customer_id.nunique()
    assert any(line.startswith("fold 2 of 2") for line in said)
    assert sorted(temporary.rglob("*")) == [temporary / "here", temporary / "there"]
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_autogluon_scores_rows_whose_label_and_customer_it_does_not_get(table: pd.DataFrame, temporary: Path) -> None:
    known, tested = table[table.as_of < table.as_of.max()], table[table.as_of == table.as_of.max()]
    hidden = tested.drop(columns=["churned", "customer_id", "as_of"])
    found = automl_scores(known, hidden, ("windows",), seed=7, seconds=60)
    assert found.scores.index.equals(tested.index)
    assert "LightGBM" in found.scores.columns
    assert set(found.fit_seconds) == set(found.score_seconds) == set(found.scores.columns)
    assert found.scores.to_numpy().min() >= 0
    assert found.scores.to_numpy().max() <= 1


def test_an_autogluon_that_fails_leaves_the_forest_alone_on_the_board(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise AssertionError("Not enough time left to train models\nmore")

    monkeypatch.setattr(automl, "_fitted_and_scored", failing)
    said: list[str] = []
    settings = SelectionSettings(time_limit=60, folds=2, origins=1, forest=SMALL)
    board = select.select(table, 30, settings, said.append)
    assert [entry.name for entry in board.entries] == [FOREST]
    assert board.unfinished == ("AutoGluon",)
    assert "  AutoGluon was not ready: AssertionError Not enough time left to train models" in said
    assert verdict(board)
    assert "place" in markdown(board, [])


def test_the_forest_on_the_board_is_the_one_that_training_searches_for(table: pd.DataFrame) -> None:
    search = SearchSettings(trees=(10,), depths=(2,), leaves=(10,), folds=2)
    settings = SelectionSettings(folds=2, origins=1, forest=SMALL, search=search)
    parts = split(table, 30, 7, 2, 1)
    assert select._forests(table, parts, 30, settings, lambda _: None) == search_forests(
        table, parts, 30, SMALL, search, lambda _: None
    )


def test_a_larger_table_is_cut_by_whole_customers(table: pd.DataFrame) -> None:
    drawn = select.sampled(table, 800, seed=1)
    assert abs(len(drawn) - 800) <= 8
    complete = table.groupby("customer_id").size()
    assert (drawn.groupby("customer_id").size() == complete[drawn.customer_id.unique()]).all()
    assert drawn.equals(select.sampled(table, 800, seed=1))
    assert select.sampled(table, len(table), seed=1) is table


def test_a_time_is_measured_on_a_thousand_rows_however_few_are_tested(table: pd.DataFrame) -> None:
    thousand = automl.thousand_rows(table.head(7))
    assert len(thousand) == 1_000
    assert set(thousand.index) == set(range(7))


def test_a_model_that_was_skipped_or_failed_is_named_with_the_reason() -> None:
    class Predictor:
        def model_failures(self) -> pd.DataFrame:
            return pd.DataFrame({"model": ["CatBoost"], "exc_type": ["TimeLimitExceeded"], "exc_str": [""]})

    found = automl._failures(Predictor(), ["LightGBM", "RandomForest", "LinearModel", "WeightedEnsemble_L2"])
    assert found == {"CatBoost": "TimeLimitExceeded", "extremely randomised trees": "no time was left for it"}


@pytest.mark.parametrize(
    "settings", [{"time_limit": 29}, {"time_limit": float("nan")}, {"time_limit": 1e6}, {"origins": 0}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(settings))):
        SelectionSettings(**settings)


def test_without_autogluon_it_says_which_group_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "find_spec", lambda _: None)
    monkeypatch.setattr("sys.argv", ["select", "--no-tracking"])
    with pytest.raises(AutoGluonMissingError, match="group `select`"):
        select.main()


@pytest.fixture
def board() -> Leaderboard:
    generator = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"customer_id": [str(n) for n in range(200)], "as_of": 0, "churned": generator.integers(0, 2, 200)}
    )
    scores = pd.DataFrame({FOREST: generator.random(200), "AutoGluon's ensemble of these": generator.random(200)})
    return leaderboard(scores, rows, dict.fromkeys(scores.columns, Timing(1, 1)), "other customers", 0)


def test_the_board_is_written_as_a_whole(tmp_path: Path, board: Leaderboard) -> None:
    target = tmp_path / "selection"
    select.write(board, target, ["note"])
    select.write(board, target, ["another note"])
    assert sorted(path.name for path in target.iterdir()) == ["leaderboard.csv", "leaderboard.md", "leaderboard.svg"]
    assert "another note" in (target / "leaderboard.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["selection"]


def test_the_board_is_logged_with_its_intervals(tmp_path: Path, board: Leaderboard) -> None:
    metrics: dict[str, float] = {}

    class Kept:
        id = "1"

        def metrics(self, values: Mapping[str, float]) -> None:
            metrics.update(values)

        def parameters(self, values: Mapping[str, Any]) -> None: ...

        def tags(self, values: Mapping[str, str]) -> None: ...

        def folder(self, path: Path, name: str) -> None: ...

    select.record(Kept(), board, tmp_path)
    assert metrics["our_forest_class-balanced.auc"] == board.forest.auc.value
    assert metrics["our_forest_class-balanced.auc_low"] == board.forest.auc.low
    assert metrics["AutoGluons_ensemble_of_these.auc"] in [entry.auc.value for entry in board.entries]
    assert metrics["forest.place"] == board.forest.place
