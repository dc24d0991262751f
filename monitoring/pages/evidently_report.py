"""A drift decision rendered by Evidently: its plots and tables, our verdict and thresholds.

Evidently's own tests do not decide here. Each column gets a statistical test registered for
it alone, which returns what `monitoring.drift.decision` found: the adjusted p-value as the score, the
false-alarm rate as the threshold, and "drift" exactly where we page. One paging column makes
the data set drift. A column without values on one side, which Evidently fails on, is drawn
as what matters then: how many rows have a value.

Once it is known who left, the performance of the classification stands below, on the rows
with a label, beside the same of the reference.
"""

import contextlib
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from churn.contract import Feature
from churn.errors import ReportError
from churn.quality.measures import LABEL
from monitoring.drift import wording
from monitoring.drift.decision import CHURN_PROBABILITY, MONITORED, OUTPUTS, WILL_CHURN
from monitoring.findings.drift import DriftDecision, TestResult
from monitoring.pages.web_page import render as render_template
from monitoring.reports.report_folder import INDEX, MANAGER

SAMPLE_ROWS: Final = 5_000
"""Rows a side that are drawn; the decision is made on all."""

SHOWN_CATEGORIES: Final = 20
"""The most frequent ones are drawn; the rest is one bar."""

PRESENCE: Final = ("has a value", "no value")

LEAVES: Final = "leaves"
STAYS: Final = "stays"
FEWEST_LABELLED: Final = 20
"""With fewer rows of either outcome, Evidently's curves show noise or cannot be drawn."""

_BODY: Final = re.compile(r"<body[^>]*>")


@dataclass(frozen=True)
class Head:
    """The head of the page: a title, and facts as pairs of name and text."""

    title: str
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Predictions of which we know, at least in part, who left.

    Both frames have `churned` (0 or 1, null where not known), `churn_probability` and
    `will_churn`; the reference's probabilities are out-of-fold ones.
    """

    reference: pd.DataFrame
    current: pd.DataFrame


def render(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    decision: DriftDecision,
    head: Head,
    features: Sequence[Feature] = MONITORED,
    labelled: LabelledRows | None = None,
    keep: Callable[[str], object] = lambda _: None,
) -> bytes:
    """The report as one HTML page that needs no other file and no network.

    Args:
        reference: one row per customer.
        current: the same.
        decision: made on all rows; the frames may be samples.
        head: shown above Evidently's part.
        features: the columns to draw.
        labelled: rows with labels; the performance is drawn where there are enough of them.
        keep: called with the same as JSON, from which Evidently draws it again in its own pages.

    Raises:
        ReportError: Evidently cannot render what is left.
    """
    shown = [_drawable_as(feature, reference, current) for feature in features]
    sides = [drawable(reference, current, feature) for feature in shown]
    before = pd.DataFrame({feature.name: side[0] for feature, side in zip(shown, sides, strict=True)})
    after = pd.DataFrame({feature.name: side[1] for feature, side in zip(shown, sides, strict=True)})
    outcomes = None if labelled is None else (judged(labelled.reference), judged(labelled.current))
    enough = outcomes is not None and all(map(_has_both_outcomes, outcomes))
    with _smaller_plots():
        body = _evidently(before, after, shown, decision, outcomes if enough else None, keep)
    return _with_head(body, _head(head, decision, features, _about_performance(outcomes, enough))).encode()


def snapshot_of(page: str) -> str:
    """The file beside a page that holds what was kept of it: `drift.html` -> `drift.snapshot.json.gz`."""
    return page.removesuffix(".html") + ".snapshot.json.gz"


def judged(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with a label, as Evidently takes them: `target`, `prediction`, `probability`."""
    known = frame[frame[LABEL].notna()]
    outcome = {True: LEAVES, False: STAYS}
    return pd.DataFrame(
        {
            "target": [outcome[bool(left)] for left in known[LABEL]],
            "prediction": [outcome[flagged in (True, "true")] for flagged in known[WILL_CHURN.name]],
            "probability": known[CHURN_PROBABILITY.name].to_numpy(np.float64),
        }
    )


def _has_both_outcomes(frame: pd.DataFrame) -> bool:
    return bool(min((frame["target"] == outcome).sum() for outcome in (LEAVES, STAYS)) >= FEWEST_LABELLED)


def _about_performance(outcomes: tuple[pd.DataFrame, pd.DataFrame] | None, enough: bool) -> str:
    """The classification's performance on this page, in words."""
    if outcomes is None:
        return "The performance of the classification is drawn here once it is known who left."
    rows = len(outcomes[1])
    left = int((outcomes[1]["target"] == LEAVES).sum())
    known = f"We know of {rows:,} plotted customers whether they left: {left:,} did."
    if enough:
        return f"{known} The performance of the classification comes last, beside that on the training data."
    return f"{known} They, or the training data, have fewer than {FEWEST_LABELLED} of one outcome: no curves are drawn."


@contextlib.contextmanager
def _smaller_plots() -> Iterator[None]:
    """Without the template that plotly writes out in each plot: a third of the page."""
    import plotly.io  # noqa: PLC0415  # only a page that is drawn needs it

    usual = plotly.io.templates.default
    plotly.io.templates.default = "none"
    try:
        yield
    finally:
        plotly.io.templates.default = usual


def _drawable_as(feature: Feature, *frames: pd.DataFrame) -> Feature:
    """The feature, or where one frame has no value of it, whether there is a value."""
    if all(feature.name in frame.columns and _typed(frame[feature.name], feature).notna().any() for frame in frames):
        return feature
    return replace(feature, kind="category", categories=PRESENCE)


def _typed(column: "pd.Series[Any]", feature: Feature) -> "pd.Series[Any]":
    """The values that are of the feature's type; Evidently fails on a column of two."""
    column = column.reset_index(drop=True)
    if not feature.is_category:
        return pd.Series(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
    if pd.api.types.is_bool_dtype(column.dtype):
        column = column.map({True: "true", False: "false"})
    return pd.Series([value if isinstance(value, str) else None for value in column], dtype=object)


def drawable(
    reference: pd.DataFrame, current: pd.DataFrame, feature: Feature
) -> tuple["pd.Series[Any]", "pd.Series[Any]"]:
    """A column of both frames as Evidently can take it: typed, few categories, no markup in them."""
    if feature.categories == PRESENCE:
        return _presence(reference, feature.name), _presence(current, feature.name)
    before, after = (_typed(frame[feature.name], feature) for frame in (reference, current))
    if not feature.is_category:
        return before, after
    frequent = pd.concat([before, after]).value_counts().index
    names = {label: escaped(label) for label in frequent[:SHOWN_CATEGORIES]}
    names |= dict.fromkeys(frequent[SHOWN_CATEGORIES:], f"({len(frequent) - SHOWN_CATEGORIES} others)")
    return before.map(names), after.map(names)


def _presence(frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
    found = frame[name].notna().to_numpy() if name in frame.columns else np.zeros(len(frame), dtype=bool)
    return pd.Series(np.where(found, *PRESENCE), dtype=object)


def escaped(text: str) -> str:
    """A logged text that is safe within Evidently's page, which escapes nothing.

    It lands in a script and in HTML: markup is written with look-alikes, which stay
    readable where an entity would be shown as such.
    """
    shown = text.translate(
        {ord("<"): "‹", ord(">"): "›", ord("&"): "＆", ord('"'): "”", ord("'"): "’", ord("\\"): "＼"}
    )
    return "".join(character if character.isprintable() else "�" for character in shown)


def _evidently(
    before: pd.DataFrame,
    after: pd.DataFrame,
    shown: Sequence[Feature],
    decision: DriftDecision,
    outcomes: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    keep: Callable[[str], object] = lambda _: None,
) -> str:
    # Evidently takes seconds to import.
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415  # takes seconds to import
    from evidently.metrics import ValueDrift  # noqa: PLC0415  # takes seconds to import
    from evidently.presets import DataDriftPreset, DataSummaryPreset  # noqa: PLC0415  # takes seconds to import

    names = [feature.name for feature in shown]
    methods = {feature.name: _registered(feature, decision) for feature in shown}
    definition = DataDefinition(
        numerical_columns=[feature.name for feature in shown if not feature.is_category],
        categorical_columns=[feature.name for feature in shown if feature.is_category],
    )
    outputs = [feature.name for feature in OUTPUTS if feature.name in names]
    report = Report(
        [
            *(ValueDrift(column=name, method=methods[name], threshold=decision.false_alarm_rate) for name in outputs),
            DataDriftPreset(
                columns=names,
                per_column_method=methods,
                per_column_threshold=dict.fromkeys(names, decision.false_alarm_rate),
                drift_share=1 / len(names),
            ),
            DataSummaryPreset(columns=names),
        ],
        include_tests=True,
    )
    sides = (Dataset.from_pandas(frame, data_definition=definition) for frame in (after, before))
    with np.errstate(invalid="ignore", divide="ignore"):  # a constant column has no density
        snapshot = report.run(*sides)
    if outcomes is not None:
        # A run takes one table, and these are other rows: their widgets join the same page.
        snapshot._widgets.extend(_performance(*outcomes)._widgets)  # noqa: SLF001  # Evidently joins no two runs
    keep(snapshot.dumps())
    with tempfile.TemporaryDirectory(prefix="churn-render-") as folder:
        path = Path(folder, "drift.html")
        snapshot.save_html(str(path))  # it writes nothing, and says nothing, when given a Path
        if not path.exists():
            raise ReportError("Evidently wrote no page; its version may have changed: see docs/monitoring.md")
        return path.read_text(encoding="utf-8")


def _performance(before: pd.DataFrame, after: pd.DataFrame) -> Any:
    """Evidently's run over the rows with a label; its own tests are not ours and stay out."""
    from evidently import BinaryClassification, DataDefinition, Dataset, Report  # noqa: PLC0415  # as above
    from evidently.presets import ClassificationPreset  # noqa: PLC0415  # takes seconds to import
    from sklearn.exceptions import UndefinedMetricWarning  # noqa: PLC0415  # takes seconds to import

    classification = BinaryClassification(
        target="target", prediction_labels="prediction", prediction_probas="probability", pos_label=LEAVES
    )
    definition = DataDefinition(classification=[classification])
    sides = (Dataset.from_pandas(frame, data_definition=definition) for frame in (after, before))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)  # a threshold that flags nobody has no precision
        return Report([ClassificationPreset()]).run(*sides)


def _registered(feature: Feature, decision: DriftDecision) -> str:
    """The name of a statistical test that says of one column what was decided."""
    from evidently.legacy.calculations.stattests import StatTest, register_stattest  # noqa: PLC0415  # takes seconds to import
    from evidently.legacy.core import ColumnType  # noqa: PLC0415  # takes seconds to import

    kind = ColumnType.Categorical if feature.is_category else ColumnType.Numerical
    leading = decision.leading(feature.name)
    test = StatTest(
        name=f"churn_{feature.name}",
        display_name=described(leading),
        allowed_feature_types=[kind],
        default_threshold=decision.false_alarm_rate,
    )
    register_stattest(test, _answering(leading))
    return str(test.name)


def _answering(leading: TestResult | None) -> Callable[[Any, Any, Any, float], tuple[float, bool]]:
    score = 1.0 if leading is None or leading.adjusted_p is None else float(leading.adjusted_p)
    drifted = leading is not None and leading.severity == "page"
    return lambda reference, current, kind, threshold: (score, drifted)  # noqa: ARG005  # Evidently's signature


def described(leading: TestResult | None) -> str:
    """The name that Evidently shows as the method of a column."""
    if leading is None:
        return "not tested"
    return f"{leading.test}, p adjusted for all tests of the report ({leading.severity})"


def _head(head: Head, decision: DriftDecision, features: Sequence[Feature], performance: str) -> str:
    """Our part of the page: every column by the test that says most, beside what it would have taken to page."""
    return render_template(
        "drift_head.html.jinja",
        tone=decision.verdict.replace(" ", "-"),
        index=INDEX,
        manager=MANAGER,
        head=head,
        decision=decision,
        sentence=wording.sentence(decision),
        reasons=wording.reasons(decision),
        leading=[test for feature in features if (test := decision.leading(feature.name)) is not None],
        performance=performance,
    )


def _with_head(page: str, head: str) -> str:
    found = _BODY.search(page)
    if found is None:
        raise ReportError("Evidently's page has no body; its version may have changed: see docs/monitoring.md")
    return page[: found.end()] + head + page[found.end() :]


def sampled(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    return frame if len(frame) <= rows else frame.sample(rows, random_state=seed)
