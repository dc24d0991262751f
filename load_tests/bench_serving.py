"""The service beside the framework's floor, BentoML's usual way and the predecessor's, in one run.

`python -m load_tests.bench_serving` (`make bench`) prints a table and writes it as JSON too.
All rivals of a forest run at once, and are loaded in turns from another process, one after
the other in every round: so a slow minute of the machine meets all of them. A ratio is the
median of the rounds' ratios, with the smallest and the largest. All score the same forest
for the same customers; it is run for the champion, if there is one, and for 200 trees of
depth 8. It ends with status 1 when an answer was an error.

A virtual machine that is new has memory that nobody has used yet, and the first use of a
page costs it many times the next one. The prediction log would pay for that, and those who
write no log would not; so as much as will be written is used once before.
"""

import argparse
import json
import mmap
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from churn.command import run, say, show
from churn.model.champion import champion_path
from load_tests import closed_loop, open_loop
from load_tests.closed_loop import Measured
from load_tests.customers import draw
from load_tests.served import BENTOML, ROOT, SERVICE, served

CONNECTIONS: Final = 16
MEMORY: Final = 4 * 1024**3
"""Bytes: what the logs of a run take, with room to spare."""

OPEN_LOOP_SHARE: Final = 0.5
"""The open loop asks at this share of what the floor answers in the closed loop."""

FLOOR_OF_100_SERVED: Final = 0.7
FLOOR_OF_100_LARGE: Final = 0.55
"""Target: this share of the floor's throughput with a hundred customers a request."""

SERVICE_NAME: Final = "service"
FLOOR: Final = "floor"
UNLOGGED: Final = "service without log"
USUAL: Final = "usual BentoML"
PREDECESSOR: Final = "predecessor"


@dataclass(frozen=True)
class Rival:
    """A service under test: how it is started, and its name in the table."""

    command: tuple[str, ...]
    what: str
    ready: str = "/readyz"


RIVALS: Final = {
    SERVICE_NAME: Rival(SERVICE, "this service"),
    UNLOGGED: Rival((*BENTOML, "load_tests.unlogged:Churn"), "this service, prediction log cut out"),
    FLOOR: Rival((*BENTOML, "load_tests.rivals:Floor"), "(b) BentoML API, same models, settings and boundary, empty"),
    "parsed": Rival((*BENTOML, "load_tests.rivals:Parsed"), "same boundary and checks, below BentoML's API, empty"),
    USUAL: Rival((*BENTOML, "load_tests.rivals:Usual"), "(c) batchable API, pickled forest, defaults"),
    PREDECESSOR: Rival(
        ("uvicorn", "load_tests.predecessor:app", "--log-level", "error"),
        "(d) FastAPI, pandas, one-row scikit-learn on all processors",
        "/docs",
    ),
}


@dataclass(frozen=True)
class Job:
    """One measurement: of whom, which API, how many customers in a request."""

    rival: str
    path: str
    customers: int
    loop: str = "closed"

    @property
    def kind(self) -> tuple[str, str, int]:
        """Services that are comparable with each other."""
        return self.loop, self.path, self.customers


@dataclass
class Results:
    """Measurements of one forest, round by round."""

    forest: dict[str, Any]
    ready: dict[str, float] = field(default_factory=dict)
    rounds: dict[Job, list[Measured]] = field(default_factory=dict)
    open_loop_per_second: float = 0.0
    floor_of_100: float = FLOOR_OF_100_LARGE

    def ratios(self, one: Job, other: Job, figure: Callable[[Measured], float]) -> list[float]:
        """Round by round."""
        pairs = zip(self.rounds[one], self.rounds[other], strict=True)
        return [figure(mine) / figure(theirs) for mine, theirs in pairs]

    def errors(self) -> int:
        return sum(measured.errors for several in self.rounds.values() for measured in several)


def jobs() -> list[Job]:
    """Everything of a round; row by row, a hundred customers would take the predecessor seconds."""
    closed = [Job(rival, "/predict", size) for size in (1, 100) for rival in RIVALS]
    explained = [Job(SERVICE_NAME, "/explain", size) for size in (1, 100)]
    return [job for job in closed if job != Job(PREDECESSOR, "/predict", 100)] + explained


OPEN: Final = [Job(rival, "/predict", 1, "open") for rival in (SERVICE_NAME, FLOOR)]


def main() -> int:
    arguments = _arguments()
    found = []
    _use_once(MEMORY)
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as name:
        if champion_path().exists():
            found.append(_bench("served", {}, Path(name, "served"), arguments))
        else:
            say("no champion to measure; `make train` makes one")
        store = {"BENTOML_HOME": f"{name}/bentoml", "CHURN_CHAMPION": f"{name}/champion.json"}
        Path(store["BENTOML_HOME"]).mkdir()
        found.append(_bench("200 trees of depth 8", store, Path(name, "large"), arguments))
    text = "\n".join(line for results in found for line in table(results))
    show(text)
    arguments.out.mkdir(parents=True, exist_ok=True)
    content = json.dumps(report(found, arguments.seconds, arguments.rounds), indent=1)
    (arguments.out / "serving.json").write_text(content + "\n")
    (arguments.out / "serving.md").write_text(text + "\n")
    show(f"\nwritten to {arguments.out}/serving.md and serving.json")
    return 1 if any(results.errors() for results in found) else 0


def _bench(name: str, store: Mapping[str, str], folder: Path, arguments: argparse.Namespace) -> Results:
    folder.mkdir()
    rivals = folder / "forest.joblib"
    made = ["--large"] if store else []
    forest = _output(["load_tests.models", *made, "--rivals", str(rivals)], store)
    environment = {**store, "RIVAL_FOREST": str(rivals), "CHURN_REQUEST_LOG": "none"}
    results = Results({"name": name} | json.loads(forest))
    results.floor_of_100 = FLOOR_OF_100_LARGE if store else FLOOR_OF_100_SERVED
    with ExitStack() as stack:
        urls = {}
        for rival, how in RIVALS.items():
            say(f"{name}: starting {rival}")
            own = environment | {"CHURN_LOG_DIR": str(folder / rival)}
            started = stack.enter_context(served(own, folder, how.command, how.ready))
            urls[rival], results.ready[rival] = started.url, started.ready_seconds
        _rounds(results, urls, arguments)
    return results


def _use_once(size: int) -> None:
    """Use so much memory, at most half of what is free, and give it back."""
    free = os.sysconf("SC_AVPHYS_PAGES") * mmap.PAGESIZE
    with mmap.mmap(-1, min(size, free // 2)) as memory:
        for start in range(0, len(memory), mmap.PAGESIZE):
            memory[start] = 1


def _output(module: list[str], store: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", *module]
    environment = os.environ | dict(store)
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def _rounds(results: Results, urls: Mapping[str, str], arguments: argparse.Namespace) -> None:
    bodies = {size: _body(size) for size in (1, 100)}
    for number in range(arguments.rounds):
        say(f"round {number + 1} of {arguments.rounds}")
        for job in _turned(jobs(), number):
            url = urls[job.rival] + job.path
            measured = closed_loop.measure(url, bodies[job.customers], CONNECTIONS, arguments.seconds)
            results.rounds.setdefault(job, []).append(measured)
    rate = OPEN_LOOP_SHARE * _median(results.rounds[Job(FLOOR, "/predict", 1)], lambda one: one.per_second)
    results.open_loop_per_second = rate
    for number in range(arguments.rounds):
        for job in _turned(OPEN, number):
            measured = open_loop.measure(urls[job.rival] + job.path, bodies[1], rate, 2 * arguments.seconds)
            results.rounds.setdefault(job, []).append(measured)


def _turned(given: list[Job], number: int) -> Iterator[Job]:
    """Every second round backwards, so that nobody is always first."""
    return iter(given if number % 2 == 0 else given[::-1])


def _body(size: int) -> bytes:
    return orjson.dumps({"customers": list(islice(draw(random.Random(1)), size))})


def _median(several: list[Measured], figure: Callable[[Measured], float]) -> float:
    return statistics.median(map(figure, several))


def _per_second(measured: Measured) -> float:
    return measured.per_second


def _p99(measured: Measured) -> float:
    return measured.percentile(0.99)


def table(results: Results) -> Iterator[str]:
    """The table of one forest, in Markdown."""
    forest = results.forest
    yield f"\nForest: {forest['name']} ({forest['trees']} trees, {forest['nodes']:,} nodes)\n"
    yield "| what | requests/s | p50 ms | p99 ms | service / this one (smallest to largest) |"
    yield "|---|--:|--:|--:|--:|"
    for job, several in results.rounds.items():
        figures = [f"{_median(several, _per_second):,.0f}"]
        figures += [f"{1000 * _median(several, lambda one, s=s: one.percentile(s)):.2f}" for s in (0.5, 0.99)]  # type: ignore[misc]  # as above: a lambda's default
        yield f"| {_label(job)} | {' | '.join(figures)} | {_compared(results, job)} |"
    yield (
        f"\nThe log costs {_spread([1 - ratio for ratio in _log_ratios(results)], '.1%')} of the throughput at one "
        f"customer a request. Open loop at {results.open_loop_per_second:,.0f} requests/s. Errors: {results.errors()}."
    )
    starts = ", ".join(f"{seconds:.1f} s {RIVALS[rival].what}" for rival, seconds in results.ready.items())
    yield f"\nReady after: {starts}."
    yield from _target_lines(targets(results))


@dataclass(frozen=True)
class Target:
    """The target of a median."""

    what: str
    found: float
    bound: float
    at_most: bool = False

    @property
    def reached(self) -> bool:
        return self.found <= self.bound if self.at_most else self.found >= self.bound


def targets(results: Results) -> list[Target]:
    """The service over its rivals: what it is to reach, and what it does."""

    def over(rival: str, customers: int) -> float:
        one, other = (Job(name, "/predict", customers) for name in (SERVICE_NAME, rival))
        return statistics.median(results.ratios(one, other, _per_second))

    return [
        Target("floor, 1 customer", over(FLOOR, 1), 0.85),
        Target("floor, 100 customers", over(FLOOR, 100), results.floor_of_100),
        Target("usual BentoML, 1 customer", over(USUAL, 1), 5),
        Target("predecessor, 1 customer", over(PREDECESSOR, 1), 100),
        Target("p99 over the floor's", statistics.median(results.ratios(OPEN[0], OPEN[1], _p99)), 1.5, at_most=True),
        Target("cost of the log", statistics.median(1 - ratio for ratio in _log_ratios(results)), 0.15, at_most=True),
    ]


def _target_lines(several: list[Target]) -> Iterator[str]:
    yield "\n| target | asked | found | |"
    yield "|---|--:|--:|---|"
    for one in several:
        sign = "≤" if one.at_most else "≥"
        yield f"| {one.what} | {sign} {one.bound:g} | {one.found:.2f} | {'reached' if one.reached else 'MISSED'} |"


def _label(job: Job) -> str:
    plural = "" if job.customers == 1 else "s"
    loop = ", constant rate" if job.loop == "open" else ""
    return f"{RIVALS[job.rival].what}: `{job.path}` with {job.customers} customer{plural}{loop}"


def _compared(results: Results, job: Job) -> str:
    if job.rival == SERVICE_NAME:
        return ""
    mine = Job(SERVICE_NAME, job.path, job.customers, job.loop)
    if job.loop == "open":
        return f"p99: {_spread(results.ratios(mine, job, _p99))}"
    return _spread(results.ratios(mine, job, _per_second))


def _log_ratios(results: Results) -> list[float]:
    return results.ratios(Job(SERVICE_NAME, "/predict", 1), Job(UNLOGGED, "/predict", 1), _per_second)


def _spread(values: list[float], form: str = ".2f") -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def report(found: list[Results], seconds: float, rounds: int) -> dict[str, Any]:
    """Everything, for a machine to read. Times in milliseconds."""
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    return {
        "machine": machine,
        "connections": CONNECTIONS,
        "seconds": seconds,
        "rounds": rounds,
        "forests": [_reported(results) for results in found],
    }


def _reported(results: Results) -> dict[str, Any]:
    return {
        **results.forest,
        "ready_seconds": results.ready,
        "open_loop_per_second": results.open_loop_per_second,
        "targets": [asdict(one) | {"reached": one.reached} for one in targets(results)],
        "log_cost": [1 - ratio for ratio in _log_ratios(results)],
        "measurements": [
            {
                "rival": job.rival,
                "path": job.path,
                "customers": job.customers,
                "loop": job.loop,
                "requests_per_second": [round(one.per_second, 1) for one in several],
                "p50_ms": [round(1000 * one.percentile(0.5), 3) for one in several],
                "p99_ms": [round(1000 * one.percentile(0.99), 3) for one in several],
                "errors": sum(one.errors for one in several),
            }
            for job, several in results.rounds.items()
        ],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything takes its turn")
    parser.add_argument("--out", type=Path, default=Path("reports/bench"), help="folder of the table and the JSON")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
