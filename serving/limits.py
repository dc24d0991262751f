"""The bounds within which a worker serves, all in one object; `docs/api.md` tells callers of them."""

from dataclasses import dataclass
from typing import Final

KB: Final = 1024
MB: Final = 1024 * 1024
MAXIMUM_BODY: Final = 32 * MB


@dataclass(frozen=True)
class Limits:
    """The bounds of one worker.

    Attributes:
        body: bytes of one request.
        in_flight: requests to the two APIs worked on at a time.
        held: bytes at a time of bodies that come in several pieces, and so of all large ones, and of large answers
            that are on their way to a caller.
        body_seconds: how long a caller may take to send a body.
        least_rate: bytes a second; a slower caller makes room when another needs it.
        head_bytes: of a request's line and headers, and of anything else that is no body.
        head_seconds: how long a caller may take to send these.
        still_seconds: how long an answer may wait for a caller that does not read it.
        connections: at a time; never more than half of the files that the process may open.
        pipelined: requests that may wait on a connection for the answer to an earlier one.
        sent_ahead: bytes that the system holds for a connection, beyond those that the worker holds.
        linger_seconds: how long a connection stays open for one more request when the service stops.
    """

    body: int = MAXIMUM_BODY
    in_flight: int = 64
    held: int = MAXIMUM_BODY
    body_seconds: float = 30.0
    least_rate: int = 64 * KB
    head_bytes: int = 16 * KB
    head_seconds: float = 10.0
    still_seconds: float = 10.0
    connections: int = 1024
    pipelined: int = 16
    sent_ahead: int = 96 * KB
    linger_seconds: float = 1.0
