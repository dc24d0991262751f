"""`make soak`: the service under full load for a while; its memory must stay small and flat.

All of the time 16 connections are busy: mostly with one customer a request, then with a
hundred, then with explanations, in a cycle of a few seconds. After each cycle the resident
memory of the worker is read. Status 1 when it exceeds 300 MB, when its mean over the last
tenth is more than 5 % above that over the first tenth after a warm-up of a tenth, or when
an answer was an error.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import orjson

from churn.command import run, say, show
from churn.prediction_log.listing import listing
from churn.server_process import ServerProcess
from load_tests.closed_loop import measure
from load_tests.customers import draw
from load_tests.served import served

CONNECTIONS: Final = 16
MOST_MB: Final = 300
MOST_GROWTH: Final = 0.05

CYCLE: Final = (("/predict", 1, 3.0), ("/predict", 100, 1.0), ("/explain", 100, 1.0))
"""Path, customers in a request, seconds."""


@dataclass
class Soaked:
    """Observations of a soak. Memory in MB, after each cycle, of the largest worker."""

    seconds: float
    requests: int
    errors: int
    ready_seconds: float
    memory: list[float]

    @property
    def most(self) -> float:
        return max(self.memory)

    @property
    def growth(self) -> float:
        """The end's mean over that after warming up, minus 1."""
        tenth = max(1, len(self.memory) // 10)
        early = self.memory[tenth : 2 * tenth] or self.memory
        return statistics.mean(self.memory[-tenth:]) / statistics.mean(early) - 1

    def passed(self) -> bool:
        return self.errors == 0 and self.most <= MOST_MB and self.growth <= MOST_GROWTH


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        log = Path(name, "predictions")
        environment = {"CHURN_LOG_DIR": str(log), "CHURN_API_KEYS": "", "CHURN_API_KEYS_FILE": ""}
        with served(environment | {"CHURN_WORKERS": str(arguments.workers)}, Path(name)) as service:
            say(f"ready after {service.ready_seconds:.1f} s; loading it for {arguments.seconds:g} s")
            found = soak(service, log, arguments.seconds)
    show(
        f"{found.requests:,} requests in {found.seconds:.0f} s, {found.errors} errors; ready after "
        f"{found.ready_seconds:.1f} s; memory of a worker at most {found.most:.0f} MB (allowed {MOST_MB}), "
        f"grown by {found.growth:+.1%} (allowed {MOST_GROWTH:.0%}): {'passed' if found.passed() else 'FAILED'}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(found), indent=1) + "\n")
    return 0 if found.passed() else 1


def soak(service: ServerProcess, log: Path, seconds: float) -> Soaked:
    """Load it, cycle by cycle. The prediction log is deleted on the way: the service begins new files by itself."""
    bodies = {size: orjson.dumps({"customers": list(islice(draw(random.Random(1)), size))}) for size in (1, 100)}
    found, started = Soaked(0, 0, 0, service.ready_seconds, []), time.monotonic()
    while found.seconds < seconds:
        for path, size, duration in CYCLE:
            measured = measure(service.url + path, bodies[size], CONNECTIONS, duration)
            found.requests += len(measured.latencies)
            found.errors += measured.errors
        found.memory.append(max(resident_mb(worker) for worker in service.workers()))
        for written in listing(log).files:
            written.path.unlink()
        found.seconds = time.monotonic() - started
    return found


def resident_mb(process: int) -> float:
    """Resident memory of a process, on Linux."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {process} has no memory; it has ended")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="how long")
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    parser.add_argument("--json", type=Path, help="also write everything here")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
