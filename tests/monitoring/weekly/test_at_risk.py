"""The list of who is at risk: everybody flagged, most at risk first, and no cell that a spreadsheet runs."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.contract import NAMES, example_customer
from churn.errors import ReportError
from churn.model.explaining import Explainer
from churn.model.scoring import Encoder, Scorer
from churn.retention.peers import context, reasons_beside_peers
from churn.spreadsheet import cell, text_of
from monitoring.labels.treatments import read_treatments
from monitoring.weekly.at_risk import HEADER, AtRisk, explained, raising, read_table, table
from tests.conftest import ChampionModel
from tests.support.predictions import week_of_customers


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def test_the_most_at_risk_come_first_and_equals_by_id() -> None:
    found = table([AtRisk("b", 0.4, ("x",)), AtRisk("c", 0.9, ("x", "y", "z")), AtRisk("a", 0.4, ())])
    assert rows(found) == [
        list(HEADER),
        ["c", "0.9000", "x", "y", "z", "", ""],
        ["a", "0.4000", "", "", "", "", ""],
        ["b", "0.4000", "x", "", "", "", ""],
    ]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", '=HYPERLINK("http://x")', "x;=1", "'=1"]
)
def test_a_cell_that_a_spreadsheet_would_run_is_text(text: str) -> None:
    ((_, *_), row) = rows(table([AtRisk(text, 0.5, (text,))]))
    assert row[0] == row[2] == cell(text) != text
    assert text_of(row[0]) == text


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_every_id_survives_the_file(customer_id: str) -> None:
    assert text_of(rows(table([AtRisk(customer_id, 0.5, ())]))[1][0]) == customer_id


def test_offers_made_from_the_list_are_to_the_customers_of_the_list(tmp_path: Path) -> None:
    customers = ["=1", "'=1", "x;=1", "x\n=1", "x\x00=1", "-30", "30"]
    listed = [row[0] for row in rows(table([AtRisk(one, 0.5, ()) for one in customers]))[1:]]
    path = tmp_path / "offers.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("customer_id", "date"), *((one, "2018-11-05") for one in listed)])
    assert set(read_treatments(path).customer_id) == set(customers)


def test_reasons_are_those_of_the_model_for_that_customer(champion: ChampionModel) -> None:
    manifest = champion.model.manifest
    assert manifest.peers is not None
    frame = week_of_customers(5).assign(churn_probability=[0.9, 0.8, 0.7, 0.6, 0.5])
    contributions = Explainer(champion.model.forest(), manifest.columns).contributions(
        Encoder(manifest.columns).frame(frame)
    )

    found = list(explained(frame, champion.model))

    assert [one.customer_id for one in found] == frame.customer_id.tolist()
    assert [one.churn_probability for one in found] == [0.9, 0.8, 0.7, 0.6, 0.5]
    for row, one in enumerate(found):
        values = {name: None if frame[name].isna()[row] else frame[name][row] for name in NAMES}
        expected = reasons_beside_peers(values, contributions[row], manifest.peers, 3)
        assert one.reasons == tuple(reason.text for reason in expected)
        assert one.context == context(values)


def test_a_model_that_knows_no_peers_gives_what_raises_the_score_beside_everybody(champion: ChampionModel) -> None:
    manifest = champion.model.manifest
    row = np.zeros(len(NAMES))
    row[NAMES.index("thumbs_down_7d")], row[NAMES.index("level")] = 0.1, -0.2
    older = manifest.model_copy(update={"peers": None})
    (text,) = raising(example_customer(), row, older)
    assert text.split("; ")[1].startswith("customers who stay: ")


def test_what_would_help_is_what_the_model_says_of_the_changed_customer(champion: ChampionModel) -> None:
    """For those who are at risk by the model; each probability is below the threshold."""
    scorer = Scorer(champion.model)
    frame = week_of_customers(200)
    probability = scorer.probability(scorer.score(scorer.encoder.frame(frame)))
    found = [one for one in explained(frame.assign(churn_probability=probability), champion.model) if one.help]
    assert found
    for one in found:
        assert one.churn_probability >= scorer.threshold
        stated = [float(text.split("): ")[1].removesuffix(" %")) / 100 for text in one.help]
        assert max(stated) <= scorer.threshold + 0.0005


def test_nobody_at_risk_is_a_list_with_a_header_only(champion: ChampionModel) -> None:
    nobody = week_of_customers(1).assign(churn_probability=0.5).iloc[:0]
    assert rows(table(list(explained(nobody, champion.model)))) == [list(HEADER)]


def test_the_list_is_read_back() -> None:
    customers = [AtRisk("=1", 0.9, ("-x; y", "z"), "=new", ("+a", "b")), AtRisk("b", 0.4, ())]
    assert read_table(table(customers), "at_risk.csv") == customers


def test_a_list_of_before_the_newer_columns_is_read() -> None:
    content = b"customer_id,churn_probability,reason_1,reason_2,reason_3\r\n7,0.5,x,,\r\n"
    assert read_table(content, "at_risk.csv") == [AtRisk("7", 0.5, ("x",))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("customer_id,churn_probability\n", "header: reason_1 is missing"),
        (
            "customer_id,churn_probability,reason_1,reason_2,reason_3\n7,high,,,\n",
            "line 2: churn_probability: found 'high'",
        ),
    ],
)
def test_a_damaged_list_is_refused_saying_where(content: str, message: str) -> None:
    with pytest.raises(ReportError, match=f"at_risk.csv: {message}"):
        read_table(content.encode(), "at_risk.csv")
