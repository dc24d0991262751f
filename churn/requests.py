"""What the service takes and answers: bytes to validated customers, or to an error that names row and field."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from churn.contract import NAMES, Customer, example_customer
from churn.errors import ChurnError
from churn.moments import EPOCH

MAXIMUM_PREDICT: Final = 10_000
MAXIMUM_EXPLAIN: Final = 1_000
DEFAULT_TOP_K: Final = 5
CLOCK_TOLERANCE: Final = timedelta(minutes=1)
"""How far a caller's clock may be ahead before its `as_of` counts as in the future."""

SHOWN_PROBLEMS: Final = 20
"""An answer lists at most this many problems; a caller who sent 10,000 bad rows needs no more."""

_CHUNK: Final = 64
_SHOWN_CHARACTERS: Final = 80
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)  # RFC 3339, the zone optional so that its absence gets a message of its own


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PredictRequest(_Strict):
    """Customers to score."""

    customers: Annotated[list[Customer], Field(min_length=1, max_length=MAXIMUM_PREDICT)] = Field(
        description="Customers to score, each at its moment; answered in the same order.",
        examples=[[example_customer()]],
    )


class ExplainRequest(_Strict):
    """Customers to score and explain."""

    customers: Annotated[list[Customer], Field(min_length=1, max_length=MAXIMUM_EXPLAIN)] = Field(
        description="Customers to explain, each at its moment; answered in the same order.",
        examples=[[example_customer()]],
    )
    top_k: Annotated[int, Field(strict=True, ge=0, le=len(NAMES))] = Field(
        default=DEFAULT_TOP_K, description="How many reasons to give for each customer."
    )
    what_would_help: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Also say which change of a feature that you can influence would bring the probability below the "
        "threshold: the model's answer, not a promise.",
    )


class Prediction(BaseModel):
    """The answer about one customer."""

    customer_id: str = Field(examples=["30"])
    churn_probability: float = Field(
        description="Calibrated probability of churn within the horizon.", ge=0, le=1, examples=[0.83]
    )
    will_churn: bool = Field(description="Whether the probability reaches the model's threshold.", examples=[True])


class PredictResponse(BaseModel):
    """The answer of `predict`, in the order asked."""

    model: str = Field(description="Exact tag of the model that answered.")
    predictions: list[Prediction]


class Reason(BaseModel):
    """One reason for a score, in plain words."""

    feature: str
    value: float | str | None = Field(description="The customer's value.")
    contribution: float = Field(description="What it adds to the score; negative when it lowers it.")
    text: str = Field(description="The value beside that of customers who stay.")


class Suggestion(BaseModel):
    """One change that would bring the probability below the threshold: the model's answer, not a promise."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    feature: str
    from_: float = Field(alias="from")
    to: float
    churn_probability: float


class Explanation(BaseModel):
    """The answer about one customer: `base_value + sum(contributions) == score`."""

    customer_id: str
    churn_probability: float
    score: float = Field(description="The forest's score, before calibration.")
    contributions: dict[str, float] = Field(description="What each feature adds to the score.")
    reasons: list[Reason] = Field(description="The largest contributions, in plain words.")
    what_would_help: list[Suggestion] | None = Field(default=None, description="Only when asked for.")


class ExplainResponse(BaseModel):
    """The answer of `explain`, in the order asked."""

    model: str = Field(description="Exact tag of the model that answered.")
    base_value: float = Field(description="The score of a customer of whom nothing is known.")
    explanations: list[Explanation]


class Problem(BaseModel):
    """One thing wrong with a request."""

    loc: list[str | int] = Field(description="Where: `customers`, the row (from 0), the field.")
    msg: str = Field(description="What was found, and what is expected.")


class ErrorResponse(BaseModel):
    """The body of every answer that is not a success."""

    error: str
    detail: list[Problem]


@dataclass(frozen=True)
class Batch:
    """Validated customers, field by field; `as_of` is normalised to UTC."""

    customers: Sequence[Any]
    as_of: list[str]

    @cached_property
    def customer_ids(self) -> list[str]:
        return [customer.customer_id for customer in self.customers]

    @cached_property
    def features(self) -> list[dict[str, Any]]:
        """The values of each customer by feature name, null included."""
        return [{name: values[name] for name in NAMES} for values in map(vars, self.customers)]

    def __len__(self) -> int:
        return len(self.customers)


@dataclass(frozen=True)
class ExplainOptions:
    """What `explain` is asked for besides the customers."""

    top_k: int = DEFAULT_TOP_K
    what_would_help: bool = False


@dataclass
class RequestError(ChurnError):
    """A request that is refused: HTTP status, what is wrong, and where. `allow` names the right method of a 405."""

    status: int
    error: str
    detail: list[Problem] = field(default_factory=list)
    allow: str = ""

    def __str__(self) -> str:
        return f"{self.status} {self.error}"

    def body(self) -> bytes:
        """`ErrorResponse` as JSON."""
        return ErrorResponse(error=self.error, detail=self.detail).model_dump_json().encode()


def parse_predict(body: bytes, now: datetime) -> Batch:
    """Validate the body of a `predict` request.

    Args:
        body: JSON as received.
        now: the present; no `as_of` may be later.

    Raises:
        RequestError: 400 or 413, naming row and field.
    """
    return _customers(_envelope(body, _PREDICT, MAXIMUM_PREDICT).customers, now)


def parse_explain(body: bytes, now: datetime) -> tuple[Batch, ExplainOptions]:
    """Validate the body of an `explain` request; as `parse_predict`."""
    envelope = _envelope(body, _EXPLAIN, MAXIMUM_EXPLAIN)
    return _customers(envelope.customers, now), ExplainOptions(envelope.top_k, envelope.what_would_help)


class _PredictEnvelope(_Strict):
    """The request without a look at the customers."""

    customers: Annotated[list[Any], Field(min_length=1)]


class _ExplainEnvelope(ExplainRequest):
    customers: Annotated[list[Any], Field(min_length=1)]


_PREDICT: Final = TypeAdapter(_PredictEnvelope)
_EXPLAIN: Final = TypeAdapter(_ExplainEnvelope)
_ROWS: Final = TypeAdapter(list[Customer])


def _envelope(body: bytes, adapter: TypeAdapter[Any], limit: int) -> Any:
    raw = _json(body)
    asked = raw.get("customers") if isinstance(raw, dict) else None
    if isinstance(asked, list) and len(asked) > limit:
        found = Problem(loc=["customers"], msg=f"{len(asked)} customers; send at most {limit} at once")
        raise RequestError(413, "too many customers", [found])
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        raise _refusal(_problems(error), complete=True) from None


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = Problem(loc=[], msg=f"{error.msg} (line {error.lineno}, column {error.colno})")
        raise RequestError(400, "the body is not valid JSON", [where]) from None


def _customers(rows: list[Any], now: datetime) -> Batch:
    customers: list[Any] = []
    moments: list[str] = []
    problems: list[Problem] = []
    known = _Moments(now)
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        try:
            customers += _ROWS.validate_python(chunk)
        except ValidationError as error:
            problems += _problems(error, first_row=start)
        problems += known.read(chunk, start, moments)
        if len(problems) > SHOWN_PROBLEMS:
            raise _refusal(problems, complete=start + _CHUNK >= len(rows))
    batch = Batch(customers, moments)
    problems = problems or _duplicates(batch)
    if problems:
        raise _refusal(problems, complete=True)
    return batch


class _Moments:
    """Reads `as_of`; customers of one request mostly share a few."""

    def __init__(self, now: datetime) -> None:
        self._latest = now + CLOCK_TOLERANCE
        self._read: dict[str, str] = {}

    def read(self, rows: list[Any], first_row: int, moments: list[str]) -> list[Problem]:
        """Append each row's moment to `moments`, in UTC; returns what is wrong."""
        problems = []
        for number, row in enumerate(rows, start=first_row):
            if not isinstance(row, dict) or "as_of" not in row:
                continue  # the contract's own check has named it
            try:
                moments.append(self._utc(row["as_of"]))
            except ValueError as error:
                problems.append(Problem(loc=["customers", number, "as_of"], msg=str(error)))
        return problems

    def _utc(self, text: object) -> str:
        if not isinstance(text, str) or not _MOMENT.fullmatch(text):
            raise ValueError("expected a moment as text, for example 2018-11-02T00:00:00Z")
        if text not in self._read:
            self._read[text] = self._parsed(text)
        return self._read[text]

    def _parsed(self, text: str) -> str:
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            raise ValueError("there is no such moment; expected for example 2018-11-02T00:00:00Z") from None
        if moment.tzinfo is None:
            raise ValueError("no time zone; end it with Z for UTC, or with an offset such as +01:00")
        if moment < EPOCH:
            raise ValueError("before 1970")
        if moment > self._latest:
            raise ValueError(f"in the future; it is {self._latest - CLOCK_TOLERANCE:%Y-%m-%dT%H:%M:%SZ} here")
        utc = moment.astimezone(UTC)
        return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").replace("+00:00", "Z")


def _duplicates(batch: Batch) -> list[Problem]:
    first: dict[tuple[str, str], int] = {}
    problems = []
    for row, key in enumerate(zip(batch.customer_ids, batch.as_of, strict=True)):
        if first.setdefault(key, row) != row:
            message = f"the same customer at the same moment as in row {first[key]}; send it once"
            problems.append(Problem(loc=["customers", row, "customer_id"], msg=message))
    return problems


def _refusal(problems: list[Problem], *, complete: bool) -> RequestError:
    count = f"{len(problems)}" if complete else f"more than {SHOWN_PROBLEMS}"
    plural = "" if complete and len(problems) == 1 else "s"
    shown = f", the first {SHOWN_PROBLEMS} are listed" if len(problems) > SHOWN_PROBLEMS else ""
    return RequestError(400, f"{count} problem{plural} in the request{shown}", problems[:SHOWN_PROBLEMS])


def _problems(error: ValidationError, first_row: int | None = None) -> list[Problem]:
    """Pydantic's errors without the input; of customers when `first_row` is given, else of the whole body."""
    found = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        path: list[str | int] = list(item["loc"])
        if first_row is not None:
            path = ["customers", first_row + int(path[0]), *path[1:]]
            if path[-1] == "as_of" and item["type"] != "missing":
                continue  # `_Moments` says it better
        message = _MESSAGES.get(item["type"], item["msg"])
        found.append(Problem(loc=[_short(part) for part in path], msg=_short(message, 4 * _SHOWN_CHARACTERS)))
    return found


_MESSAGES: Final = {
    "missing": "missing; send null where the value is not known and null is allowed",
    "extra_forbidden": "there is no such field",
    "model_type": "expected an object",
    "too_short": "empty; send at least one customer",
}
"""Instead of Pydantic's words, which name our classes."""


def _short(part: Any, length: int = _SHOWN_CHARACTERS) -> Any:
    return part[:length] + "…" if isinstance(part, str) and len(part) > length else part
