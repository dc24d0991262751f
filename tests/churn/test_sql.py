"""What is quoted arrives in DuckDB as it was."""

from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn.sql import exactly, literal, quoted

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


DUCK = duckdb.connect()


@given(TEXTS, TEXTS)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine DuckDB takes its time
def test_a_name_and_a_text_arrive_as_they_were(name: str, text: str) -> None:
    found = DUCK.execute(f"SELECT {literal(text)} AS {quoted(name)}")
    assert found.description[0][0] == name
    assert found.fetchall() == [(text,)]


@pytest.mark.parametrize("name", ["a*.csv", "a?.csv", "a[b].csv", "it's [1].csv", "]a[.csv"])
def test_a_path_is_no_pattern(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("value\n7\n")
    (tmp_path / "ab.csv").write_text("value\n8\n")
    assert duckdb.connect().execute(f"SELECT value FROM read_csv({literal(exactly(tmp_path / name))})").fetchall() == [
        (7,)
    ]
