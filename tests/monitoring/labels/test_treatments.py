"""The file of who got an offer: what it may look like, and what is said of one that is wrong."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from churn.errors import TreatmentsError
from monitoring.labels.treatments import read_treatments

NOVEMBER_5 = (date(2018, 11, 5) - date(1970, 1, 1)).days


def written(folder: Path, text: str) -> Path:
    path = folder / "offers.csv"
    path.write_text(text, encoding="utf-8")
    return path


def listed(frame: pd.DataFrame) -> list[tuple[str, int]]:
    return list(frame[["customer_id", "day"]].itertuples(index=False, name=None))


def test_a_csv_of_customers_and_days(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "\ufeffdate,offer,customer_id\n2018-11-05,half price,007\n2018-11-05T23:59:59Z,,007\n2018-11-06 01:00,x, 8\n",
    )
    assert listed(read_treatments(path)) == [("007", NOVEMBER_5), ("8", NOVEMBER_5 + 1)]


@pytest.mark.parametrize(
    "dates",
    [
        [date(2018, 11, 5), date(2018, 11, 6)],
        ["2018-11-05", "2018-11-06"],
        [datetime(2018, 11, 5, 23, tzinfo=UTC), datetime(2018, 11, 6, tzinfo=UTC)],
        [datetime(2018, 11, 5, 23), datetime(2018, 11, 6)],  # noqa: DTZ001  # such files exist
    ],
)
def test_parquet_says_the_same(tmp_path: Path, dates: list[object]) -> None:
    path = tmp_path / "offers.parquet"
    pd.DataFrame({"customer_id": [7, 8], "date": dates, "more": 1}).to_parquet(path)
    assert listed(read_treatments(path)) == [("7", NOVEMBER_5), ("8", NOVEMBER_5 + 1)]


def test_a_campaign_has_groups_and_other_files_have_none(tmp_path: Path) -> None:
    path = written(tmp_path, "customer_id,date,group\n8,2018-11-05, held_out \n7,2018-11-05,offered\n")
    assert read_treatments(path)["group"].tolist() == ["offered", "held_out"]
    parquet = tmp_path / "offers.parquet"
    read_treatments(path).assign(date=date(2018, 11, 5)).to_parquet(parquet)
    assert read_treatments(parquet)["group"].tolist() == ["offered", "held_out"]
    assert read_treatments(written(tmp_path, "customer_id,date\n7,2018-11-05\n"))["group"].tolist() == [None]


def test_nobody_treated_is_an_answer(tmp_path: Path) -> None:
    assert listed(read_treatments(written(tmp_path, "customer_id,date\n"))) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("customer_id,date\n7,2018-11-05\n8,soon\n", "line 3: date: found 'soon', expected a date such as 2018-11-05"),
        ("customer_id,date\n7,2018-11-31\n", "line 2: date: found '2018-11-31'"),
        ("customer_id,date\n7,05.11.2018\n", "line 2: date: found '05.11.2018'"),
        ("customer_id,date\n7,2018-11-05T01:00:00+02:00\n", "line 2: date: found '2018-11-05T01:00:00"),
        ("customer_id,date\n7\n", "line 2: date: found None"),
        ("customer_id,date\n ,2018-11-05\n", "line 2: customer_id: found ' ', expected a customer's id"),
        (
            "customer_id,date,group\n7,2018-11-05,control\n",
            "line 2: group: found 'control', expected offered or held_out",
        ),
        ("customer_id,date,group\n7,2018-11-05\n", "line 2: group: found None, expected offered or held_out"),
        (
            "customer_id,date,group\n7,2018-11-05,offered\n8,2018-11-05,held_out\n 7.0,2018-11-06,held_out\n",
            "line 4: group: found 'held_out', expected offered, the customer's group in line 2",
        ),
        ("customer,date\n7,2018-11-05\n", "header: customer_id: found 'customer, date', expected columns"),
        ("", "header: customer_id: found 'nothing', expected columns customer_id and date"),
        ('customer_id,date\n"7,2018-11-05\n', "file: content: found 'unexpected end of data'"),
    ],
)
def test_a_wrong_file_is_refused_saying_where(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TreatmentsError) as caught:
        read_treatments(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TreatmentsError, match="No such file or directory"):
        read_treatments(tmp_path / "none.csv")
    binary = tmp_path / "offers.parquet"
    binary.write_bytes(b"PAR1 not really")
    with pytest.raises(TreatmentsError, match=r"offers.parquet: file: content: found"):
        read_treatments(binary)
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"customer_id,date\nJos\xe9,2018-11-05\n")
    with pytest.raises(TreatmentsError, match="CSV in UTF-8"):
        read_treatments(latin)


@pytest.mark.parametrize(
    ("spelled", "key"), [("104.0", "104"), ("\xa0104", "104"), ("0104", "0104"), ("1.1E7", "1.1E7")]
)
def test_a_customer_is_known_by_the_key_of_the_id(tmp_path: Path, spelled: str, key: str) -> None:
    path = written(tmp_path, f"customer_id,date\n{spelled},2018-11-05\n")
    assert listed(read_treatments(path)) == [(key, NOVEMBER_5)]


@pytest.mark.parametrize("ids", [[7.0, 104.0], [Decimal("7.00"), Decimal("104.00")]])
def test_whole_numbers_in_a_column_of_floats_are_ids(tmp_path: Path, ids: list[object]) -> None:
    path = tmp_path / "offers.parquet"
    pd.DataFrame({"customer_id": ids, "date": "2018-11-05"}).to_parquet(path)
    assert listed(read_treatments(path)) == [("104", NOVEMBER_5), ("7", NOVEMBER_5)]


@pytest.mark.parametrize("found", [7.25, 1e17])
def test_a_number_that_is_not_whole_or_lost_its_digits_is_nobodys_id(tmp_path: Path, found: float) -> None:
    path = tmp_path / "offers.parquet"
    pd.DataFrame({"customer_id": [found], "date": ["2018-11-05"]}).to_parquet(path)
    with pytest.raises(TreatmentsError, match=r"row 1: customer_id: found 'a number that is not whole") as caught:
        read_treatments(path)
    assert str(found) not in str(caught.value)


@pytest.mark.parametrize("absent", ["nan", "NULL", "\\N", "<NA>", "None", "\u3000"])
def test_a_missing_id_is_refused_however_it_is_written(tmp_path: Path, absent: str) -> None:
    with pytest.raises(TreatmentsError, match="line 2: customer_id: found"):
        read_treatments(written(tmp_path, f"customer_id,date\n{absent},2018-11-05\n"))
    path = tmp_path / "offers.parquet"
    pd.DataFrame({"customer_id": [float("nan"), 7.0], "date": "2018-11-05"}).to_parquet(path)
    with pytest.raises(TreatmentsError, match="row 1: customer_id: found 'NoneType'"):
        read_treatments(path)
