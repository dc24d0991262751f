"""A request's body: the headers that announce it, and how it is read within bounds."""

import asyncio
import re
from typing import Final

from serving.api import Content, Problem
from serving.asgi import Message, Receive
from serving.budget import Pace, Share
from serving.limits import KB, MB, Limits
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
    """A body on its way, which may come in pieces. An incomplete one takes memory from others, and nothing else.

    Args:
        share: of the memory, which it takes as it arrives.
        limits: size and time.
    """

    def __init__(self, share: Share, limits: Limits) -> None:
        self._share = share
        self._limits = limits
        self._clock = asyncio.get_running_loop().time
        self._time_left = asyncio.timeout(limits.body_seconds)
        self._too_slow = f"the body did not arrive within {limits.body_seconds:g} seconds"

    async def read(self, headers: dict[bytes, bytes], receive: Receive) -> Content:
        """The whole body.

        Raises:
            RequestError: 408 too slow, 413 too large, 429 no room for it beside the others, 400 it ended early.
        """
        try:
            async with self._time_left:
                return await self._whole(headers, receive)
        except TimeoutError:
            raise RequestError(408, "the body is too slow", [Problem(loc=[], msg=self._too_slow)]) from None
        finally:
            self._share.mover = None

    def is_slow(self) -> bool:
        return self._pace.is_slow(self._clock())

    def cut_off(self) -> None:
        rate = self._limits.least_rate // KB
        self._too_slow = f"another request needed its memory, and the body came at less than {rate} KB a second"
        self._time_left.reschedule(self._clock())

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
        self._pace = Pace(self._limits.least_rate, self._clock())
        self._share.mover = self
        while True:
            piece, more = _piece(message), message.get("more_body")
            if len(whole) + len(piece) > self._limits.body:
                whole.clear()
                self._share.release()
                if more:
                    await _discard(receive)
                raise _too_large(self._limits.body)
            self._share.take(len(piece))
            self._pace.moved(len(piece), self._clock())
            whole += piece
            if not more:
                return whole
            message = await receive()


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
    found = Problem(loc=[], msg=f"the body is larger than {limit // MB} MB; send fewer customers at once")
    return RequestError(413, "the body is too large", [found])
