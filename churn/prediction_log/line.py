"""One line of the prediction log: its fields in both schemas, from its bytes, and what replaces an erased one."""

from typing import Final, Literal, TypedDict

import orjson

SCHEMA: Final = 2

Api = Literal["predict", "explain"]
Source = Literal["features", "id", "score"]


class LogLine(TypedDict):
    """One line: what `predict` and `explain` were asked about a customer, and what they answered.

    `row` is the customer's place in the request. A request that is sent again under the same
    `request_id` is answered again, and logged again. `features` holds the values as they came,
    null included. `source` says where they came from: the request, or an online store of
    which `generation` is the state. Lines of schema 1 have neither, and came from requests.
    """

    schema: int
    request_id: str
    row: int
    api: Api
    time: str
    as_of: str
    customer_id: str
    model: str
    contract: str
    features: dict[str, float | str | None]
    churn_probability: float
    will_churn: bool
    source: Source
    generation: int | None


FIELDS: Final = tuple(LogLine.__annotations__)

FIELDS_OF_SCHEMA: Final = {1: frozenset(FIELDS) - {"source", "generation"}, 2: frozenset(FIELDS)}
"""Every schema there has been; all of them are read."""

ERASED: Final = b'{"schema":2,"erased":true}'
"""An erased line, before it is padded to its old length."""


def parse(raw: bytes) -> LogLine | None:
    """One line of the log in the newest schema, or None when it is not one."""
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(line, dict) or not isinstance(line.get("schema"), int):
        return None
    if FIELDS_OF_SCHEMA.get(line["schema"]) != line.keys():
        return None
    return {"source": "features", "generation": None, **line}  # type: ignore[return-value]  # the keys are checked
