"""A summary is read as it was written, or refused with its file and field."""

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.errors import ReportError
from churn.quality.figure import Figure
from monitoring.findings.drift import Measure, Segment
from monitoring.findings.performance import Metrics, Performance
from monitoring.findings.summary import FeatureSummary, LineCounts, RankedFeature, Summary
from monitoring.pages import index_page, manager_page
from monitoring.prediction_log.log_lines import FileCounts
from scripts import summary_page
from tests.support.summaries import WEEK, content, performance, quiet, realised


def written(found: dict[str, Any]) -> bytes:
    return (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode()


OF_BEFORE_FIELDS = {
    "schema": 1,
    "week": "2018-W44",
    "from": "2018-10-29T00:00:00Z",
    "to": "2018-11-05T00:00:00Z",
    "contract": "1-f7ef395b",
    "verdict": "drift",
    "severity": "page",
    "sentence": "drift in 1 of 71 features (os); no further warning",
    "reasons": ["os: share of 'Mac' 0.25 → 0.5, 25.0% of rows changed category; beyond chance"],
    "model": "churn:a1b2c3",
    "predictions": 900,
    "customers": 800,
    "as_of": ["2018-11-01T00:00:00Z", "2018-11-01T12:00:00.001Z"],
    "scored": ["2018-11-02T00:00:00Z", "2018-11-02T12:00:00Z"],
    "stale": {"older_than_hours": 48, "predictions": 9, "share": 0.01},
    "performance": performance(realised=realised(), pending=None),
    "page": "drift.html",
    "reference": {"rows": 5000, "as_of": "unknown"},
    "mean_probability": {"reference": 0.151, "current": None},
    "flagged_share": {"reference": 0.09, "current": 0.12},
    "volume": {"predictions": 909, "customers": 801, "previous_predictions": None, "change": None},
    "false_alarm_rate": 0.05,
    "tests": 197,
    "features": [
        {
            "feature": "os",
            "severity": "page",
            "test": "one category",
            "p": 1e-12,
            "effect": 0.25,
            "gate": 0.03,
            "unit": "share of rows that changed category",
            "measured": "share of 'Mac'",
            "before": 0.25,
            "after": 0.5,
            "importance": None,
            "sentence": "os: share of 'Mac' 0.25 → 0.5",
        },
        {"feature": "level", "severity": "none", "test": None, "sentence": "level: not tested"},
    ],
    "onset": {"os": "sudden"},
    "compared": ["level=free", "previous week"],
    "too_few": ["tenure_days from 365"],
    "ranking": [{"comparison": "level=free", "feature": "os", "test": "chi-square", "p": 0.01, "effect": 0.3}],
    "models": [
        {"model": "churn:gone", "predictions": 9, "customers": 9, "verdict": None, "refused": "not in the store"}
    ],
    "at_risk": {"flagged": 144, "listed": 100},
    "log": {
        "files": 2,
        "lines": 910,
        "predictions": 909,
        "explained": 0,
        "elsewhen": 0,
        "partial": 1,
        "foreign": 0,
        "erased": 0,
        "other_contract": 0,
        "unusable": [{"file": "a.jsonl", "predictions": 9, "explained": 0, "elsewhen": 0, "partial": 1}],
    },
}
"""A file as it was written before its measures and segments were told in fields."""


def test_the_documentation_has_every_part() -> None:
    parts = {part.__name__ for part in summary_page.PARTS}
    assert parts == set(Summary.model_json_schema()["$defs"]) - {"Figure"} | {"Summary"}


def test_the_lines_of_the_log_are_counted_by_the_same_kinds_as_its_reader_does() -> None:
    counts = {field.name for field in dataclasses.fields(FileCounts)} - {"file"}
    assert set(LineCounts.model_fields) == counts


def test_an_older_file_is_read_and_written_again_byte_for_byte() -> None:
    assert Summary.read(written(OF_BEFORE_FIELDS), "summary.json").to_bytes() == written(OF_BEFORE_FIELDS)


def test_fields_of_a_newer_version_stay() -> None:
    newer = content() | {"invented": [1], "at_risk": {"flagged": 1, "listed": 1, "invented": None}}
    assert json.loads(Summary.read(written(newer), "summary.json").to_bytes()) == newer


def test_findings_in_fields_come_last_in_their_entries() -> None:
    measure = Measure(statistic="share of a category", category="it's")
    segment = Segment(feature="tenure_days", at_least=30.0, below=90.0)
    feature = FeatureSummary(feature="os", severity="page", test="one category", measure=measure)
    ranked = RankedFeature(comparison=str(segment), feature="os", test="nulls", measure=measure, segment=segment)
    told = {"statistic": "share of a category", "category": "it's"}
    assert list(feature.model_dump(exclude_unset=True).items()) == [
        ("feature", "os"),
        ("severity", "page"),
        ("test", "one category"),
        ("measure", told),
    ]
    assert list(ranked.model_dump(exclude_unset=True).items()) == [
        ("comparison", "tenure_days 30 to 90"),
        ("feature", "os"),
        ("test", "nulls"),
        ("measure", told),
        ("segment", {"feature": "tenure_days", "at_least": 30.0, "below": 90.0}),
    ]


def test_a_number_that_is_not_finite_is_null() -> None:
    feature = FeatureSummary(feature="os", effect=math.inf, gate=math.nan, before=1.5)
    assert feature.model_dump(exclude_unset=True) == {"feature": "os", "effect": None, "gate": None, "before": 1.5}
    undefined = Metrics(auc=Figure(math.nan)).model_dump(exclude_unset=True)
    assert undefined == {"auc": {"value": None, "low": None, "high": None}}
    assert Metrics.model_validate(undefined) == Metrics(auc=Figure(math.nan))


def test_a_figure_has_its_interval() -> None:
    assert quiet().performance.estimated_metrics.precision == Figure(0.41, 0.34, 0.48)
    assert quiet().performance.realised_metrics.precision is None
    assert [name for name, _ in quiet().performance.estimated_metrics.named()] == ["auc", "f1", "precision", "recall"]


@pytest.mark.parametrize(
    ("effect", "gate", "multiple"),
    [(0.1, 0.05, 2.0), (1.0, 0.0, math.inf), (0.0, 0, 0.0), (None, 0.05, None), (0.1, None, None)],
)
def test_an_effect_is_told_as_a_multiple_of_its_gate(
    effect: float | None, gate: float | None, multiple: float | None
) -> None:
    assert FeatureSummary(feature="os", effect=effect, gate=gate).multiple == multiple


def test_the_volume_is_that_of_all_models_where_it_is_known() -> None:
    assert (quiet().all_predictions, quiet().all_customers) == (1300, 1200)
    older = content()
    older["models"].append({"model": "churn:b", "predictions": 7, "customers": 5})
    del older["volume"]
    found = Summary.model_validate(older)
    assert (found.all_predictions, found.all_customers) == (1307, 1200)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"verdict": "splendid"}, "verdict: found 'splendid', expected 'ok', 'drift' or 'too few'"),
        ({"schema": 2}, "schema: found '2', expected 1"),
        ({"models": [{"model": "churn:a"}]}, r"models\.0\.predictions: missing"),
        ({"models": {}}, r"models: found '\{\}', expected a valid tuple"),
        ({"performance": {"pending": {"customers": 1, "known_after": "soon"}}}, "known_after: found 'soon', expected"),
        ({"performance": {"realised": 5}}, "performance.realised: found '5', expected"),
        ({"customers": "x" * 99}, f"customers: found '{'x' * 40}', expected a valid integer"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name_and_field(damage: dict[str, Any], message: str) -> None:
    with pytest.raises(ReportError, match=rf"^reports/2018-W44/summary\.json: .*{message}.*; make the report of this"):
        Summary.read(written(content() | damage), "reports/2018-W44/summary.json")


@pytest.mark.parametrize("text", [b"", b"no JSON", b"\xff", b"[" * 100_000, b'{"p": NaN}', b'{"schema": 1'])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ReportError, match=r"^summary\.json: no JSON \(\w+\); make the report of this week again$"):
        Summary.read(text, "summary.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(content())), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(content())), json_values))
@settings(deadline=None)
def test_whatever_a_summary_lost_it_is_refused_or_its_pages_are_made(damage: dict[str, Any]) -> None:
    try:
        found = Summary.read(written(content() | damage | {"week": str(WEEK)}), "summary.json")
    except ReportError as error:
        assert str(error).startswith("summary.json: ")  # noqa: PT017  # most damage is refused, some is not
        return
    assert index_page.page({WEEK: found}).rstrip().endswith(b"</html>")
    assert manager_page.page(found).rstrip().endswith(b"</html>")


def test_a_summary_that_says_nothing_is_never_fine() -> None:
    empty = Summary(schema_version=1, week=str(WEEK), model="churn:a", predictions=0, customers=0, models=())
    page = index_page.page({WEEK: empty}).decode()
    assert "no verdict" in page
    assert 'class="badge ok"' not in page
    assert empty.performance == Performance()
