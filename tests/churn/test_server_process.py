"""A server is started, awaited and stopped; one that does not start says why."""

import os
import signal
from pathlib import Path

import pytest

from churn.errors import ServerNotStartedError
from churn.server_process import ServerProcess, free_port, start, stopped_at_the_end

SERVER = """
import argparse, http.server, os, signal, sys

parser = argparse.ArgumentParser()
parser.add_argument("--host")
parser.add_argument("--port", type=int)
options = parser.parse_args()
print("value:", os.environ.get("VALUE"), "gone:", os.environ.get("GONE"), flush=True)

class Answer(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Answer.asked += 1
        self.send_response(503 if Answer.asked == 1 else 200)
        self.end_headers()
    def log_message(self, *_):
        pass

if "STUBBORN" in os.environ:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "BROKEN" in os.environ:
    sys.exit("no such model")
http.server.HTTPServer((options.host, options.port), Answer).serve_forever()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "answering.py").write_text(SERVER)
    return tmp_path


def started(folder: Path, in_our_group: bool = False, **environment: str | None) -> ServerProcess:
    return start(
        ("answering",), free_port(), environment, output=folder / "said.txt", folder=folder, in_our_group=in_our_group
    )


@pytest.mark.parametrize("ours", [True, False])
def test_it_has_a_session_of_its_own_unless_it_is_to_end_with_us(folder: Path, ours: bool) -> None:
    server = started(folder, ours)
    assert (os.getpgid(server.process.pid) == os.getpgid(0)) == ours
    assert server.kill() == -signal.SIGKILL


def test_it_is_ready_at_its_first_200_and_stopped_at_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONE", "ours")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with stopped_at_the_end(started(folder, VALUE="given", GONE=None)) as server:
        assert server.ready_seconds > 0
        assert server.said() == "value: given gone: None\n"
        assert server.process.poll() is None
    assert server.process.returncode == -signal.SIGTERM


def test_one_that_ends_at_once_is_an_error_with_what_it_said(folder: Path) -> None:
    with (
        pytest.raises(ServerNotStartedError, match=r"(?s)`answering` did not start; it said:.*no such model"),
        stopped_at_the_end(started(folder, BROKEN="1")),
    ):
        pass


def test_one_that_does_not_end_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("churn.server_process.STOP_SECONDS", 0.1)
    with stopped_at_the_end(started(folder, STUBBORN="1")) as server:
        pass
    assert server.process.returncode == -signal.SIGKILL


def test_a_failure_in_the_block_stops_it_too(folder: Path) -> None:
    server = started(folder)
    with pytest.raises(RuntimeError), stopped_at_the_end(server):
        raise RuntimeError
    assert server.process.returncode == -signal.SIGTERM
