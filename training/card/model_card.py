"""The model card: what a model is, how good, where it errs and what it is for, as one HTML page and as Markdown."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2
import pandas as pd

from churn.code_version import CodeVersion
from churn.contract import AT_RISK_DAYS, CATEGORICAL, TREND_DAYS
from churn.files import whole_folder
from churn.model.champion import Champion
from churn.model.facts import TrainingFacts
from churn.moments import iso
from churn.quality.figure import Figure
from churn.quality.measures import LABEL
from training.card.card_plots import held_out_plots, permutation_plot, search_plot, segment_plots, shap_summary
from training.card.plots import Plot
from training.evaluation.error_analysis import Errors, Segment, errors, segments
from training.evaluation.feature_cost import FeatureCost, feature_cost
from training.evaluation.permutation import permutation_importance
from training.model.manifest import ModelFacts
from training.model.trained import TrainedModel
from training.tracking.runs import Interval, flat

HTML, MARKDOWN, PLOTS = "model_card.html", "model_card.md", "plots"
TEMPLATES: Final = Path(__file__).parent / "templates"

MEASURES: Final = {
    "auc": ("AUC", "chance that a churner is ranked above a customer who stays; 0.5 is guessing"),
    "average_precision": ("average precision", "precision averaged over all thresholds; guessing gives the churn rate"),
    "f1": ("F1", "harmonic mean of precision and recall at the threshold"),
    "precision": ("precision", "share of the flagged who churn"),
    "recall": ("recall", "share of the churners who are flagged"),
    "brier": ("Brier score", "mean squared distance of the probability from what happened; smaller is better"),
    "calibration_error": ("calibration error", "mean distance of the probability from the observed share, in ten bins"),
    "lift_top_5": ("lift in the top 5 %", "churners among the 5 % ranked highest, as a multiple of the churn rate"),
    "lift_top_10": ("lift in the top 10 %", "churners among the 10 % ranked highest, as a multiple of the churn rate"),
}
LABELS: Final = {
    "cancellation": "a customer who confirms a cancellation",
    "inactivity": (
        "a customer without any event, who had submitted a downgrade or given a thumbs down before; it says who has "
        "gone quiet, and someone who leaves during the horizon shows only in the next weeks"
    ),
    "either": (
        "a customer who confirms a cancellation, or without any event after having submitted a downgrade or given a "
        "thumbs down before"
    ),
}
USES: Final = (
    "To rank customers each week by how likely they are to leave, so that people can decide whom to make an offer.",
    "To estimate how many of a group of customers will leave: the probabilities are calibrated.",
)
MISUSES: Final = (
    "To set a price, to refuse a service, or to decide anything to a customer's disadvantage.",
    "To tell what would make a customer stay: reasons say what the score rests on, not what causes churn.",
    "On another service's log, or long after the dates below, without training and judging it again.",
)


@dataclass(frozen=True)
class Card:
    """Everything the card says, but the name the model gets when it is stored.

    `facts` is what the templates name; `plots` are in the order in which they are shown.
    """

    facts: Mapping[str, Any]
    plots: tuple[Plot, ...]


def card(
    trained: TrainedModel,
    facts: ModelFacts,
    code: CodeVersion,
    run_id: str | None,
    cost: FeatureCost | None,
    progress: Callable[[str], None],
) -> Card:
    """Analyse a trained model.

    Args:
        trained: the model and its held-out predictions.
        facts: of its manifest.
        code: that made it.
        run_id: of MLflow; None when nothing is tracked.
        cost: of leaving a feature out, where it was worked out.
        progress: is told what is being done.
    """
    rows = trained.held_out_rows()
    seed, search = trained.settings.seed, trained.forests.found
    importance = permutation_importance(trained.table, trained.newest_folds(), trained.forests.of, seed, progress)
    progress("model card: error analysis and plots")
    kinds = segments(rows, seed)
    plots = (
        *held_out_plots(rows, trained.threshold, seed),
        shap_summary(trained.fitted, trained.reference, seed),
        permutation_plot(importance),
        *segment_plots(kinds, trained.evaluation.figures["auc"].value),
        *([search_plot(search)] if search else []),
    )
    shown = {
        **_figures(facts),
        **_data(trained.table, facts.training),
        "feature_count": len({column.feature for column in facts.columns}),
        **_errors(kinds, errors(rows)),
        "cost": cost,
        "searched": search.to_dict() if search else None,
        "without": trained.settings.forest.without,
        "code": str(code),
        "run_id": run_id,
        "uses": USES,
        "misuses": MISUSES,
    }
    return Card(shown, plots)


def gender_cost(trained: TrainedModel, progress: Callable[[str], None]) -> FeatureCost:
    """What leaving gender out of this model costs, or has cost."""
    folds, seed = trained.split().folds, trained.settings.seed
    return feature_cost("gender", trained.table, folds, trained.forests.of, trained.held_out, seed, progress)


def _figures(facts: ModelFacts) -> dict[str, Any]:
    table = [
        {"name": name, "meaning": meaning, **found.model_dump()}
        for key, found in facts.metrics.figures.items()
        for name, meaning in [MEASURES.get(key, (key.replace("_", " "), ""))]
    ]
    return {
        "figures": facts.metrics.figures,
        "figure_table": table,
        "warnings": facts.metrics.warnings,
        "metrics": facts.metrics,
        "threshold": facts.threshold,
        "policy": [(name.replace("_", " "), _shown(value)) for name, value in facts.policy.model_dump().items()],
    }


def _shown(value: Any) -> str:
    """A setting or a figure as text."""
    if isinstance(value, Mapping) and {"value", "low", "high"} <= set(value):
        return str(Figure(value["value"], value["low"], value["high"]))
    if isinstance(value, Mapping) and value:
        return ", ".join(f"{name} {_shown(inner)}" for name, inner in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    if value in ([], (), {}, None):
        return "nothing"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _data(table: pd.DataFrame, training: TrainingFacts) -> dict[str, Any]:
    data = [
        ("log", training.source),
        ("log's span", f"{iso(training.first_ts)} to {iso(training.log_end)}"),
        ("rows", f"{len(table):,}, one per customer at risk and weekly snapshot"),
        ("customers", f"{table.customer_id.nunique():,}"),
        ("customers who churned", f"{table.customer_id[table[LABEL] == 1].nunique():,}"),
        ("rows with churn", f"{table[LABEL].mean():.1%}"),
        ("snapshots", f"{len(training.snapshots)}, {training.snapshots[0]} to {training.snapshots[-1]}"),
        (
            "of them with a short history",
            f"{len(training.short_snapshots)} (less than the {TREND_DAYS} days that features look back)",
        ),
        ("fingerprint of the rows", training.fingerprint),
    ]
    return {
        "data": data,
        "label": training.label,
        "label_text": LABELS.get(training.label, training.label),
        "horizon_days": training.horizon_days,
        "at_risk_days": AT_RISK_DAYS,
        "settings": [
            (name, _shown(value)) for name, value in flat({"forest": _set(training.forest), "seed": training.seed})
        ],
        "versions": list(training.versions.items()),
        "category_count": len(CATEGORICAL),
    }


def _set(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _errors(kinds: list[Segment], found: Errors) -> dict[str, Any]:
    return {
        "segments": {
            dimension: [kind for kind in kinds if kind.dimension == dimension]
            for dimension in dict.fromkeys(kind.dimension for kind in kinds)
        },
        "errors": found,
    }


def write_card(made: Card, model: Champion, target: Path) -> Path:
    """Write the page, the Markdown and the plots into `target`, all of them or none; returns `target`."""
    facts = {**made.facts, "model": model, "plots": {plot.caption.name: plot for plot in made.plots}}
    with whole_folder(target) as folder:
        (folder / HTML).write_text(_environment(escaped=True).get_template(f"{HTML}.jinja").render(facts))
        (folder / MARKDOWN).write_text(_environment(escaped=False).get_template(f"{MARKDOWN}.jinja").render(facts))
        (folder / PLOTS).mkdir()
        for plot in made.plots:
            (folder / PLOTS / f"{plot.caption.name}.svg").write_bytes(plot.svg)
    return target


def _environment(*, escaped: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=escaped,  # noqa: S701  # Markdown has an escape of its own, `plain`
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "figure": figure_text,
        "number": number_text,
        "percent": lambda value: f"{value:.1%}",
        "plain": plain,
        "data_uri": lambda plot: "data:image/svg+xml;base64," + base64.b64encode(plot.svg).decode(),
    }
    return environment


def figure_text(figure: Interval | None, percent: bool = False) -> str:
    """A figure with its interval; says so where there were too few rows for one."""
    if figure is None:
        return "too few to say"
    shown = "{:.0%}".format if percent else "{:.3f}".format
    return f"{shown(figure.value)} ({shown(figure.low)} to {shown(figure.high)})"


def number_text(value: float) -> str:
    """A count without decimals, anything else with two significant ones at least."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.2f}"


def plain(text: object) -> str:
    """Text that Markdown takes as it is: a name from the log is no link, no tag and no column."""
    kept = " ".join(str(text).split())
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>()#+!|~" else letter for letter in kept)
