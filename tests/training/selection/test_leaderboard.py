"""Who comes first on the same rows, and what the text makes of it."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from churn.quality.figure import Figure
from training.selection import leaderboard as module
from training.selection.leaderboard import FOREST, Leaderboard, Timing, leaderboard, verdict

CUSTOMERS = 500
DAY = 1_548_719_995_000


def rows() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "customer_id": [str(number) for number in range(CUSTOMERS)],
            "as_of": DAY,
            "churned": (generator.random(CUSTOMERS) < 0.2).astype(int),
        }
    )


def board(**scores: float) -> Leaderboard:
    """Models by how much of the truth is in their scores; None is a model that was not ready for the last row."""
    generator = np.random.default_rng(1)
    held_out = rows()
    noise = generator.normal(size=CUSTOMERS)
    frame = pd.DataFrame(
        {
            name: weight * held_out.churned + noise + 0.1 * generator.normal(size=CUSTOMERS)
            for name, weight in scores.items()
        }
    )
    timings = {name: Timing(1.5, 20.0) for name in frame.columns}
    return leaderboard(frame, held_out, timings, "other customers", seed=3)


def test_models_are_ranked_by_auc_on_the_same_rows() -> None:
    found = board(**{"weak": 0.1, FOREST: 0.5, "strong": 1.5})
    assert [entry.name for entry in found.entries] == ["strong", FOREST, "weak"]
    assert [entry.place for entry in found.entries] == [1, 2, 3]
    assert found.forest.place == 2
    values = [entry.auc.value for entry in found.entries]
    assert values == sorted(values, reverse=True)
    assert found.customers == CUSTOMERS
    assert found.churners == rows().churned.sum()
    assert found.dates == ("2019-01-28T23:59:55Z",)


def test_the_best_differs_from_itself_by_nothing() -> None:
    best = board(**{FOREST: 0.5, "strong": 1.5}).entries[0]
    assert best.difference == Figure(0.0, 0.0, 0.0)


def test_the_difference_to_the_best_is_that_of_the_aucs() -> None:
    found = board(**{FOREST: 0.5, "strong": 1.5})
    assert found.forest.difference.value == pytest.approx(found.forest.auc.value - found.entries[0].auc.value)
    assert found.forest.difference == found.forest_gaps["strong"]


def test_a_model_that_was_not_ready_everywhere_is_named_and_not_ranked() -> None:
    held_out = rows()
    scores = pd.DataFrame({FOREST: held_out.churned + 0.5, "late": np.where(held_out.index > 0, 1.0, np.nan)})
    found = leaderboard(scores, held_out, {FOREST: Timing(1, 1)}, "other customers", seed=0)
    assert [entry.name for entry in found.entries] == [FOREST]
    assert found.unfinished == ("late",)
    assert "late" in module.markdown(found, [])


def test_a_clearly_better_rival_is_said_to_be() -> None:
    text = " ".join(verdict(board(**{FOREST: 0.3, "strong": 2.0})))
    assert "place 2 of 2" in text
    assert "It costs something: against the best, strong" in text


def test_an_equal_rival_cannot_be_told_apart_and_the_worst_case_is_given() -> None:
    found = board(**{FOREST: 0.5, "twin": 0.51})
    gap = found.forest_gaps["twin"]
    assert gap.low < 0 < gap.high
    text = " ".join(verdict(found))
    if found.forest.place == 2:
        assert f"at worst it costs {-gap.low:.3f}" in text
    else:
        assert "No model did better" in text


def test_the_best_forest_is_compared_with_the_next() -> None:
    text = " ".join(verdict(board(**{FOREST: 2.0, "weak": 0.1, "weaker": 0.0})))
    assert "place 1 of 3" in text
    assert "next is weak " in text


def test_few_churners_are_said_to_be_too_few() -> None:
    found = replace(board(**{FOREST: 0.5, "strong": 1.5}), churners=7)
    assert "Only 7 churners were held out" in verdict(found)[-1]


def test_the_table_holds_the_figures() -> None:
    found = board(**{FOREST: 0.5, "strong": 1.5})
    table = pd.read_csv(io.StringIO(module.csv(found)))
    assert table.model.tolist() == ["strong", FOREST]
    assert table.auc.tolist() == pytest.approx([entry.auc.value for entry in found.entries])
    assert (table.auc_low <= table.auc).all()
    assert (table.auc <= table.auc_high).all()
    assert table.milliseconds_per_1000_rows.tolist() == [20.0, 20.0]


def test_the_page_names_every_model_once_and_shows_the_plot() -> None:
    found = board(**{FOREST: 0.5, "strong": 1.5})
    page = module.markdown(found, ["a note"])
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(found.entries)
    assert len({line.count("|") for line in table}) == 1
    assert "](leaderboard.svg)" in page
    assert "- a note" in page


def test_the_plot_says_in_words_what_it_shows() -> None:
    found = board(**{FOREST: 0.5, "strong": 1.5})
    plot = module.plot(found)
    assert plot.svg.startswith(b"<?xml")
    for entry in found.entries:
        assert f"{entry.name} {entry.auc.value:.3f}" in plot.caption.alt
    scores = pd.Series([entry.auc.value for entry in found.entries])
    assert scores.between(0, 1).all()
    assert roc_auc_score([0, 1], [0.1, 0.2]) == 1.0
