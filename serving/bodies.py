"""A request's body: the headers that announce it, and how it is read within bounds."""

import asyncio
import re
from typing import Final

from serving.api import Content, Problem
from serving.asgi import Message, Receive
from serving.limits import ByteBudget, Limits
from serving.refusals import RequestError

_JSON_TYPE: Final = re.compile(rb"application/json\s*(;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)

# A refused body is read to its end and thrown away, so that a client that writes before it
# reads sees the answer instead of a broken connection. Within bounds.
_DISCARDED_BYTES: Final = 1024 * 1024 * 1024
_DISCARD_SECONDS: Final = 20.0


def check_headers(headers: dict[bytes, bytes]) -> None:
    """Let pass what announces plain JSON.

    Raises:
        RequestError: 400 for an offer to upgrade the connection, 415 for another type or encoding.
    """
    if b"upgrade" in headers:  # after it the server takes the body for another request
        found = Problem(loc=["upgrade"], msg="the service speaks HTTP/1.1 only; configure the client not to upgrade")
        raise RequestError(400, "an upgrade is not possible", [found], close=True)
    if not _JSON_TYPE.fullmatch(headers.get(b"content-type", b"")):
        found = Problem(loc=["content-type"], msg="expected application/json in UTF-8")
        raise RequestError(415, "wrong content type", [found])
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        found = Problem(loc=["content-encoding"], msg="compressed bodies are not accepted; send it uncompressed")
        raise RequestError(415, "wrong content encoding", [found])


class Body:
    """A body, which may come in pieces. An incomplete one takes memory from others, and nothing else."""

    def __init__(self, budget: ByteBudget, limits: Limits) -> None:
        self._budget = budget
        self._limits = limits
        self._taken = 0

    async def read(self, headers: dict[bytes, bytes], receive: Receive) -> Content:
        """The whole body.

        Raises:
            RequestError: 408 too slow, 413 too large, 429 no room for it beside the others, 400 it ended early.
        """
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                return await self._whole(headers, receive)
        except TimeoutError:
            waited = Problem(loc=[], msg=f"the body did not arrive within {self._limits.body_seconds:g} seconds")
            raise RequestError(408, "the body is too slow", [waited]) from None

    def release(self) -> None:
        """Make room for others."""
        self._budget.give_back(self._taken)
        self._taken = 0

    async def _whole(self, headers: dict[bytes, bytes], receive: Receive) -> Content:
        if int(headers.get(b"content-length", b"0")) > self._limits.body:
            if headers.get(b"expect", b"").lower() != b"100-continue":
                await _discard(receive)
            raise _too_large(self._limits.body)
        message = await receive()
        if message.get("more_body"):
            return await self._joined(message, receive)
        return bytes(_piece(message))

    async def _joined(self, message: Message, receive: Receive) -> bytearray:
        whole = bytearray()
        while True:
            piece, more = _piece(message), message.get("more_body")
            if len(whole) + len(piece) > self._limits.body:
                whole.clear()
                self.release()
                if more:
                    await _discard(receive)
                raise _too_large(self._limits.body)
            self._take(len(piece))
            whole += piece
            if not more:
                return whole
            message = await receive()

    def _take(self, size: int) -> None:
        self._budget.take(size)
        self._taken += size


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
