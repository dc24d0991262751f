"""`make evaluate`: how good the model is, and with `PROTOCOL=whole-history` beside the published protocol."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd
from ibis import Table

from churn.activity.dataset_facts import TableFacts
from churn.activity.features import DAY_MS
from churn.activity.typed import load_events
from churn.errors import SettingError, TruthError
from churn.model.facts import EvaluationFacts
from churn.quality.intervals import percentile
from churn.quality.measures import LABEL
from churn.quality.paired import paired
from training.evaluation_report.files import Section
from training.evaluation_report.whole_history import (
    NUMBERS,
    OBSERVED,
    SILENCE_DAYS,
    SPLITS,
    Progress,
    ProtocolResult,
    SplitRange,
    held_out_scores,
    labelled,
    point_in_time,
    random_splits,
)
from training.forest.fit import ForestSettings
from training.model.kept_evaluation import KeptEvaluation, KeptFacts
from training.table.folder import DataFolder
from training.table.split import split

ProtocolName = Literal["point-in-time", "whole-history"]
PROTOCOLS: Final[tuple[ProtocolName, ...]] = get_args(ProtocolName)
FOLDER: Final = Path("reports/evaluation")
PUBLISHED_AUC: Final = 0.82
"""What the predecessor published, from one test set of 45 customers, 7 of whom had left."""

KEY: Final = ["customer_id", "as_of"]


def point_in_time_section(found: EvaluationFacts) -> Section:
    """Our own figures, each with its interval and what it rests on."""
    return Section(
        "Point in time: this model",
        (
            (
                f"Held out: {found.rows} rows of {found.customers} customers, {found.churners} of whom "
                f"churned, at {', '.join(found.dates)}; {found.split}."
            ),
            (
                "Intervals (95 %) count a customer once, with all rows: bootstrap over customers; precision and recall "
                "by Wilson's formula with the effective number of customers."
            ),
        ),
        found.warnings,
        ("figure", "value", "95 % interval", "customers", "churners"),
        tuple(
            (
                name.replace("_", " "),
                f"{figure.value:.3f}",
                f"{figure.low:.3f} to {figure.high:.3f}",
                str(figure.customers),
                str(figure.churners),
            )
            for name, figure in found.figures.items()
        ),
    )


@dataclass(frozen=True)
class ProtocolVariants:
    """The published protocol on one log, and the same features without what they could not know.

    `with_span`, `without_span`: whole history, with and without the observed time span.
    `without_clocks`: without the tenure too, which also ends at the last event.
    `until_then`: the features of `without_span`, counted up to 30 days before the log's end.
    """

    with_span: ProtocolResult
    without_span: ProtocolResult
    without_clocks: ProtocolResult
    until_then: ProtocolResult

    def sentence(self) -> str:
        """What the leak is worth."""
        means = {name: getattr(self, name).figures["auc"].mean for name in asdict(self)}
        return (
            f"What the leak is worth on this log: asked {SILENCE_DAYS} days before its end, when the answer was not "
            f"known yet, the predecessor's features reach an AUC of {means['until_then']:.2f} for the same label; "
            f"counting on to each customer's last event makes it {means['without_span']:.2f} "
            f"({means['without_span'] - means['until_then']:+.2f}; {means['without_clocks']:.2f} without the tenure, "
            f"which ends there too), and with the observed time span {means['with_span']:.2f} "
            f"({means['with_span'] - means['until_then']:+.2f}): none of that gain exists on the day of a prediction."
        )


def published(events: Table, log_end: int, seed: int, splits: int, progress: Progress) -> ProtocolVariants:
    """Run the published protocol in its variants."""
    whole, then = labelled(events, log_end), labelled(events, log_end, log_end - SILENCE_DAYS * DAY_MS)
    clockless = [name for name in NUMBERS if name != "tenure_days"]

    def variant(name: str, rows: pd.DataFrame, numbers: Sequence[str]) -> ProtocolResult:
        return random_splits(rows, numbers, seed, splits, lambda text: progress(f"{name}: {text}"))

    return ProtocolVariants(
        variant("with the observed time span", whole, [*NUMBERS, OBSERVED]),
        variant("without it", whole, NUMBERS),
        variant("without the tenure too", whole, clockless),
        variant(f"until {SILENCE_DAYS} days before the end", then, NUMBERS),
    )


def published_section(found: ProtocolVariants) -> Section:
    """The published protocol's figures over random splits."""
    variants: tuple[ProtocolResult, ...] = (found.with_span, found.without_span, found.without_clocks, found.until_then)
    one = found.without_span
    auc_draws = one.figures["auc"]
    return Section(
        "Whole history: the published predecessor's protocol, for comparison only",
        (
            (
                f"One row per customer, everything up to the last event; label: a trigger action, then silence for "
                f"more than {SILENCE_DAYS} days before the log's newest event: {one.churners} of "
                f"{one.customers} customers. "
                f"{one.splits} random splits; in each {one.test_customers} customers are tested, "
                f"{one.test_churners:.1f} of whom left. The range is where 95 % of the single test sets lie."
            ),
            (
                f"One test set says little: without the observed time span, a single split gives an AUC from "
                f"{auc_draws.low:.2f} to {auc_draws.high:.2f}. The {PUBLISHED_AUC} that was "
                "published rests on one such test set."
            ),
            found.sentence(),
        ),
        (),
        (
            "figure (mean; range)",
            "with the observed time span",
            "without it",
            "without the tenure too",
            f"counted until {SILENCE_DAYS} days before the end",
        ),
        tuple(
            (name.replace("_", " "), *(_draws(variant.figures[name]) for variant in variants)) for name in one.figures
        ),
    )


def _draws(draws: SplitRange) -> str:
    return f"{draws.mean:.3f}; {draws.low:.2f} to {draws.high:.2f}"


def predecessor_scores(
    events: Table, table: pd.DataFrame, found: KeptFacts, horizon_days: int, progress: Progress
) -> pd.DataFrame:
    """The held-out rows scored by the same kind of forest on the predecessor's features, up to each row's `as_of`.

    Columns: `customer_id`, `as_of`, `predecessor`, `predecessor_with_span`.
    """
    rows = point_in_time(events, table, progress)
    parts = split(table, horizon_days, found.seed)
    forest = ForestSettings(found.forest.trees, found.forest.depth, found.forest.leaf, found.seed)
    plain = held_out_scores(rows, NUMBERS, parts, forest, progress)
    with_span = held_out_scores(rows, [*NUMBERS, OBSERVED], parts, forest, progress)
    return table.loc[plain.index, KEY].assign(predecessor=plain, predecessor_with_span=with_span)


def against_section(ours: KeptEvaluation, theirs: pd.DataFrame, seed: int) -> tuple[Section, dict[str, Any]]:
    """Our features against the predecessor's on the same rows, with the interval of the difference."""
    rows = ours.held_out.merge(theirs, on=KEY, how="inner", validate="1:1")
    names = {"score": "ours", "predecessor": "the predecessor's", "predecessor_with_span": "and the observed time span"}
    judged = paired(rows[list(names)], rows[LABEL].to_numpy(np.float64), rows.customer_id, seed)
    lines, facts = [], {}
    for name, title in names.items():
        figure = judged.figure(name)
        facts[name] = {"auc": asdict(figure)}
        line = (title, f"{figure.value:.3f}", f"{figure.low:.3f} to {figure.high:.3f}")
        if name == "score":
            lines.append((*line, "", ""))
            continue
        gain = judged.difference("score", name)
        facts[name]["ours_minus_theirs"] = asdict(gain)
        lines.append((*line, f"{gain.value:+.3f}", f"{gain.low:+.3f} to {gain.high:+.3f}"))
    section = Section(
        "The predecessor's features, point in time",
        (f"The same {len(rows)} rows, split and forest as this model's; the features counted up to each row's date.",),
        (),
        ("features", "AUC", "95 % interval", "ours minus theirs", "95 % interval"),
        tuple(lines),
    )
    return section, facts


def read_truth(path: Path) -> pd.DataFrame:
    """The simulator's true probabilities: `customer_id`, `as_of`, `probability` (CSV, or Parquet).

    Raises:
        TruthError: the file is missing, or is not such a file.
    """
    if not path.is_file():
        raise TruthError(f"{path} does not exist; `make simulate` writes it with --truth")
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"customer_id": str})
    except (ValueError, OSError) as error:
        raise TruthError(f"{path} cannot be read: {error}") from error
    missing = {*KEY, "probability"} - set(frame.columns)
    if missing:
        raise TruthError(f"{path}: no column {', '.join(sorted(missing))}; is it what the simulator wrote?")
    return frame


def truth_section(ours: KeptEvaluation, truth: pd.DataFrame, label: str, seed: int) -> tuple[Section, dict[str, Any]]:
    """Our AUC as a share of that of the true probabilities, the best there can be on these rows.

    Raises:
        TruthError: a held-out row has no true probability, or the label is not the one they are of.
    """
    if label != "either":
        raise TruthError(f"the true probabilities are of the label either; the table's label is {label}")
    rows = ours.held_out.merge(truth.rename(columns={"probability": "oracle"}), on=KEY, how="left", validate="1:1")
    unknown = int(rows["oracle"].isna().sum())
    if unknown:
        raise TruthError(f"{unknown} of {len(rows)} held-out rows have no true probability: is it of another log?")
    judged = paired(rows[["score", "oracle"]], rows[LABEL].to_numpy(np.float64), rows.customer_id, seed)
    low, high = percentile(judged.draws[:, 0] / judged.draws[:, 1])
    share = float(judged.points[0] / judged.points[1])
    facts = {
        "oracle_auc": asdict(judged.figure("oracle")),
        "auc": asdict(judged.figure("score")),
        "share": {"value": share, "low": low, "high": high},
    }
    text = (
        f"The true probabilities of the simulator reach an AUC of {judged.figure('oracle')} on these {len(rows)} rows, "
        f"this model {judged.figure('score')}: {share:.3f} of it (95 % interval {low:.3f} to {high:.3f})."
    )
    return Section("Against the best possible", (text,)), facts


@dataclass(frozen=True)
class ReportSettings:
    """What the report is to say beside the model's own figures.

    Attributes:
        protocol: `whole-history` runs the published protocol too.
        splits: random splits of that protocol.
        truth: the simulator's true probabilities (`read_truth`).

    Raises:
        SettingError: a protocol that does not exist.
    """

    protocol: str = PROTOCOLS[0]
    splits: int = SPLITS
    truth: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise SettingError("protocol", self.protocol, f"one of {', '.join(PROTOCOLS)}")


def report(
    folder: DataFolder, ours: KeptEvaluation, settings: ReportSettings, progress: Progress
) -> tuple[list[Section], dict[str, Any]]:
    """The sections of the report, and the same facts for a machine.

    Raises:
        NotEnoughDataError: no training table, or too few customers for the protocol.
        SettingError: `splits` out of range.
        TruthError: the true probabilities do not fit.
    """
    table, facts = folder.training_table()
    sections = [point_in_time_section(ours.facts)]
    found: dict[str, Any] = {
        "log": facts.source,
        "protocol": settings.protocol,
        "point_in_time": ours.facts.model_dump(mode="json"),
    }
    if settings.truth is not None:
        section, found["truth"] = truth_section(ours, settings.truth, facts.label, ours.facts.seed)
        sections.append(section)
    if settings.protocol == "whole-history":
        more, compared = _whole_history(folder, table, facts, ours, settings.splits, progress)
        sections, found = [*sections, *more], found | compared
    return sections, found


def _whole_history(
    folder: DataFolder,
    table: pd.DataFrame,
    facts: TableFacts,
    ours: KeptEvaluation,
    splits: int,
    progress: Progress,
) -> tuple[list[Section], dict[str, Any]]:
    events, seed = load_events(folder.events).events, ours.facts.seed
    theirs = published(events, facts.log_end, seed, splits, progress)
    scores = predecessor_scores(events, table, ours.facts, facts.horizon_days, progress)
    section, compared = against_section(ours, scores, seed)
    protocol = {"whole_history": asdict(theirs) | {"sentence": theirs.sentence()}, "predecessor_features": compared}
    return [published_section(theirs), section], protocol
