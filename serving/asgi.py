"""The shapes of ASGI that the boundary uses, and the one way in which it answers."""

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


async def respond(
    send: Send, status: int, body: bytes, request_id: str, more: Headers = (), content_type: bytes = JSON
) -> None:
    """Send a whole answer."""
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, refusal: RequestError, request_id: str) -> None:
    """Send a refusal, with the headers that belong to its status."""
    await respond(send, refusal.status, refusal.body(), request_id, _refusal_headers(refusal))


def _refusal_headers(refusal: RequestError) -> Headers:
    if refusal.close:
        return ((b"connection", b"close"),)
    if refusal.allow:
        return ((b"allow", refusal.allow.encode()),)
    return _REFUSAL_HEADERS.get(refusal.status, ())
