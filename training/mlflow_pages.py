"""`make mlflow`: MLflow's pages on the runs that training tracked."""

import argparse
import os
import sys
from pathlib import Path

from churn.command import add_address, run, show
from training.tracking.place import check_answers, tracking_uri, without_password


def main() -> None:
    arguments = _arguments()
    uri = tracking_uri(arguments.data)
    if uri.startswith(("http://", "https://")):
        show(f"the runs are on the server at {without_password(uri)}: open it in a browser")
        return
    check_answers(uri)
    show(f"runs in {without_password(uri)} at http://{arguments.host}:{arguments.port} (Ctrl-C ends it)")
    place = ["--host", arguments.host, "--port", str(arguments.port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, *place]
    os.execv(sys.executable, command)  # noqa: S606  # this process becomes MLflow's, and ends with it


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.mlflow_pages", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder that was trained in")
    add_address(parser, 5000)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
