"""Callers of the service that write bytes of their own to a connection, the ill-behaved ones among them."""

import contextlib
import http.client
import json
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from churn.contract import example_customer

PIECE: Final = 64 * 1024
JSON: Final = {"Content-Type": "application/json"}


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
    """Read until the service closes the connection; a reset ends the reading as well."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := caller.recv(PIECE):
            said += piece
    return said


def memory_mb(process: int, what: str = "VmRSS") -> float:
    """The memory that a process holds now, or held at most (`VmHWM`)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024


class WrongAnswerError(Exception):
    """A well-behaved caller was not answered, or not as before."""


@dataclass
class Victim:
    """Asks about one customer, again and again, beside those who behave badly."""

    url: str
    repeats: int = 0
    expected: Any = None
    statuses: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    longest: float = 0.0

    def ask(self, stopped: threading.Event) -> None:
        """Note every answer that is not the one that was given before the others came."""
        while not stopped.wait(0.05):
            started = time.monotonic()
            try:
                if (found := self.predictions()) != self.expected:
                    self.wrong.append(repr(found))
            except httpx.HTTPError as error:
                self.wrong.append(repr(error))
            self.longest = max(self.longest, time.monotonic() - started)

    def predictions(self) -> Any:
        """The predictions that it is given; an error answer raises."""
        body = {"customers": [example_customer("victim")]}
        for attempt in range(self.repeats + 1):
            answered = httpx.post(f"{self.url}/predict", json=body, timeout=60)
            self.statuses.append(answered.status_code)
            if answered.status_code != httpx.codes.TOO_MANY_REQUESTS or attempt == self.repeats:
                break
            time.sleep(float(answered.headers["retry-after"]) * 2**attempt)
        return answered.raise_for_status().json()["predictions"]


@contextlib.contextmanager
def victim(url: str, repeats: int = 0) -> Iterator[Victim]:
    """A well-behaved caller for as long as the block runs; afterwards it has been answered at least once.

    After 429 it asks again at most `repeats` times, as docs/api.md tells callers to.

    Raises:
        WrongAnswerError: an answer to it was wrong, or there was none.
    """
    asking, stopped = Victim(url, repeats), threading.Event()
    asking.expected = asking.predictions()
    thread = threading.Thread(target=asking.ask, args=(stopped,))
    thread.start()
    try:
        yield asking
        wait_until(lambda: len(asking.statuses) > 1 or bool(asking.wrong), "an answer to the victim")
    finally:
        stopped.set()
        thread.join()
    if asking.wrong:
        raise WrongAnswerError(f"{len(asking.wrong)} of its answers were wrong, the first: {asking.wrong[0]}")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait for something; `TimeoutError` when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.02)


def in_threads(work: Callable[[int], None], count: int) -> list[threading.Thread]:
    """Run the same at once, with the number of each."""
    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


def metric(url: str, name: str) -> float:
    """A metric of the service, by its name with its labels; 0 where there is none yet."""
    lines = httpx.get(f"{url}/metrics", timeout=60).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def cut_off(url: str, reason: str) -> float:
    """How many connections the service has cut off for a reason."""
    return metric(url, f'churn_connections_cut_off_total{{reason="{reason}"}}')


def refused(url: str) -> bool:
    """Return true if the service takes no connection."""
    try:
        connect(url).close()
    except ConnectionRefusedError:
        return True
    return False


def closed_loop(url: str, outcomes: Counter[str]) -> None:
    """One request after the other over a connection that is kept, until nobody takes a connection any more."""
    address, caller, body = httpx.URL(url), None, customers(1)
    while True:
        try:
            if caller is None:
                caller = http.client.HTTPConnection(address.host, address.port or 80, timeout=60)
                caller.connect()
        except ConnectionRefusedError:
            outcomes["refused"] += 1
            return
        try:
            caller.request("POST", "/predict", body, JSON)
            answered = caller.getresponse()
            answered.read()
            outcomes[str(answered.status)] += 1
            if answered.getheader("connection") == "close":
                caller = None
        except (OSError, http.client.HTTPException) as error:
            outcomes[type(error).__name__] += 1
            caller = None


@contextlib.contextmanager
def open_files(count: int) -> Iterator[None]:
    """Let this process, and those that it starts meanwhile, open this many files, as far as that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count if hard == resource.RLIM_INFINITY else min(count, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
