"""Reading files of the prediction log."""

from pathlib import Path

from churn.prediction_log.listing import files
from churn.prediction_log.parsing import read
from serving.prediction_writer import PredictionLog
from tests.serving.test_prediction_writer import Clock, append


def test_partial_and_foreign_lines_are_counted_and_the_others_read(tmp_path: Path) -> None:
    append(PredictionLog(tmp_path, "m", clock=Clock()), "1", "2")
    [path] = files(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"schema":99}\nnot json\n[]\n{"schema":1,"request')
    contents = read(path)
    assert [line["row"] for line in contents.lines] == [0, 1]
    assert (contents.partial, contents.foreign, contents.erased) == (1, 3, 0)
