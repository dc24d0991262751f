"""The attacks of `make attack`, each bounded in count and time; anybody who reaches the port can make them."""

import contextlib
import http.client
import json
import random
import select
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx

from churn.contract import example_customer
from churn.errors import ModelStoreError
from churn.model.champion import read_champion
from churn.server_process import ServerProcess
from load_tests.callers import (
    JSON,
    PIECE,
    closed_loop,
    connect,
    customers,
    cut_off,
    head,
    in_threads,
    open_files,
    refused,
    victim,
    wait_until,
)
from serving.limits import KB, MB, Limits

LIMITS: Final = Limits()
FUZZ_CALLERS: Final = 4
PROMISED_SECONDS: Final = 2.0
"""The longest that slow senders may keep another caller's megabyte from its answer; where they keep their room, 30."""
ENDLESS: Final = 64 * MB
ROWS_UNREAD: Final = 200
"""An answer of a megabyte: more than the system holds for a connection, and quickly computed."""


@dataclass(frozen=True)
class Result:
    """The outcome of an attack.

    Attributes:
        tried: how often it was tried.
        held: whether the service did what it should.
        detail: the facts behind that.
        late: whether it took longer than is promised; a busy machine takes longer than the service.
    """

    tried: int
    held: bool
    detail: str
    late: bool = False


@dataclass(frozen=True)
class Attack:
    """An attack on a service at a URL, tried so many times by the long form and by the short one."""

    name: str
    run: Callable[[str, int], Result]
    count: int
    short: int


def endless_headers(url: str, count: int) -> Result:
    """Send headers without an end, several at once."""
    stopped_early: list[bytes] = []

    def send(_: int) -> None:
        caller, sent = connect(url), 0
        with caller, contextlib.suppress(OSError):
            caller.sendall(b"GET /livez HTTP/1.1\r\nX: ")
            while sent < ENDLESS:
                sent += caller.send(b"a" * PIECE)
        if sent < ENDLESS:
            stopped_early.append(b"")

    _at_once(send, count)
    return Result(count, len(stopped_early) == count, f"{len(stopped_early)} refused before {ENDLESS // MB} MB")


def unfinished_headers(url: str, count: int) -> Result:
    """Open connections whose headers never end; another caller must still be let in and answered."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(open_files(2 * count + 256))
        for _ in range(count):
            caller = stack.enter_context(connect(url))
            with contextlib.suppress(OSError):  # ended already, to make room
                caller.sendall(b"GET /livez HT")
        status = _post(url, customers(1)).status_code
    return Result(count, status == 200, f"another caller: {status}")


def slow_senders(url: str, count: int) -> Result:
    """Fill the room of large bodies at 1 KB a second; another caller's 1 MB must be answered while most still send."""
    stopped, sent = threading.Event(), threading.Barrier(count + 1)
    ended: list[int] = []

    def slow(number: int) -> None:
        with connect(url) as caller, contextlib.suppress(OSError):
            try:
                caller.sendall(head("/predict", LIMITS.body))
                caller.sendall(b" " * (LIMITS.held // count - 4 * PIECE))
            finally:
                sent.wait(60)
            while not (stopped.is_set() or select.select([caller], [], [], 1)[0]):  # told that it is too slow
                caller.sendall(b" " * KB)
        ended.append(number)

    threads = in_threads(slow, count)
    sent.wait(60)
    time.sleep(3)  # until they are known to be slow
    started, body = time.monotonic(), customers(1000)
    status = _post(url, body).status_code
    seconds, sending = time.monotonic() - started, count - len(ended)
    stopped.set()
    for thread in threads:
        thread.join()
    told = f"another caller's {len(body) / MB:.1f} MB: {status} after {seconds:.1f} s, {sending} still sending"
    return Result(count, status == 200 and sending > count // 2, told, late=seconds > PROMISED_SECONDS)


def unread_answers(url: str, count: int) -> Result:
    """Ask for large answers and read none of them; the service must cut such callers off."""
    body, before = customers(ROWS_UNREAD, top_k=30), cut_off(url, "slow_reader")
    stopped = threading.Event()

    def ask(_: int) -> None:
        with connect(url, receive_buffer=4096) as caller:
            with contextlib.suppress(OSError):  # cut off
                for _ in range(3):
                    caller.sendall(head("/explain", len(body)) + body)
            stopped.wait()

    threads = in_threads(ask, count)
    try:
        wait_until(lambda: cut_off(url, "slow_reader") > before, "a reader that stands still to be cut off")
    finally:
        stopped.set()
    for thread in threads:
        thread.join()
    return Result(count, True, f"{cut_off(url, 'slow_reader') - before:.0f} cut off so far")


def wide_text(url: str, count: int) -> Result:
    """Send a body as large as may be whose one text is not ASCII: four bytes in memory for one of its own."""
    text = "é".encode() * (LIMITS.body // 2 - 5 * KB) + "😀".encode()
    statuses = [_post(url, b'{"customers": ["' + text + b'"]}').status_code for _ in range(count)]
    return Result(count, set(statuses) == {400}, f"statuses {_counted(statuses)}")


def bad_large_bodies(url: str, count: int) -> Result:
    """Send large bodies at once that are refused only after they were parsed."""
    body = json.dumps({"customers": [example_customer(str(n)) | {"songs_7d": "x"} for n in range(10_000)]}).encode()
    statuses: list[int] = []
    _at_once(lambda _: statuses.append(_post(url, body).status_code), count)
    held = len(statuses) == count and set(statuses) <= {400, 429}
    return Result(count, held, f"{len(body) / MB:.0f} MB each, statuses {_counted(statuses)}")


def damaged_pointers(_: str, count: int) -> Result:
    """Read damaged champion pointers; each must be refused with a message. The service is not asked."""
    tried = _pointers()[:count]
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        path, taken = Path(folder, "champion.json"), []
        for content in tried:
            path.write_bytes(content)
            if not _is_refused(path):
                taken.append(content[:40])
    return Result(len(tried), not taken, f"taken: {taken}" if taken else "all refused with a message")


def _pointers() -> list[bytes]:
    """Files that are no pointer, and pointers with a tag or a digest that is none."""
    nested = ["[" * 200_000, '{"tag": ' * 200_000, "[" * 200 + "]" * 200]
    others = ["", "[]", "{}", "null", "1e999", '"churn:a"', "\x00", '{"tag": "churn:a"', '\ufeff{"tag": "churn:a"}']
    tags = ("", "churn", "churn:", ":a", "churn:latest", "/etc/churn:a", "churn:../../a", "../churn:a", "churn:a\n")
    pointers = [{"tag": tag, "sha256": "0" * 64} for tag in tags]
    digests = [{"tag": "churn:a", "sha256": digest} for digest in ("", None, "0" * 63)]
    return [text.encode() for text in (*nested, *others, *map(json.dumps, (*pointers, *digests)))]


def _is_refused(path: Path) -> bool:
    try:
        read_champion(path)
    except ModelStoreError as error:
        return str(path) in str(error)
    return False


def fuzzed_bodies(url: str, count: int) -> Result:
    """Send mutations of a valid body, always the same; each must be answered with JSON, by 200 or a 4xx."""
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def send(caller_number: int) -> None:
        address = httpx.URL(url)
        caller = http.client.HTTPConnection(address.host, address.port or 80, timeout=60)
        for number in range(caller_number, count, FUZZ_CALLERS):
            outcome = _outcome(caller, ("/predict", "/explain")[number // FUZZ_CALLERS % 2], fuzzed(number))
            with lock:
                outcomes[outcome] += 1
        caller.close()

    _at_once(send, FUZZ_CALLERS)
    held = outcomes.total() == count and all(one == "200" or one.startswith("4") for one in outcomes)
    return Result(count, held, _counted(outcomes))


def _outcome(caller: http.client.HTTPConnection, path: str, body: bytes) -> str:
    try:
        caller.request("POST", path, body, JSON)
        answered = caller.getresponse()
        json.loads(answered.read())
    except (OSError, http.client.HTTPException, ValueError) as error:  # dropped, or no JSON
        caller.close()
        return type(error).__name__
    return str(answered.status)


ODD_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, "", "x", "\x00", "\ud800", "=1+1", "30", 0, -1, 1.5, 3.0, 1e308, 2**63, -(2**63), 10**400, [], {}),
    *([[[[[]]]]], {"a": {"b": 1}}, "2018-11-02", "9999-12-31T23:59:59Z", "0000-00-00T00:00:00Z", "a" * 5000),
)


def fuzzed(number: int) -> bytes:
    """A valid body, changed at one to three places of its values or of its bytes."""
    draw = random.Random(number)
    body: dict[str, Any] = {"customers": [example_customer(str(n)) for n in range(draw.randint(1, 3))]}
    for _ in range(draw.randint(0, 3)):
        _change_value(body, draw)
    content = json.dumps(body).encode()
    for _ in range(draw.choice((0, 0, 1, 3))):
        content = _change_bytes(content, draw)
    return content


def _change_value(body: dict[str, Any], draw: random.Random) -> None:
    """Replace, remove or add a field, of the body or of one of its customers."""
    rows = body.get("customers")
    choices = [body, *(row for row in rows if isinstance(row, dict))] if isinstance(rows, list) else [body]
    changed = draw.choice(choices[-1:] if draw.random() < 0.9 else choices)
    names = sorted(changed)
    name = draw.choice(names) if names and draw.random() < 0.9 else draw.choice(("", "top_k", "__class__", "é"))
    if draw.random() < 0.1:
        changed.pop(name, None)
    else:
        changed[name] = draw.choice(ODD_VALUES)


def _change_bytes(content: bytes, draw: random.Random) -> bytes:
    """Flip, cut out, insert or repeat some bytes."""
    start = draw.randrange(len(content) + 1)
    end = min(len(content), start + draw.randint(1, 20))
    inside = content[start:end]
    changes = (b"", draw.randbytes(len(inside)), inside * draw.randint(2, 50), inside + draw.randbytes(3), b"\xff\xfe")
    return content[:start] + draw.choice(changes) + content[end:]


def sigterm(server: ServerProcess, callers: int) -> Result:
    """Stop the service under load: every request that came is answered, every new caller refused."""
    outcomes: Counter[str] = Counter()
    threads = in_threads(lambda _: closed_loop(server.url, outcomes), callers)
    wait_until(lambda: outcomes["200"] > 10 * callers, "answers")
    server.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    status = server.process.wait(60)
    held = (
        outcomes["refused"] == callers and set(outcomes) == {"200", "refused"} and status == 0 and refused(server.url)
    )
    return Result(callers, held, f"{_counted(outcomes)}, exit status {status}")


def beside_a_victim(attack: Attack, url: str, count: int) -> Result:
    """Make an attack while a well-behaved caller asks; it holds only when all answers to that one are right."""
    with victim(url, repeats=3) as beside:
        result = attack.run(url, count)
    right, repeated = beside.statuses.count(200), beside.statuses.count(429)
    told = f"victim: {right} right answers" + (f", asked again {repeated} times" if repeated else "")
    return replace(result, detail=f"{result.detail}; {told}")


def _at_once(work: Callable[[int], None], count: int) -> None:
    for thread in in_threads(work, count):
        thread.join()


def _post(url: str, body: bytes) -> httpx.Response:
    return httpx.post(f"{url}/predict", content=body, headers=JSON, timeout=120)


def _counted(outcomes: Counter[str] | list[int]) -> str:
    return ", ".join(f"{one}: {times:,}" for one, times in sorted(Counter(outcomes).items()))


ATTACKS: Final = (
    Attack("endless headers", endless_headers, 8, 4),
    Attack("unfinished headers", unfinished_headers, 1200, 600),
    Attack("slow senders", slow_senders, 10, 10),
    Attack("unread answers", unread_answers, 90, 30),
    Attack("wide text", wide_text, 4, 1),
    Attack("bad large bodies", bad_large_bodies, 2, 2),
    Attack("damaged pointers", damaged_pointers, 24, 24),
    Attack("fuzzed bodies", fuzzed_bodies, 22_000, 400),
)
