"""How long the weekly report of many predictions takes, and with how much memory.

`make bench-report ROWS=10000000`: a log of that many predictions is drawn
from the champion's reference, a customer a line, in seven days' files by the service's own
writer; then `python -m monitoring.report` runs on it as a process of its own. Prints rows,
bytes, seconds and the process's peak memory, and removes what it wrote.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from churn.command import run, say, show
from churn.contract import NAMES
from churn.errors import ReportError
from churn.moments import iso
from monitoring.drift.decision import CHURN_PROBABILITY, WILL_CHURN
from monitoring.drift.stored_models import Watched, champion_tag, watched
from serving.prediction_writer import Answered, PredictionLog
from training.table.bodies import customers

MONDAY: Final = datetime(2018, 11, 5, 9, tzinfo=UTC)
DAYS: Final = 7
BATCH: Final = 1_000
"""Customers a request, as a nightly job would ask."""


def write_log(folder: Path, model: Watched, rows: int, seed: int = 0) -> int:
    """Write `rows` predictions of a week, drawn from the model's reference; returns the bytes."""
    reference = model.reference.assign(customer_id="", as_of=np.int64(0))
    features = [{name: customer[name] for name in NAMES} for customer in customers(reference)]
    probability = reference[CHURN_PROBABILITY.name].tolist()
    flagged = reference[WILL_CHURN.name].tolist()
    generator = np.random.default_rng(seed)
    for day in range(DAYS):
        now, end = MONDAY + timedelta(days=day), rows * (day + 1) // DAYS
        midnight = iso(int((now - timedelta(hours=9)).timestamp() * 1000))
        log = PredictionLog(folder, model.model.tag, clock=lambda now=now: now)  # type: ignore[misc]  # mypy knows no type of a lambda's default
        for first in range(rows * day // DAYS, end, BATCH):
            ids = [str(number) for number in range(first, min(first + BATCH, end))]
            drawn = generator.integers(len(features), size=len(ids)).tolist()
            answered = Answered(
                f"request-{first}",
                ids,
                [midnight] * len(ids),
                [features[place] for place in drawn],
                [probability[place] for place in drawn],
                [flagged[place] for place in drawn],
            )
            log.append("predict", [answered])
        log.close()
        say(f"{end:,} of {rows:,} predictions written")
    return sum(path.stat().st_size for path in folder.iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m load_tests.bench_report", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="predictions in the week")
    rows = parser.parse_args().rows
    tag = champion_tag()
    if tag is None:
        raise ReportError("there is no champion; run `make train` first")
    with tempfile.TemporaryDirectory(prefix="churn-bench-report-") as name:
        log = Path(name, "log")
        log.mkdir()
        size = write_log(log, watched(tag), rows)
        seconds, gigabytes, status = _report(log, Path(name, "reports"))
    show(
        f"{rows:,} predictions, {size / 1e9:.1f} GB of log: {seconds:,.0f} s, {gigabytes:.1f} GB, exit status {status}"
    )


def _report(log: Path, reports: Path) -> tuple[float, float, int]:
    """Seconds, peak memory in GB and exit status of a report."""
    command = [sys.executable, "-m", "monitoring.report", "--log-dir", str(log), "--reports", str(reports)]
    start = time.perf_counter()
    status = subprocess.run([*command, "--at-risk", "1000"], check=False, env=os.environ).returncode
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return time.perf_counter() - start, peak / 2**20, status


if __name__ == "__main__":
    run(main)
