"""The shapes of ASGI that the boundary uses, and one request with its answer as an object."""

import os
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

from serving.refusals import RequestError

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

JSON: Final = b"application/json"
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,64}")

_REFUSAL_HEADERS: Final[dict[int, Headers]] = {
    401: ((b"www-authenticate", b"Bearer"),),
    408: ((b"connection", b"close"),),
    413: ((b"connection", b"close"),),
    429: ((b"retry-after", b"1"),),
    503: ((b"retry-after", b"5"),),
}


def request_id_of(headers: dict[bytes, bytes]) -> str:
    """The caller's `X-Request-ID` where it is a plain short token, else a new one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode("ascii") if _REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


class Exchange:
    """One request and its answer.

    Attributes:
        headers: by name in lower case; of a name that comes twice, the last one.
        request_id: the caller's, or a new one.
    """

    __slots__ = ("headers", "method", "path", "receive", "request_id", "scope", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.path: str = scope["path"]
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = request_id_of(self.headers)

    async def respond(
        self,
        status: int,
        body: bytes,
        more: Headers = (),
        content_type: bytes = JSON,
        *,
        wait_until_read: bool = False,
    ) -> None:
        """Send the whole answer, and perhaps wait until the caller has read nearly all of it."""
        headers = [
            (b"content-type", content_type),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", self.request_id.encode()),
            *more,
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": wait_until_read})
        if wait_until_read:  # the server takes a further piece only when the one before it is on its way
            await self.send({"type": "http.response.body", "body": b""})

    async def refuse(self, refusal: RequestError) -> None:
        """Send a refusal, with the headers that belong to its status."""
        await self.respond(refusal.status, refusal.body(), _refusal_headers(refusal))


def _refusal_headers(refusal: RequestError) -> Headers:
    if refusal.close:
        return ((b"connection", b"close"),)
    if refusal.allow:
        return ((b"allow", refusal.allow.encode()),)
    return _REFUSAL_HEADERS.get(refusal.status, ())
