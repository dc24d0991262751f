"""The commands of the prediction log: `python -m churn.prediction_log erase --customer ID`."""

import argparse
from pathlib import Path

from churn import command
from churn.prediction_log.erasing import erase
from churn.settings import LOG_DIR, text


def main() -> None:
    """Command line: `erase`."""
    parser = argparse.ArgumentParser(prog="python -m churn.prediction_log", description=erase.__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("erase", help="erase one customer from the prediction log")
    verb.add_argument("--customer", required=True, help="the customer's id, as it was sent")
    verb.add_argument("--folder", type=Path, default=Path(text(LOG_DIR)))
    options = parser.parse_args()
    found = erase(options.folder, options.customer)
    command.show(f"{found} lines erased in {options.folder}")


if __name__ == "__main__":
    command.run(main)
