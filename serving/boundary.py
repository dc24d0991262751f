"""The HTTP edge of the service, around BentoML's application: who and what is let in, and how every refusal looks.

The two APIs are answered here, below BentoML's own request handling: the body goes to the
service as bytes and its answer comes back as bytes. What that is worth is written in
`docs/decisions/serving-settings.md`. All other known paths are BentoML's; unknown ones end here.
"""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from serving.api import Content, Problem, RequestError
from serving.api_keys import ApiKeys

MAXIMUM_BODY: Final = 32 * 1024 * 1024
MAXIMUM_IN_FLIGHT: Final = 64
MAXIMUM_HELD: Final = MAXIMUM_BODY
BODY_SECONDS: Final = 30.0
"""How long a caller may take to send a body."""

FAULT: Final = RequestError(
    500,
    "the service failed",
    [Problem(loc=[], msg="the request is not at fault; tell the operator its id, X-Request-ID")],
)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

Answer = Callable[[Content, str], Awaitable[bytes]]
"""A body and a request id to the JSON of the answer; raises `RequestError`."""

Record = Callable[[str, int, float, str, RequestError | None], None]
"""Known path or `other`, status, seconds, request id, and the refusal if it was one."""


@dataclass(frozen=True)
class Page:
    """A document that does not change while the service runs."""

    content: bytes
    content_type: bytes


_VIEWER: Final = frozenset({"/static_content/swagger-ui.css", "/static_content/swagger-ui-bundle.js"})
_BENTOML_PATHS: Final = frozenset({"/livez", "/readyz", "/healthz", "/metrics", "/schema.json", *_VIEWER})
"""Exactly these, for BentoML counts every path that it sees."""

_PROTECTED: Final = frozenset({"/schema.json"})
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_JSON_TYPE: Final = re.compile(rb"application/json\s*(;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)

# A refused body is read to its end and thrown away, so that a client that writes before it
# reads sees the answer instead of a broken connection. Within bounds.
_DISCARDED_BYTES: Final = 1024 * 1024 * 1024
_DISCARD_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Limits:
    """How much is let in.

    Attributes:
        body: bytes of one request.
        in_flight: requests to the two APIs worked on at a time, in this worker.
        held: bytes at a time of bodies that come in several pieces, and so of all large ones.
        body_seconds: how long a caller may take to send a body.
    """

    body: int = MAXIMUM_BODY
    in_flight: int = MAXIMUM_IN_FLIGHT
    held: int = MAXIMUM_HELD
    body_seconds: float = BODY_SECONDS


class _Held:
    """Bytes of bodies that this worker holds, of all requests together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0

    def take(self, size: int) -> None:
        """Count what has arrived; what is only announced takes no memory.

        Raises:
            RequestError: 429, there is no room for it.
        """
        if self._total + size > self._limit:
            found = Problem(loc=[], msg="the bodies being worked on are too large together; try again in a second")
            raise RequestError(429, "too much data at a time", [found])
        self._total += size

    def give_back(self, size: int) -> None:
        self._total -= size


class Boundary:
    """ASGI application around BentoML's.

    Args:
        app: BentoML's application.
        answers: what answers `POST` on a path; filled when the service has loaded its model.
        pages: what answers `GET` on a path, with its content type; filled likewise.
        limits: how much is let in.
        keys: who is let in.
        protect_all: whether BentoML's own paths (probes, metrics) want a key as well.
        record: told of every request that is answered here, for metrics and logs.
        crowd: told 1 when a request to an API comes in and -1 when it is done.
    """

    def __init__(
        self,
        app: Application,
        answers: Mapping[str, Answer],
        pages: Mapping[str, Page],
        limits: Limits,
        keys: ApiKeys,
        *,
        protect_all: bool = False,
        record: Record = lambda *_: None,
        crowd: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._app = app
        self._answers = answers
        self._pages = pages
        self._limits = limits
        self._keys = keys
        self._protect_all = protect_all
        self._record = record
        self._crowd = crowd
        self._in_flight = 0
        self._held = _Held(limits.held)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, started, status = scope["path"], time.perf_counter(), 500
        headers = dict(scope["headers"])
        request_id = request_id_of(headers)
        refusal: RequestError | None = None
        try:
            if path in _BENTOML_PATHS:
                if self._protect_all or path in _PROTECTED:
                    self._keys.check(headers)
                status = 200
                await self._app(scope, receive, send)
                return
            self._keys.check(headers)
            answer = self._answers.get(path)
            if answer is None:
                page = self._page(path, scope["method"])
                status = 200
                await _respond(send, 200, page.content, request_id, content_type=page.content_type)
            else:
                body = await self._answered_or_told(answer, scope["method"], headers, receive, send, request_id)
                status = 200
                await _respond(send, 200, body, request_id)
        except RequestError as refused:
            # Its traceback holds the frames that hold the body, and this frame holds it: a circle.
            refusal, status = refused.with_traceback(None), refused.status
            await _respond(send, refused.status, refused.body(), request_id, _refusal_headers(refused))
        finally:
            if path not in _BENTOML_PATHS or refusal is not None:
                known = path if path in self._answers or path in self._pages else "other"
                self._record(known, status, time.perf_counter() - started, request_id, refusal)

    def _page(self, path: str, method: str) -> Page:
        page = self._pages.get(path)
        if page is None:
            there = Problem(loc=[], msg=f"there are {sorted([*self._answers, *self._pages])}")
            raise RequestError(404, "no such path", [there])
        if method not in {"GET", "HEAD"}:
            raise _wrong_method(method, "GET")
        return page

    async def _answered_or_told(
        self,
        answer: Answer,
        method: str,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        request_id: str,
    ) -> bytes:
        """The answer; a fault of ours has the shape of every refusal, and the server writes its traceback."""
        try:
            return await self._answered(answer, method, headers, receive, request_id)
        except RequestError:
            raise
        except Exception:
            await _respond(send, 500, FAULT.body(), request_id)
            raise

    async def _answered(
        self, answer: Answer, method: str, headers: dict[bytes, bytes], receive: Receive, request_id: str
    ) -> bytes:
        if method != "POST":
            raise _wrong_method(method, "POST")
        self._check_room()
        _check_headers(headers)
        body = _Body(self._held, self._limits.body)
        try:
            content = await self._in_time(body.read(headers, receive))
            self._check_room()
            self._in_flight += 1
            self._crowd(1)
            try:
                return await answer(content, request_id)
            finally:
                self._in_flight -= 1
                self._crowd(-1)
        finally:
            body.release()

    def _check_room(self) -> None:
        if self._in_flight >= self._limits.in_flight:
            raise RequestError(429, "too many requests at a time", [Problem(loc=[], msg="try again in a second")])

    async def _in_time(self, reading: Awaitable[Content]) -> Content:
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                return await reading
        except TimeoutError:
            waited = Problem(loc=[], msg=f"the body did not arrive within {self._limits.body_seconds:g} seconds")
            raise RequestError(408, "the body is too slow", [waited]) from None


def _wrong_method(found: str, expected: str) -> RequestError:
    problem = Problem(loc=[], msg=f"{found} is not possible here; use {expected}")
    return RequestError(405, "wrong method", [problem], allow=expected)


class _Body:
    """A body, which may come in pieces. Who has not sent all of it yet takes memory from others, and nothing else."""

    def __init__(self, held: _Held, limit: int) -> None:
        self._all = held
        self._limit = limit
        self._mine = 0

    async def read(self, headers: dict[bytes, bytes], receive: Receive) -> Content:
        """The whole body.

        Raises:
            RequestError: 413 too large, 429 no room for it beside the others, 400 it ended early.
        """
        if int(headers.get(b"content-length", b"0")) > self._limit:
            if headers.get(b"expect", b"").lower() != b"100-continue":
                await _discard(receive)
            raise _too_large(self._limit)
        message = await receive()
        if message.get("more_body"):
            return await self._joined(message, receive)
        return bytes(_piece(message))

    async def _joined(self, message: Message, receive: Receive) -> bytearray:
        whole = bytearray()
        while True:
            piece, more = _piece(message), message.get("more_body")
            if len(whole) + len(piece) > self._limit:
                whole.clear()
                self.release()
                if more:
                    await _discard(receive)
                raise _too_large(self._limit)
            self._take(len(piece))
            whole += piece
            if not more:
                return whole
            message = await receive()

    def _take(self, size: int) -> None:
        self._all.take(size)
        self._mine += size

    def release(self) -> None:
        """Make room for others."""
        self._all.give_back(self._mine)
        self._mine = 0


def _piece(message: Message) -> bytes:
    """A piece of a body.

    Raises:
        RequestError: 400, the caller has hung up.
    """
    if message["type"] == "http.disconnect":
        raise RequestError(400, "the body ended early")
    return bytes(message.get("body", b""))


async def _discard(receive: Receive) -> None:
    size = 0
    try:
        async with asyncio.timeout(_DISCARD_SECONDS):
            while size < _DISCARDED_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body"):
                    return
    except TimeoutError:
        return


def _too_large(limit: int) -> RequestError:
    found = Problem(loc=[], msg=f"the body is larger than {limit // 1024**2} MB; send fewer customers at once")
    return RequestError(413, "the body is too large", [found])


def _check_headers(headers: dict[bytes, bytes]) -> None:
    if b"upgrade" in headers:  # after it the server takes the body for another request
        found = Problem(loc=["upgrade"], msg="only HTTP/1.1 is spoken here; set the client to it, without upgrades")
        raise RequestError(400, "an upgrade is not possible", [found], close=True)
    if not _JSON_TYPE.fullmatch(headers.get(b"content-type", b"")):
        found = Problem(loc=["content-type"], msg="expected application/json in UTF-8")
        raise RequestError(415, "wrong content type", [found])
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        found = Problem(loc=["content-encoding"], msg="compressed bodies are not read; send it as it is")
        raise RequestError(415, "wrong content encoding", [found])


def request_id_of(headers: dict[bytes, bytes]) -> str:
    """The caller's `X-Request-ID` where it is a plain short token, else a new one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode("ascii") if _REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


_REFUSAL_HEADERS: Final[dict[int, Headers]] = {
    401: ((b"www-authenticate", b"Bearer"),),
    408: ((b"connection", b"close"),),
    413: ((b"connection", b"close"),),
    429: ((b"retry-after", b"1"),),
    503: ((b"retry-after", b"5"),),
}


def _refusal_headers(refused: RequestError) -> Headers:
    if refused.close:
        return ((b"connection", b"close"),)
    if refused.allow:
        return ((b"allow", refused.allow.encode()),)
    return _REFUSAL_HEADERS.get(refused.status, ())


async def _respond(
    send: Send,
    status: int,
    body: bytes,
    request_id: str,
    more: Headers = (),
    content_type: bytes = b"application/json",
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
