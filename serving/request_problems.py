"""Naming the problems of a request: each with its row and field, in our words, and not more than a caller reads."""

from collections.abc import Iterator, Set
from itertools import islice
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from churn.contract import Customer
from serving.api import Problem
from serving.refusals import RequestError
from serving.request_moments import Moments

SHOWN_PROBLEMS: Final = 20
"""An answer lists at most this many problems; a caller who sent 10,000 bad rows needs no more."""

_CHUNK: Final = 64
_SHOWN_CHARACTERS: Final = 80
_CUSTOMER: Final = Customer.model_fields.keys()
_ROWS: Final = TypeAdapter(list[Customer])


def named(rows: list[Any], moments: Moments) -> RequestError:
    """Name the problems of rows that break the contract; stop once there are more than an answer shows."""
    problems: list[Problem] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        problems += _unknown_in(chunk, start)
        try:
            _ROWS.validate_python([_known(row) for row in chunk])
        except ValidationError as error:
            problems += problems_of(error, first_row=start)
        problems += _moment_problems(chunk, start, moments)
        if len(problems) > SHOWN_PROBLEMS:
            break
    return refusal(problems)


def _unknown_in(rows: list[Any], first_row: int) -> Iterator[Problem]:
    for number, row in enumerate(rows, start=first_row):
        if isinstance(row, dict) and not row.keys() <= _CUSTOMER:
            yield from unknown_fields(row, _CUSTOMER, ["customers", number])


def _known(row: Any) -> Any:
    """A row without the fields that there are not: Pydantic would make an error of each, however many there are."""
    if isinstance(row, dict) and not row.keys() <= _CUSTOMER:
        return {name: row[name] for name in _CUSTOMER if name in row}
    return row


def _moment_problems(rows: list[Any], first_row: int, moments: Moments) -> Iterator[Problem]:
    for number, row in enumerate(rows, start=first_row):
        if isinstance(row, dict) and "as_of" in row:
            try:
                moments.utc(row["as_of"])
            except ValueError as error:
                yield Problem.because("wrong_moment", ["customers", number, "as_of"], str(error))


def refusal(problems: list[Problem]) -> RequestError:
    if len(problems) <= SHOWN_PROBLEMS:
        plural = "" if len(problems) == 1 else "s"
        return RequestError(400, f"{len(problems)} problem{plural} in the request", problems)
    listed = f"more than {SHOWN_PROBLEMS} problems in the request, the first {SHOWN_PROBLEMS} are listed"
    return RequestError(400, listed, problems[:SHOWN_PROBLEMS])


def problems_of(error: ValidationError, first_row: int | None = None) -> Iterator[Problem]:
    """Pydantic's errors without the input; of customers when `first_row` is given, else of the whole body."""
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        path: list[str | int] = list(item["loc"])
        if first_row is not None:
            path = ["customers", first_row + int(path[0]), *path[1:]]
            if path[-1] == "as_of" and item["type"] != "missing":
                continue  # `Moments` says it better
        message = _MESSAGES.get(item["type"], item["msg"])
        reason = next((kind for kind, words in _REASONS.items() if item["type"] in words), "wrong_type")
        yield Problem.because(reason, [_short(part) for part in path], _short(message, 4 * _SHOWN_CHARACTERS))


def unknown_fields(found: dict[str, Any], fields: Set[str], where: list[str | int]) -> list[Problem]:
    """The fields that there are not, not many more than are shown: a body may have a million of them."""
    names = islice((name for name in found if name not in fields), SHOWN_PROBLEMS + 1)
    return [Problem.because("unknown_field", [*where, _short(name)], _MESSAGES["extra_forbidden"]) for name in names]


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
