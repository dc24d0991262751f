"""The service's own log: one line of JSON on stderr for each event, never with customer data.

Events are `start`, `stop`, `request` and `warning`; what BentoML and its server have to say
comes as `log`. Predictions are logged elsewhere (`serving.prediction_writer`).
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson


def tell(event: str, **facts: Any) -> None:
    """Write one event with its facts."""
    sys.stderr.write(line(event, facts) + "\n")


def line(event: str, facts: dict[str, Any]) -> str:
    """The JSON of an event."""
    content = {"time": datetime.now(UTC), "event": event} | facts
    return orjson.dumps(content, option=orjson.OPT_UTC_Z, default=str).decode()


class JsonLines(logging.Formatter):
    """A log record as one line of JSON, its traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        """The event `log`."""
        facts = {"level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return line("log", facts)


def others_in_json() -> None:
    """Let the loggers that are configured by now write JSON too."""
    for name in ("", "bentoml", "uvicorn.error"):
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(JsonLines())
