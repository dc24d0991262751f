"""Nobody can stop the service from outside: endless, slow and unread things, with another caller beside them."""

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from churn.contract import example_customer
from load_tests.callers import (
    PIECE,
    answer,
    connect,
    customers,
    cut_off,
    head,
    in_threads,
    memory_mb,
    open_files,
    victim,
    wait_until,
)
from serving.limits import KB, MB, Limits
from tests.conftest import ChampionModel
from tests.support.serving import Served, serving

pytestmark = pytest.mark.integration

LIMITS = Limits()
FILES = 256


@pytest.fixture(scope="module")
def bounded(champion: ChampionModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with contextlib.ExitStack() as stack:
        with open_files(FILES):
            served = stack.enter_context(serving(champion.environment, tmp_path_factory.mktemp("bounded")))
        yield served


@pytest.fixture
def worker(bounded: Served) -> int:
    """Its only worker, whose greatest memory is from now on the test's doing."""
    post(bounded, "/explain", customers(1))
    [process] = bounded.workers()
    Path(f"/proc/{process}/clear_refs").write_text("5")  # proc(5): the greatest memory begins anew
    return process


def post(served: Served, path: str, body: bytes) -> httpx.Response:
    return httpx.post(f"{served.url}{path}", content=body, headers={"content-type": "application/json"}, timeout=120)


def test_an_endless_header_is_refused_early(bounded: Served, worker: int) -> None:
    most = 64 * MB
    before = memory_mb(worker, "VmHWM")
    said: list[bytes] = []

    def endless(_: int) -> None:
        caller, sent = connect(bounded.url), 0
        with contextlib.suppress(OSError):
            caller.sendall(b"GET /livez HTTP/1.1\r\nX: ")
            while sent < most:
                sent += caller.send(b"a" * PIECE)
        assert sent < most, "nobody stopped it"
        said.append(answer(caller))

    with victim(bounded.url) as beside:
        for thread in in_threads(endless, 4):
            thread.join()
    assert len(said) == 4
    assert all(one.startswith(b"HTTP/1.1 431 ") or one == b"" for one in said)  # reset while still sending: no answer
    assert memory_mb(worker, "VmHWM") - before < 32
    assert beside.longest < 10  # it was 15 s, and grew with the length


def test_what_is_small_enough_is_let_in_and_what_is_not_is_told(bounded: Served) -> None:
    for size, status in ((LIMITS.head_bytes - KB, 200), (LIMITS.head_bytes + KB, 431)):
        refused = httpx.get(f"{bounded.url}/livez", headers={"x": "a" * size})
        assert refused.status_code == status
    assert refused.json()["error"] == "the headers are too large"
    many = httpx.get(f"{bounded.url}/livez", headers=[(f"x{number}", "a") for number in range(4000)])
    assert many.status_code == 431


@pytest.mark.parametrize("path", ["/predict", "/livez"])
def test_an_endless_end_of_a_body_is_refused(bounded: Served, path: str) -> None:
    start = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    caller, sent = connect(bounded.url), 0
    with contextlib.suppress(OSError):
        caller.sendall(start.encode() + b"2\r\n{}\r\n0\r\nX: ")
        while sent < 64 * MB:
            sent += caller.send(b"a" * PIECE)
    assert sent < 64 * MB
    assert httpx.get(f"{bounded.url}/livez").status_code == 200


def test_headers_have_ten_seconds_and_the_next_ones_too(bounded: Served) -> None:
    silent, slow, again = connect(bounded.url), connect(bounded.url), connect(bounded.url)
    started = time.monotonic()
    slow.sendall(b"GET /livez HTTP/1.1\r\nX: ")
    again.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    received = again.recv(PIECE)
    while not received.endswith(b"\r\n\r\n\n"):  # the body comes in a piece of its own at times
        received += again.recv(PIECE)
    assert received.startswith(b"HTTP/1.1 200")
    again.sendall(b"GET /livez HT")

    def trickle(_: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                slow.sendall(b"a")
                time.sleep(1)

    in_threads(trickle, 1)
    assert answer(again).startswith(b"HTTP/1.1 408 ")
    assert answer(slow).startswith(b"HTTP/1.1 408 ")
    assert answer(silent) == b""
    assert time.monotonic() - started >= LIMITS.head_seconds


def test_connections_that_never_finish_a_head_leave_room_for_others(bounded: Served, worker: int) -> None:
    held: list[socket.socket] = []
    with victim(bounded.url) as beside:
        for _ in range(2 * FILES):
            held.append(connect(bounded.url))
            held[-1].sendall(b"GET /livez HT")
        before = len(beside.statuses)
        wait_until(lambda: len(beside.statuses) > before + 10, "answers beside them")
        assert len(list(Path(f"/proc/{worker}/fd").iterdir())) < 0.75 * FILES
    for caller in held:
        caller.close()


def test_many_requests_on_a_connection_before_an_answer_are_refused(bounded: Served, worker: int) -> None:
    before, caller = memory_mb(worker), connect(bounded.url)
    with contextlib.suppress(OSError):
        caller.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000)
    answer(caller)
    assert memory_mb(worker) - before < 32
    few = connect(bounded.url)
    few.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 5 + b"GET /livez HTTP/1.0\r\n\r\n")
    assert answer(few).count(b"HTTP/1.1 200") == 6


def test_a_refused_body_is_gone_before_the_next_request(bounded: Served, worker: int) -> None:
    wrong = json.dumps({"customers": [example_customer(str(n)) | {"songs_7d": "x"} for n in range(10_000)]}).encode()
    before = memory_mb(worker)
    assert post(bounded, "/predict", wrong).status_code == 400
    wait_until(lambda: memory_mb(worker) - before < 40, "the memory of a refused body", seconds=20)


def test_long_texts_of_a_large_body_are_refused_unparsed(bounded: Served, worker: int) -> None:
    before = memory_mb(worker, "VmHWM")
    text = "é".encode() * (LIMITS.body // 2 - 5 * KB) + "😀".encode()
    for body in (b'{"customers": ["' + text + b'"]}', b'{"' + text + b'": 1}'):
        refused = post(bounded, "/predict", body)
        assert (refused.status_code, refused.json()["error"]) == (400, "a text is too long")
    assert memory_mb(worker, "VmHWM") - before < 120


def test_answers_that_nobody_reads_take_no_more_than_their_share(bounded: Served, worker: int) -> None:
    body = customers(1000, top_k=30)
    before, callers = memory_mb(worker, "VmHWM"), []

    def ask(_: int) -> None:
        callers.append(connect(bounded.url, receive_buffer=4096))
        with contextlib.suppress(OSError):
            for _ in range(3):
                callers[-1].sendall(head("/explain", len(body)) + body)

    with victim(bounded.url):
        in_threads(ask, 40)
        wait_until(lambda: cut_off(bounded.url, "slow_reader") > 0, "a reader that stands still to be cut off")
    assert memory_mb(worker, "VmHWM") - before < 170
    for caller in callers:
        caller.close()


def test_a_reader_who_takes_his_time_gets_the_whole_answer(bounded: Served) -> None:
    body, caller = customers(1000, top_k=30), connect(bounded.url, receive_buffer=4096)
    caller.sendall(head("/explain", len(body)) + body)
    read = caller.recv(4096)
    for _ in range(10):
        time.sleep(0.3)
        read += caller.recv(PIECE)
    caller.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
    read += answer(caller)
    answered, _, after = read.partition(b"HTTP/1.1 200 OK\r\n")[2].partition(b"HTTP/1.1 200 OK\r\n")
    assert len(json.loads(answered.partition(b"\r\n\r\n")[2])["explanations"]) == 1000
    assert after


def test_slow_senders_of_large_bodies_make_room_for_others(bounded: Served, worker: int) -> None:
    stopped, sent = threading.Event(), threading.Barrier(11)
    ended: list[int] = []

    def slow(number: int) -> None:
        caller = connect(bounded.url)
        caller.sendall(head("/predict", LIMITS.body))
        caller.sendall(b" " * (LIMITS.held // 10 - 4 * PIECE))
        sent.wait(60)
        with contextlib.suppress(OSError):
            while not (stopped.is_set() or select.select([caller], [], [], 1)[0]):  # told that it is too slow
                caller.sendall(b" " * KB)
        ended.append(number)

    threads = in_threads(slow, 10)
    sent.wait(60)
    time.sleep(3)  # until they are known to be slow
    assert post(bounded, "/predict", customers(1000)).status_code == 200
    assert len(ended) < 5  # the others still send: nobody waited until their time was up
    stopped.set()
    for thread in threads:
        thread.join()
