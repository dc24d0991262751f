"""The HTTP edge of the service, around BentoML's application: who and what is let in, and how every refusal looks.

The two APIs are answered here, below BentoML's own request handling: the body goes to the
service as bytes and its answer comes back as bytes. What that is worth is written in
`docs/decisions/serving-settings.md`. All other known paths are BentoML's; unknown ones end here.
"""

import time
from typing import Final

from serving.api import Problem
from serving.api_keys import ApiKeys
from serving.asgi import Application, Receive, Scope, Send, refuse, request_id_of, respond
from serving.bodies import Body, check_headers
from serving.limits import ByteBudget, Limits
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


class Observer:
    """Sees every request that the boundary answers; this one does nothing with it."""

    def arrived(self) -> None:
        """A whole request to an API is there to be worked on."""

    def left(self) -> None:
        """It has been worked on."""

    def answered(self, path: str, status: int, seconds: float, request_id: str, refusal: RequestError | None) -> None:
        """A request to a known path, or to `other`, was answered; with the refusal if it was one."""


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
        self._app = app
        self._limits = limits
        self._keys = keys
        self._protect_all = protect_all
        self._observer = observer or Observer()
        self._site = site or Site()
        self._in_flight = 0
        self._budget = ByteBudget(limits.held)

    def open(self, site: Site) -> None:
        """Answer at the paths of a service from now on."""
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, started, status = scope["path"], time.perf_counter(), 200
        headers = dict(scope["headers"])
        request_id = request_id_of(headers)
        refusal: RequestError | None = None
        try:
            if path in _BENTOML_PATHS:
                await self._from_bentoml(scope, headers, receive, send)
            else:
                await self._from_site(scope, headers, receive, send, request_id)
        except RequestError as refused:
            refusal, status = refused.severed(), refused.status
            await refuse(send, refused, request_id)
        except BaseException:
            status = 500
            raise
        finally:
            if path not in _BENTOML_PATHS or refusal is not None:
                known = path if path in self._site.answers or path in self._site.documents else _OTHER
                self._observer.answered(known, status, time.perf_counter() - started, request_id, refusal)

    async def _from_bentoml(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        if self._protect_all or scope["path"] in _PROTECTED:
            self._keys.check(headers)
        await self._app(scope, receive, send)

    async def _from_site(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send, request_id: str
    ) -> None:
        self._keys.check(headers)
        answer = self._site.answers.get(scope["path"])
        if answer is None:
            document = self._document(scope["path"], scope["method"])
            await respond(send, 200, document.content, request_id, content_type=document.content_type)
            return
        try:
            body = await self._answered(answer, scope["method"], headers, receive, request_id)
        except RequestError:
            raise
        except Exception:  # a fault of ours has the shape of every refusal, and the server writes its traceback
            await respond(send, 500, FAULT.body(), request_id)
            raise
        await respond(send, 200, body, request_id)

    def _document(self, path: str, method: str) -> Document:
        document = self._site.documents.get(path)
        if document is None:
            available = Problem(loc=[], msg=f"available paths: {', '.join(self._site.paths())}")
            raise RequestError(404, "no such path", [available])
        if method not in {"GET", "HEAD"}:
            raise _wrong_method(method, "GET")
        return document

    async def _answered(
        self, answer: Answer, method: str, headers: dict[bytes, bytes], receive: Receive, request_id: str
    ) -> bytes:
        if method != "POST":
            raise _wrong_method(method, "POST")
        self._check_room()
        check_headers(headers)
        body = Body(self._budget, self._limits)
        try:
            content = await body.read(headers, receive)
            self._check_room()
            self._in_flight += 1
            self._observer.arrived()
            try:
                return await answer(content, request_id)
            finally:
                self._in_flight -= 1
                self._observer.left()
        finally:
            body.release()

    def _check_room(self) -> None:
        if self._in_flight >= self._limits.in_flight:
            raise RequestError(429, "too many requests at a time", [Problem(loc=[], msg="try again in a second")])


def _wrong_method(found: str, expected: str) -> RequestError:
    problem = Problem(loc=[], msg=f"{found} is not possible here; use {expected}")
    return RequestError(405, "wrong method", [problem], allow=expected)
