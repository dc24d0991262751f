"""No message repeats what stands in a log: it is personal data."""

import gzip
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.activity.reading import read_events
from churn.errors import EventLogError
from tests.support.examples import examples
from tests.support.raw_logs import COLUMNS, raw, write_csv, write_json, write_parquet, write_spark_csv

CONNECTION = ibis.duckdb.connect()
CANARY: Final = "CANARY"
ROWS: Final = [raw(**dict.fromkeys(COLUMNS, f"{CANARY}{number}, {CANARY}")) for number in range(9)]
GOOD: Final = [raw(itemInSession=item, artist=CANARY, song=CANARY, lastName=CANARY) for item in range(9)]


def said(path: Path) -> str:
    """All that a person sees of the reading, the traceback of a refusal included."""
    told: list[str] = []
    try:
        told += read_events(path, CONNECTION, told.append).report.lines()
    except EventLogError as error:
        told += traceback.format_exception(error)
    return "\n".join(told)


def written(write: Callable[..., Path], *, suffix: str, rows: list[Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder, f"log{suffix}"), rows).read_bytes()


JSON: Final = written(write_json, suffix=".json", rows=ROWS + GOOD)
CSV: Final = written(write_csv, suffix=".csv", rows=ROWS + GOOD)
ARRAY: Final = b"[" + JSON.strip().replace(b"\n", b",") + b"]"
FILES: Final = {
    ".json": JSON,
    "": JSON,
    ".array.json": ARRAY,
    ".json.gz": gzip.compress(JSON, mtime=0),
    ".csv": CSV,
    ".spark.csv": written(write_spark_csv, suffix=".csv", rows=ROWS + GOOD),
    ".csv.gz": gzip.compress(CSV, mtime=0),
    ".parquet": written(write_parquet, suffix=".parquet", rows=ROWS),
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((f"log{suffix}", content) for suffix, content in FILES.items()),
        *((f"log{suffix}", content[: len(content) // 2]) for suffix, content in FILES.items()),
        *((f"log{suffix}", content.replace(b"\n", b"\r")) for suffix, content in FILES.items()),
        *((f"log{suffix}", content.replace(b"\n", b"")) for suffix, content in FILES.items()),
        *((f"log{suffix}", content + CANARY.encode()) for suffix, content in FILES.items()),
        ("log.json", CSV),
        ("log.csv", JSON),
        ("log.parquet", CSV),
        ("log.json", JSON.replace(CANARY.encode(), CANARY.encode() + b"\xff")),
        ("log.csv", CSV.partition(b"\n")[2]),
        ("log.csv", ",".join([*COLUMNS, CANARY, CANARY]).encode() + b"\n" + CANARY.encode() * 2),
        ("log.csv", CSV.replace(b'"', b'"' + CANARY.encode() + b'"')),
        ("log.csv", CSV.replace(CANARY.encode(), CANARY.encode() + b"\xff")),
        ("log.csv", CSV.partition(b"\n")[0] + b"\n" + CANARY.encode() * 4_000_000),
        ("log.json", JSON.partition(b"\n")[0] + b"\n" + CANARY.encode() * 8_000_000),
    ],
)
def test_a_broken_file_is_told_about_without_its_content(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    text = said(path)
    assert str(path) in text
    assert CANARY not in text


def test_parquet_of_other_names_and_types_is_told_about_without_them(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    for column in ([CANARY], [[CANARY]], [{CANARY: CANARY}], [CANARY.encode()]):
        for names in ([CANARY, *COLUMNS[1:]], COLUMNS):
            pq.write_table(pa.table([column] * len(COLUMNS), names=list(names)), path)
            assert CANARY not in said(path)


@given(
    suffix=st.sampled_from(sorted(FILES)),
    cuts=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=6)), min_size=1, max_size=4),
)
@examples(80)
def test_no_damage_makes_a_message_repeat_the_content(suffix: str, cuts: list[tuple[float, int, bytes]]) -> None:
    content = FILES[suffix]
    for share, length, replacement in cuts:
        position = int(share * len(content))
        content = content[:position] + replacement + content[position + length :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"log{suffix}")
        path.write_bytes(content)
        assert CANARY not in said(path)
