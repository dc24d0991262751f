"""The load test as it is run: its mix of requests, its report, and that an error answer fails it."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import PROJECT

pytestmark = pytest.mark.integration


class Stub(BaseHTTPRequestHandler):
    """Answers 200, and every `server.failing`-th time 500."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.asked[self.path, len(body["customers"])] += 1
            failed = self.server.failing and sum(self.server.asked.values()) % self.server.failing == 0
        self.send_response(500 if failed else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def stub(failing: int = 0) -> Iterator[tuple[str, Counter[tuple[str, int]]]]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    server.failing, server.asked, server.lock, server.daemon_threads = failing, Counter(), threading.Lock(), True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.asked
    finally:
        server.shutdown()
        server.server_close()


def load_test(url: str, report: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "load_tests.load_test", "--url", url, "--users", "2", "--seconds", "8"]
    return subprocess.run([*command, "--report", str(report)], cwd=PROJECT, capture_output=True, text=True, check=False)


def test_without_errors_it_ends_with_0_a_table_and_a_report(tmp_path: Path) -> None:
    with stub() as (url, asked):
        ended = load_test(url, tmp_path / "report.html")
    assert ended.returncode == 0, ended.stderr
    assert "<html" in (tmp_path / "report.html").read_text()
    assert "predict 1" in ended.stdout + ended.stderr
    assert set(asked) <= {("/predict", 1), ("/predict", 100), ("/explain", 1)}
    assert asked["/predict", 1] > 0


def test_an_error_answer_fails_it(tmp_path: Path) -> None:
    with stub(failing=5) as (url, _):
        ended = load_test(url, tmp_path / "report.html")
    assert ended.returncode == 1, ended.stderr
    assert "there were errors" in ended.stdout


def test_four_of_five_requests_ask_about_one_customer() -> None:
    command = [sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py", "--show-task-ratio-json"]
    shown = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    tasks = json.loads(shown)["total"]["Backend"]["tasks"]
    ratios = {name: task["ratio"] for name, task in tasks.items()}
    assert ratios == pytest.approx({"predict_one": 0.8, "predict_batch": 0.15, "explain_one": 0.05})
