"""A closed-loop load generator: some connections, each with one request on its way at all times."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import urlsplit

import uvloop

_WARM_UP_SECONDS: Final = 0.5


@dataclass
class Measured:
    """Measurements after warming up. Latencies in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: int = 0

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def add(self, seconds: float, answer: bytes) -> None:
        self.latencies.append(seconds)
        self.errors += not answer.startswith(b"HTTP/1.1 200")

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, measured: Measured) -> None:
        self._request = request
        self._measured = measured
        self._received = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not whole(self._received):
            return
        self._measured.add(time.perf_counter() - self._sent, self._received)
        self._received = b""
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)


def whole(received: bytes) -> bool:
    """Return true if an answer has arrived to its end."""
    head, separator, body = received.partition(b"\r\n\r\n")
    return bool(separator) and len(body) >= _content_length(head)


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    raise ValueError("an answer without content-length")


def address(url: str) -> tuple[str, int]:
    """Host and port."""
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 80)


def request_bytes(url: str, body: bytes) -> bytes:
    """A POST of JSON, ready to be sent."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def measure(url: str, body: bytes, connections: int, seconds: float) -> Measured:
    """Post one body over and over for some seconds, after warming up.

    Raises:
        RuntimeError: there was no answer at all.
    """
    return uvloop.run(_measure(url, request_bytes(url, body), connections, seconds))


async def _measure(url: str, request: bytes, connections: int, seconds: float) -> Measured:
    loop, measured = asyncio.get_running_loop(), Measured()
    opened = [
        await loop.create_connection(lambda: _Connection(request, measured), *address(url)) for _ in range(connections)
    ]
    await asyncio.sleep(_WARM_UP_SECONDS)
    measured.latencies.clear()
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    measured.seconds = time.perf_counter() - started
    for transport, _ in opened:
        transport.abort()
    if not measured.latencies:
        raise RuntimeError(f"no answer from {url} within {seconds} seconds")
    return measured
