"""Keys of one file in several spellings, and rows with values that cannot be used: read, counted, or refused."""

import json
from pathlib import Path
from typing import Any

import ibis
import pytest

from churn.activity.reading import read_events
from churn.activity.settings import UNREADABLE_PERCENT
from churn.activity.typed import EventLog
from churn.errors import EventLogError
from tests.support.raw_logs import raw, write_json

CONNECTION = ibis.duckdb.connect()
MIXED = [raw(ts=1538352117123 + number * 7_654_321, itemInSession=number) for number in range(150)]


def rows_of(log: EventLog) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = log.events.to_pyarrow().to_pylist()
    return sorted(rows, key=lambda row: row["item"])


def other_case(row: dict[str, Any], fold: Any) -> dict[str, Any]:
    return {fold(name): value for name, value in row.items()}


@pytest.mark.parametrize("fold", [str.lower, str.upper, str.title], ids=["lower", "upper", "title"])
@pytest.mark.parametrize("before", [1, 120], ids=["at once", "after the first rows"])
def test_keys_in_several_spellings_within_one_file_are_the_same_columns(tmp_path: Path, fold: Any, before: int) -> None:
    rows = [*MIXED[:before], *(other_case(row, fold) for row in MIXED[before:])]
    found = read_events(write_json(tmp_path / "mixed.json", rows), CONNECTION)
    expected = read_events(write_json(tmp_path / "one.json", MIXED), CONNECTION)
    assert found.report.kept == expected.report.kept == 150
    assert found.report.dropped == {}
    assert rows_of(found) == rows_of(expected)


def test_an_optional_key_that_is_spelled_otherwise_and_comes_late_is_read(tmp_path: Path) -> None:
    without = [{name: value for name, value in row.items() if name != "gender"} for row in MIXED]
    late = [row | {"GENDER": "F"} for row in without[120:]]
    log = read_events(write_json(tmp_path / "late.json", [*without[:120], *late]), CONNECTION)
    assert [row["gender"] for row in rows_of(log)].count("F") == 30


def test_joined_and_malformed_lines_keep_their_places_where_spellings_are_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(UNREADABLE_PERCENT.name, "50")
    one, two, three = (json.dumps(row) for row in (MIXED[0], other_case(MIXED[1], str.lower), MIXED[2]))
    path = tmp_path / "log.json"
    path.write_text("\n".join([one, "", "{broken", two + three, json.dumps(raw(level="gold"))]) + "\n")
    report = read_events(path, CONNECTION).report
    assert report.kept == 3
    assert report.examples == (f"{path}:3: malformed line", f"{path}:5: level neither free nor paid")


def test_an_array_that_mixes_spellings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps([MIXED[0], other_case(MIXED[1], str.lower)]))
    with pytest.raises(EventLogError, match=r"spell a column in several ways: .*; write one object per line"):
        read_events(path, CONNECTION)


def test_more_than_a_few_rows_with_an_unusable_value_refuse_the_log(tmp_path: Path) -> None:
    rows = [row | {"level": "gold"} if number < 10 else row for number, row in enumerate(MIXED)]
    with pytest.raises(EventLogError) as refused:
        read_events(write_json(tmp_path / "log.json", rows), CONNECTION)
    told = str(refused.value)
    assert "10 of 150 rows cannot be used: level neither free nor paid (10); for example" in told
    assert f"{tmp_path / 'log.json'}:1: level neither free nor paid" in told
    assert f"or set {UNREADABLE_PERCENT.name} higher" in told
    assert "gold" not in told
    rows[:3] = MIXED[:3]
    assert read_events(write_json(tmp_path / "log.json", rows), CONNECTION).report.kept == 143


def test_rows_without_a_customer_and_duplicates_are_no_fault(tmp_path: Path) -> None:
    rows = [*MIXED[:10], *MIXED[:10], *(row | {"userId": ""} for row in MIXED)]
    assert read_events(write_json(tmp_path / "log.json", rows), CONNECTION).report.kept == 10
