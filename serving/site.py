"""The paths of a service."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from serving.api import Content

Answer = Callable[[Content, str], Awaitable[bytes]]
"""A body and a request id to the JSON of the answer; raises `RequestError`."""


@dataclass(frozen=True)
class Document:
    """A document that does not change while the service runs."""

    content: bytes
    content_type: bytes


@dataclass(frozen=True)
class Site:
    """The paths of a service: `answers` to POST, `documents` to GET."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    documents: Mapping[str, Document] = field(default_factory=dict)

    def paths(self) -> list[str]:
        return sorted([*self.answers, *self.documents])
