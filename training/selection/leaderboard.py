"""Models judged on the same held-out rows: who comes first, and whether the forest's place costs anything."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from churn.moments import iso
from churn.quality.figure import Figure
from churn.quality.measures import LABEL, auc, average_precision
from churn.quality.paired import paired
from training.card.plots import Bar, Caption, Plot, bars
from training.evaluation.evaluate import FEW_CHURNERS

FOREST: Final = "our forest (class-balanced)"


@dataclass(frozen=True)
class Timing:
    """Seconds to fit once, and milliseconds to score a thousand rows at once, on this machine; medians of the folds."""

    fit_seconds: float
    score_milliseconds: float


@dataclass(frozen=True)
class Entry:
    """One model on the board. `difference`: its AUC minus that of the best, on the same rows."""

    place: int
    name: str
    auc: Figure
    difference: Figure
    average_precision: Figure
    timing: Timing


@dataclass(frozen=True)
class Leaderboard:
    """The models, best first, and what they were judged on.

    Attributes:
        entries: sorted by AUC.
        forest_gaps: AUC of the forest minus that of each other model.
        unfinished: models that did not get done in every fold, and so are not on the board.
        rows, customers, churners: held out.
        dates: of the held-out rows.
        split: what separates them from the rows the models were fitted on.
    """

    entries: tuple[Entry, ...]
    forest_gaps: Mapping[str, Figure]
    unfinished: tuple[str, ...]
    rows: int
    customers: int
    churners: int
    dates: tuple[str, ...]
    split: str

    @property
    def forest(self) -> Entry:
        return next(entry for entry in self.entries if entry.name == FOREST)


def leaderboard(
    scores: pd.DataFrame, rows: pd.DataFrame, timings: Mapping[str, Timing], split: str, seed: int
) -> Leaderboard:
    """Rank the models whose scores are complete.

    Args:
        scores: one column per model, `FOREST` among them; NaN where a model was not ready.
        rows: `customer_id`, `as_of` and `churned` of the same rows.
        timings: of each model.
        split: see `Leaderboard`.
        seed: of the bootstrap.
    """
    done = scores.dropna(axis="columns")
    churned = rows[LABEL].to_numpy("float64")
    by_auc = paired(done, churned, rows.customer_id, seed, auc)
    by_precision = paired(done, churned, rows.customer_id, seed, average_precision)
    ranked = sorted(by_auc.names, key=lambda name: -by_auc.figure(name).value)
    entries = [
        Entry(
            place,
            name,
            by_auc.figure(name),
            by_auc.difference(name, ranked[0]),
            by_precision.figure(name),
            timings[name],
        )
        for place, name in enumerate(ranked, 1)
    ]
    return Leaderboard(
        entries=tuple(entries),
        forest_gaps={name: by_auc.difference(FOREST, name) for name in ranked if name != FOREST},
        unfinished=tuple(sorted(set(scores.columns) - set(done.columns))),
        rows=len(rows),
        customers=int(rows.customer_id.nunique()),
        churners=int(rows.customer_id[rows[LABEL] == 1].nunique()),
        dates=tuple(iso(int(date)) for date in sorted(rows.as_of.unique())),
        split=split,
    )


def verdict(board: Leaderboard) -> list[str]:
    """The forest's place in plain words: what it costs, or that nothing tells it from the best."""
    forest, models = board.forest, len(board.entries)
    lines = [f"{FOREST[0].upper()}{FOREST[1:]}: place {forest.place} of {models}, AUC {forest.auc}."]
    if models > 1:
        lines.append(_against_rival(board))
    lines.append(
        "The forest is chosen because each of its answers can be explained exactly, in a fraction of a millisecond "
        "with the compiled kernel, and because it is stored as a small ONNX graph that runs no code when loaded."
    )
    if board.churners < FEW_CHURNERS:
        lines.append(
            f"Only {board.churners} churners were held out: too few to tell these models apart, whatever the order."
        )
    return lines


def _against_rival(board: Leaderboard) -> str:
    """Compared with the best; with the runner-up where the forest is the best."""
    forest = board.forest
    rival = board.entries[1 if forest.place == 1 else 0]
    gap = board.forest_gaps[rival.name]
    figures = f"{_signed(gap.value)} AUC, 95 % interval {_signed(gap.low)} to {_signed(gap.high)}"
    if forest.place == 1:
        return f"No model did better on these rows; next is {rival.name} (the forest's lead: {figures})."
    if gap.high < 0:
        return (
            f"It costs something: against the best, {rival.name}, {figures}. The best was picked on these very rows, "
            "which flatters it."
        )
    return (
        f"It cannot be told from the best, {rival.name}: {figures}; at worst it costs {max(-gap.low, 0.0):.3f}. "
        "The best was picked on these very rows, which flatters it."
    )


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def frame(board: Leaderboard) -> pd.DataFrame:
    """The board as a table, one row per model."""
    return pd.DataFrame([_row(entry) for entry in board.entries])


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "place": entry.place,
        "model": entry.name,
        "auc": entry.auc.value,
        "auc_low": entry.auc.low,
        "auc_high": entry.auc.high,
        "difference_to_best": entry.difference.value,
        "difference_low": entry.difference.low,
        "difference_high": entry.difference.high,
        "average_precision": entry.average_precision.value,
        "average_precision_low": entry.average_precision.low,
        "average_precision_high": entry.average_precision.high,
        "fit_seconds": entry.timing.fit_seconds,
        "milliseconds_per_1000_rows": entry.timing.score_milliseconds,
    }


def csv(board: Leaderboard) -> str:
    buffer = io.StringIO()
    frame(board).to_csv(buffer, index=False)
    return buffer.getvalue()


def markdown(board: Leaderboard, notes: list[str]) -> str:
    """The board for people, with what it rests on, the verdict and `notes`."""
    head = "| place | model | AUC | difference to the best | average precision | fit, s | 1,000 rows, ms |"
    lines = [
        "# Model selection",
        "",
        (
            f"{board.rows} held-out rows of {board.customers} customers ({board.churners} churned) at "
            f"{', '.join(board.dates)}: {board.split}. All models score the same rows; intervals are 95 %, by a "
            "bootstrap of customers with all their rows, the same draws for all models."
        ),
        "",
        head,
        "|" + "---|" * head.count(" | ") + "---|",
        *(_line(entry) for entry in board.entries),
        "",
        "![AUC of each model with its interval](leaderboard.svg)",
        "",
        *(f"{line}\n" for line in verdict(board)),
        *(f"- {note}" for note in notes),
    ]
    if board.unfinished:
        lines.append(f"- Not on the board, since not ready in every fold in time: {', '.join(board.unfinished)}.")
    return "\n".join(lines) + "\n"


def _line(entry: Entry) -> str:
    cells = [
        str(entry.place),
        f"**{entry.name}**" if entry.name == FOREST else entry.name,
        _ranged(entry.auc),
        "–" if entry.place == 1 else _ranged(entry.difference, _signed),
        _ranged(entry.average_precision),
        f"{entry.timing.fit_seconds:.1f}",
        f"{entry.timing.score_milliseconds:.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _ranged(figure: Figure, shown: Any = "{:.3f}".format) -> str:
    return f"{shown(figure.value)} ({shown(figure.low)} to {shown(figure.high)})"


def plot(board: Leaderboard) -> Plot:
    """AUC of each model with its interval, the best one's as a line."""
    best = board.entries[0]
    said = "; ".join(f"{entry.name} {_ranged(entry.auc)}" for entry in board.entries)
    caption = Caption("leaderboard", "Held-out AUC of each model", f"AUC with 95 % interval: {said}.")
    rows = [Bar(entry.name, entry.auc) for entry in board.entries]
    return bars(caption, "AUC on the same held-out rows", rows, reference=best.auc.value, highlighted=FOREST)
