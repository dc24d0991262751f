"""Columns as a whole: what is read as absent, known pages, lost digits, units, columns without a usable value."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.activity.column_checks import left_out
from churn.activity.pages import KNOWN
from churn.activity.reading import read_events
from churn.activity.report import ReadReport
from churn.activity.rows import NO_CUSTOMER, RAW_COLUMNS
from churn.activity.settings import UNREADABLE_PERCENT, WITHOUT
from churn.errors import EventLogError, SettingError
from churn.raw_text import ABSENT, name_sql, value_sql
from tests.support.raw_logs import ROW, raw, write_csv, write_json, write_parquet, write_spark_csv

CONNECTION = ibis.duckdb.connect()
DUCK = duckdb.connect()
START = 1538352117123
COLUMNS = tuple(sorted(ROW))


@pytest.fixture(autouse=True)
def any_number_of_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of a dozen rows has one bad row in every twelve."""
    monkeypatch.setenv(UNREADABLE_PERCENT.name, "100")


def a_log(count: int = 12, /, **changes: Any) -> list[dict[str, Any]]:
    """Rows of three customers at moments that no rounding makes; a list gives each row its value."""
    rows = []
    for number in range(count):
        own = {name: value[number] if isinstance(value, list) else value for name, value in changes.items()}
        common = {
            "userId": str(100 + number % 3),
            "ts": START + number * 7_654_321,
            "registration": 1538173362107 + number % 3,
            "itemInSession": number,
        }
        rows.append(raw(**common | own))
    return rows


def report_on(path: Path, rows: list[dict[str, Any]]) -> ReadReport:
    return read_events(write_json(path / "log.json", rows), CONNECTION).report


def events_in(path: Path) -> list[dict[str, Any]]:
    events = read_events(path, CONNECTION).events.to_pyarrow().to_pylist()
    return sorted(events, key=lambda row: (row["item"], row["ts"]))


def refusal(path: Path, rows: list[dict[str, Any]] | None = None) -> str:
    source = path if rows is None else write_json(path / "log.json", rows)
    with pytest.raises(EventLogError) as refused:
        read_events(source, CONNECTION)
    assert "Freeman" not in str(refused.value)
    return str(refused.value)


# Absent


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("log.json", write_json),
        ("log.csv", write_csv),
        ("spark.csv", write_spark_csv),
        ("log.parquet", write_parquet),
    ],
)
def test_nobody_is_a_customer_by_the_name_of_a_missing_value(tmp_path: Path, name: str, write: Any) -> None:
    texts = [text for text in ABSENT if text]
    nobodies = a_log(2 * len(texts), userId=[*texts, *(f" {text}\t" for text in texts)], level="free")
    report = read_events(write(tmp_path / name, [*a_log(), *nobodies]), CONNECTION).report
    assert (report.kept, report.customers, report.dropped) == (12, 3, {NO_CUSTOMER: 2 * len(texts)})
    assert report.absent == {f"{text} in userId": 2 for text in texts}
    assert "2 read as absent: nan in userId" in report.lines()


@pytest.mark.parametrize("column", [column for column in RAW_COLUMNS if column != "userId"])
def test_a_text_for_absent_is_absent_in_every_column(tmp_path: Path, column: str) -> None:
    expected, found = (tmp_path / name for name in ("none", "text"))
    for path, value in ((expected, None), (found, "NULL ")):
        path.mkdir()
        write_json(path / "log.json", [*a_log(), {**a_log(1)[0], "itemInSession": 77, column: value}])
    reports = [read_events(path, CONNECTION).report for path in (expected, found)]
    assert events_in(expected) == events_in(found)
    assert (reports[0].dropped, reports[0].nulled) == (reports[1].dropped, reports[1].nulled)
    assert (reports[0].absent, reports[1].absent) == ({}, {f"NULL in {column}": 1})


def test_not_a_number_is_absent_in_a_column_of_floats(tmp_path: Path) -> None:
    rows = a_log(
        4, userId=[100.0, 101.0, float("nan"), 102.0], registration=[1538173362107.0, float("nan"), 1e300, None]
    )
    report = read_events(write_parquet(tmp_path / "log.parquet", rows), CONNECTION).report
    assert (report.kept, report.customers, report.dropped) == (3, 3, {NO_CUSTOMER: 1})
    assert report.absent == {"nan in userId": 1, "nan in registration": 1}


def test_names_that_only_contain_a_word_for_absent_are_names(tmp_path: Path) -> None:
    report = report_on(tmp_path, a_log(userId=[f"{text}{number % 2}" for number, text in enumerate(ABSENT[1:])]))
    assert report.customers == 12
    assert report.absent == {}


@pytest.mark.parametrize("blanks", ["", " ", "\t", "\xa0", " \u2003\r"])
def test_the_value_in_sql_is_the_value_in_python(blanks: str) -> None:
    for text in (*ABSENT, "a", "30", "Nan", "nulls", "\xe9", "\x7f", "~"):
        ((value,),) = DUCK.execute(
            f"SELECT {value_sql('text')} FROM (SELECT ? AS text)", [blanks + text + blanks]
        ).fetchall()
        assert value == (None if text.strip() in ABSENT else text)


# Names


@pytest.mark.parametrize("page", KNOWN)
def test_a_page_is_known_whatever_its_case_and_blanks(page: str) -> None:
    spelled = [
        page.lower(),
        page.upper(),
        f" {page}\n",
        page.replace(" ", ""),
        page.replace(" ", "\xa0"),
        page.swapcase(),
    ]
    for text in spelled:
        found = DUCK.execute(f"SELECT {name_sql('page', KNOWN)} FROM (SELECT ? AS page)", [text]).fetchall()
        assert found == [(page,)]


def test_a_log_in_lower_case_is_the_same_log(tmp_path: Path) -> None:
    pages = ["NextSong", "Thumbs Down", "Cancellation Confirmation"]
    usual = a_log(3, page=pages, level=["paid", "free", "paid"], gender="F")
    lower = [{**row, **{name: row[name].lower() for name in ("page", "level", "gender", "auth")}} for row in usual]
    expected = events_in(write_json(tmp_path / "usual.json", usual))
    assert events_in(write_json(tmp_path / "lower.json", lower)) == expected
    assert [row["page"] for row in expected] == pages


def test_pages_that_the_service_does_not_have_are_counted_by_name(tmp_path: Path) -> None:
    report = report_on(tmp_path, a_log(page=["Radio"] * 2 + ["x" * 50] + ["NextSong"] * 9))
    assert (report.kept, report.unknown_pages) == (12, 3)
    assert report.unknown_page_names == {"Radio": 2, "x" * 40: 1}
    assert f"3 kept (25.0%) have an unknown page: Radio (2), {'x' * 40} (1)" in report.lines()


def test_a_log_without_a_known_page_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, a_log(page=["play", "/home"] * 6)).endswith(
        "log.json: page: no row has a known page; found /home, play; expected pages such as NextSong and Home"
    )


def test_a_log_without_songs_says_so(tmp_path: Path) -> None:
    assert report_on(tmp_path, a_log(page="Home")).no_songs
    assert "no row has the page NextSong: nobody played a song" in report_on(tmp_path, a_log(page="Home")).lines()
    assert not report_on(tmp_path, a_log()).no_songs


# Lost digits


def as_a_spreadsheet(number: float) -> str:
    mantissa, _, exponent = f"{number:.5E}".partition("E")
    return f"{mantissa.rstrip('0')}E{exponent}"


@pytest.mark.parametrize(
    "rounded",
    [
        as_a_spreadsheet,
        lambda number: f"{number:g}",
        lambda number: f"{number:.6e}",
        lambda number: int(float(as_a_spreadsheet(number))),
        lambda number: int(np.float32(number)),
    ],
)
@pytest.mark.parametrize("column", ["ts", "registration"])
def test_moments_without_their_last_digits_are_refused(tmp_path: Path, rounded: Any, column: str) -> None:
    exact = [START + number * 87_654_321 for number in range(12)]
    assert report_on(tmp_path, a_log(**{column: exact})).kept == 12
    for write, name in ((write_json, "log.json"), (write_csv, "log.csv")):
        path = write(tmp_path / name, a_log(**{column: [rounded(moment) for moment in exact]}))
        assert f"{name}: {column} has lost its last digits in " in refusal(path)


def test_one_moment_in_scientific_notation_is_enough_where_all_rows_have_it(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", a_log(3, ts="1.54224E+12"))
    assert "ts has lost its last digits in 3 rows, as 1542241826000 does" in refusal(path)


def as_a_jvm(number: int) -> str:
    return f"{Decimal(number).normalize():E}".replace("+", "")


@pytest.mark.parametrize("step", [1, 1000, 60_000, 300_000, 900_000, 3_600_000, 86_400_000])
@pytest.mark.parametrize("write", [str, as_a_jvm])
def test_moments_that_people_round_are_read(tmp_path: Path, step: int, write: Any) -> None:
    moments = [START // step * step + number * step for number in range(12)]
    texts = [write(moment) for moment in moments]
    report = report_on(tmp_path, a_log(ts=texts, registration=texts))
    assert (report.kept, report.first_ts, report.log_end) == (12, moments[0], moments[-1])


@pytest.mark.parametrize(
    "ids",
    [
        [f"{float(number):.5E}" for number in range(123_456_789_012, 123_456_789_012 + 12 * 10**7, 10**7)],
        [repr(float(2**54 + number * 1000)) for number in range(12)],
    ],
)
@pytest.mark.parametrize("column", ["userId", "sessionId"])
def test_ids_without_their_last_digits_are_refused(tmp_path: Path, column: str, ids: list[str]) -> None:
    path = write_csv(tmp_path / "log.csv", a_log(**{column: ids}))
    assert f"log.csv: {column} has lost its last digits in 12 rows" in refusal(path)


def test_some_long_ids_among_short_ones_are_enough(tmp_path: Path) -> None:
    ids = ["1.23457E+12", "1.23457E+13", "1.23457E+14", *(str(number) for number in range(9))]
    assert "userId has lost its last digits in 3 rows" in refusal(write_csv(tmp_path / "log.csv", a_log(userId=ids)))


def test_whole_numbers_that_a_jvm_writes_with_an_exponent_are_warned_of_and_kept(tmp_path: Path) -> None:
    ids = ["1.1E7", *(f"1.{number}E7" for number in range(2_345_671, 2_345_682))]
    log = read_events(write_csv(tmp_path / "log.csv", a_log(userId=ids, sessionId=ids)), CONNECTION)
    assert (log.report.kept, log.report.customers, log.report.exponents) == (12, 12, 12)
    assert log.report.lines()[2].startswith("12 rows have a userId with an exponent, as 1.1E7 has: it is kept as it is")
    assert {row["session_id"] for row in log.events.to_pyarrow().to_pylist()} == {int(float(one)) for one in ids}


# Units, and columns that are lost altogether


@pytest.mark.parametrize(("unit", "factor"), [("seconds", 0.001), ("microseconds", 1000), ("nanoseconds", 1_000_000)])
def test_a_registration_in_another_unit_is_refused_with_the_unit(tmp_path: Path, unit: str, factor: float) -> None:
    rows = a_log(registration=[int((1538173362107 + number) * factor) for number in range(12)])
    assert f"log.json: registration is in {unit} in 12 rows; expected UTC epoch milliseconds" in refusal(tmp_path, rows)


def test_each_file_has_its_own_unit(tmp_path: Path) -> None:
    write_json(tmp_path / "1.json", a_log())
    write_json(tmp_path / "2.json", a_log(3, registration=1538173362))
    assert "2.json: registration is in seconds in 3 rows" in refusal(tmp_path)


@pytest.mark.parametrize(
    "moments",
    [
        [date(2018, 9, 28), date(2018, 9, 29), None],
        [datetime(2018, 9, 28), datetime(2018, 9, 29), None],  # noqa: DTZ001  # as files have it: UTC
        [datetime(2018, 9, 28, tzinfo=UTC), datetime(2018, 9, 29, tzinfo=UTC), None],
        ["2018-09-28", "2018-09-29T00:00:00Z", ""],
    ],
)
def test_a_registration_may_be_a_date_or_a_moment(tmp_path: Path, moments: list[Any]) -> None:
    table = pa.Table.from_pylist([{name: row.get(name) for name in COLUMNS} for row in a_log(3)])
    place = table.schema.get_field_index("registration")
    path = tmp_path / "log.parquet"
    pq.write_table(table.set_column(place, "registration", pa.array(moments)), path)
    assert [row["registration"] for row in events_in(path)] == [1538092800000, 1538179200000, None]
    assert read_events(path, CONNECTION).report.nulled == {}


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("registration", "28.09.2018", "registration neither a date nor epoch milliseconds, from 2000 to 2100"),
        ("gender", "female", "gender neither F nor M"),
        ("length", "277890", "length not in seconds above 0, at most 24 hours"),
        ("status", "OK", "status not a whole number from 100 to 599"),
    ],
)
def test_a_column_that_is_lost_altogether_is_refused_unless_a_setting_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, value: str, what: str
) -> None:
    rows = a_log(**{column: value})
    assert refusal(tmp_path, rows).endswith(
        f"no value can be used: {what}; correct the column, or set {WITHOUT.name}={column} to go on without it"
    )
    monkeypatch.setenv(WITHOUT.name, column)
    report = report_on(tmp_path, rows)
    assert (report.kept, report.left_out) == (12, (column,))
    assert f"left out, as {WITHOUT.name} says: {column}" in report.lines()
    assert ReadReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_user_agents_of_which_none_is_recognised_are_refused_unless_a_setting_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = a_log(userAgent=["a toaster", "a kettle"] * 6)
    assert "userAgent: none of 2 different values is that of a known browser" in refusal(tmp_path, rows)
    monkeypatch.setenv(WITHOUT.name, "userAgent")
    assert report_on(tmp_path, rows).kept == 12


def test_a_column_to_go_on_without_is_null_for_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WITHOUT.name, "registration, length")
    seconds = a_log(registration=1538173362)
    rounded = a_log(registration=[as_a_spreadsheet(START + number * 87_654_321) for number in range(12)])
    for rows in (seconds, rounded):
        events = events_in(write_csv(tmp_path / "log.csv", rows))
        assert {(row["registration"], row["length_ms"]) for row in events} == {(None, None)}


@pytest.mark.parametrize("given", ["ts", "registration,song", "all"])
def test_a_column_that_is_needed_cannot_be_left_out(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(WITHOUT.name, given)
    with pytest.raises(SettingError, match="some of registration, gender, length, status, userAgent, between commas"):
        left_out()


def test_reports_of_earlier_releases_are_read() -> None:
    report = ReadReport(1, 1, 1, {}, {}, (), 1, START, START, 0)
    old = {name: report.to_dict()[name] for name in list(report.to_dict())[:10]}
    assert ReadReport.from_dict(old) == report
