"""The HTTP edge of the service, around BentoML's application: who and what is let in, and how every refusal looks.

The two APIs are answered here, below BentoML's own request handling: the body goes to the
service as bytes and its answer comes back as bytes. What that is worth is written in
`docs/decisions/serving-settings.md`. All other known paths are BentoML's; unknown ones end here.
"""

import time
from typing import Final

from serving.api import Problem
from serving.api_keys import ApiKeys
from serving.asgi import Application, Exchange, Receive, Scope, Send
from serving.bodies import Body, check_headers
from serving.budget import ByteBudget, Share
from serving.limits import KB, Limits
from serving.refusals import RequestError
from serving.site import Answer, Document, Site

FAULT: Final = RequestError(
    500,
    "the service failed",
    [Problem(loc=[], msg="the request is not at fault; tell the operator its id, X-Request-ID")],
)

_VIEWER: Final = frozenset({"/static_content/swagger-ui.css", "/static_content/swagger-ui-bundle.js"})
_BENTOML_PATHS: Final = frozenset({"/livez", "/readyz", "/healthz", "/metrics", "/schema.json", *_VIEWER})
"""Exactly these, for BentoML counts every path that it sees."""

_PROTECTED: Final = frozenset({"/schema.json"})
_OTHER: Final = "other"

CONNECTION: Final = "connection"
"""Among the extensions of a request's scope: the connection that it came over, a `Mover`."""

BOUNDED: Final = "bounded"
"""In the state that a server starts with: its connections are bounded too."""

_UNBOUNDED: Final = "the service does not start: its connections are not bounded; start it with `bentoml serve`"
_LARGE_ANSWER: Final = 64 * KB
"""A smaller answer goes to the server in one piece, which is as much as it keeps without being asked to wait."""


class Observer:
    """Sees every request that the boundary answers; this one does nothing with it."""

    def arrived(self) -> None:
        """A whole request to an API is there to be worked on."""

    def left(self) -> None:
        """It has been worked on."""

    def answered(self, path: str, status: int, seconds: float, request_id: str, refusal: RequestError | None) -> None:
        """A request to a known path, or to `other`, was answered; with the refusal if it was one."""

    def answered_early(self, refusal: RequestError) -> None:
        """A request was refused before its headers were there."""

    def cut_off(self, reason: str) -> None:
        """A connection was ended without an answer."""


class Boundary:
    """ASGI application around BentoML's.

    Args:
        app: BentoML's application.
        limits: how much is let in.
        keys: who is let in.
        protect_all: whether BentoML's own paths (probes, metrics) want a key as well.
        observer: told of requests, for metrics and logs.
        site: what is at the paths; a service that has yet to load its model hands it to `open`.
    """

    def __init__(
        self,
        app: Application,
        limits: Limits,
        keys: ApiKeys,
        *,
        protect_all: bool = False,
        observer: Observer | None = None,
        site: Site | None = None,
    ) -> None:
        self.limits = limits
        self.observer = observer or Observer()
        self._app = app
        self._keys = keys
        self._protect_all = protect_all
        self._site = site or Site()
        self._in_flight = 0
        self._budget = ByteBudget(limits.held)

    def open(self, site: Site) -> None:
        """Answer at the paths of a service from now on."""
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(Exchange(scope, receive, send))
        elif scope["type"] == "lifespan" and BOUNDED not in scope.get("state", {}):
            await send({"type": "lifespan.startup.failed", "message": _UNBOUNDED})
        else:
            await self._app(scope, receive, send)

    async def _answer(self, exchange: Exchange) -> None:
        path, started, status = exchange.path, time.perf_counter(), 200
        refusal: RequestError | None = None
        try:
            await (self._from_bentoml(exchange) if path in _BENTOML_PATHS else self._from_site(exchange))
        except RequestError as refused:
            refusal, status = refused.severed(), refused.status
            await exchange.refuse(refused)
        except BaseException:
            status = 500
            raise
        finally:
            if path not in _BENTOML_PATHS or refusal is not None:
                known = path if path in self._site.answers or path in self._site.documents else _OTHER
                self.observer.answered(known, status, time.perf_counter() - started, exchange.request_id, refusal)

    async def _from_bentoml(self, exchange: Exchange) -> None:
        if self._protect_all or exchange.path in _PROTECTED:
            self._keys.check(exchange.headers)
        await self._app(exchange.scope, exchange.receive, exchange.send)

    async def _from_site(self, exchange: Exchange) -> None:
        self._keys.check(exchange.headers)
        answer = self._site.answers.get(exchange.path)
        if answer is None:
            document = self._document(exchange.path, exchange.method)
            await exchange.respond(200, document.content, content_type=document.content_type)
            return
        share = self._budget.share()
        try:
            await self._send(exchange, share, await self._answered_or_told(exchange, share, answer))
        finally:
            share.release()

    def _document(self, path: str, method: str) -> Document:
        document = self._site.documents.get(path)
        if document is None:
            available = Problem(loc=[], msg=f"available paths: {', '.join(self._site.paths())}")
            raise RequestError(404, "no such path", [available])
        if method not in {"GET", "HEAD"}:
            raise _wrong_method(method, "GET")
        return document

    async def _answered_or_told(self, exchange: Exchange, share: Share, answer: Answer) -> bytes:
        """The answer; a fault of ours has the shape of every refusal, and the server writes its traceback."""
        try:
            return await self._answered(exchange, share, answer)
        except RequestError:
            raise
        except Exception:
            await exchange.respond(500, FAULT.body())
            raise

    async def _answered(self, exchange: Exchange, share: Share, answer: Answer) -> bytes:
        if exchange.method != "POST":
            raise _wrong_method(exchange.method, "POST")
        self._check_room()
        check_headers(exchange.headers)
        content = await Body(share, self.limits).read(exchange.headers, exchange.receive)
        self._check_room()
        self._in_flight += 1
        self.observer.arrived()
        try:
            return await answer(content, exchange.request_id)
        finally:
            self._in_flight -= 1
            self.observer.left()

    @staticmethod
    async def _send(exchange: Exchange, share: Share, content: bytes) -> None:
        """Send an answer, which takes memory until the caller has read it."""
        if len(content) <= _LARGE_ANSWER:
            share.release()
            await exchange.respond(200, content)
            return
        share.resize(len(content))
        share.mover = exchange.scope.get("extensions", {}).get(CONNECTION)
        await exchange.respond(200, content, wait_until_read=True)

    def _check_room(self) -> None:
        if self._in_flight >= self.limits.in_flight:
            raise RequestError(429, "too many requests at a time", [Problem(loc=[], msg="try again in a second")])


def _wrong_method(found: str, expected: str) -> RequestError:
    problem = Problem(loc=[], msg=f"{found} is not possible here; use {expected}")
    return RequestError(405, "wrong method", [problem], allow=expected)
