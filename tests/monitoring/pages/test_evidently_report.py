"""Evidently's page says what we decided, draws whatever comes, and runs nothing that was logged."""

import json
import re

import numpy as np
import pandas as pd
import plotly.io
import pytest

from churn.contract import BY_NAME
from monitoring.drift.column_summary import summarise_frame
from monitoring.drift.decision import CHURN_PROBABILITY, WILL_CHURN, decide
from monitoring.findings.drift import DriftDecision
from monitoring.pages.evidently_report import FEWEST_LABELLED, Head, LabelledRows, escaped, judged, render, sampled

FEATURES = (BY_NAME["os"], BY_NAME["songs_7d"], BY_NAME["session_minutes_7d"], CHURN_PROBABILITY, WILL_CHURN)
PAGE = Head("Week <2018-W44>", [("Model", "churn:a & b")])
ATTACK = "</script><script>document.title='run'</script>"


def customers(rows: int, seed: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    probability = draw.beta(2, 8, rows)
    return pd.DataFrame(
        {
            "os": draw.choice(["Windows", "Mac OS X", "Linux"], rows),
            "songs_7d": draw.poisson(40, rows),
            "session_minutes_7d": draw.normal(240, 60, rows).clip(0),
            "churn_probability": probability,
            "will_churn": probability >= 0.3,
        }
    )


def decided(reference: pd.DataFrame, current: pd.DataFrame) -> DriftDecision:
    return decide(summarise_frame(reference, FEATURES), summarise_frame(current, FEATURES), FEATURES)


def drawn(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    decision: DriftDecision | None = None,
    labelled: LabelledRows | None = None,
) -> str:
    return render(reference, current, decision or decided(reference, current), PAGE, FEATURES, labelled).decode()


def with_labels(rows: int, seed: int) -> pd.DataFrame:
    """Who left follows the probability; of every fourth customer it is not known."""
    frame = customers(rows, seed)
    left = frame["churn_probability"] > np.random.default_rng(seed + 100).random(rows)
    return frame.assign(churned=left.astype(float).where(frame.index % 4 > 0))


def drifted_columns(page: str) -> int:
    found = re.search(r"Drift is detected for [\d.]+% of columns \((\d+) out of 5\)", page)
    assert found is not None
    return int(found[1])


def test_an_unchanged_week_is_shown_without_drift() -> None:
    page = drawn(customers(1500, 1), customers(800, 2))
    assert drifted_columns(page) == 0
    assert "Dataset Drift is NOT detected" in page


def test_evidently_shows_our_verdict_even_where_its_own_would_differ() -> None:
    reference, current = customers(1500, 1), customers(800, 2).assign(songs_7d=0)
    decision = decided(reference, current)
    assert decision.drifted_features == ("songs_7d",)
    assert drifted_columns(drawn(reference, current, decision)) == 1
    tests = tuple(test.model_copy(update={"severity": "none"}) for test in decision.tests)
    quiet = decision.model_copy(update={"tests": tests})
    assert drifted_columns(drawn(reference, current, quiet)) == 0


@pytest.mark.parametrize("broken", ["absent", "null", "retyped"])
def test_a_column_that_evidently_fails_on_is_drawn_and_keeps_its_verdict(broken: str) -> None:
    reference, current = customers(1500, 1), customers(800, 2)
    current = {
        "absent": current.drop(columns="session_minutes_7d"),
        "null": current.assign(session_minutes_7d=None),
        "retyped": current.assign(session_minutes_7d="long"),
    }[broken]
    decision = decided(reference, current)
    assert decision.drifted_features == ("session_minutes_7d",)
    page = drawn(reference, current, decision)
    assert drifted_columns(page) == 1
    assert "session_minutes_7d" in page


def test_a_logged_text_is_shown_and_never_run() -> None:
    current = customers(800, 2)
    current.loc[:200, "os"] = ATTACK
    page = drawn(customers(1500, 1), current)
    assert "document.title='run'" not in page
    assert json.dumps("‹/script›‹script›document.title=’run’‹/script›") in page
    assert "&lt;script&gt;document.title=&#39;run&#39;&lt;/script&gt;" in page  # in the reasons
    assert "Week &lt;2018-W44&gt;" in page
    assert "churn:a &amp; b" in page


def test_no_logged_character_can_end_a_string_or_a_tag() -> None:
    shown = escaped("".join(map(chr, range(0x20, 0x3000))) + "\u2028\u2029\x00\n")
    assert not set("<>&\"'\\\u2028\u2029\x00\n") & set(shown)


def test_many_categories_are_drawn_as_the_most_frequent_and_the_rest() -> None:
    current = customers(800, 2)
    current["os"] = [f"system {number % 100}" for number in range(800)]
    assert "(83 others)" in drawn(customers(1500, 1), current)


def test_the_page_needs_no_network() -> None:
    page = drawn(customers(1500, 1), customers(800, 2))
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']https?://", page)


def test_a_sample_is_drawn_the_same_way_each_time() -> None:
    frame = customers(500, 1)
    pd.testing.assert_frame_equal(sampled(frame, 100, 3), sampled(frame, 100, 3))
    assert sampled(frame, 500, 3) is frame


def test_the_page_says_every_threshold_beside_what_was_found() -> None:
    decision = decided(customers(1500, 1), customers(800, 2).assign(songs_7d=0))
    page = drawn(customers(1500, 1), customers(800, 2).assign(songs_7d=0), decision)
    leading = decision.leading("songs_7d")
    assert leading is not None
    assert f"<td>songs_7d</td><td>page</td><td>{leading.test}</td>" in page
    assert "<td>0.05</td><td>reference standard deviations</td>" in page
    assert f"adjusted for all {decision.family} tests, is at most 0.05" in page
    assert "and the threshold of each" in page


def test_the_page_leads_back_to_all_weeks_and_to_the_plain_words() -> None:
    page = drawn(customers(1500, 1), customers(800, 2))
    assert '<a href="../index.html">' in page
    assert '<a href="manager.html">' in page


def test_rows_are_judged_by_what_is_known_only() -> None:
    frame = pd.DataFrame(
        {
            "churned": [1, 0, None, 1],
            "churn_probability": [0.9, 0.2, 0.5, 0.1],
            "will_churn": [True, "false", True, "true"],
        }
    )
    assert judged(frame).to_dict("list") == {
        "target": ["leaves", "stays", "leaves"],
        "prediction": ["leaves", "stays", "leaves"],
        "probability": [0.9, 0.2, 0.1],
    }


def test_without_labels_no_performance_is_drawn_and_the_page_says_so() -> None:
    page = drawn(customers(1500, 1), customers(800, 2))
    assert "is drawn here once it is known who left" in page
    assert "Classification" not in page[: page.index("var global")]


def test_with_labels_the_performance_is_drawn_beside_that_of_the_training_data() -> None:
    current = with_labels(800, 2)
    page = drawn(customers(1500, 1), customers(800, 2), None, LabelledRows(with_labels(1500, 1), current))
    known = current[current["churned"].notna()]
    assert len(known) == 600
    assert f"We know of 600 plotted customers whether they left: {int(known['churned'].sum())} did." in page
    for plot in ("Classification Model Performance", "Confusion Matrix", "ROC Curve", "Precision-Recall Curve"):
        assert plot in page
    assert drifted_columns(page) == 0


@pytest.mark.parametrize("labels", [[], [0.0] * 500, [1.0] * (FEWEST_LABELLED - 1) + [0.0] * 300])
def test_too_few_labels_of_one_outcome_are_told_and_not_drawn(labels: list[float | None]) -> None:
    current = customers(800, 2).assign(churned=pd.Series(labels, index=range(len(labels)), dtype=float))
    page = drawn(customers(1500, 1), customers(800, 2), None, LabelledRows(with_labels(1500, 1), current))
    assert f"fewer than {FEWEST_LABELLED} of one outcome: no curves are drawn" in page
    assert f"We know of {len(labels)} plotted customers" in page
    assert "ROC Curve" not in page


def test_plots_are_written_without_a_template_and_the_users_own_is_left_alone() -> None:
    usual = plotly.io.templates.default
    page = drawn(customers(1500, 1), customers(800, 2))
    assert plotly.io.templates.default == usual
    assert "#E5ECF6" not in page[: page.index("var global")]
