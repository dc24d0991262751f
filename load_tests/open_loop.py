"""An open-loop load generator: requests leave at a constant rate, however long the answers take."""

import asyncio
import time
from collections import deque
from typing import Final, cast

import uvloop

from load_tests.closed_loop import Measured, address, request_bytes, whole

CONNECTIONS: Final = 64
WARM_UP_SECONDS: Final = 0.5
_TICK_SECONDS: Final = 0.0005


class _Pool:
    """Open connections. A request that finds none free waits, and its wait counts."""

    def __init__(self, request: bytes, measured: Measured) -> None:
        self.request = request
        self.measured = measured
        self.free: list[_Connection] = []
        self.waiting: deque[float] = deque()

    def ask(self) -> None:
        self.waiting.append(time.perf_counter())
        self.serve()

    def serve(self) -> None:
        while self.waiting and self.free:
            self.free.pop().ask(self.waiting.popleft())


class _Connection(asyncio.Protocol):
    def __init__(self, pool: _Pool) -> None:
        self._pool = pool
        self._received = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class
        self._pool.free.append(self)

    def ask(self, due: float) -> None:
        self._due = due
        self._transport.write(self._pool.request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not whole(self._received):
            return
        self._pool.measured.add(time.perf_counter() - self._due, self._received)
        self._received = b""
        self._pool.free.append(self)
        self._pool.serve()


def measure(url: str, body: bytes, per_second: float, seconds: float) -> Measured:
    """Post one body at a constant rate for some seconds, after warming up."""
    return uvloop.run(_measure(url, request_bytes(url, body), per_second, seconds))


async def _measure(url: str, request: bytes, per_second: float, seconds: float) -> Measured:
    loop, measured = asyncio.get_running_loop(), Measured()
    pool = _Pool(request, measured)
    opened = [await loop.create_connection(lambda: _Connection(pool), *address(url)) for _ in range(CONNECTIONS)]
    await _ask(pool, per_second, WARM_UP_SECONDS)
    measured.latencies.clear()
    measured.seconds = await _ask(pool, per_second, seconds)
    while len(pool.free) < CONNECTIONS:
        await asyncio.sleep(_TICK_SECONDS)
    for transport, _ in opened:
        transport.abort()
    return measured


async def _ask(pool: _Pool, per_second: float, seconds: float) -> float:
    """Send what is due, for some seconds; returns how many it took."""
    started, asked = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        while asked < elapsed * per_second:
            pool.ask()
            asked += 1
        await asyncio.sleep(_TICK_SECONDS)
    return elapsed
