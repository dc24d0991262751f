import json

import pytest

from churn.activity.dataset_facts import LogFacts, TableFacts
from churn.contract import Customer
from churn.errors import NotEnoughDataError
from tests.support import synthetic
from training.table.bodies import bodies, customers
from training.table.folder import DataFolder


def facts() -> TableFacts:
    return synthetic.table_facts(synthetic.training_table(20, 2))


def test_bodies_are_valid_and_hold_every_customer_in_order() -> None:
    table = synthetic.training_table(25, 1)
    read = [json.loads(body)["customers"] for body in bodies(table, size=10)]
    assert [len(part) for part in read] == [10, 10, 5]
    asked = [Customer.model_validate(row) for part in read for row in part]
    assert [row.customer_id for row in asked] == table.customer_id.tolist()
    assert [row.songs_28d for row in asked] == table.songs_28d.tolist()


def test_a_missing_value_is_null() -> None:
    table = synthetic.training_table(300, 1)
    rows = customers(table)
    assert [row["tenure_days"] is None for row in rows] == table.tenure_days.isna().tolist()
    assert [row["gender"] is None for row in rows] == table.gender.isna().tolist()
    assert {type(row["songs_7d"]) for row in rows} == {int}


def test_new_request_bodies_replace_the_old_ones(tmp_path) -> None:
    folder = DataFolder(tmp_path)
    folder.write_requests([b"1", b"2", b"3"])
    written = folder.write_requests([b"4"])
    assert [path.name for path in written] == ["customers-0001.json"]
    assert [path.name for path in (tmp_path / "requests").iterdir()] == ["customers-0001.json"]
    assert written[0].read_bytes() == b"4"


def test_before_featurize_the_folder_says_what_to_run(tmp_path) -> None:
    with pytest.raises(NotEnoughDataError, match="run `make featurize` first"):
        DataFolder(tmp_path).training_table()


def test_a_log_too_short_says_so_when_training_asks(tmp_path) -> None:
    folder = DataFolder(tmp_path)
    about_the_log = {name: getattr(facts(), name) for name in LogFacts.model_fields}
    folder.write_facts(LogFacts(**about_the_log | {"refused": "the log spans 2 days"}))
    with pytest.raises(NotEnoughDataError, match="the log spans 2 days"):
        folder.training_table()


def test_tables_are_for_their_owner_only(tmp_path) -> None:
    folder = DataFolder(tmp_path)
    folder.write_table("newest.parquet", synthetic.training_table(5, 1))
    assert (tmp_path / "newest.parquet").stat().st_mode & 0o777 == 0o600
