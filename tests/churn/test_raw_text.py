import sys

import duckdb
from hypothesis import example, given
from hypothesis import strategies as st

from churn.raw_text import BLANKS, trimmed_sql

DUCK = duckdb.connect()


def test_blanks_are_what_python_strips() -> None:
    assert set(BLANKS) == {letter for letter in map(chr, range(sys.maxunicode + 1)) if letter.isspace()}


@given(st.text(st.sampled_from(f"a~!{BLANKS}") | st.characters(codec="utf-8")))
@example("")
@example("a\x7f")
def test_sql_trims_as_python_strips(text: str) -> None:
    ((trimmed,),) = DUCK.execute(f"SELECT {trimmed_sql('text')} FROM (SELECT ?::VARCHAR AS text)", [text]).fetchall()
    assert trimmed == text.strip()
