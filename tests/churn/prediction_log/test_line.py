"""Lines of the prediction log from their bytes."""

from pathlib import Path

import orjson
import pytest

from churn.prediction_log.line import parse
from serving.prediction_writer import PredictionLog
from tests.serving.test_prediction_writer import Clock, append
from tests.support.log_contents import files, read

OLD = {
    "schema": 1,
    "request_id": "r",
    "row": 0,
    "api": "predict",
    "time": "2018-11-02T12:00:00.123Z",
    "as_of": "2018-11-02T00:00:00Z",
    "customer_id": "30",
    "model": "churn:a",
    "contract": "1-00000000",
    "features": {},
    "churn_probability": 0.25,
    "will_churn": False,
}


def test_partial_and_foreign_lines_are_counted_and_the_others_read(tmp_path: Path) -> None:
    append(PredictionLog(tmp_path, "m", clock=Clock()), "1", "2")
    [path] = files(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"schema":99}\nnot json\n[]\n{"schema":1,"request')
    contents = read(path)
    assert [line["row"] for line in contents.lines] == [0, 1]
    assert (contents.partial, contents.foreign, contents.erased) == (1, 3, 0)


def test_a_line_of_the_first_schema_came_from_features() -> None:
    assert parse(orjson.dumps(OLD)) == OLD | {"source": "features", "generation": None}


def test_a_line_of_the_second_schema_says_where_its_features_came_from() -> None:
    line = OLD | {"schema": 2, "source": "id", "generation": 7}
    assert parse(orjson.dumps(line)) == line


@pytest.mark.parametrize(
    "changes", [{"schema": 2}, {"source": "features"}, {"schema": 3}, {"schema": [1]}, {"more": 1}]
)
def test_a_line_with_the_fields_of_no_schema_is_none(changes: dict[str, object]) -> None:
    assert parse(orjson.dumps(OLD | changes)) is None
