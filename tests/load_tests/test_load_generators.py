"""What the load generators count, against a server that is known."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from load_tests import closed_loop, open_loop
from load_tests.closed_loop import Measured
from load_tests.soak import Soaked


@contextmanager
def server(failing: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Answers in two pieces; keeps what it was asked."""
    asked: list[bytes] = []
    loop = asyncio.new_event_loop()
    status = b"500 Internal Server Error" if failing else b"200 OK"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            asked.append(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 4\r\n\r\nab")
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(b"cd")

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    started = loop.run_until_complete(asyncio.start_server(quietly, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{started.sockets[0].getsockname()[1]}/predict", asked
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        started.close()
        loop.close()


def test_the_closed_loop_counts_whole_answers() -> None:
    with server() as (url, asked):
        measured = closed_loop.measure(url, b"{}", 3, 0.2)
    assert measured.errors == 0
    assert 0 < len(measured.latencies) <= len(asked)
    assert set(asked) == {b"{}"}
    assert measured.percentile(0.5) <= measured.percentile(0.99)


def test_error_answers_are_counted_by_both() -> None:
    with server(failing=True) as (url, _):
        closed = closed_loop.measure(url, b"{}", 2, 0.1)
        opened = open_loop.measure(url, b"{}", 100, 0.2)
    assert closed.errors >= len(closed.latencies) > 0
    assert opened.errors >= len(opened.latencies) > 0


def test_the_open_loop_asks_no_more_than_its_rate_and_waits_for_every_answer() -> None:
    with server() as (url, asked):
        measured = open_loop.measure(url, b"{}", 200, 0.5)
    assert 0 < len(measured.latencies) <= 200 * measured.seconds + 1
    assert len(measured.latencies) <= len(asked)
    assert measured.errors == 0


def test_rate_and_percentiles() -> None:
    measured = Measured(seconds=2.0, latencies=[0.4, 0.1, 0.2, 0.3])
    assert measured.per_second == 2.0
    assert (measured.percentile(0.5), measured.percentile(0.99)) == (0.3, 0.4)


@pytest.mark.parametrize(
    ("memory", "errors", "passed"),
    [
        ([100.0] * 10 + [150.0] * 10 + [152.0] * 80, 0, True),  # the warm-up does not count
        ([150.0] * 90 + [158.0] * 10, 0, False),
        ([150.0] * 50 + [301.0] + [150.0] * 49, 0, False),
        ([150.0] * 100, 1, False),
    ],
)
def test_memory_must_be_small_and_flat_without_errors(memory: list[float], errors: int, passed: bool) -> None:
    assert Soaked(600, 1, errors, 2.0, memory).passed() == passed
