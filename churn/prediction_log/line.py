"""One line of the prediction log: its fields, and what replaces an erased one."""

from typing import Final, Literal, TypedDict

SCHEMA: Final = 1

Api = Literal["predict", "explain"]


class LogLine(TypedDict):
    """One line. What `predict` and `explain` were asked, and what they answered.

    `row` is the customer's place in the request. Who sends a request again under the same
    `request_id` is answered again, and logged again. `features` holds the values as they came, null included.
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


FIELDS: Final = tuple(LogLine.__annotations__)

ERASED: Final = b'{"schema":1,"erased":true}'
"""An erased line, before it is padded to its old length."""
