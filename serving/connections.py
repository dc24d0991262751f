"""The connections of a worker, bounded by the server's own protocol class.

uvicorn gathers a request's headers without an end, closes no connection that never finishes
them, keeps an answer for as long as nobody reads it, and closes connections that a request
is just arriving on when it stops.
"""

import asyncio
import fcntl
import socket
import struct
import termios
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.api import Problem
from serving.boundary import CONNECTION, Observer
from serving.budget import Pace
from serving.limits import KB, Limits
from serving.refusals import RequestError


class Crowd:
    """The connections of a worker together.

    Attributes:
        waiting: those that wait for a caller to send something, the longest-waiting first.
        draining: whether the service is stopping, and every request is the last on its connection.
    """

    def __init__(self, limits: Limits, most: int, observer: Observer) -> None:
        self.limits = limits
        self.most = most
        self.observer = observer
        self.waiting: dict[BoundedConnection, None] = {}
        self.draining = False

    def makes_room(self, connections: "set[BoundedConnection]") -> bool:
        """End the connection that has waited longest for its caller, or else one whose caller hardly reads."""
        slow = (connection for connection in connections if connection.is_slow())
        chosen = next(iter(self.waiting), None) or next(slow, None)
        if chosen is not None:
            chosen.end("crowded")
        return chosen is not None


class Reading:
    """How fast a caller reads what it is answered, looked at from time to time.

    Args:
        left: bytes that it has yet to read.
        limits: how slow it may be.
        now: the moment, in seconds.
    """

    def __init__(self, left: int, limits: Limits, now: float) -> None:
        self._limits = limits
        self._left = left
        self._pace = Pace(limits.least_rate, now)
        self._since = now
        self._read = 0

    def look(self, left: int, now: float) -> None:
        """Take note of how much is left now."""
        read = max(self._left - left, 0)
        self._left = left
        self._pace.moved(read, now)
        self._read += read
        if self._read >= self._limits.least_rate:
            self._since, self._read = now, 0

    def is_slow(self, now: float) -> bool:
        return self._pace.is_slow(now)

    def stands_still(self, now: float) -> bool:
        """True if the caller has read next to nothing for much longer than it should take."""
        return now - self._since > self._limits.still_seconds


class BoundedConnection(HttpToolsProtocol):
    """One connection. The server looks at it about once a second.

    Args:
        crowd: it and all others.
        of_uvicorn: what uvicorn makes a connection with.
    """

    def __init__(self, crowd: Crowd, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._crowd = crowd
        self._limits = crowd.limits
        self._head_since: float | None = None
        self._headway = False
        self._unfinished = 0
        self._refusal: RequestError | None = None
        self._reading: Reading | None = None

    # What asyncio and the parser call.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._head_since = self.loop.time()
        if len(self.connections) > self._crowd.most and not self._crowd.makes_room(self.connections):  # type: ignore[arg-type]  # all are of this class
            self._refuse(_crowded(self._crowd.most))
            return
        self._crowd.waiting[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.waiting.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_since is None and self._is_idle():
            self._head_since = self.loop.time()
        self._headway = False
        super().data_received(data)
        self._unfinished = 0 if self._headway else self._unfinished + len(data)
        if self._unfinished > self._limits.head_bytes:
            self._refuse(_large_head(self._limits))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CONNECTION: self}  # type: ignore[dict-item]  # a name of ours

    def on_headers_complete(self) -> None:
        self._headway, self._head_since = True, None
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > self._limits.head_bytes:
            self._refusal = _large_head(self._limits)
        elif len(self.pipeline) >= self._limits.pipelined:
            self._refusal = _pipelined(self._limits)
        if self._refusal is not None:
            raise self._refusal  # ends the parser's work
        super().on_headers_complete()
        if self._crowd.draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._headway = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._headway = True
        self._crowd.waiting.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._reading = None
        if self.timeout_keep_alive_task is not None:
            self._crowd.waiting[self] = None

    def send_400_response(self, msg: str) -> None:
        if self._refusal is None:
            super().send_400_response(msg)
        else:
            self._refuse(self._refusal)

    # What the server calls.

    def look(self, now: float) -> None:
        """End the connection when its caller has taken too long to send a head, or to read an answer."""
        if self._head_since is not None and now - self._head_since > self._limits.head_seconds:
            if self._unfinished:
                self._refuse(_slow_head(self._limits))
            else:
                self.transport.close()
        buffered = self.transport.get_write_buffer_size()
        if buffered == 0:
            self._reading = None
            return
        left = buffered + self._in_the_system()
        if self._reading is None:
            self._reading = Reading(left, self._limits, now)
        self._reading.look(left, now)
        if self._reading.stands_still(now):
            self.end("slow_reader")

    def shutdown(self) -> None:
        """Let a request that is being answered be the last one; who is idle may still send one."""
        if not self._is_idle():
            self.cycle.keep_alive = False

    def close_if_idle(self) -> None:
        """Close it unless a request is on its way or being answered."""
        if self._is_idle() and not self._unfinished:
            self.transport.close()

    # A mover of bytes, for the budget.

    def is_slow(self) -> bool:
        return self._reading is not None and self._reading.is_slow(self.loop.time())

    def cut_off(self) -> None:
        self.end("slow_reader")

    def end(self, reason: str) -> None:
        """End the connection with whatever is on its way."""
        self._crowd.waiting.pop(self, None)
        self._crowd.observer.cut_off(reason)
        # Let the system throw away what it holds for the caller, which it would offer for minutes.
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _in_the_system(self) -> int:
        """Bytes that the operating system has yet to hand to the caller (tcp(7), SIOCOUTQ)."""
        answer = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        (size,) = struct.unpack("i", answer)
        return int(size)

    def _refuse(self, refusal: RequestError) -> None:
        """Answer outside of a request, and close."""
        if self.transport.is_closing():
            return
        self._crowd.observer.answered_early(refusal)
        if self._is_idle():
            self.transport.write(_as_bytes(refusal))
            self.transport.close()
        else:
            self.transport.abort()  # an answer is on its way; another one would end up within it


def _as_bytes(refusal: RequestError) -> bytes:
    body = refusal.body()
    head = (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def _large_head(limits: Limits) -> RequestError:
    found = Problem(loc=[], msg=f"the request line and the headers are larger than {limits.head_bytes // KB} KB")
    return RequestError(431, "the headers are too large", [found])


def _slow_head(limits: Limits) -> RequestError:
    found = Problem(loc=[], msg=f"the headers did not arrive within {limits.head_seconds:g} seconds")
    return RequestError(408, "the headers are too slow", [found])


def _pipelined(limits: Limits) -> RequestError:
    found = Problem(loc=[], msg=f"more than {limits.pipelined} requests wait for an answer; wait for one first")
    return RequestError(429, "too many requests on a connection", [found])


def _crowded(most: int) -> RequestError:
    found = Problem(loc=[], msg=f"all {most} connections are busy; try again in a second")
    return RequestError(503, "too many connections", [found])
