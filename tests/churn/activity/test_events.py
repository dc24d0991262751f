import bz2
import gzip
import json
import random
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.activity import rows as event_rows
from churn.activity import typed
from churn.activity.reading import read_events
from churn.activity.report import ReadReport
from churn.activity.rows import DUPLICATE, MALFORMED, NO_CUSTOMER, NOT_UTF8
from churn.activity.settings import UNREADABLE_PERCENT
from churn.activity.span import lonely
from churn.activity.typed import EVENT_SCHEMA, EventLog, load_events, write_events
from churn.errors import EventLogError
from tests.support.examples import examples
from tests.support.raw_logs import ABSENT, COLUMNS, LOGGED_OUT, json_lines, raw, write_csv, write_json, write_parquet
from tests.support.raw_logs import write_spark_csv as write_spark

CONNECTION = ibis.duckdb.connect()


@pytest.fixture(autouse=True, scope="module")
def any_number_of_faults():
    """The logs of these tests are short: one fault is more than the share that is allowed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(UNREADABLE_PERCENT.name, "100")
        yield


ROWS = [
    raw(),
    raw(userId="9", level="free", artist='Weird Al" Yankovic', song="A, B", itemInSession=0, gender="F", length=0.5),
    raw(userId="9", page="Thumbs Down", status=307, artist=None, song=None, length=None, itemInSession=1),
    raw(userId="100", location="back\\slash", userAgent=None, registration=None, gender=None, itemInSession=2),
    LOGGED_OUT,
]
MAC = (
    '"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_4) AppleWebKit/537.36 (KHTML, like Gecko) '
    'Chrome/36.0.1985.125 Safari/537.36"'
)
PHONE = (
    '"Mozilla/5.0 (iPhone; CPU iPhone OS 7_1_2 like Mac OS X) AppleWebKit/537.51.2 (KHTML, like Gecko) '
    'Version/7.0 Mobile/11D257 Safari/9537.53"'
)
REASONS: list[tuple[dict[str, Any], str]] = [
    ({"ts": ABSENT}, "ts missing"),
    ({"ts": None}, "ts missing"),
    ({"ts": "soon"}, "ts not a number"),
    ({"ts": "0x16641B08"}, "ts not a number"),
    ({"ts": 0}, "ts before 2000 or after 2100"),
    ({"ts": 946684799999}, "ts before 2000 or after 2100"),
    ({"ts": 4102444800000}, "ts before 2000 or after 2100"),
    ({"ts": 1538352117}, "ts is in seconds"),
    ({"ts": 1538352117000000}, "ts is in microseconds"),
    ({"ts": 1538352117000000000}, "ts is in nanoseconds"),
    ({"ts": "2018-10-01T00:01:57Z"}, "ts is a date as text"),
    ({"ts": "2018-10-01 02:01:57+02:00"}, "ts is a date as text"),
    ({"page": ""}, "page missing"),
    ({"userId": ""}, NO_CUSTOMER),
    ({"userId": "  "}, NO_CUSTOMER),
    ({"userId": None}, NO_CUSTOMER),
    ({"userId": ABSENT}, NO_CUSTOMER),
    ({"userId": "x" * 129}, "userId longer than 128 characters"),
    ({"sessionId": ABSENT}, "sessionId missing"),
    ({"sessionId": -1}, "sessionId not a whole number from 0"),
    ({"sessionId": 1.5}, "sessionId not a whole number from 0"),
    ({"itemInSession": None}, "itemInSession missing"),
    ({"itemInSession": "first"}, "itemInSession not a whole number from 0"),
    ({"itemInSession": 1e300}, "itemInSession not a whole number from 0"),
    ({"level": ""}, "level missing"),
    ({"level": "gold"}, "level neither free nor paid"),
]


def read(*rows: Any) -> EventLog:
    with tempfile.TemporaryDirectory() as folder:
        return read_events(write_json(Path(folder, "log.json"), rows), CONNECTION)


def table(log: EventLog) -> list[tuple[Any, ...]]:
    rows = log.events.to_pyarrow().to_pylist()
    return sorted((tuple(row[name] for name in EVENT_SCHEMA) for row in rows), key=repr)


def only(log: EventLog) -> dict[str, Any]:
    (row,) = log.events.to_pyarrow().to_pylist()
    return dict(row)


def in_order(log: EventLog) -> list[dict[str, Any]]:
    """The events by their place in the session."""
    return sorted(log.events.to_pyarrow().to_pylist(), key=lambda row: int(row["item"]))


def refusal(source: str | Path) -> str:
    with pytest.raises(EventLogError) as refused:
        read_events(source, CONNECTION)
    return str(refused.value)


# Values


def test_a_row_becomes_one_typed_event() -> None:
    log = read(raw())
    assert only(log) == {
        "customer_id": "30",
        "ts": 1538352117000,
        "session_id": 29,
        "item": 50,
        "page": "NextSong",
        "level": "paid",
        "gender": "M",
        "os": "Windows",
        "browser": "Firefox",
        "registration": 1538173362000,
        "length_ms": 277890,
        "artist": "Martha Tilston",
        "status": 200,
        "location": "Bakersfield, CA",
    }
    assert {name: str(kind) for name, kind in log.events.schema().items()} == EVENT_SCHEMA


def test_names_songs_and_agents_are_not_carried_on() -> None:
    assert not {"firstName", "lastName", "song", "auth", "method", "userAgent"} & set(read(raw()).events.columns)


@pytest.mark.parametrize("missing", [None, ABSENT, ""])
def test_what_is_not_known_is_null_and_not_counted(missing: object) -> None:
    optional = ("registration", "gender", "artist", "length", "userAgent", "location", "status")
    log = read(raw(**dict.fromkeys(optional, missing)))
    event = only(log)
    assert [name for name in EVENT_SCHEMA if event[name] is None] == [
        *("gender", "os", "browser", "registration", "length_ms", "artist", "status", "location")
    ]
    assert log.report.nulled == {}


@pytest.mark.parametrize(
    ("changes", "column", "value"),
    [
        ({"userId": 30}, "customer_id", "30"),
        ({"userId": 30.0}, "customer_id", "30"),
        ({"userId": " u-30.0 "}, "customer_id", "u-30.0"),
        ({"userId": "x" * 128}, "customer_id", "x" * 128),
        ({"ts": "1538352117000"}, "ts", 1538352117000),
        ({"ts": 1538352117000.0}, "ts", 1538352117000),
        ({"ts": "1.538352117123E12"}, "ts", 1538352117123),
        ({"ts": 946684800000}, "ts", 946684800000),
        ({"ts": 4102444799999}, "ts", 4102444799999),
        ({"registration": 1538173362000.0}, "registration", 1538173362000),
        ({"registration": "1.538173362E12"}, "registration", 1538173362000),
        ({"sessionId": "29.0"}, "session_id", 29),
        ({"sessionId": 2**60 + 1}, "session_id", 2**60 + 1),
        ({"itemInSession": 0}, "item", 0),
        ({"length": "277.89016"}, "length_ms", 277890),
        ({"length": 86400}, "length_ms", 86_400_000),
        ({"artist": " Sigur Rós\t"}, "artist", "Sigur Rós"),
        ({"page": " nextsong"}, "page", "NextSong"),
        ({"page": "Next Song"}, "page", "NextSong"),
        ({"page": "THUMBS DOWN"}, "page", "Thumbs Down"),
        ({"page": "add\xa0to playlist\n"}, "page", "Add to Playlist"),
        ({"level": "PAID "}, "level", "paid"),
        ({"level": "Free"}, "level", "free"),
        ({"gender": " f"}, "gender", "F"),
        ({"userId": " 30.0\u2028"}, "customer_id", "30"),
        ({"userId": "1.1E7"}, "customer_id", "1.1E7"),
        ({"ts": " 1538352117000\xa0"}, "ts", 1538352117000),
        ({"registration": "2018-09-28"}, "registration", 1538092800000),
        ({"registration": "2018-09-28 22:22:42"}, "registration", 1538173362000),
        ({"registration": " 2018-09-28T22:22:42.500Z "}, "registration", 1538173362500),
        ({"registration": "2018-09-29 00:22:42+02:00"}, "registration", 1538173362000),
        ({"registration": "2018-09-28T17:22:42-0500"}, "registration", 1538173362000),
        ({"status": "404"}, "status", 404),
    ],
)
def test_values_in_other_clothes_are_the_same_values(changes: dict[str, Any], column: str, value: object) -> None:
    assert only(read(raw(**changes)))[column] == value


def test_an_escaped_slash_is_a_slash() -> None:
    assert only(read(json.dumps(raw(location="A/B")).replace("/", "\\/")))["location"] == "A/B"


@pytest.mark.parametrize(
    ("agent", "os", "browser"),
    [
        ("Mozilla/5.0 (Windows NT 6.1; WOW64; rv:31.0) Gecko/20100101 Firefox/31.0", "Windows", "Firefox"),
        (MAC, "Mac OS X", "Chrome"),
        (PHONE, "iOS", "Mobile Safari"),
        ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:31.0) Gecko/20100101 Firefox/31.0", "Ubuntu", "Firefox"),
        ("a toaster", None, None),
        ('""', None, None),
    ],
)
def test_the_agent_gives_system_and_browser(agent: str, os: str | None, browser: str | None) -> None:
    log = read(raw(itemInSession=1), raw(userAgent=agent))
    assert [(event["os"], event["browser"]) for event in in_order(log)] == [("Windows", "Firefox"), (os, browser)]


def test_a_family_is_cut_to_what_the_contract_takes_and_other_is_unknown() -> None:
    assert typed._family(SimpleNamespace(family="x" * 80)) == "x" * 64
    assert typed._family(SimpleNamespace(family="Other")) is None


# Dropped and set to null, counted


@pytest.mark.parametrize(("changes", "reason"), REASONS)
def test_a_bad_row_is_dropped_for_its_reason(changes: dict[str, Any], reason: str) -> None:
    report = read(raw(), raw(itemInSession=1), raw(**changes)).report
    assert (report.rows, report.kept, report.dropped) == (3, 2, {reason: 1})


def test_every_reason_of_the_rules_is_tested_above() -> None:
    reasons = set(re.findall(r"THEN '([^']+)'", event_rows._REASON)) - {MALFORMED}
    assert reasons == {reason for _, reason in REASONS}


@pytest.mark.parametrize(
    ("changes", "column", "meaning"),
    [
        (
            {"registration": 1538173362},
            "registration",
            "registration neither a date nor epoch milliseconds, from 2000 to 2100",
        ),
        (
            {"registration": "yes"},
            "registration",
            "registration neither a date nor epoch milliseconds, from 2000 to 2100",
        ),
        ({"gender": "X"}, "gender", "gender neither F nor M"),
        (
            {"registration": "28/09/2018"},
            "registration",
            "registration neither a date nor epoch milliseconds, from 2000 to 2100",
        ),
        (
            {"registration": "1999-12-31"},
            "registration",
            "registration neither a date nor epoch milliseconds, from 2000 to 2100",
        ),
        ({"length": 0}, "length_ms", "length not in seconds above 0, at most 24 hours"),
        ({"length": -3.5}, "length_ms", "length not in seconds above 0, at most 24 hours"),
        ({"length": 86400.5}, "length_ms", "length not in seconds above 0, at most 24 hours"),
        ({"length": "inf"}, "length_ms", "length not in seconds above 0, at most 24 hours"),
        ({"status": 99}, "status", "status not a whole number from 100 to 599"),
        ({"status": "ok"}, "status", "status not a whole number from 100 to 599"),
    ],
)
def test_an_impossible_optional_value_becomes_null_and_is_counted(
    changes: dict[str, Any], column: str, meaning: str
) -> None:
    log = read(raw(itemInSession=1), raw(**changes))
    good, bad = in_order(log)
    assert good[column] is not None
    assert bad[column] is None
    assert (log.report.kept, log.report.nulled) == (2, {meaning: 1})


def test_only_a_row_equal_in_all_columns_is_a_duplicate() -> None:
    other = [raw(**{name: "other"}) for name in ("song", "firstName", "lastName", "auth", "method", "userAgent")]
    other += [raw(registration="soon"), raw(gender="X"), raw(gender="Y"), raw(status=404), raw(length=1)]
    other += [raw(artist="NULL")]
    again = [raw(), raw(page="nextsong", auth=" LOGGED IN", level="Paid", method="put", gender="m")]
    again += [dict(reversed(raw().items())), raw(length="277.89016", registration=1538173362000.0, userId=30)]
    again += [raw(artist="<NA>")]
    report = read(raw(), *other, *again).report
    assert (report.kept, report.dropped) == (1 + len(other), {DUPLICATE: 5})


def test_duplicates_are_found_across_files_and_formats(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", ROWS)
    write_spark(tmp_path / "b.csv", ROWS)
    write_parquet(tmp_path / "c.parquet", ROWS)
    report = read_events(tmp_path, CONNECTION).report
    assert (report.files, report.rows, report.kept) == (3, 15, 4)
    assert report.dropped == {DUPLICATE: 8, NO_CUSTOMER: 3}


def test_malformed_lines_are_counted_and_located_blank_lines_are_not_rows(tmp_path: Path) -> None:
    lines: list[Any] = [
        "",
        raw(),
        "  ",
        "not json",
        "[1, 2]",
        raw(itemInSession=1),
        "null",
        '{"ts": 1} {"ts": 2}',
        "{}",
    ]
    path = write_json(tmp_path / "log.json", lines)
    path.write_bytes(path.read_bytes() + b'{"artist": "\xff"}\n' + json.dumps(raw(itemInSession=2))[:-9].encode())
    report = read_events(path, CONNECTION).report
    assert (report.rows, report.kept, report.dropped) == (
        10,
        2,
        {MALFORMED: 5, NOT_UTF8: 1, "ts before 2000 or after 2100": 2},
    )
    assert report.examples == tuple(f"{path}:{line}: malformed line" for line in (4, 5, 7))


def test_examples_say_where_and_why_never_what(tmp_path: Path) -> None:
    path = write_json(tmp_path / "log.json", [raw(), raw(level="Freeman"), LOGGED_OUT, '"Freeman"'])
    report = read_events(path, CONNECTION).report
    assert report.examples == (f"{path}:2: level neither free nor paid", f"{path}:4: malformed line")
    assert "Freeman" not in "".join(report.lines())


def test_the_log_ends_with_its_newest_row_even_without_a_customer_but_not_with_an_invalid_time() -> None:
    later = {**LOGGED_OUT, "ts": 1538352117999}
    report = read(raw(), later, raw(ts=1638352117000000), raw(ts=1538352110000, level="gold")).report
    assert (report.first_ts, report.log_end) == (1538352110000, 1538352117999)


def test_customers_who_came_back_after_they_cancelled_are_counted() -> None:
    rows = [raw(userId=who, page="Cancellation Confirmation") for who in ("1", "2", "3")]
    back = [raw(userId="2", ts=1538352118000), raw(userId="3", page="Home", ts=1538352118000)]
    assert read(*rows).report.came_back == 0
    report = read(*rows, *back).report
    assert report.came_back == 1
    assert "1 of them cancelled and came back: at risk again from their next song on" in report.lines()


def test_few_rows_long_after_all_others_are_pointed_out() -> None:
    day = 86_400_000
    rows = [raw(ts=1538352117000 + item, itemInSession=item) for item in range(5)]
    usual = read(*rows, raw(ts=1538352117000 + 30 * day)).report
    late = read(*rows, raw(ts=1538352117000 + 32 * day)).report
    assert usual.after_gap == 0
    assert late.after_gap == 1
    assert "1 rows come more than 30 days after all others" in late.lines()[2]
    assert lonely([(100, 1), (99, 1), (50, 2000), (1, 2000)]) == 2
    assert lonely([(100, 1), (99, 9), (50, 2000)]) == 0


def test_the_log_begins_after_few_rows_long_before_all_others() -> None:
    day = 86_400_000
    rows = [raw(ts=1538352117000 + item, itemInSession=item) for item in range(5)]
    reset = raw(ts=946684805000, itemInSession=9)
    report = read(reset, *rows, raw(ts=1538352117000 + 32 * day)).report
    assert (report.first_ts, report.before_gap, report.after_gap, report.kept) == (1538352117000, 1, 1, 7)
    assert (
        "1 rows come more than 30 days before all others, and the log is taken to begin after them" in report.lines()[2]
    )
    assert read(raw(ts=1538352117000 - 30 * day), *rows).report.first_ts == 1538352117000 - 30 * day


def test_of_two_rows_far_apart_neither_is_the_odd_one() -> None:
    report = read(raw(), raw(ts=1638352117000)).report
    assert (report.first_ts, report.before_gap, report.after_gap) == (1538352117000, 0, 0)


# Formats


def _bz2(path: Path) -> Path:
    path.write_bytes(bz2.compress(json_lines(ROWS).encode()))
    return path


def _array(path: Path) -> Path:
    path.write_text(json.dumps(ROWS, indent=1))
    return path


def _crlf(path: Path) -> Path:
    path.write_bytes(json_lines(ROWS).replace("\n", "\r\n").encode())
    return path


def _marked(path: Path) -> Path:
    path.write_bytes(b"\xef\xbb\xbf" + json_lines(ROWS).encode())
    return path


def _spark_folder(path: Path) -> Path:
    write_spark(path / "part-00000-a.csv", ROWS[:2])
    write_spark(path / "part-00001-a.csv", ROWS[2:], reversed(COLUMNS))
    write_spark(path / "part-00002-a.csv", [])
    for name in ("part-00003-a.csv", "_SUCCESS", "._SUCCESS.crc", ".part-00000-a.csv.crc", "README.md"):
        (path / name).write_bytes(b"")
    return path


def _spark_partitions(path: Path) -> Path:
    write_json(path / "day=1" / "part-0.json", ROWS[:3])
    write_json(path / "day=2" / "part-0.json.gz", ROWS[3:])
    return path


def _cr_in_the_end(path: Path) -> Path:
    content = write_spark(path, ROWS).read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    return path


def _moments(path: Path) -> Path:
    full = pa.Table.from_pylist([{name: row.get(name) for name in COLUMNS} for row in ROWS])
    for name, unit in (("ts", pa.timestamp("ns")), ("registration", pa.timestamp("us", tz="America/New_York"))):
        moments = full[name].cast(pa.timestamp("ms")).cast(unit)
        full = full.set_column(full.schema.get_field_index(name), name, moments)
    pq.write_table(full.rename_columns([name.lower() for name in full.column_names]), path)
    return path


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("log.json.gz", lambda path: write_json(path, ROWS)),
        ("log.jsonl", lambda path: write_json(path, ROWS)),
        ("log.ndjson", _crlf),
        ("marked.json", _marked),
        ("log.json.bz2", _bz2),
        ("array.json", _array),
        ("spark", _spark_folder),
        ("partitions", _spark_partitions),
        ("spark.csv.gz", lambda path: write_spark(path, ROWS)),
        ("crlf.csv", _cr_in_the_end),
        ("plain.csv", lambda path: write_csv(path, ROWS)),
        ("log.parquet", lambda path: write_parquet(path, ROWS)),
        ("moments.parquet", _moments),
        ("odd [a]*? name.JSON", lambda path: write_json(path, ROWS)),
    ],
)
def test_all_ways_to_write_a_log_give_the_same_events(tmp_path: Path, name: str, write: Any) -> None:
    log, expected = read_events(write(tmp_path / name), CONNECTION), read(*ROWS)
    assert table(log) == table(expected)
    assert (log.report.rows, log.report.dropped) == (5, {NO_CUSTOMER: 1})


@pytest.mark.parametrize("write", [write_spark, write_csv])
def test_a_csv_line_is_a_row_whatever_its_quotes(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path / "log.csv", ROWS)
    lines = path.read_text().splitlines()
    faults = ['"open,' + lines[1], "too,few", lines[1] + ",more", '"closed"too early,' + lines[2]]
    path.write_text("\n".join([*lines[:3], *faults[:2], "", *lines[3:], *faults[2:]]))
    log = read_events(path, CONNECTION)
    assert table(log) == table(read(*ROWS))
    assert log.report.dropped == {MALFORMED: 4, NO_CUSTOMER: 1}
    assert log.report.examples == tuple(f"{path}:{line}: malformed line" for line in (4, 5, 10))


def test_bad_values_of_a_csv_with_malformed_lines_are_located_too(tmp_path: Path) -> None:
    path = write_spark(tmp_path / "log.csv", [raw(), "bad", "", raw(level="gold"), raw(ts="x")])
    assert read_events(path, CONNECTION).report.examples == (
        f"{path}:3: malformed line",
        f"{path}:5: level neither free nor paid",
        f"{path}:6: ts not a number",
    )


def test_rows_of_parquet_and_arrays_are_located_by_number(tmp_path: Path) -> None:
    rows = [raw(), raw(level="gold")]
    parquet = write_parquet(tmp_path / "log.parquet", rows)
    assert read_events(parquet, CONNECTION).report.examples == (f"{parquet}: row 2: level neither free nor paid",)
    array = tmp_path / "log.json"
    array.write_text(json.dumps(rows))
    assert read_events(array, CONNECTION).report.examples == (f"{array}: row 2: level neither free nor paid",)


def test_a_glob_reads_files_and_folders(tmp_path: Path) -> None:
    write_json(tmp_path / "2018-10" / "a.json", ROWS[:1])
    write_json(tmp_path / "2018-11" / "b.json", ROWS[1:2])
    write_json(tmp_path / "2019-01" / "c.json", ROWS[2:3])
    assert read_events(tmp_path / "2018-*", CONNECTION).report.files == 2
    assert read_events(f"{tmp_path}/**/*.json", CONNECTION).report.rows == 3


# Refused


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.json", b"", "empty; expected rows with ts, userId, page"),
        ("log.json", b"\n \n", "empty"),
        ("log.parquet", b"", "empty"),
        ("log.csv", ",".join(COLUMNS).encode() + b"\n", "empty"),
        ("log.txt", b"{}", "unknown kind of file; expected JSON lines"),
        ("log.json", b'{"a": 1}\n{"b": 2}\n', "no ts, userId, page, sessionId, itemInSession, level in any row"),
        ("log.json", json.dumps(raw(), indent=1).encode(), "expected one row per line"),
        ("log.json", json_lines([{"ts": 1538352117000, "message": "x"}]).encode(), "no userId, page, sessionId"),
        ("log.json", json_lines([raw(userId=ABSENT)]).encode(), "no row of a known customer: no userId in any row"),
        ("log.json", json_lines([LOGGED_OUT]).encode(), "no row of a known customer"),
        ("log.json", json_lines([raw(level="gold")]).encode(), "level neither free nor paid (1 rows)"),
        ("log.json", json.dumps([raw()]).encode()[:-9], "cannot be read as json array"),
        ("log.json", json_lines([raw()]).encode("utf-16"), "UTF-16"),
        ("log.json.gz", gzip.compress(json_lines([raw()] * 9999).encode())[:-99], "truncated or damaged"),
        ("log.json.bz2", bz2.compress(json_lines([raw()]).encode())[:-9], "truncated or damaged"),
        ("log.csv", b"ts,userId,artist\n1,2,3\n", "no column page, sessionId, itemInSession, level; found artist, ts"),
        ("log.csv", b"a;b\n1;2\n", "expected a header line"),
        ("log.csv", b"\xff\xfa\n1,2\n", "not a CSV header in UTF-8"),
        ("log.csv", b",".join([b"ts", *(c.encode() for c in COLUMNS)]), "names a column twice"),
        ("log.parquet", b"PAR1 not really", "cannot be read as parquet"),
        ("log.json", json_lines([raw(ts=1538352117)] * 2 + [raw()]).encode(), "seconds in 2 rows (such as 1538352117)"),
        ("log.json", json_lines([raw(ts=1538352117000000)]).encode(), "ts is in microseconds in 1 rows"),
        ("log.json", json_lines([raw(ts="2018-10-01T00:01:57")]).encode(), "as text in 1 rows (such as 2018-10-01T00"),
    ],
)
def test_what_is_no_log_is_refused_by_name(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    text = refusal(path)
    assert text.startswith(f"{path}: ")
    assert message in text


def test_the_file_of_a_folder_that_is_no_log_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", ROWS)
    other = write_json(tmp_path / "b.json", ['{"a": 1}'])
    assert refusal(tmp_path).startswith(f"{other}: not an activity log")
    other.unlink()
    damaged = write_json(tmp_path / "c.json.gz", ROWS * 999)
    shutil.copy(damaged, tmp_path / "b.json.gz")
    damaged.write_bytes(damaged.read_bytes()[:-99])
    assert refusal(tmp_path).startswith(f"{damaged}: ")


def test_a_missing_or_empty_place_is_refused(tmp_path: Path) -> None:
    assert "no such file or folder" in refusal(tmp_path / "missing.json")
    assert "none of its 0 files" in refusal(tmp_path)
    (tmp_path / "a.json").write_bytes(b"")
    assert "empty" in refusal(tmp_path)


def test_a_first_line_of_data_in_place_of_a_header_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("Freeman,Colin,30\n")
    assert "Freeman" not in refusal(path)


# Where the events live


def test_events_live_in_the_connection_given_and_a_failure_leaves_nothing_there(tmp_path: Path) -> None:
    connection = ibis.duckdb.connect()
    path = write_json(tmp_path / "log.json", ['{"a": 1}'])
    with pytest.raises(EventLogError):
        read_events(path, connection)
    databases = connection.con.execute("SELECT database_name FROM duckdb_databases()").fetchall()
    assert not [name for (name,) in databases if name.startswith("churn")]
    first = read_events(write_json(path, [raw()]), connection)
    second = read_events(write_json(path, ROWS), connection)
    both = first.events.join(second.events, ["customer_id", "ts"]).count()
    assert connection.execute(both) == 1


def test_progress_names_what_is_read(tmp_path: Path) -> None:
    told: list[str] = []
    path = write_json(tmp_path / "log.json", ROWS)
    read_events(path, progress=told.append)
    assert told == [f"reading {path}", "kept 4 of 5 rows, of 3 customers"]


def test_written_events_are_loaded_as_they_were(tmp_path: Path) -> None:
    log, path = read(*ROWS, raw(level="it's gold"), raw(gender="X")), tmp_path / "o'ne" / "events.parquet"
    write_events(log, path)
    loaded = load_events(path)
    assert table(loaded) == table(log)
    assert loaded.report == log.report
    assert loaded.log_end == log.log_end
    assert [entry.name for entry in path.parent.iterdir()] == ["events.parquet"]


def test_the_file_does_not_depend_on_the_order_of_the_lines(tmp_path: Path) -> None:
    for name, rows in (("a", ROWS), ("b", ROWS[::-1])):
        write_events(read(*rows), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_failed_write_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.parquet"
    write_events(read(raw()), path)

    def full(self: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_events(read(*ROWS), path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["events.parquet"]
    assert load_events(path).report.kept == 1


def test_other_files_are_not_loaded_as_events(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    with pytest.raises(EventLogError, match=r"no typed events there; read the log first"):
        load_events(path)
    write_parquet(path, ROWS)
    with pytest.raises(EventLogError, match="not written by write_events"):
        load_events(path)
    write_events(read(raw()), path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(EventLogError, match="cannot be read as typed events"):
        load_events(path)


def test_events_with_other_columns_are_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    log = read(raw())
    write_events(EventLog(log.events, log.log_end, log.report), path)
    metadata = pq.read_schema(path).metadata
    other = pa.table({"ts": pa.array([1], pa.int64())}).replace_schema_metadata(metadata)
    pq.write_table(other, path)
    with pytest.raises(EventLogError, match="columns ts; expected customer_id"):
        load_events(path)


def test_the_report_is_readable_and_survives_json(tmp_path: Path) -> None:
    path = write_json(tmp_path / "log.json", [*ROWS, raw(level="gold"), raw(gender="X"), raw()])
    report = read_events(path, CONNECTION).report
    assert report.lines() == [
        "8 rows in 1 file, from 2018-10-01T00:01:57Z to 2018-10-01T01:02:25Z",
        "5 kept, of 3 customers",
        "1 dropped: duplicate row",
        "1 dropped: level neither free nor paid",
        f"1 dropped: {NO_CUSTOMER}",
        "1 set to null: gender neither F nor M",
        f"for example {path}:6: level neither free nor paid",
    ]
    assert ReadReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


# Properties

TEXT = st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]), max_size=12)
GOOD = st.builds(
    lambda **changes: (raw(**changes), None),
    ts=st.integers(1538352117000, 1538352119000),
    userId=st.sampled_from(["1", "2"]),
    itemInSession=st.integers(0, 10**9),
    artist=TEXT,
    location=TEXT,
)
BAD = st.sampled_from([(raw(**changes), reason) for changes, reason in REASONS if not reason.startswith("ts is")])
GARBAGE = st.sampled_from(["{", "}", '{"ts": 1538352117000', "[]", "1", '"x"', "\x00", "{} [] {}", "nul"])
LINES = st.lists(st.one_of(GOOD, BAD, st.tuples(GARBAGE, st.just(MALFORMED))), max_size=80)


@given(lines=LINES, seed=st.integers(0, 1000))
@examples(15)
def test_every_line_is_counted_once_in_any_order_on_any_number_of_threads(lines: list[Any], seed: int) -> None:
    lines = [(raw(), None), *lines]
    expected = Counter(reason for _, reason in lines)
    distinct = {json.dumps(row) for row, reason in lines if reason is None}
    log = read(*(line for line, _ in lines))
    report = log.report
    assert report.rows == len(lines) == report.kept + sum(report.dropped.values())
    assert report.kept == len(distinct)
    repeated = expected.pop(None) - len(distinct)
    assert report.dropped == expected + Counter({DUPLICATE: repeated})
    random.Random(seed).shuffle(lines)
    CONNECTION.con.execute(f"SET threads = {1 + seed % 4}")
    shuffled = read(*(line for line, _ in lines))
    assert table(shuffled) == table(log)
    assert (shuffled.report.dropped, shuffled.report.log_end) == (report.dropped, report.log_end)


AWKWARD = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]) | st.sampled_from('"\\,'), max_size=9)


@given(texts=st.lists(AWKWARD, min_size=1, max_size=40), fault=st.booleans())
@examples(12)
def test_any_text_comes_out_of_a_csv_as_out_of_json(texts: list[str], fault: bool) -> None:
    rows = [raw(itemInSession=item, artist=text, location=text, song=text) for item, text in enumerate(texts)]
    expected = table(read(*rows))
    with tempfile.TemporaryDirectory() as folder:
        path = write_spark(Path(folder, "log.csv"), [*rows, *(["malformed"] if fault else [])])
        assert table(read_events(path, CONNECTION)) == expected
        assert table(read_events(write_csv(path, rows), CONNECTION)) == expected
