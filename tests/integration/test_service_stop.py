"""How the service stops: what has arrived is answered, and nobody is left hanging who need not be."""

import contextlib
import os
import re
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from churn.contract import example_customer
from churn.server_process import free_port
from load_tests.callers import JSON, answer, closed_loop, connect, customers, head, in_threads, refused, wait_until
from tests.conftest import ChampionModel
from tests.support.serving import PROJECT, serving

pytestmark = pytest.mark.integration

CALLERS = 16


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_answers_every_request_and_refuses_new_connections(
    champion: ChampionModel, tmp_path: Path, workers: int
) -> None:
    outcomes: Counter[str] = Counter()
    with serving(champion.environment | {"CHURN_WORKERS": str(workers)}, tmp_path) as served:
        wait_until(lambda: served.said().count('"event":"start"') == workers, "all workers")
        threads = in_threads(lambda _: closed_loop(served.url, outcomes), CALLERS)
        wait_until(lambda: outcomes["200"] > 10 * CALLERS, "answers")
        served.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert served.process.wait(60) == 0
    assert set(outcomes) == {"200", "refused"}
    assert outcomes["refused"] == CALLERS


def test_sigterm_answers_requests_that_wait_on_a_connection_and_closes_idle_ones(
    champion: ChampionModel, tmp_path: Path
) -> None:
    body = customers(1)
    with serving(champion.environment, tmp_path) as served:
        idle, late, half = (connect(served.url) for _ in range(3))
        for one in (idle, late):
            one.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert one.recv(1000).startswith(b"HTTP/1.1 200")
        half.sendall(head("/predict", len(body)) + body[:10])
        time.sleep(0.5)  # until it is read
        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refused(served.url), "new connections to be refused")
        late.sendall(head("/predict", len(body)) + body)
        half.sendall(body[10:])
        for one in (late, half):
            said = answer(one)
            assert b"HTTP/1.1 200" in said
            assert b"connection: close" in said
        assert answer(idle).strip() == b""
        assert served.process.wait(60) == 0


def test_the_only_worker_told_to_end_refuses_callers_until_another_is_there(
    champion: ChampionModel, tmp_path: Path
) -> None:
    with serving(champion.environment, tmp_path) as served:
        os.kill(served.workers()[0], signal.SIGTERM)
        wait_until(lambda: refused(served.url), "callers to be refused")
        wait_until(lambda: not refused(served.url), "another worker")
        assert httpx.get(f"{served.url}/livez", timeout=60).status_code == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_one_of_two_workers_that_ends_keeps_nobody_waiting(
    champion: ChampionModel, tmp_path: Path, how: signal.Signals
) -> None:
    with serving(champion.environment | {"CHURN_WORKERS": "2"}, tmp_path) as served:
        wait_until(lambda: served.said().count('"event":"start"') == 2, "both workers")
        os.kill(served.workers()[0], how)
        time.sleep(1)
        for _ in range(30):
            assert httpx.post(f"{served.url}/predict", content=customers(1), headers=JSON, timeout=5).status_code == 200
        wait_until(lambda: served.said().count('"event":"start"') == 3, "the worker that replaces it")


def test_the_documented_client_gets_its_answers_while_the_service_is_replaced(
    champion: ChampionModel, tmp_path: Path
) -> None:
    example = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "api.md").read_text(), flags=re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(compile(example.split("with httpx")[0], "docs/api.md", "exec"), names)
    port, stopped, failures, answered = free_port(), threading.Event(), [], Counter[int]()

    def ask(number: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while not stopped.is_set():
                try:
                    [given] = names["predict"](client, [example_customer(str(number))], attempts=8)
                    answered[number] += given["customer_id"] == str(number)
                except httpx.HTTPError as error:
                    failures.append(repr(error))

    with contextlib.ExitStack() as stack:
        first = stack.enter_context(serving(champion.environment, tmp_path, port=port))
        threads = in_threads(ask, 8)
        wait_until(lambda: len(answered) == 8, "answers to all callers")
        assert first.stop() == 0
        stack.enter_context(serving(champion.environment, tmp_path, port=port))
        before = dict(answered)
        wait_until(lambda: all(answered[number] > before[number] for number in range(8)), "answers of the second one")
        stopped.set()
        for thread in threads:
            thread.join()
    assert failures == []
