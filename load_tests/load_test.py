"""`make load-test`: a working day's load on the service; ends in a table and an HTML report.

Status 1 on any error answer, or when there was no answer. Without `--url` it serves the
champion itself, with a prediction log that is thrown away.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from churn.command import run, say, show
from load_tests.served import ROOT, served
from load_tests.simulated import simulated


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="load-test-") as name, ExitStack() as stack:
        pool = Path(name, "customers.json")
        pool.write_text(json.dumps(simulated(arguments.seed)))
        url = arguments.url or stack.enter_context(served(_own(name), Path(name))).url
        say(f"{arguments.users} users ask {url} for {arguments.seconds} seconds")
        status = _locust(url, pool, arguments)
    show(f"report in {arguments.report}" + ("" if status == 0 else "; there were errors, or no answers at all"))
    return 1 if status else 0


def _own(folder: str) -> dict[str, str]:
    """The settings of a service that nobody else calls."""
    return {"CHURN_LOG_DIR": f"{folder}/predictions", "CHURN_API_KEYS": "", "CHURN_API_KEYS_FILE": ""}


def _locust(url: str, pool: Path, arguments: argparse.Namespace) -> int:
    """Run Locust, which prints the table; its exit status is not 0 when an answer was an error."""
    arguments.report.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "load_tests" / "locustfile.py")]
    command += ["--headless", "--only-summary", "--loglevel", "WARNING", "--host", url]
    command += ["--users", str(arguments.users), "--spawn-rate", str(arguments.users)]
    command += ["--run-time", f"{arguments.seconds}s", "--html", str(arguments.report.resolve())]
    environment = os.environ | {"LOAD_CUSTOMERS": str(pool), "SEED": str(arguments.seed), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, check=False).returncode


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="", help="of a running service; without one, the champion is served")
    parser.add_argument("--users", type=int, default=16, help="callers at a time, each with one request on its way")
    parser.add_argument("--seconds", type=int, default=30, help="how long")
    parser.add_argument("--seed", type=int, default=7, help="of the customers")
    parser.add_argument("--report", type=Path, default=Path("reports/load_test.html"), help="the HTML report")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
