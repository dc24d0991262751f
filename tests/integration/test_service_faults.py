"""What is acknowledged stays: killed workers, a full disk, a folder that vanishes, all under load."""

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from churn.contract import example_customer
from tests.conftest import ChampionModel
from tests.support.log_contents import Contents, files, read
from tests.support.serving import PATIENCE, Served, serving

pytestmark = pytest.mark.integration

THREADS = 4


@dataclass
class Load:
    """Callers that each ask about new customers, one request after the other."""

    url: str
    acknowledged: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    callers: list[threading.Thread] = field(default_factory=list)

    def run(self, caller: int) -> None:
        number = 0
        while not self.stopped.is_set():
            number += 1
            ids = [f"{caller}-{number}-{place}" for place in range(1 + number % 3)]
            try:
                answer = httpx.post(
                    f"{self.url}/predict", json={"customers": list(map(example_customer, ids))}, timeout=30
                )
            except httpx.TransportError:
                continue
            if answer.status_code == httpx.codes.OK:
                self.acknowledged.update(ids)
            else:
                self.failures.append(answer.text)

    def stop(self) -> None:
        self.stopped.set()
        for caller in self.callers:
            caller.join()

    def reaches(self, count: int) -> None:
        wait_until(lambda: len(self.acknowledged) >= count, f"{count} acknowledged customers")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def load(url: str) -> Iterator[Load]:
    running = Load(url)
    running.callers = [threading.Thread(target=running.run, args=(number,)) for number in range(THREADS)]
    for caller in running.callers:
        caller.start()
    try:
        yield running
    finally:
        running.stop()


def contents(folder: Path) -> list[Contents]:
    return [read(path) for path in files(folder)]


def logged(folder: Path) -> list[str]:
    return [line["customer_id"] for one in contents(folder) for line in one.lines]


def assert_nothing_lost(running: Load, folder: Path) -> None:
    ids = logged(folder)
    assert len(ids) == len(set(ids))
    assert running.acknowledged <= set(ids)
    assert all(one.foreign == 0 and one.partial <= 1 for one in contents(folder))


def ask(served: Served, customer: str) -> httpx.Response:
    return httpx.post(f"{served.url}/predict", json={"customers": [example_customer(customer)]}, timeout=60)


def test_a_worker_killed_under_load_loses_nothing_and_is_replaced(champion: ChampionModel, tmp_path: Path) -> None:
    with serving(champion.environment | {"CHURN_WORKERS": "2"}, tmp_path) as served, load(served.url) as running:
        running.reaches(100)
        for _ in range(3):
            os.kill(served.workers()[0], signal.SIGKILL)
            running.reaches(len(running.acknowledged) + 100)
        running.stop()
        assert "churn_requests_in_flight 0.0" in httpx.get(f"{served.url}/metrics").text.splitlines()
    assert running.failures == []
    assert_nothing_lost(running, served.log)


def test_the_whole_group_killed_under_load_loses_nothing_and_starts_again(
    champion: ChampionModel, tmp_path: Path
) -> None:
    with serving(champion.environment, tmp_path) as served:
        with load(served.url) as running:
            running.reaches(200)
            served.kill()
        before = {path.name: path.read_bytes() for path in files(served.log)}
    with serving(champion.environment, tmp_path) as again:
        assert ask(again, "afterwards").status_code == httpx.codes.OK
    assert_nothing_lost(running, served.log)
    assert "afterwards" in logged(served.log)
    assert all((served.log / name).read_bytes() == content for name, content in before.items())


def test_a_full_disk_answers_503_logs_nothing_half_and_recovers_by_itself(
    champion: ChampionModel, tmp_path: Path
) -> None:
    with serving(champion.environment, tmp_path) as served:
        assert ask(served, "before").status_code == httpx.codes.OK
        [worker], [path] = served.workers(), files(served.log)
        with no_room_in(worker, path.stat().st_size + 100):
            refused = ask(served, "refused")
            assert httpx.get(f"{served.url}/livez").status_code == httpx.codes.OK
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert refused.json()["error"] == "the prediction could not be logged"
        assert "the disk is probably full" in refused.json()["detail"][0]["msg"]
        assert "predictions" not in refused.json()
        assert ask(served, "after").status_code == httpx.codes.OK
        assert logged(served.log) == ["before", "after"]
        assert [(one.partial, one.foreign) for one in contents(served.log)] == [(0, 0)]


@contextlib.contextmanager
def no_room_in(process: int, size: int) -> Iterator[None]:
    """No file of a process grows beyond a size: to its writer, a disk that is full."""
    soft, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (soft, hard))


def test_a_folder_that_vanishes_is_made_again_and_one_in_the_way_answers_503(
    champion: ChampionModel, tmp_path: Path
) -> None:
    with serving(champion.environment, tmp_path) as served:
        assert ask(served, "1").status_code == httpx.codes.OK
        shutil.rmtree(served.log)
        assert ask(served, "2").status_code == httpx.codes.OK
        assert logged(served.log) == ["2"]
        shutil.rmtree(served.log)
        served.log.write_text("in the way")
        assert ask(served, "3").status_code == httpx.codes.SERVICE_UNAVAILABLE
        served.log.unlink()
        assert ask(served, "4").status_code == httpx.codes.OK
        assert logged(served.log) == ["4"]


def test_sigterm_answers_what_is_in_flight(champion: ChampionModel, tmp_path: Path) -> None:
    body = json.dumps({"customers": [example_customer("half")]}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with serving(champion.environment, tmp_path) as served:
        with socket.create_connection(("127.0.0.1", httpx.URL(served.url).port), timeout=60) as caller:
            caller.sendall(head.encode() + body[:100])
            time.sleep(0.5)  # until it is read
            served.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not listening(served.url), "the service to take no more connections")
            caller.sendall(body[100:])
            answer = b"".join(iter(lambda: caller.recv(65_536), b""))
        assert served.process.wait(PATIENCE) == 0
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"customer_id":"half"' in answer
    assert logged(served.log) == ["half"]


def listening(url: str) -> bool:
    try:
        httpx.get(f"{url}/livez", timeout=5)
    except httpx.TransportError:
        return False
    return True
