"""The facts of a data folder: files of earlier versions still read, damaged ones name the file and the field."""

import json
from pathlib import Path
from typing import Any

import pytest

from churn.activity.dataset_facts import FILE, log_facts, table_facts
from churn.errors import NotEnoughDataError, StoredFileError

# As `make featurize` wrote it before the facts had a type.
EARLIER: dict[str, Any] = {
    "source": "log.json.gz",
    "contract": "1-f7ef395b",
    "first_ts": 1538353849000,
    "log_end": 1551311999000,
    "label": "either",
    "horizon_days": 30,
    "newest_rows": 559,
    "read": {
        "files": 1,
        "rows": 2187004,
        "kept": 2125047,
        "dropped": {"no customer (userId empty or absent)": 61957},
        "nulled": {},
        "examples": [],
        "customers": 1000,
        "first_ts": 1538353849000,
        "log_end": 1551311999000,
        "after_gap": 0,
    },
    "refused": None,
    "rows": 8878,
    "customers": 817,
    "snapshots": ["2018-10-15T23:59:59Z", "2018-10-22T23:59:59Z"],
    "short_snapshots": ["2018-10-15T23:59:59Z"],
    "churn_rate": 0.13043478260869565,
    "fingerprint": "d4d080b15b16",
}


def written(folder: Path, facts: Any) -> Path:
    (folder / FILE).write_text(json.dumps(facts))
    return folder


def test_a_file_of_an_earlier_version_reads(tmp_path: Path) -> None:
    found = table_facts(written(tmp_path, EARLIER))
    assert (found.label, found.horizon_days, found.rows) == ("either", 30, 8878)
    assert found.snapshots == ("2018-10-15T23:59:59Z", "2018-10-22T23:59:59Z")
    assert found.read.kept == 2125047
    assert log_facts(tmp_path).log_end == 1551311999000


def test_a_log_without_a_table_has_facts_of_its_own(tmp_path: Path) -> None:
    short = {name: EARLIER[name] for name in list(EARLIER)[:8]} | {"refused": "the log spans 2 days"}
    assert log_facts(written(tmp_path, short)).read.customers == 1000
    with pytest.raises(NotEnoughDataError, match="the log spans 2 days"):
        table_facts(tmp_path)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"log_end": "yesterday"}, "log_end: Input should be a valid integer"),
        ({"label": "bored"}, "label: Input should be 'either', 'inactivity' or 'cancellation'"),
        ({"read": {"files": 1}}, "read.rows: "),
        ({"snapshots": None}, "snapshots: "),
    ],
)
def test_a_damaged_file_is_named_with_its_field(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    written(tmp_path, EARLIER | changes)
    with pytest.raises(StoredFileError) as refused:
        table_facts(tmp_path)
    text = str(refused.value)
    assert text.startswith(f"{tmp_path / FILE} is damaged: ")
    assert field in text
    assert text.endswith("; run `make featurize` again")


def test_what_is_no_json_is_damaged(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"source": "log')
    with pytest.raises(StoredFileError, match=r"dataset\.json is damaged: Invalid JSON"):
        log_facts(tmp_path)


def test_before_featurize_the_error_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughDataError, match="run `make featurize` first"):
        log_facts(tmp_path)
