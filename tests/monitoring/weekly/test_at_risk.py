"""The list of who is at risk: everybody flagged, most at risk first, and no cell that a spreadsheet runs."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.contract import NAMES
from churn.model.explaining import Explainer, reasons
from churn.model.scoring import Encoder
from monitoring.weekly.at_risk import HEADER, AtRisk, cell, explained, table
from tests.conftest import ChampionModel
from tests.support.predictions import week_of_customers


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def test_the_most_at_risk_come_first_and_equals_by_id() -> None:
    found = table([AtRisk("b", 0.4, ("x",)), AtRisk("c", 0.9, ("x", "y", "z")), AtRisk("a", 0.4, ())])
    assert rows(found) == [
        list(HEADER),
        ["c", "0.9000", "x", "y", "z"],
        ["a", "0.4000", "", "", ""],
        ["b", "0.4000", "x", "", ""],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", '=HYPERLINK("http://x")'])
def test_a_cell_that_a_spreadsheet_would_run_is_text(text: str) -> None:
    ((_, *_), row) = rows(table([AtRisk(text, 0.5, (text,))]))
    assert row[0] == row[2] == f"'{text}"


@given(st.text(st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1))
def test_every_id_survives_the_file(customer_id: str) -> None:
    assert rows(table([AtRisk(customer_id, 0.5, ())]))[1][0] == cell(customer_id)


def test_reasons_are_those_of_the_model_for_that_customer(champion: ChampionModel) -> None:
    manifest = champion.model.manifest
    frame = week_of_customers(5).assign(churn_probability=[0.9, 0.8, 0.7, 0.6, 0.5])
    contributions = Explainer(champion.model.forest(), manifest.columns).contributions(
        Encoder(manifest.columns).frame(frame)
    )

    found = list(explained(frame, champion.model))

    assert [one.customer_id for one in found] == frame.customer_id.tolist()
    assert [one.churn_probability for one in found] == [0.9, 0.8, 0.7, 0.6, 0.5]
    for row, one in enumerate(found):
        values = {name: None if frame[name].isna()[row] else frame[name][row] for name in NAMES}
        expected = reasons(values, contributions[row], manifest.typical, 3)
        assert one.reasons == tuple(reason.text for reason in expected)


def test_nobody_at_risk_is_a_list_with_a_header_only(champion: ChampionModel) -> None:
    nobody = week_of_customers(1).assign(churn_probability=0.5).iloc[:0]
    assert rows(table(list(explained(nobody, champion.model)))) == [list(HEADER)]
