"""The HTTP edge, without BentoML: what it lets in, and what it does with slow, large and broken bodies."""

import asyncio
import gc
import json
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from serving.api import Content, ErrorResponse, Problem
from serving.api_keys import ApiKeys
from serving.boundary import Boundary, Observer
from serving.limits import Limits
from serving.refusals import RequestError
from serving.site import Document, Site

JSON = (b"content-type", b"application/json")


@dataclass
class Answered:
    """What came back, and what was read of the request."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    read: int = 0


async def echo(body: Content, request_id: str) -> bytes:
    return json.dumps({"length": len(body), "id": request_id}).encode()


async def refuse(_: Content, __: str) -> bytes:
    raise RequestError(503, "not now", [Problem(loc=["disk"], msg="full")])


async def bentoml(scope: Any, _: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def boundary(answer: Callable[..., Any] = echo, **limits: Any) -> Boundary:
    return Boundary(bentoml, Limits(**limits), ApiKeys([]), site=site(answer))


def site(answer: Callable[..., Any]) -> Site:
    return Site({"/predict": answer}, {"/docs.json": Document(b"{}", b"application/json")})


async def call(
    app: Boundary,
    path: str = "/predict",
    method: str = "POST",
    headers: Iterable[tuple[bytes, bytes]] = (JSON,),
    pieces: Iterable[bytes] = (b"{}",),
    hold: asyncio.Event | None = None,
) -> Answered:
    answered = Answered()
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        if hold is not None:
            await hold.wait()
        answered.read += 1
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answered.status, answered.headers = message["status"], dict(message["headers"])
        else:
            answered.body += message["body"]

    await app({"type": "http", "path": path, "method": method, "headers": list(headers)}, receive, send)
    return answered


def called(*arguments: Any, **named: Any) -> Answered:
    return asyncio.run(call(*arguments, **named))


def problems(answered: Answered) -> ErrorResponse:
    return ErrorResponse.model_validate_json(answered.body)


def test_a_body_in_pieces_arrives_whole() -> None:
    answered = called(boundary(), pieces=[b"12", b"", b"345"])
    assert (answered.status, json.loads(answered.body)["length"]) == (200, 5)
    assert answered.headers[b"content-length"] == str(len(answered.body)).encode()


def test_a_request_id_is_taken_over_or_made() -> None:
    given = called(boundary(), headers=[JSON, (b"x-request-id", b"order-7.a:b_c")])
    assert given.headers[b"x-request-id"] == b"order-7.a:b_c"
    assert json.loads(given.body)["id"] == "order-7.a:b_c"
    for bad in (b"", b"a b", b"x" * 65, b"\xff", b'"', b"a\nb"):
        made = called(boundary(), headers=[JSON, (b"x-request-id", bad)]).headers[b"x-request-id"]
        assert made != bad
        assert len(made) == 32


def test_a_declared_large_body_is_refused_unread_when_the_client_waits_to_be_told() -> None:
    headers = [JSON, (b"content-length", b"1001"), (b"expect", b"100-continue")]
    answered = called(boundary(body=1000), headers=headers)
    assert (answered.status, answered.read) == (413, 0)
    assert answered.headers[b"connection"] == b"close"


def test_a_declared_large_body_of_a_client_that_does_not_wait_is_read_and_thrown_away() -> None:
    answered = called(boundary(body=1000), headers=[JSON, (b"content-length", b"3000")], pieces=[b"x" * 1000] * 3)
    assert (answered.status, answered.read) == (413, 3)
    assert "larger than" in problems(answered).detail[0].msg


def test_a_large_body_without_a_declared_length_is_refused() -> None:
    answered = called(boundary(body=1000), pieces=[b"x" * 400] * 4)
    assert (answered.status, answered.read) == (413, 4)
    assert called(boundary(body=1600), pieces=[b"x" * 400] * 4).status == 200


@pytest.mark.parametrize("arrived", [[], [b"{"], [b"{", b'"']])
def test_a_body_that_does_not_arrive_is_given_up(arrived: list[bytes]) -> None:
    async def stalled() -> Answered:
        answered = Answered()
        first = [{"type": "http.request", "body": piece, "more_body": True} for piece in arrived]

        async def receive() -> Any:
            return first.pop(0) if first else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            answered.status = message.get("status", answered.status)
            answered.body += message.get("body", b"")

        app = boundary(body_seconds=0.01)
        await app({"type": "http", "path": "/predict", "method": "POST", "headers": [JSON]}, receive, send)
        return answered

    answered = asyncio.run(stalled())
    assert (answered.status, problems(answered).error) == (408, "the body is too slow")


def test_an_upgrade_is_refused_and_the_connection_closed() -> None:
    answered = called(boundary(), headers=[JSON, (b"upgrade", b"h2c"), (b"connection", b"Upgrade, HTTP2-Settings")])
    assert (answered.status, answered.headers[b"connection"], answered.read) == (400, b"close", 0)
    assert "HTTP/1.1" in problems(answered).detail[0].msg


def test_who_hangs_up_before_the_body_has_sent_none() -> None:
    asked: list[Content] = []

    async def keep(body: Content, _: str) -> bytes:
        asked.append(body)
        return b"{}"

    async def hang_up() -> int:
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            statuses.append(message.get("status", 0))

        scope = {"type": "http", "path": "/predict", "method": "POST", "headers": [JSON]}
        await boundary(keep)(scope, receive, send)
        return statuses[0]

    assert (asyncio.run(hang_up()), asked) == (400, [])


def test_who_has_not_sent_the_body_yet_keeps_nobody_from_being_answered() -> None:
    async def scenario() -> list[int]:
        app, hold = boundary(in_flight=1), asyncio.Event()
        waiting = [asyncio.create_task(call(app, hold=hold, pieces=pieces)) for pieces in ([b"{}"], [b"{", b"}"])]
        await asyncio.sleep(0)
        other = await call(app)
        hold.set()
        return [other.status, *(answered.status for answered in await asyncio.gather(*waiting))]

    assert asyncio.run(scenario()) == [200, 200, 200]


def test_more_requests_than_allowed_at_a_time_are_told_to_come_back() -> None:
    async def scenario() -> tuple[list[int], bytes, int]:
        hold = asyncio.Event()

        async def wait(_: Content, __: str) -> bytes:
            await hold.wait()
            return b"{}"

        app = boundary(wait, in_flight=2)
        first = [asyncio.create_task(call(app)) for _ in range(2)]
        await asyncio.sleep(0)
        third = await call(app)
        hold.set()
        statuses = [answered.status for answered in await asyncio.gather(*first)]
        return statuses, third.headers[b"retry-after"], (await call(app)).status

    assert asyncio.run(scenario()) == ([200, 200], b"1", 200)


def test_a_fault_of_ours_has_the_shape_of_a_refusal_and_reaches_the_server() -> None:
    async def fail(_: Content, __: str) -> bytes:
        raise ZeroDivisionError

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/predict", "method": "POST", "headers": [JSON]}
    with pytest.raises(ZeroDivisionError):
        asyncio.run(boundary(fail)(scope, receive, send))
    start, body = sent
    assert start["status"] == 500
    assert "operator" in ErrorResponse.model_validate_json(body["body"]).detail[0].msg


def test_bodies_too_large_together_are_told_to_come_back_and_give_their_room_back() -> None:
    async def scenario() -> list[int]:
        hold = asyncio.Event()

        async def wait(body: bytes, _: str) -> bytes:
            await hold.wait()
            return b"{}"

        app = boundary(wait, body=1000, held=1500)
        pieces = [b"x", b"x" * 999]
        first = asyncio.create_task(call(app, pieces=pieces))
        await asyncio.sleep(0)
        refused, small = await call(app, pieces=pieces), asyncio.create_task(call(app))
        hold.set()
        together = [await first, refused, await small]
        alone = [await call(app, pieces=some) for some in (pieces, [b"x", b"x" * 2000], pieces)]
        return [answered.status for answered in together + alone]

    assert asyncio.run(scenario()) == [200, 429, 200, 200, 413, 200]


def test_a_body_that_is_only_announced_takes_no_room() -> None:
    async def scenario() -> list[int]:
        app, hold = boundary(body=1000, held=1000), asyncio.Event()
        announced = [JSON, (b"content-length", b"1000")]
        waiting = [asyncio.create_task(call(app, headers=announced, hold=hold)) for _ in range(5)]
        await asyncio.sleep(0)
        other = await call(app, pieces=[b"x", b"x" * 999])
        hold.set()
        return [other.status, *(answered.status for answered in await asyncio.gather(*waiting))]

    assert asyncio.run(scenario()) == [200] * 6


def test_a_refused_body_is_freed_at_once_and_not_when_garbage_is_collected() -> None:
    class Body(bytearray):
        """Can be watched."""

    bodies: list[weakref.ref[Body]] = []

    async def wrong(body: Any, _: str) -> bytes:
        kept = Body(body)
        bodies.append(weakref.ref(kept))
        raise RequestError(400, "wrong")

    gc.disable()
    try:
        assert called(boundary(wrong)).status == 400
        assert [body() for body in bodies] == [None]
    finally:
        gc.enable()


def test_a_refusal_of_the_service_keeps_its_status_and_shape() -> None:
    answered = called(boundary(refuse))
    assert answered.status == 503
    assert json.loads(answered.body) == {"error": "not now", "detail": [{"loc": ["disk"], "msg": "full"}]}
    assert answered.headers[b"retry-after"] == b"5"


def test_a_failing_service_is_not_hidden_and_frees_its_place() -> None:
    async def fail(_: bytes, __: str) -> bytes:
        raise ZeroDivisionError

    app = boundary(fail, in_flight=1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            called(app)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/predict", 405, b"POST"),
        ("DELETE", "/predict", 405, b"POST"),
        ("POST", "/docs.json", 405, b"GET"),
        ("GET", "/docs.json", 200, None),
        ("GET", "/other", 404, None),
        ("POST", "/predict/", 404, None),
        ("GET", "/metrics", 299, None),
        ("GET", "/static_content/swagger-ui.css", 299, None),
        ("GET", "/static_content/random-1", 404, None),
    ],
)
def test_paths_and_methods(method: str, path: str, status: int, allow: bytes | None) -> None:
    answered = called(boundary(), path, method)
    assert (answered.status, answered.headers.get(b"allow")) == (status, allow)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (b"application/json", 200),
        (b"Application/JSON; charset=UTF-8", 200),
        (b'application/json;charset="utf-8"', 200),
        (b"application/json; charset=latin-1", 415),
        (b"application/jsonl", 415),
        (b"text/plain", 415),
        (b"", 415),
    ],
)
def test_content_types(value: bytes, status: int) -> None:
    assert called(boundary(), headers=[(b"content-type", value)]).status == status


KEYS = ApiKeys(["old-key-0123456789", "new-key-0123456789"])


def guarded(*, protect_all: bool = False) -> Boundary:
    return Boundary(bentoml, Limits(), KEYS, protect_all=protect_all, site=site(echo))


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ((b"authorization", b"Bearer old-key-0123456789"), 200),
        ((b"authorization", b"bearer  new-key-0123456789"), 200),
        ((b"x-api-key", b"new-key-0123456789"), 200),
        ((b"authorization", b"Basic new-key-0123456789"), 401),
        ((b"authorization", b"Bearer new-key-012345678"), 401),
        ((b"x-api-key", b""), 401),
        ((b"x-api-key", b"\xff"), 401),
        ((b"other", b"new-key-0123456789"), 401),
    ],
)
def test_with_keys_only_who_has_one_is_let_in(header: tuple[bytes, bytes], status: int) -> None:
    answered = called(guarded(), headers=[JSON, header])
    assert answered.status == status
    assert (b"www-authenticate" in answered.headers) == (status == 401)
    assert b"key-0123456789" not in answered.body


def test_with_keys_documents_are_closed_and_probes_open_unless_all_is_protected() -> None:
    for path, status in (("/docs.json", 401), ("/schema.json", 401), ("/nothing", 401), ("/livez", 299)):
        assert called(guarded(), path, "GET").status == status
    assert called(guarded(protect_all=True), "/metrics", "GET").status == 401


def test_an_unknown_path_is_told_which_there_are() -> None:
    answered = called(boundary(), "/other", "GET")
    assert problems(answered).detail[0].msg == "available paths: /docs.json, /predict"


class Told(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, int, bool]] = []
        self.crowd: list[int] = []

    def arrived(self) -> None:
        self.crowd.append(1)

    def left(self) -> None:
        self.crowd.append(-1)

    def answered(self, path: str, status: int, seconds: float, request_id: str, refusal: RequestError | None) -> None:
        self.answers.append((path, status, refusal is None))


def test_every_request_is_told_once_under_a_bounded_name() -> None:
    told = Told()
    app = Boundary(bentoml, Limits(), ApiKeys([]), observer=told, site=Site({"/predict": echo}))
    for path, method in (("/predict", "POST"), ("/predict", "GET"), ("/random-1", "GET"), ("/livez", "GET")):
        called(app, path, method)
    assert told.answers == [("/predict", 200, True), ("/predict", 405, False), ("other", 404, False)]
    assert told.crowd == [1, -1]


def test_a_site_is_answered_from_the_moment_it_is_opened() -> None:
    app = Boundary(bentoml, Limits(), ApiKeys([]))
    assert called(app).status == 404
    app.open(Site({"/predict": echo}))
    assert called(app).status == 200
