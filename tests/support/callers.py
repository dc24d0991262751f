"""Callers of the service that write bytes of their own to a connection, the ill-behaved ones among them."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from churn.contract import example_customer

PIECE: Final = 64 * 1024


def connect(url: str, receive_buffer: int | None = None) -> socket.socket:
    """A connection to the service; with a small buffer, what is not read soon stays with the service."""
    address = httpx.URL(url)
    caller = socket.socket()
    if receive_buffer is not None:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    caller.settimeout(60)
    caller.connect((address.host, address.port))
    return caller


def head(path: str, length: int) -> bytes:
    """The head of a request that announces a body of JSON."""
    lines = (f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {length}", "", "")
    return "\r\n".join(lines).encode()


def customers(count: int, **more: Any) -> bytes:
    """The body of a request."""
    return json.dumps({"customers": [example_customer(str(number)) for number in range(count)]} | more).encode()


def answer(caller: socket.socket) -> bytes:
    """What the service says until it closes the connection, or nothing more when it resets it."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := caller.recv(PIECE):
            said += piece
    return said


def memory_mb(process: int, what: str = "VmRSS") -> float:
    """The memory that a process holds now, or held at most (`VmHWM`)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024


@dataclass
class Victim:
    """Asks about one customer, again and again, beside those who behave badly."""

    url: str
    statuses: list[int] = field(default_factory=list)
    longest: float = 0.0

    def ask(self, stopped: threading.Event) -> None:
        while not stopped.wait(0.05):
            started = time.monotonic()
            body = {"customers": [example_customer("victim")]}
            self.statuses.append(httpx.post(f"{self.url}/predict", json=body, timeout=60).status_code)
            self.longest = max(self.longest, time.monotonic() - started)


@contextlib.contextmanager
def victim(url: str) -> Iterator[Victim]:
    """A well-behaved caller for as long as the block runs; afterwards it has been answered at least once."""
    asking, stopped = Victim(url), threading.Event()
    thread = threading.Thread(target=asking.ask, args=(stopped,))
    thread.start()
    try:
        yield asking
        wait_until(lambda: len(asking.statuses) > 0, "an answer to the victim")
    finally:
        stopped.set()
        thread.join()
    assert set(asking.statuses) == {200}


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def in_threads(work: Callable[[int], None], count: int) -> list[threading.Thread]:
    """Run the same at once, with the number of each."""
    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads
