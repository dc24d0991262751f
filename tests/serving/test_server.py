"""The service does not start where its connections would not be bounded."""

import asyncio
import resource
from typing import Any
from unittest.mock import patch

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from churn.errors import ServerError
from serving import server
from serving.api_keys import ApiKeys
from serving.boundary import BOUNDED, Boundary
from serving.connections import BoundedConnection, Reading
from serving.limits import Limits


def test_the_installed_bentoml_and_uvicorn_take_the_bounds() -> None:
    server.check()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (HttpToolsProtocol, "on_headers_complete"),
        (HttpToolsProtocol, "connection_made"),
        (uvicorn.Server, "on_tick"),
    ],
)
def test_another_uvicorn_is_refused_by_what_it_lacks(owner: type, name: str) -> None:
    kept = getattr(owner, name)
    delattr(owner, name)
    try:
        with pytest.raises(ServerError, match=f"{owner.__name__} has no {name}; install the locked versions"):
            server.check()
    finally:
        setattr(owner, name, kept)


def test_a_bentoml_that_makes_its_server_otherwise_is_refused() -> None:
    with (
        patch("serving.server.bentoml_worker.callback", lambda: None),
        pytest.raises(ServerError, match="main has no to_asgi, Config, Server, run"),
    ):
        server.check()


async def nothing(*_: Any) -> Any:
    raise AssertionError("reached")


def boundary() -> Boundary:
    return Boundary(nothing, Limits(connections=500), ApiKeys([]))


def test_the_configuration_has_our_connections_and_no_websockets() -> None:
    configuration = server.BoundedConfig(boundary(), log_config=None)
    configuration.load()
    made: Any = configuration.http_protocol_class
    assert made.func is BoundedConnection
    assert configuration.ws_protocol_class is None
    assert isinstance(configuration, uvicorn.Config)


@pytest.mark.parametrize(("files", "most"), [(200, 100), (1001, 500), (100_000, 500), (resource.RLIM_INFINITY, 500)])
def test_connections_take_at_most_half_of_the_files(monkeypatch: pytest.MonkeyPatch, files: int, most: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert server.most_connections(500) == most


def test_a_server_that_does_not_say_so_is_not_started() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(boundary()({"type": "lifespan", "state": {}}, nothing, send))
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "does not start" in sent[0]["message"]
    with pytest.raises(AssertionError, match="reached"):
        asyncio.run(boundary()({"type": "lifespan", "state": {BOUNDED: True}}, nothing, send))


LIMITS = Limits(least_rate=1000, still_seconds=10)


def test_a_reader_stands_still_who_takes_ten_seconds_for_what_should_take_one() -> None:
    still = Reading(50_000, LIMITS, now=0)
    for second in range(1, 11):
        still.look(50_000 - 50 * second, second)
        assert not still.stands_still(second)
    assert still.stands_still(10.1)


def test_a_slow_reader_who_goes_on_is_slow_and_does_not_stand_still() -> None:
    slow = Reading(50_000, LIMITS, now=0)
    for second in range(1, 41):
        slow.look(50_000 - 500 * second, second)
        assert slow.is_slow(second)
        assert not slow.stands_still(second)
    slow.look(20_000, 41)
    assert not slow.is_slow(41)
