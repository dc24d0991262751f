"""The server that BentoML starts in each worker, with bounds that neither BentoML nor uvicorn has settings for.

Set in this one place, so they hold however the service is started: `make serve`, a
`bentoml serve` typed by hand, and the image. BentoML makes its server of `uvicorn.Config`
and `uvicorn.Server`, and passes neither a protocol class nor limits. `install` puts
subclasses in their place; where that would no longer work, the service does not start.
"""

import asyncio
import contextlib
import inspect
import resource
import socket
from collections.abc import Iterable
from functools import partial
from types import FrameType
from typing import Any, Final

import uvicorn
from _bentoml_impl.worker.service import main as bentoml_worker  # type: ignore[import-untyped]  # as bentoml itself
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from churn.errors import ServerError
from serving.attendance import Attendance
from serving.boundary import BOUNDED, Boundary
from serving.connections import BoundedConnection, Crowd
from serving.metrics_folder import own_folder

_TICKS_A_SECOND: Final = 10
"""How often uvicorn calls `on_tick`."""

_SETTLE_SECONDS: Final = 0.05
"""In which the event loop accepts the connections that callers have already opened."""

_CONNECTION: Final = (
    *("connection_made", "connection_lost", "data_received", "send_400_response", "shutdown"),
    *("on_message_begin", "on_headers_complete", "on_body", "on_message_complete", "on_response_complete"),
)
_SERVER: Final = ("startup", "on_tick", "handle_exit", "shutdown")
_OF_BENTOML: Final = ("to_asgi", "Config", "Server", "run")


def check() -> None:
    """See that BentoML and uvicorn still take the bounds.

    Raises:
        ServerError: they do not.
    """
    _expect(HttpToolsProtocol, _CONNECTION, vars(HttpToolsProtocol))
    _expect(uvicorn.Server, _SERVER, dir(uvicorn.Server))
    _expect(uvicorn.Config, ("http", "ws"), inspect.signature(uvicorn.Config).parameters)
    _expect(bentoml_worker, _OF_BENTOML, bentoml_worker.callback.__code__.co_names)


def _expect(owner: object, names: tuple[str, ...], found: Any) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        raise ServerError(owner, missing)


def install() -> None:
    """Let BentoML serve with these bounds, in this process.

    Raises:
        ServerError: BentoML or uvicorn no longer take them.
    """
    check()
    uvicorn.Config = BoundedConfig  # type: ignore[assignment, misc]  # there is no other way, see above
    uvicorn.Server = BoundedServer  # type: ignore[assignment, misc]  # as above


def most_connections(limit: int) -> int:
    """A limit of connections that leaves half of the files that this process may open to everything else."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit if files == resource.RLIM_INFINITY else min(limit, files // 2)


def _refuse_callers(sockets: Iterable[socket.socket]) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):  # another worker has done it already
            one.shutdown(socket.SHUT_RD)


class BoundedConfig(uvicorn.Config):
    """uvicorn's settings for a boundary, whose limits and observer the connections get too."""

    def __init__(self, app: Boundary, **of_bentoml: Any) -> None:
        self.limits = app.limits
        self.crowd = Crowd(app.limits, most_connections(app.limits.connections), app.observer)
        connection: Any = partial(BoundedConnection, self.crowd)
        super().__init__(app, http=connection, ws="none", **of_bentoml)


class BoundedServer(uvicorn.Server):
    """uvicorn's server, which looks after its connections and lets them finish when it stops."""

    config: BoundedConfig

    def __init__(self, config: BoundedConfig) -> None:
        super().__init__(config)
        self._crowd = config.crowd
        self._attendance = Attendance(own_folder())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._attendance.leave()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        for one in sockets or []:  # its connections inherit it
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.config.limits.sent_ahead)
        self.lifespan.state[BOUNDED] = True
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_A_SECOND == 0:
            self._look()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, answer what has come, and close the idle ones after a while."""
        await self._stop_listening(sockets or [])
        self._crowd.draining = True  # not before: callers would come back over new connections
        looking = asyncio.create_task(self._look_until_the_end())
        await super().shutdown(sockets)
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking

    async def _stop_listening(self, sockets: list[socket.socket]) -> None:
        """Refuse new connections from now on, unless another worker still takes some from the socket.

        BentoML's own process keeps the socket open until all workers have ended. Connections
        made meanwhile would be reset then, where now their callers learn at once that there is
        nobody. A worker that is started in place of this one listens anew.
        """
        await asyncio.sleep(_SETTLE_SECONDS)
        self._attendance.if_last(lambda: _refuse_callers(sockets))
        for server in self.servers:
            server.close()

    async def _look_until_the_end(self) -> None:
        await asyncio.sleep(self.config.limits.linger_seconds)
        while True:
            for connection in self._connections():
                connection.close_if_idle()
            self._look()
            await asyncio.sleep(1 / _TICKS_A_SECOND)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in self._connections():
            connection.look(now)

    def _connections(self) -> list[BoundedConnection]:
        return [one for one in self.server_state.connections if isinstance(one, BoundedConnection)]
