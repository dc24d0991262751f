"""The service's own log lines."""

import json
import logging
from pathlib import Path

import pytest

from serving import own_log as service_log


def test_an_event_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    service_log.tell("start", model="churn:1", log_folder=Path("data/predictions"))
    [said] = capsys.readouterr().err.splitlines()
    found = json.loads(said)
    assert found.pop("time").endswith("Z")
    assert found == {"event": "start", "model": "churn:1", "log_folder": "data/predictions"}


def test_what_others_log_is_one_line_of_json_with_its_traceback() -> None:
    error = ZeroDivisionError("by\nnothing")
    caught = (type(error), error, None)
    record = logging.LogRecord("uvicorn.error", logging.ERROR, __file__, 1, "it %s", ("failed",), caught)
    said = service_log.JsonLines().format(record)
    found = json.loads(said)
    assert "\n" not in said
    assert (found["event"], found["level"], found["logger"]) == ("log", "error", "uvicorn.error")
    assert found["message"] == "it failed"
    assert found["traceback"].endswith("ZeroDivisionError: by\nnothing")


def test_configured_loggers_are_made_to_write_json() -> None:
    handler = logging.StreamHandler()
    logger = logging.getLogger("bentoml")
    logger.addHandler(handler)
    try:
        service_log.others_in_json()
        assert isinstance(handler.formatter, service_log.JsonLines)
    finally:
        logger.removeHandler(handler)
