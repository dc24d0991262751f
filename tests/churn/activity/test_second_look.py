"""What DuckDB cannot read: rows are found in it, all else is counted by reason."""

import gzip
import json
from pathlib import Path
from typing import Any

import ibis
import pytest

from churn.activity.csv_lines import CsvRow, csv_rows
from churn.activity.reading import read_events
from churn.activity.report import ReadReport
from churn.activity.rows import MALFORMED, NOT_UTF8, TOO_LONG
from churn.activity.settings import UNREADABLE_PERCENT
from churn.errors import EventLogError
from tests.support.raw_logs import COLUMNS, json_lines, raw, write_csv, write_json, write_parquet, write_spark_csv

CONNECTION = ibis.duckdb.connect()
ROWS = [raw(itemInSession=item) for item in range(60)]
LINES = [json.dumps(row).encode() for row in ROWS]


def report_of(path: Path, content: bytes | None = None) -> ReadReport:
    if content is not None:
        path.write_bytes(content)
    return read_events(path, CONNECTION).report


def refusal(path: Path, content: bytes | None = None) -> str:
    with pytest.raises(EventLogError) as refused:
        report_of(path, content)
    return str(refused.value)


def events(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_events(path, CONNECTION).events.to_pyarrow().to_pylist()
    return sorted(rows, key=lambda row: row["item"])


# Lines of JSON


def test_rows_joined_on_a_line_are_rows(tmp_path: Path) -> None:
    joined = [LINES[0], LINES[1] + LINES[2], LINES[3] + b" \t" + LINES[4] + LINES[5], *LINES[6:]]
    report = report_of(tmp_path / "log.json", b"\n".join(joined))
    assert (report.files, report.rows, report.kept, report.dropped, report.examples) == (1, 60, 60, {}, ())


def test_what_is_cut_off_a_joined_line_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    report = report_of(path, b"\n".join([LINES[0] + LINES[1] + LINES[2][:-9], *LINES[3:]]))
    assert (report.rows, report.kept, report.dropped) == (60, 59, {MALFORMED: 1})
    assert report.examples == (f"{path}:1: malformed line",)


def test_a_rescued_row_has_the_values_of_its_line(tmp_path: Path) -> None:
    odd = raw(itemInSession=1, sessionId=2**60 + 1, artist='} { "\\', length=277.890161, registration=1.538173362e12)
    plain = events(write_json(tmp_path / "plain.json", [raw(itemInSession=0), odd]))
    joined = json_lines([raw(itemInSession=0), odd]).replace("\n", "")
    assert events(write_json(tmp_path / "joined.json", [joined])) == plain


def test_zero_bytes_around_a_row_are_not_part_of_it(tmp_path: Path) -> None:
    content = b"\0" * 4096 + b"\n".join(LINES) + b"\n" + b"\0" * 4096
    report = report_of(tmp_path / "log.json", content)
    assert (report.rows, report.kept, report.dropped) == (61, 60, {MALFORMED: 1})


@pytest.mark.parametrize("before", [0, 30, 60])
def test_a_line_that_is_too_long_is_counted_and_passed_over(tmp_path: Path, before: int) -> None:
    path = tmp_path / "log.json"
    long = b"x" * 40_000_000
    report = report_of(path, b"\n".join([*LINES[:before], long, *LINES[before:]]))
    assert (report.rows, report.kept, report.dropped) == (61, 60, {TOO_LONG: 1})
    assert report.examples == (f"{path}:{before + 1}: line longer than 16 MB",)


def test_zero_padding_after_packed_rows_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "log.json.gz"
    report = report_of(path, gzip.compress(b"\n".join(LINES)) + b"\0" * 512)
    assert (report.rows, report.kept, report.dropped) == (60, 60, {})
    assert report.passed_over == {"zero bytes after the packed rows": 1}
    assert report.lines()[-1] == f"1 passed over: zero bytes after the packed rows: {path}"


@pytest.mark.parametrize("name", ["log.json.gz", "log.csv.gz"])
def test_other_bytes_after_packed_rows_are_refused(tmp_path: Path, name: str) -> None:
    rows = write_json(tmp_path / name, ROWS) if "json" in name else write_spark_csv(tmp_path / name, ROWS)
    assert "truncated or damaged archive" in refusal(rows, rows.read_bytes() + b"xy")


# Lines of CSV


@pytest.mark.parametrize("write", [write_spark_csv, write_csv])
@pytest.mark.parametrize("column", [COLUMNS[0], "location", COLUMNS[-1]])
def test_a_line_break_in_a_quoted_field_is_part_of_it(tmp_path: Path, write: Any, column: str) -> None:
    values = ['a, "b"\nc', "\n\n,d", "e\r\nf,"]
    rows = [raw(itemInSession=item, **{column: value}) for item, value in enumerate(values)]
    expected = events(write_json(tmp_path / "log.json", rows))
    path = write(tmp_path / "log.csv", rows)
    assert events(path) == expected
    report = report_of(path)
    assert (report.rows, report.dropped) == (3, {})


def test_places_are_those_of_the_file_with_line_breaks_in_it(tmp_path: Path) -> None:
    rows = [*ROWS[:2], raw(itemInSession=98, artist='"a\nb"'), raw(level="gold"), *ROWS[2:]]
    path = write_csv(tmp_path / "log.csv", rows)
    assert report_of(path).examples == (f"{path}:6: level neither free nor paid",)


def test_an_open_quote_loses_its_own_line_only() -> None:
    lines = [b'a,"b\n', b"c,d\n", b'e,"f"\n', b'"g\n', b'h",i\n', b'"j', None, b"k,l\n", b"\n", b"m,\xff\n"]
    assert list(csv_rows(lines, 2, '"')) == [
        CsvRow(1, None, MALFORMED),
        CsvRow(2, ["c", "d"]),
        CsvRow(3, ["e", "f"]),
        CsvRow(4, ["g\nh", "i"]),
        CsvRow(6, None, MALFORMED),
        CsvRow(7, None, TOO_LONG),
        CsvRow(8, ["k", "l"]),
        CsvRow(10, None, NOT_UTF8),
    ]


def test_an_open_quote_in_a_column_of_others_loses_no_rows(tmp_path: Path) -> None:
    lines = write_csv(tmp_path / "log.csv", ROWS).read_text().splitlines()
    lines = [f"{lines[0]},note", *(f"{line},x" for line in lines[1:])]
    lines[1] = lines[1][:-1] + '"open'
    lines[9] = lines[9][:-1] + '"closed"'
    report = report_of(tmp_path / "log.csv", "\n".join(lines).encode())
    assert (report.rows, report.kept, report.dropped) == (60, 59, {MALFORMED: 1})


def test_columns_without_a_name_or_with_blanks_around_it_are_no_obstacle(tmp_path: Path) -> None:
    lines = write_csv(tmp_path / "log.csv", ROWS).read_text().splitlines()
    index = ["," + lines[0], *(f"{number},{line}" for number, line in enumerate(lines[1:]))]
    assert report_of(tmp_path / "index.csv", "\n".join(index).encode()).kept == 60
    blanks = [
        ", ".join(COLUMNS).upper(),
        *(", ".join(json.dumps(str(value)) for _, value in sorted(row.items())) for row in ROWS),
    ]
    assert report_of(tmp_path / "blanks.csv", "\n".join(blanks).replace('\\"', '""').encode()).kept == 60


def test_a_csv_with_a_line_that_is_too_long_or_zero_bytes_at_its_end_is_read(tmp_path: Path) -> None:
    lines = write_csv(tmp_path / "log.csv", ROWS).read_bytes().splitlines()
    long = b"\n".join([*lines[:9], b"x" * 20_000_000, *lines[9:]])
    report = report_of(tmp_path / "log.csv", long + b"\n" + b"\0" * 512)
    assert (report.kept, report.dropped) == (60, {TOO_LONG: 1, MALFORMED: 1})
    padded = report_of(tmp_path / "log.csv.gz", gzip.compress(b"\n".join(lines)) + b"\0" * 512)
    assert (padded.kept, padded.passed_over) == (60, {"zero bytes after the packed rows": 1})


# Columns in the names of folders


@pytest.mark.parametrize("suffix", ["parquet", "json", "csv"])
def test_a_column_in_the_name_of_the_folder_is_a_column(tmp_path: Path, suffix: str) -> None:
    write: Any = {"parquet": write_parquet, "json": write_json, "csv": write_csv}[suffix]
    for name, value in (("Level=free", "free"), ("level=paid", "paid")):
        folder = tmp_path / "log" / "page=Thumbs%20Down" / "gender=__HIVE_DEFAULT_PARTITION__" / name
        folder.mkdir(parents=True)
        columns = {"level": None, "page": None, "gender": None, "userId": value}
        rows = [{key: text for key, text in raw(**columns).items() if text is not None}]
        if suffix == "csv":
            write(folder / "p.csv", rows, sorted(rows[0]))
        elif suffix == "parquet":
            ibis.memtable(rows).to_parquet(folder / "p.parquet")
        else:
            write(folder / "p.json", rows)
    found = [(row["customer_id"], row["level"], row["page"], row["gender"]) for row in events(tmp_path / "log")]
    assert sorted(found) == [("free", "free", "Thumbs Down", None), ("paid", "paid", "Thumbs Down", None)]


# Refused


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([b"not json"] * 4, "4 of 64 lines cannot be read: malformed line (4); for example {path}:1: malformed line"),
        ([b'{"artist": "\xe9"}'] * 4, "line that is not UTF-8 (4); for example {path}:1: line that is not UTF-8"),
        ([b'{"artist": "\xe9"}'] * 4, "convert it (iconv -f LATIN1 -t UTF-8)"),
        ([line + b"," for line in LINES], "60 of 120 lines cannot be read: malformed line (60)"),
    ],
)
def test_more_than_a_small_share_of_lines_that_cannot_be_read_is_refused(
    tmp_path: Path, bad: list[bytes], message: str
) -> None:
    path = tmp_path / "log.json"
    assert message.format(path=path) in refusal(path, b"\n".join([*bad, *LINES]))


def test_the_share_is_of_the_whole_log_and_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.json"
    assert report_of(path, b"\n".join([*[b"x"] * 3, *LINES])).dropped == {MALFORMED: 3}
    assert f"or set {UNREADABLE_PERCENT.name} higher" in refusal(path, b"\n".join([*[b"x"] * 4, *LINES]))
    monkeypatch.setenv(UNREADABLE_PERCENT.name, "7")
    assert report_of(path).dropped == {MALFORMED: 4}


def test_one_damaged_file_among_many_is_named(tmp_path: Path) -> None:
    for number in range(20):
        write_json(tmp_path / f"{number}.json.gz", ROWS[:2])
        write_csv(tmp_path / f"{number}.csv", ROWS[:2])
    damaged = tmp_path / "7.json.gz"
    damaged.write_bytes(damaged.read_bytes()[:-12])
    assert refusal(tmp_path) == f"{damaged}: truncated or damaged archive; copy it again"
