"""`make find_best_model`: the forest beside AutoGluon's models, on the same held-out rows, within a time limit."""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pandas as pd

from churn.command import run, say, show
from churn.errors import AutoGluonMissingError, SettingError
from churn.files import whole_folder
from churn.quality.measures import LABEL
from training.forest.fit import ForestSettings, fit
from training.forest.search import Forests, SearchSettings, search_forests
from training.options import add_option, parse
from training.selection import leaderboard as boards
from training.selection.automl import ModelScores, automl_scores, thousand_rows
from training.selection.leaderboard import FOREST, Leaderboard, Timing
from training.table.dataset import fingerprint
from training.table.folder import DataFolder
from training.table.split import FOLDS, ORIGINS, Fold, Split, split
from training.tracking.runs import Run, tracked, with_bounds

TIME_LIMIT: Final = 300.0
SHORTEST, LONGEST = 30.0, 86_400.0
SHAPE: Final = ("trees", "depth", "leaf")
MOST_ROWS: Final = 50_000
"""Of a larger table, as many customers are drawn as have about this many rows: ranking models needs no more."""

NOTES: Final = (
    (
        "A pause of one horizon lies between what a model was fitted on and what it is judged on, where the log is "
        "long enough; no customer is on both sides."
    ),
    (
        "AutoGluon's ensemble is what AutoGluon itself would choose: it is weighted on one in five of the customers it "
        "was fitted on, and has not seen the held-out rows."
    ),
    (
        "The same table, settings and seed give the same scores, as long as no model is cut off by the time limit; the "
        "times are of this machine and this run."
    ),
)


@dataclass(frozen=True)
class SelectionSettings:
    """What a selection is asked for.

    Attributes:
        time_limit: seconds for all fits together; about, since a fit that is under way is finished.
        seed: of folds, models and bootstrap.
        folds: of customers.
        origins: how many of the newest dates with known labels are tested.
        forest: settings of our own.
        search: how our own is searched for, as training does; None takes `forest` as it is.
    """

    time_limit: float = TIME_LIMIT
    seed: int = 7
    folds: int = FOLDS
    origins: int = ORIGINS
    forest: ForestSettings = field(default_factory=ForestSettings)
    search: SearchSettings | None = None

    def __post_init__(self) -> None:
        if not SHORTEST <= self.time_limit <= LONGEST:
            raise SettingError("time_limit", self.time_limit, f"{SHORTEST:.0f} to {LONGEST:.0f} seconds")
        if not 1 <= self.origins <= 52:
            raise SettingError("origins", self.origins, "1 to 52")


def sampled(table: pd.DataFrame, most_rows: int, seed: int) -> pd.DataFrame:
    """All rows of so many customers that there are about `most_rows`; the table itself where it has fewer."""
    if len(table) <= most_rows:
        return table
    customers = table.customer_id.drop_duplicates().sort_values()
    drawn = customers.sample(frac=most_rows / len(table), random_state=seed)
    return table[table.customer_id.isin(drawn)].reset_index(drop=True)


def select(
    table: pd.DataFrame, horizon_days: int, settings: SelectionSettings, progress: Callable[[str], None]
) -> Leaderboard:
    """Judge the forest and AutoGluon's models on the folds that training holds out.

    Raises:
        NotEnoughDataError: too few customers or churners.
    """
    table = sampled(table, MOST_ROWS, settings.seed)
    parts = split(table, horizon_days, settings.seed, settings.folds, settings.origins)
    forests = _forests(table, parts, horizon_days, settings, progress)
    found = list(_judged(table, parts.folds, forests, settings, progress))
    scores = pd.concat([fold.scores for fold in found]).sort_index()
    never = {name for fold in found for name in fold.failures} - set(scores.columns)
    scores = scores.reindex(columns=[*scores.columns, *sorted(never)])  # so that the board names them
    return boards.leaderboard(
        scores, table.loc[scores.index, ["customer_id", "as_of", LABEL]], _timings(found), parts.sentence, settings.seed
    )


def _forests(
    table: pd.DataFrame, parts: Split, horizon_days: int, settings: SelectionSettings, progress: Callable[[str], None]
) -> Forests:
    if settings.search is None:
        return Forests(settings.forest)
    return search_forests(table, parts, horizon_days, settings.forest, settings.search, progress)


def _judged(
    table: pd.DataFrame,
    folds: Sequence[Fold],
    forests: Forests,
    settings: SelectionSettings,
    progress: Callable[[str], None],
) -> Iterator[ModelScores]:
    deadline = time.monotonic() + settings.time_limit
    for number, fold in enumerate(folds):
        known, tested = table.iloc[fold.train], table.iloc[fold.test]
        forest = forests.of(fold)
        ours = _forest(known, tested, forest)
        seconds = max(1.0, (deadline - time.monotonic()) / (len(folds) - number))
        progress(f"fold {number + 1} of {len(folds)}: {len(known)} rows known, {len(tested)} tested, {seconds:.0f} s")
        others = automl_scores(known, tested, forest.groups, settings.seed, seconds)
        for name, reason in others.failures.items():
            progress(f"  {name} was not ready: {reason}")
        yield ModelScores(
            ours.scores.join(others.scores),
            {**ours.fit_seconds, **others.fit_seconds},
            {**ours.score_seconds, **others.score_seconds},
            others.failures,
        )


def _forest(known: pd.DataFrame, tested: pd.DataFrame, settings: ForestSettings) -> ModelScores:
    start = time.perf_counter()
    fitted = fit(known, settings)
    fit_seconds = time.perf_counter() - start
    scores = pd.DataFrame({FOREST: fitted.score(fitted.encoder.frame(tested))}, index=tested.index)
    thousand = thousand_rows(tested)
    start = time.perf_counter()
    fitted.score(fitted.encoder.frame(thousand))
    return ModelScores(scores, {FOREST: fit_seconds}, {FOREST: time.perf_counter() - start}, {})


def _timings(found: list[ModelScores]) -> dict[str, Timing]:
    fits = pd.DataFrame([fold.fit_seconds for fold in found]).median()
    scoring = pd.DataFrame([fold.score_seconds for fold in found]).median()
    return {str(name): Timing(float(fits[name]), 1000 * float(scoring[name])) for name in fits.index}


def write(board: Leaderboard, target: Path, notes: list[str]) -> None:
    """The board as `leaderboard.csv`, `.md` and `.svg`, all of them or none."""
    with whole_folder(target) as folder:
        (folder / "leaderboard.csv").write_text(boards.csv(board))
        (folder / "leaderboard.md").write_text(boards.markdown(board, notes))
        (folder / "leaderboard.svg").write_bytes(boards.plot(board).svg)


def record(tracked_run: Run, board: Leaderboard, target: Path) -> None:
    """The board in MLflow: each model's figures, and the files."""
    for entry in board.entries:
        stem = entry.name.replace("'", "").replace("(", "").replace(")", "").replace(" ", "_")
        tracked_run.metrics(with_bounds({f"{stem}.auc": entry.auc, f"{stem}.difference_to_best": entry.difference}))
    tracked_run.metrics({"forest.place": board.forest.place, "rows": board.rows, "churners": board.churners})
    tracked_run.folder(target, "selection")


def main() -> None:
    arguments = _arguments()
    given = {name: value for name in SHAPE if (value := getattr(arguments, name)) is not None}
    forest = ForestSettings(**given, seed=arguments.seed)
    search = None if given else SearchSettings()
    settings = SelectionSettings(
        arguments.time_limit, arguments.seed, origins=arguments.origins, forest=forest, search=search
    )
    if find_spec("autogluon") is None:
        raise AutoGluonMissingError
    folder = DataFolder(arguments.data)
    table, facts = folder.training_table()
    with tracked("find_best_model", arguments.data, arguments.tracking, say) as tracked_run:
        start = time.monotonic()
        board = select(table, facts.horizon_days, settings, say)
        shape = "Our forest's features and shape were " + (
            "given." if given else "searched for before the tested dates."
        )
        took = f"All fits took {time.monotonic() - start:.0f} s; the limit was {settings.time_limit:.0f} s."
        write(board, arguments.report, [*NOTES, shape, took])
        tracked_run.parameters({"fingerprint": fingerprint(table), "label": facts.label, **asdict(settings)})
        record(tracked_run, board, arguments.report)
    for line in (arguments.report / "leaderboard.md").read_text().splitlines():
        show(line)
    show(f"leaderboard in {arguments.report}")


def _arguments() -> argparse.Namespace:
    usual = ForestSettings()
    parser = argparse.ArgumentParser(prog="python -m training.select", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder that `make featurize` wrote to")
    parser.add_argument("--report", type=Path, default=Path("reports/selection"), help="folder to replace")
    add_option(parser, "time-limit", float, TIME_LIMIT, "seconds for all fits together")
    parser.add_argument("--origins", type=int, default=ORIGINS, help="newest dates to test at")
    add_option(parser, "seed", int, usual.seed, "of every draw")
    for name in SHAPE:
        add_option(parser, name, int, None, "of our forest, as in `make train`; with one of them nothing is searched")
    parser.add_argument("--no-tracking", dest="tracking", action="store_false", help="log nothing to MLflow")
    return parse(parser)


if __name__ == "__main__":
    run(main)
