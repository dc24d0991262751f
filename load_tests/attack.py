"""`make attack`: attacks on a service of its own, with a well-behaved caller beside them; ends in a table.

It serves the champion, or a forest made for it where there is none, on this machine only, with a prediction log that
is thrown away. Status 1 when an attack succeeds, when slow senders keep another caller waiting for more than 2 s, when
an answer to the well-behaved caller is wrong, when a worker ends, or when the processes of the service together exceed
the memory of its container.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from churn.command import run, say, show
from churn.errors import ModelStoreError
from churn.model.champion import champion_path, read_champion
from churn.server_process import ServerProcess
from churn.settings import changed_environment
from load_tests.attacks import ATTACKS, Result, beside_a_victim, sigterm
from load_tests.callers import WrongAnswerError, memory_mb, metric, open_files, wait_until
from load_tests.served import ROOT, served

MOST_MB: Final = 512
CALLERS_AT_THE_END: Final = 16
FILES: Final = 1024
FUZZED: Final = "fuzzed bodies"


@dataclass(frozen=True)
class Row:
    """An attack with its result, and the greatest memory of the service meanwhile, in MB."""

    name: str
    result: Result
    peak_mb: float

    def passed(self) -> bool:
        return self.result.held and self.peak_mb <= MOST_MB


@dataclass
class PeakMemory:
    """The greatest memory of the processes of a service, each at its own worst moment, added up."""

    processes: tuple[int, ...]
    most: dict[int, float]

    @property
    def total(self) -> float:
        return sum(self.most.values())

    def watch(self, stopped: threading.Event) -> None:
        while True:
            for process in self.processes:
                with contextlib.suppress(OSError, StopIteration):  # it has ended
                    self.most[process] = memory_mb(process, "VmHWM")
            if stopped.wait(0.05):
                return


@contextlib.contextmanager
def peak_memory(server: ServerProcess) -> Iterator[PeakMemory]:
    """Watch the memory until the end of the block."""
    peak, stopped = PeakMemory((server.process.pid, *server.workers()), {}), threading.Event()
    for process in peak.processes:
        Path(f"/proc/{process}/clear_refs").write_text("5")  # proc(5): the greatest memory begins anew
    thread = threading.Thread(target=peak.watch, args=(stopped,))
    thread.start()
    try:
        yield peak
    finally:
        stopped.set()
        thread.join()


def attacked(server: ServerProcess, name: str, make: Callable[[], Result]) -> Row:
    """Make an attack; what goes wrong with it is its result."""
    say(name)
    with peak_memory(server) as peak:
        try:
            wait_until(lambda: metric(server.url, "churn_requests_in_flight") == 0, "the earlier requests to end")
            result = make()
        except (OSError, httpx.HTTPError, WrongAnswerError) as error:
            result = Result(0, held=False, detail=repr(error))
    if server.process.poll() is None and set(server.workers()) != set(peak.processes[1:]):
        result = Result(result.tried, held=False, detail=f"{result.detail}; a worker ended")
    return Row(name, result, peak.total)


def attack(server: ServerProcess, *, short: bool, bodies: int) -> list[Row]:
    """Make all attacks, one after the other; the service is stopped by the last."""
    rows = []
    for one in ATTACKS:
        count = bodies if one.name == FUZZED else (one.short if short else one.count)
        rows.append(attacked(server, one.name, partial(beside_a_victim, one, server.url, count)))
    return [*rows, attacked(server, "SIGTERM under load", partial(sigterm, server, CALLERS_AT_THE_END))]


def table(rows: list[Row]) -> str:
    """One line for each attack."""
    lines = [f"{'attack':<20} {'tried':>7} {'result':<7} {'peak MB':>7}  detail"]
    for row in rows:
        said = "FAILED" if not row.passed() else "LATE" if row.result.late else "held"
        lines.append(f"{row.name:<20} {row.result.tried:>7,} {said:<7} {row.peak_mb:>7.0f}  {row.result.detail}")
    return "\n".join(lines)


def model(folder: Path) -> dict[str, str]:
    """The settings by which the champion is served, or where there is none, a forest made in a store of its own."""
    with contextlib.suppress(ModelStoreError):
        read_champion(champion_path())
        return {}
    say("there is no champion; making a forest")
    (folder / "bentoml").mkdir()
    settings = {"BENTOML_HOME": str(folder / "bentoml"), "CHURN_CHAMPION": str(folder / "champion.json")}
    command = [sys.executable, "-m", "load_tests.models", "--large"]
    subprocess.run(command, cwd=ROOT, env=changed_environment(settings), stdout=subprocess.DEVNULL, check=True)
    return settings


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="attack-") as name, contextlib.ExitStack() as stack:
        own = {"CHURN_LOG_DIR": f"{name}/predictions", "CHURN_API_KEYS": "", "CHURN_API_KEYS_FILE": ""}
        with open_files(FILES):
            server = stack.enter_context(served(model(Path(name)) | own, Path(name)))
        rows = attack(server, short=arguments.short, bodies=arguments.bodies)
    show(table(rows))
    return 0 if all(row.passed() and not row.result.late for row in rows) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=22_000, help="fuzzed bodies to send")
    parser.add_argument("--short", action="store_true", help="fewer of everything else, for less than a minute")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
