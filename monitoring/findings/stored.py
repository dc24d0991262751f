"""The base of every part of `summary.json`: read as strictly as it is written, with newer fields kept."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from churn.quality.figure import Figure


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _figure(found: object) -> object:
    """What is not defined is null in the file."""
    if not isinstance(found, Mapping):
        return found
    return {name: math.nan if number is None else number for name, number in found.items()}


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Number = Annotated[float | None, BeforeValidator(_finite)]
"""A number; one that is not finite is null."""

StoredFigure = Annotated[Figure, BeforeValidator(_figure), PlainSerializer(Figure.to_dict)]
"""A measure: `value`, `low`, `high` (95 %), all null where it is not defined (a precision when nobody is flagged)."""

Moment = Annotated[str, AfterValidator(_moment)]
"""ISO 8601 in UTC: `2018-11-02T00:00:00Z`."""


class Stored(BaseModel):
    """A part of `summary.json`. What was never set is not written; fields that a newer version wrote stay."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    leading_fields: ClassVar[tuple[str, ...]] = ()
    """Names in the file that come before those of the base class."""

    @model_serializer(mode="wrap")
    def _in_order(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = serialise(self)
        return {name: fields[name] for name in (*self.leading_fields, *fields) if name in fields}
