"""The predictions about one customer in the prediction log. Erased lines are no longer the customer's."""

from pathlib import Path

import orjson

from churn.customer_ids import customer_key
from churn.errors import PredictionLogError
from churn.prediction_log.line import LogLine, parse
from churn.prediction_log.listing import LogFile, listing
from churn.prediction_log.packing import opened


def answers_about(folder: Path, customer_id: str) -> list[LogLine]:
    """The answers of `predict` about a customer, oldest first by what they were made of; however the id is spelled.

    Raises:
        PredictionLogError: a file of the log cannot be read.
    """
    key = customer_key(customer_id)
    found = [line for file in listing(folder).files for line in _lines(file, key)]
    return sorted(found, key=lambda line: (line["as_of"], line["time"]))


def _lines(file: LogFile, key: str) -> list[LogLine]:
    """Lines without the id's bytes are passed over unread: one customer has few."""
    needle = orjson.dumps(key)[1:-1]
    try:
        with opened(file) as stream:
            lines = [parse(raw) for raw in iter(stream.readline, b"") if needle in raw]
    except OSError as error:
        raise PredictionLogError(
            f"the prediction log cannot be read: {file.path}: {error.strerror or error}"
        ) from error
    return [line for line in lines if line and line["api"] == "predict" and customer_key(line["customer_id"]) == key]
