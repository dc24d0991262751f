"""No cell begins a formula in any locale, and every text is read back as it was."""

import doctest
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn import spreadsheet
from churn.spreadsheet import cell, text_of

SIGNS = "=+-@＝＋－＠"


def test_the_examples_run() -> None:
    assert doctest.testmod(spreadsheet) == (0, 2)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1", "'=1"),
        ("'=1", "''=1"),
        ("x;=cmd|'/c calc'!A0", "x;'=cmd|'/c calc'!A0"),
        ("x\t@SUM(A1)", "x\t'@SUM(A1)"),
        ("x\n=1", "x\n'=1"),
        ("x\r\n+1", "x\r'\n'+1"),
        ("\x00=1", "'\x00'=1"),
        ("\t=1", "'\t'=1"),
        ("a=1; b", "a=1; b"),
        ("it's 30", "it's 30"),
        ("", ""),
    ],
)
def test_a_formula_sign_that_may_begin_a_cell_is_preceded_by_an_apostrophe(text: str, written: str) -> None:
    assert cell(text) == written
    assert text_of(written) == text


@given(st.text(st.sampled_from([*SIGNS, "'", ";", "\t", "\r", "\n", "\x00", "x", " "])))
def test_every_text_is_read_back_and_no_part_of_a_cell_begins_a_formula(text: str) -> None:
    assert text_of(cell(text)) == text
    assert not any(part.startswith(tuple(SIGNS)) for part in re.split("[;\t\r\n\x00]", cell(text)))
