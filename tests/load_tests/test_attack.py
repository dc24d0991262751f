"""The attacks notice a service that does not hold; without that, a table of `held` says nothing."""

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from load_tests import attack, attacks
from load_tests.attack import MOST_MB, Row, table
from load_tests.attacks import Attack, Result, beside_a_victim, damaged_pointers, fuzzed, fuzzed_bodies
from load_tests.callers import WrongAnswerError
from tests.support.listeners import serving


class Service(BaseHTTPRequestHandler):
    """Answers with the next of `answers`, the last one for ever; drops the connection at None."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[tuple[int, bytes] | None]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if given is None:
            self.close_connection = True
            return
        self.send_response(given[0])
        self.send_header("content-length", str(len(given[1])))
        self.end_headers()
        self.wfile.write(given[1])

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def url() -> Iterator[str]:
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Service)) as port:
        yield f"http://127.0.0.1:{port}"


RIGHT = (200, b'{"predictions": [1]}')


@pytest.mark.parametrize(
    ("answer", "held", "detail"),
    [
        (RIGHT, True, "200: 40"),
        ((400, b"{}"), True, "400: 40"),
        ((400, b"no JSON"), False, "JSONDecodeError: 40"),
        ((500, b"{}"), False, "500: 40"),
        ((302, b"{}"), False, "302: 40"),
        (None, False, "RemoteDisconnected: 40"),
    ],
)
def test_a_fuzzed_body_is_answered_with_json_by_200_or_a_4xx(
    url: str, answer: tuple[int, bytes] | None, held: bool, detail: str
) -> None:
    Service.answers = [answer]
    assert fuzzed_bodies(url, 40) == Result(40, held, detail)


def test_the_bodies_are_the_same_in_every_run_and_differ_from_each_other() -> None:
    assert [fuzzed(number) for number in range(300)] == [fuzzed(number) for number in range(300)]
    assert len({fuzzed(number) for number in range(300)}) > 200
    assert any(json.loads(fuzzed(number))["customers"] for number in range(20) if _is_json(fuzzed(number)))


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict) and "customers" in json.loads(body)
    except ValueError:
        return False


@pytest.mark.parametrize("later", [(200, b'{"predictions": [2]}'), (503, b"{}"), None])
def test_a_victim_that_is_answered_otherwise_than_before_is_a_failure(
    url: str, later: tuple[int, bytes] | None
) -> None:
    Service.answers, asked = [RIGHT, later], threading.Event()
    slow = Attack("slow", lambda *_: Result(1, held=not asked.wait(0.5), detail=""), 1, 1)
    with pytest.raises(WrongAnswerError, match="answers were wrong"):
        beside_a_victim(slow, url, 1)


def test_a_victim_that_is_answered_as_before_lets_the_result_stand(url: str) -> None:
    Service.answers = [RIGHT]
    for held in (True, False):
        result = beside_a_victim(Attack("quick", lambda *_, held=held: Result(3, held, "seen"), 3, 3), url, 3)
        assert (result.tried, result.held) == (3, held)
        assert result.detail.startswith("seen; victim: ")


def test_all_damaged_pointers_are_refused() -> None:
    assert damaged_pointers("", 24) == Result(24, held=True, detail="all refused with a message")


def test_a_pointer_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = json.dumps({"tag": "churn:a", "sha256": "0" * 64}).encode()
    monkeypatch.setattr(attacks, "_pointers", lambda: [b"[]", taken])
    assert damaged_pointers("", 2) == Result(2, held=False, detail=f"taken: {[taken[:40]]}")


def test_too_much_memory_fails_an_attack_that_held() -> None:
    row = Row("wide text", Result(4, held=True, detail="statuses 400: 4"), MOST_MB + 1.0)
    assert not row.passed()
    assert table([row]).splitlines()[1] == "wide text                  4 FAILED      513  statuses 400: 4"
    assert Row(row.name, row.result, float(MOST_MB)).passed()


def test_without_a_champion_one_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[list[str]] = []
    monkeypatch.setenv("CHURN_CHAMPION", str(tmp_path / "none.json"))
    monkeypatch.setattr(subprocess, "run", lambda command, **_: made.append(command))
    assert set(attack.model(tmp_path)) == {"BENTOML_HOME", "CHURN_CHAMPION"}
    assert made[0][-2:] == ["load_tests.models", "--large"]
