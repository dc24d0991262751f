"""A request's bytes to validated customers, column by column; or to an error that names row and field.

What is valid is said by the contract alone (`churn.contract.Customer`, a Pydantic model). A
batch is first checked by columns, which is faster; only where that finds something does
Pydantic look at the rows, and names what is wrong. A test holds that both accept the same.
"""

from collections.abc import Iterator, Sequence, Set, Sized
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, chain, islice
from typing import Annotated, Any, Final

import numpy as np
import orjson
from pydantic import Field, TypeAdapter, ValidationError

from churn.contract import NAMES
from churn.contradictions import broken, contradictions
from serving.api import (
    DEFAULT_TOP_K,
    MAXIMUM_EXPLAIN,
    MAXIMUM_PREDICT,
    Content,
    ExplainRequest,
    PredictRequest,
    Problem,
    Strict,
)
from serving.batch import Batch, by_columns
from serving.refusals import RequestError
from serving.request_moments import Moments
from serving.request_problems import SHOWN_PROBLEMS, named, problems_of, refusal, unknown_fields

_UNCOUNTED_BYTES: Final = 1024 * 1024
_MARKS_PER_CUSTOMER: Final = 3 * len(NAMES) // 2
"""Commas and opening brackets in the JSON of a customer, or texts, with room for some within its texts."""

_LONGEST_TEXT: Final = 4096
"""Bytes of a text in JSON: far more than the longest id or category takes, all of it escaped."""


@dataclass(frozen=True)
class ExplainOptions:
    """Options of an `explain` request."""

    top_k: int = DEFAULT_TOP_K
    what_would_help: bool = False


def parse_predict(body: Content, now: datetime) -> Batch:
    """Validate the body of a `predict` request.

    Args:
        body: JSON as received.
        now: the present; no `as_of` may be later.

    Raises:
        RequestError: 400 or 413, naming row and field.
    """
    return _batch(_predict_rows(body), now)


def parse_together(bodies: Sequence[Content], now: datetime) -> tuple[Batch, list[slice | RequestError]]:
    """Validate the bodies of several `predict` requests at once; each is judged as `parse_predict` judges it.

    Returns:
        The customers of all valid requests, and for each request which of them are its own, or why it is refused.
    """
    valid = _all_valid(bodies, now) if len(bodies) > 1 else None
    return valid or _joined([_judged(body, now) for body in bodies])


def _all_valid(bodies: Sequence[Content], now: datetime) -> tuple[Batch, list[slice | RequestError]] | None:
    """As `parse_together`, or None when a request is not valid, whichever it is."""
    try:
        asked = [_predict_rows(body) for body in bodies]
    except RequestError:
        return None
    batch = by_columns(list(chain.from_iterable(asked)), Moments(now))
    if batch is None or broken(batch.numbers).any():
        return None
    spans, keys = _spans(asked), batch.keys()
    return None if any(len(set(keys[span])) < len(keys[span]) for span in spans) else (batch, [*spans])


def _judged(body: Content, now: datetime) -> Batch | RequestError:
    try:
        return parse_predict(body, now)
    except RequestError as refused:
        return refused.severed()


def _joined(judged: Sequence[Batch | RequestError]) -> tuple[Batch, list[slice | RequestError]]:
    valid = [one for one in judged if isinstance(one, Batch)]
    spans = iter(_spans(valid))
    return Batch.joined(valid), [next(spans) if isinstance(one, Batch) else one for one in judged]


def _spans(parts: Sequence[Sized]) -> list[slice]:
    ends = list(accumulate(map(len, parts)))
    return list(map(slice, [0, *ends], ends))


def _predict_rows(body: Content) -> list[Any]:
    rows: list[Any] = _envelope(body, _PREDICT, PredictRequest.model_fields.keys(), MAXIMUM_PREDICT).customers
    return rows


def parse_explain(body: Content, now: datetime) -> tuple[Batch, ExplainOptions]:
    """Validate the body of an `explain` request; as `parse_predict`."""
    envelope = _envelope(body, _EXPLAIN, ExplainRequest.model_fields.keys(), MAXIMUM_EXPLAIN)
    return _batch(envelope.customers, now), ExplainOptions(envelope.top_k, envelope.what_would_help)


class _PredictEnvelope(Strict):
    """The request without a look at the customers."""

    customers: Annotated[list[Any], Field(min_length=1)]


class _ExplainEnvelope(ExplainRequest):
    customers: Annotated[list[Any], Field(min_length=1)]


_PREDICT: Final = TypeAdapter(_PredictEnvelope)
_EXPLAIN: Final = TypeAdapter(_ExplainEnvelope)


def _envelope(body: Content, adapter: TypeAdapter[Any], fields: Set[str], limit: int) -> Any:
    if len(body) > _UNCOUNTED_BYTES:
        _check_count(body, limit)
        _check_texts(body)
    raw = _json(body)
    asked = raw.get("customers") if isinstance(raw, dict) else None
    if isinstance(asked, list) and len(asked) > limit:
        found = Problem(loc=["customers"], msg=f"{len(asked)} customers; send at most {limit} at once")
        raise RequestError(413, "too many customers", [found])
    if isinstance(raw, dict) and not raw.keys() <= fields:
        raise refusal(unknown_fields(raw, fields, []))
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        raise refusal(list(problems_of(error))) from None


def _check_count(body: Content, limit: int) -> None:
    """Refuse what would take many times its size in memory once parsed: lists of lists of nothing."""
    marks = max(body.count(b",") + body.count(b"[") + body.count(b"{"), body.count(b'"') // 2)
    if marks > limit * _MARKS_PER_CUSTOMER:
        found = Problem(loc=[], msg=f"more values than {limit} customers have; send fewer customers at once")
        raise RequestError(413, "too many values", [found])


def _check_texts(body: Content) -> None:
    """Refuse long texts of wide letters: one of these makes every letter of a text take four bytes once parsed."""
    if body.isascii() and b"\\u" not in body:
        return
    data = np.frombuffer(body, dtype=np.uint8)
    ends = np.flatnonzero(data == ord('"'))
    ends = ends[data[ends - 1] != ord("\\")]  # of a text that ends with a backslash, the end is not seen; no matter
    if np.diff(ends, prepend=0, append=len(body)).max() > _LONGEST_TEXT:
        found = Problem(loc=[], msg=f"a text is longer than {_LONGEST_TEXT} bytes; no field takes one as long")
        raise RequestError(400, "a text is too long", [found])


def _json(body: Content) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = Problem(loc=[], msg=f"{error.msg} (line {error.lineno}, column {error.colno})")
        raise RequestError(400, "the body is not valid JSON", [where]) from None


def _batch(rows: list[Any], now: datetime) -> Batch:
    moments = Moments(now)
    batch = by_columns(rows, moments)
    if batch is None:
        raise named(rows, moments)
    problems = list(islice(chain(_duplicates(batch), _contradictions(batch)), SHOWN_PROBLEMS + 1))
    if problems:
        raise refusal(problems)
    return batch


def _duplicates(batch: Batch) -> Iterator[Problem]:
    keys = batch.keys()
    if len(set(keys)) == len(keys):
        return
    first: dict[tuple[str, str], int] = {}
    for row, key in enumerate(keys):
        if first.setdefault(key, row) != row:
            message = f"the same customer at the same moment as in row {first[key]}; send it once"
            yield Problem.because("duplicate", ["customers", row, "customer_id"], message)


def _contradictions(batch: Batch) -> Iterator[Problem]:
    for found in contradictions(batch.numbers):
        yield Problem.because("contradiction", ["customers", found.row, found.rule.feature], found.message)
