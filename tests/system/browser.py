"""A real Chromium without a window, spoken to over its DevTools protocol."""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.support.serving import PATIENCE

PROGRAM = "chromium"


@dataclass
class Page:
    """An open tab: what it shows, how large it is, and what went wrong in it."""

    socket: Connection
    session: str
    errors: list[str] = field(default_factory=list)
    loaded: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def open(self, path: Path, width: int, height: int) -> None:
        """Show a file in a window of this size (up to 500 px wide, as a phone) and wait until it is loaded."""
        self.errors.clear()
        self.loaded = 0
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width <= 500}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.ask("Page.navigate", url=path.as_uri())
        while not self.loaded:
            self._receive()

    def ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        said = {"id": number, "sessionId": self.session, "method": method, "params": parameters}
        self.socket.send(json.dumps(said))
        while (answer := self._receive()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self) -> str:
        """What can be seen and read."""
        return str(self.value("document.body.innerText"))

    def width(self) -> int:
        """How wide the page is, whatever the window."""
        return int(self.value("document.documentElement.scrollWidth"))

    def eventually(self, expression: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.value(expression):
            assert time.monotonic() < deadline, f"it did not become true: {expression}"
            time.sleep(0.2)

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(PATIENCE))
        method, details = message.get("method"), message.get("params", {})
        self.loaded += method == "Page.loadEventFired"
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(details["exceptionDetails"])[:2_000])
        if method == "Runtime.consoleAPICalled" and details["type"] in ("error", "assert"):
            self.errors.append(json.dumps(details["args"])[:2_000])
        if method == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.errors.append(json.dumps(details["entry"])[:2_000])
        return message


@contextlib.contextmanager
def browsing(profile: Path) -> Iterator[Page]:
    """A tab in a Chromium of its own; `profile` is an empty folder."""
    program = shutil.which(PROGRAM)
    assert program is not None, f"{PROGRAM} is not installed (apt-get install {PROGRAM})"
    options = [
        "--headless",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
    ]
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # Chromium's own does not start for root
    with (profile / "chromium.txt").open("wb") as told:
        process = subprocess.Popen([program, *options, "about:blank"], stdout=told, stderr=told)
    try:
        with connect(_address(profile, process), max_size=None, compression=None) as socket:
            yield _tab(socket)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _address(profile: Path, process: "subprocess.Popen[bytes]") -> str:
    """Where it listens, which it writes into its profile."""
    said, deadline = profile / "DevToolsActivePort", time.monotonic() + PATIENCE
    while not (said.exists() and len(said.read_text().split()) == 2):
        ended = process.poll()
        assert ended is None and time.monotonic() < deadline, (profile / "chromium.txt").read_text()  # noqa: PT018  # either way the page's output says why
        time.sleep(0.1)
    port, path = said.read_text().split()
    return f"ws://127.0.0.1:{port}{path}"


def _tab(socket: Connection) -> Page:
    def ask(number: int, method: str, **parameters: Any) -> dict[str, Any]:
        socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(socket.recv(PATIENCE))).get("id") != number:
            pass
        found: dict[str, Any] = answer["result"]
        return found

    target = ask(1, "Target.createTarget", url="about:blank")["targetId"]
    session = ask(2, "Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    page = Page(socket, session, _numbers=itertools.count(3))
    for domain in ("Page", "Runtime", "Log"):
        page.ask(f"{domain}.enable")
    return page
