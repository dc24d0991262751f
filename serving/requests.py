"""A request's bytes to validated customers, column by column; or to an error that names row and field.

What is valid is said by the contract alone (`churn.contract.Customer`, a Pydantic model). A
batch is first checked by columns, which is faster; only where that finds something does
Pydantic look at the rows, and names what is wrong. A test holds that both accept the same.
"""

import re
from collections.abc import Iterator, Sequence, Set, Sized
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, chain, islice
from operator import itemgetter
from typing import Annotated, Any, Final

import numpy as np
import orjson
from pydantic import Field, TypeAdapter, ValidationError

from churn.contract import (
    BY_NAME,
    CATEGORICAL,
    LONGEST_CUSTOMER_ID,
    MAXIMUM_CATEGORY_LENGTH,
    NUMERIC,
    Customer,
    Feature,
    customer_key,
    whole,
)
from churn.contradictions import Numbers, broken, contradictions
from churn.moments import EPOCH
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
from serving.refusals import RequestError

CLOCK_TOLERANCE: Final = timedelta(minutes=1)
"""How far a caller's clock may be ahead before its `as_of` counts as in the future."""

SHOWN_PROBLEMS: Final = 20
"""An answer lists at most this many problems; a caller who sent 10,000 bad rows needs no more."""

_UNCOUNTED_BYTES: Final = 1024 * 1024
_MARKS_PER_CUSTOMER: Final = 100
"""Commas and opening brackets in the JSON of a customer, or texts, with room for some within its texts."""

_LONGEST_TEXT: Final = 4096
"""Bytes of a text in JSON: far more than the longest id or category takes, all of it escaped."""

_CHUNK: Final = 64
_SHOWN_CHARACTERS: Final = 80
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)  # RFC 3339, the zone optional so that its absence gets a message of its own

_COUNTS: Final = tuple(name for name in NUMERIC if BY_NAME[name].kind == "count")
_REALS: Final = tuple(name for name in NUMERIC if BY_NAME[name].kind == "real")
_counts_of: Final = itemgetter(*_COUNTS)
_reals_of: Final = itemgetter(*_REALS)
_categories_of: Final = itemgetter(*CATEGORICAL)
_ids_of: Final = itemgetter("customer_id")
_moments_of: Final = itemgetter("as_of")
_CUSTOMER: Final = Customer.model_fields.keys()
_FIELDS: Final = len(_CUSTOMER)
_CATEGORIES: Final = tuple(BY_NAME[name] for name in CATEGORICAL)
_COUNT_TYPES: Final = frozenset({int})  # NumPy would take a boolean for a number
_REAL_TYPES: Final = frozenset({int, float, type(None)})
_COUNT_PLACES: Final = [NUMERIC.index(name) for name in _COUNTS]
_REAL_PLACES: Final = [NUMERIC.index(name) for name in _REALS]
_MINIMUM: Final = np.array([BY_NAME[name].minimum for name in NUMERIC], dtype=np.float64)
_MAXIMUM: Final = np.array([BY_NAME[name].maximum for name in NUMERIC], dtype=np.float64)
_NULLABLE: Final = np.array([BY_NAME[name].nullable for name in NUMERIC])


@dataclass(frozen=True)
class Batch:
    """Validated customers, column by column.

    Attributes:
        customer_ids: as sent.
        as_of: moments in UTC, ISO 8601 ending in Z.
        numbers: float64 [customers, len(contract.NUMERIC)]; null is NaN.
        categories: of each customer, in the order of contract.CATEGORICAL; null is None.
        features: of each customer the values by feature name, as sent.
    """

    customer_ids: Sequence[str]
    as_of: Sequence[str]
    numbers: Numbers
    categories: Sequence[tuple[str | None, ...]]
    features: Sequence[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.customer_ids)

    @classmethod
    def joined(cls, batches: Sequence["Batch"]) -> "Batch":
        """The customers of several batches, or of none."""
        if len(batches) == 1:
            return batches[0]
        return cls(
            [one for batch in batches for one in batch.customer_ids],
            [one for batch in batches for one in batch.as_of],
            np.concatenate([np.empty((0, len(NUMERIC))), *(batch.numbers for batch in batches)]),
            [one for batch in batches for one in batch.categories],
            [one for batch in batches for one in batch.features],
        )

    def keys(self) -> list[tuple[str, str]]:
        """What must not come twice in a request: customer, however the id is spelled, and moment."""
        text = "".join(self.customer_ids)
        plain = "." not in text and text.split(None, 1) == [text]  # no blank and no fraction in any of them
        ids = self.customer_ids if plain else map(customer_key, self.customer_ids)
        return list(zip(ids, self.as_of, strict=True))


@dataclass(frozen=True)
class ExplainOptions:
    """What `explain` is asked for besides the customers."""

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
    batch = _by_columns(list(chain.from_iterable(asked)), _Moments(now))
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
_ROWS: Final = TypeAdapter(list[Customer])


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
        raise _refusal(_unknown(raw, fields, []))
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        raise _refusal(list(_problems(error))) from None


def _unknown(found: dict[str, Any], fields: Set[str], where: list[str | int]) -> list[Problem]:
    """The fields that there are not, not many more than are shown: a body may have a million of them."""
    names = islice((name for name in found if name not in fields), SHOWN_PROBLEMS + 1)
    return [Problem.because("unknown_field", [*where, _short(name)], _MESSAGES["extra_forbidden"]) for name in names]


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
    moments = _Moments(now)
    batch = _by_columns(rows, moments)
    if batch is None:
        raise _named(rows, moments)
    problems = list(islice(chain(_duplicates(batch), _contradictions(batch)), SHOWN_PROBLEMS + 1))
    if problems:
        raise _refusal(problems)
    return batch


def _by_columns(rows: list[Any], moments: "_Moments") -> Batch | None:
    """The batch, or None when a row is not what the contract says."""
    try:
        ids, as_of = list(map(_ids_of, rows)), list(map(_moments_of, rows))
        categories = list(map(_categories_of, rows))
        counts, reals = _counts(rows), list(map(_reals_of, rows))
        utc = [moments.utc(text) for text in as_of]
        plausible = (
            all(len(row) == _FIELDS for row in rows)
            and all(map(_is_id, ids))
            and all(map(_are_categories, _CATEGORIES, zip(*categories, strict=True)))
            and set(map(type, chain.from_iterable(counts))) <= _COUNT_TYPES
            and set(map(type, chain.from_iterable(reals))) <= _REAL_TYPES
        )
        numbers = _numbers(counts, reals) if plausible else None
    except (TypeError, KeyError, ValueError, OverflowError):
        return None  # not an object, a list for a value, a field missing, no moment, more than 64 bits
    if numbers is None:
        return None
    for row in rows:
        del row["customer_id"], row["as_of"]
    return Batch(ids, utc, numbers, categories, rows)


def _counts(rows: list[Any]) -> list[tuple[Any, ...]]:
    """The counts of each row; those written as 3.0 become integers, in the rows too."""
    counts = list(map(_counts_of, rows))
    if float in set(map(type, chain.from_iterable(counts))):
        for row in rows:
            row.update({name: whole(row[name]) for name in _COUNTS})
        counts = list(map(_counts_of, rows))
    return counts


def _is_id(value: object) -> bool:
    return type(value) is str and 1 <= len(value) <= LONGEST_CUSTOMER_ID and not value.isspace()


def _are_categories(feature: Feature, values: tuple[object, ...]) -> bool:
    return all(_is_category(feature, value) for value in set(values))


def _is_category(feature: Feature, value: object) -> bool:
    if value is None:
        return feature.nullable
    if type(value) is not str:
        return False
    if feature.categories is not None:
        return value in feature.categories
    return 1 <= len(value) <= MAXIMUM_CATEGORY_LENGTH


def _numbers(counts: list[tuple[int, ...]], reals: list[tuple[float | None, ...]]) -> Numbers | None:
    """Float64 [rows, numeric features], or None when one is out of its bounds."""
    numbers: Numbers = np.empty((len(counts), len(NUMERIC)), dtype=np.float64)
    numbers[:, _COUNT_PLACES] = np.array(counts, dtype=np.int64)
    numbers[:, _REAL_PLACES] = np.array(reals, dtype=np.float64)
    inside = (numbers >= _MINIMUM) & (numbers <= _MAXIMUM)  # null is not
    if not inside.all() and not (inside | np.isnan(numbers) & _NULLABLE).all():
        return None
    return numbers


class _Moments:
    """Reads `as_of`; customers of one request mostly share a few."""

    def __init__(self, now: datetime) -> None:
        self._latest = now + CLOCK_TOLERANCE
        self._read: dict[str, str] = {}

    def utc(self, text: object) -> str:
        """ISO 8601 ending in Z.

        Raises:
            ValueError: it is no moment, or not one that can be; the message says why.
        """
        if not isinstance(text, str):
            raise ValueError("expected a moment as text, for example 2018-11-02T00:00:00Z")  # noqa: TRY004  # caught as one
        known = self._read.get(text)
        if known is None:
            known = self._read[text] = self._parsed(text)
        return known

    def _parsed(self, text: str) -> str:
        if not _MOMENT.fullmatch(text):
            raise ValueError("expected a moment such as 2018-11-02T00:00:00Z")
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            raise ValueError("there is no such moment; expected one such as 2018-11-02T00:00:00Z") from None
        if moment.tzinfo is None:
            raise ValueError("no time zone; end it with Z for UTC, or with an offset such as +01:00")
        if moment < EPOCH:
            raise ValueError("before 1970")
        if moment > self._latest:
            raise ValueError(f"in the future; it is {self._latest - CLOCK_TOLERANCE:%Y-%m-%dT%H:%M:%SZ} here")
        utc = moment.astimezone(UTC)
        return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").replace("+00:00", "Z")


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


def _named(rows: list[Any], moments: _Moments) -> RequestError:
    """What is wrong with rows that are not what the contract says; the last ones are not looked at when it is much."""
    problems: list[Problem] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        problems += _unknown_in(chunk, start)
        try:
            _ROWS.validate_python([_known(row) for row in chunk])
        except ValidationError as error:
            problems += _problems(error, first_row=start)
        problems += _moment_problems(chunk, start, moments)
        if len(problems) > SHOWN_PROBLEMS:
            break
    return _refusal(problems)


def _unknown_in(rows: list[Any], first_row: int) -> Iterator[Problem]:
    for number, row in enumerate(rows, start=first_row):
        if isinstance(row, dict) and not row.keys() <= _CUSTOMER:
            yield from _unknown(row, _CUSTOMER, ["customers", number])


def _known(row: Any) -> Any:
    """A row without the fields that there are not: Pydantic would make an error of each, however many there are."""
    if isinstance(row, dict) and not row.keys() <= _CUSTOMER:
        return {name: row[name] for name in _CUSTOMER if name in row}
    return row


def _moment_problems(rows: list[Any], first_row: int, moments: _Moments) -> Iterator[Problem]:
    for number, row in enumerate(rows, start=first_row):
        if isinstance(row, dict) and "as_of" in row:
            try:
                moments.utc(row["as_of"])
            except ValueError as error:
                yield Problem.because("wrong_moment", ["customers", number, "as_of"], str(error))


def _refusal(problems: list[Problem]) -> RequestError:
    if len(problems) <= SHOWN_PROBLEMS:
        plural = "" if len(problems) == 1 else "s"
        return RequestError(400, f"{len(problems)} problem{plural} in the request", problems)
    listed = f"more than {SHOWN_PROBLEMS} problems in the request, the first {SHOWN_PROBLEMS} are listed"
    return RequestError(400, listed, problems[:SHOWN_PROBLEMS])


def _problems(error: ValidationError, first_row: int | None = None) -> Iterator[Problem]:
    """Pydantic's errors without the input; of customers when `first_row` is given, else of the whole body."""
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        path: list[str | int] = list(item["loc"])
        if first_row is not None:
            path = ["customers", first_row + int(path[0]), *path[1:]]
            if path[-1] == "as_of" and item["type"] != "missing":
                continue  # `_Moments` says it better
        message = _MESSAGES.get(item["type"], item["msg"])
        reason = next((kind for kind, words in _REASONS.items() if item["type"] in words), "wrong_type")
        yield Problem.because(reason, [_short(part) for part in path], _short(message, 4 * _SHOWN_CHARACTERS))


_REASONS: Final = {
    "missing": {"missing"},
    "unknown_field": {"extra_forbidden"},
    "out_of_range": {"greater_than_equal", "less_than_equal", "finite_number", "too_short"},
    "wrong_value": {"literal_error", "string_too_short", "string_too_long", "string_pattern_mismatch"},
}
"""Pydantic's kinds of errors by the reason that is counted; all others are of a wrong type."""

_MESSAGES: Final = {
    "missing": "missing; send null where the value is not known and null is allowed",
    "extra_forbidden": "there is no such field",
    "model_type": "expected an object",
    "too_short": "empty; send at least one customer",
    "list_type": "expected a list of customers",
    "string_pattern_mismatch": "blank; send your id of the customer",
}
"""Instead of Pydantic's words, which name our classes."""


def _short(part: Any, length: int = _SHOWN_CHARACTERS) -> Any:
    return part[:length] + "…" if isinstance(part, str) and len(part) > length else part
