"""How long the weekly report of many predictions takes, and with how much memory.

`python -m load_tests.bench_report --rows 10000000`: a log of that many predictions is drawn
from the champion's reference, a customer a line, in seven days' files as the service writes
them; then `python -m monitoring.report` runs on it as a process of its own. Prints rows,
bytes, seconds and the process's peak memory, and removes what it wrote.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import duckdb

from churn.command import run, say, show
from churn.contract import CONTRACT_VERSION, FEATURES, NAMES
from churn.errors import ReportError
from monitoring.log_lines import literal, quoted
from monitoring.prediction_log import SCHEMA
from monitoring.stored_models import Watched, champion_tag, watched

DAYS: Final = tuple(f"2018-11-{day:02}" for day in range(5, 12))
"""A week, Monday to Sunday."""


def write_log(folder: Path, model: Watched, rows: int) -> int:
    """Write `rows` predictions of a week, drawn from the model's reference; returns the bytes."""
    connection = duckdb.connect()
    connection.execute("SET memory_limit = '2GB'")
    connection.register("source", model.reference)
    connection.execute("CREATE TABLE reference AS SELECT *, row_number() OVER () - 1 AS place FROM source")
    for number, day in enumerate(DAYS):
        first, end = rows * number // len(DAYS), rows * (number + 1) // len(DAYS)
        connection.execute(_copy(model, day, first, end, folder / f"{day}_bench_1_0_{number}.jsonl"))
        say(f"{end:,} of {rows:,} predictions written")
    return sum(path.stat().st_size for path in folder.iterdir())


def _copy(model: Watched, day: str, first: int, end: int, path: Path) -> str:
    pairs = ", ".join(f"{quoted(name)} := {_value(name)}" for name in NAMES)
    return f"""COPY (
        SELECT {SCHEMA} AS schema, 'r' || number // 100 AS request_id, number % 100 AS "row", 'predict' AS api,
               '{day}T09:00:00.000Z' AS "time", '{day}T00:00:00Z' AS as_of, number::VARCHAR AS customer_id,
               {literal(model.model.tag)} AS model, '{CONTRACT_VERSION}' AS contract, struct_pack({pairs}) AS features,
               churn_probability, will_churn::VARCHAR = 'true' AS will_churn
        FROM range({first}, {end}) AS numbers(number)
        JOIN reference ON place = hash(number) % (SELECT count(*) FROM reference)
    ) TO {literal(str(path))} (FORMAT json)"""  # noqa: S608  # names are the contract's


def _value(name: str) -> str:
    """A count is a whole number in the log."""
    counts = {feature.name for feature in FEATURES if feature.kind == "count"}
    return f"{quoted(name)}::BIGINT" if name in counts else quoted(name)


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
