"""The commands of the prediction log: `python -m churn.prediction_log erase --customer ID`, and `accept-time`."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from churn import command
from churn.errors import PredictionLogError
from churn.passed_over import listed
from churn.prediction_log.erasing import erase
from churn.prediction_log.listing import listing
from churn.prediction_log.retention import accept, accepted_day, present
from churn.settings import LOG_DIR, text

NOTHING_FOUND: Final = 3
NOT_ALL_SEEN: Final = 4


def main() -> int:
    """Command line: `erase` and `accept-time`."""
    parser = argparse.ArgumentParser(prog="python -m churn.prediction_log", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    erasing = verbs.add_parser("erase", help="erase one customer from the prediction log", description=erase.__doc__)
    erasing.add_argument("--customer", required=True, help="the customer's id, in any spelling of it")
    accepting = verbs.add_parser(
        "accept-time", help="let old days be deleted again after a gap in the log", description=accept.__doc__
    )
    for verb in (erasing, accepting):
        verb.add_argument("--folder", type=Path, default=Path(text(LOG_DIR)), help="of the log (CHURN_LOG_DIR)")
    options = parser.parse_args()
    if options.verb == "accept-time":
        return _accept_time(options.folder)
    return _erase(options.folder, options.customer)


def _erase(folder: Path, customer: str) -> int:
    done = erase(folder, customer)
    command.show(f"{done.lines} lines erased in {folder}")
    for entry in done.passed_over:
        command.say(f"passed over: {entry}")
    if done.unseen:
        command.say(f"not all of the log was looked into; put these right and run again: {listed(done.unseen)}")
        return NOT_ALL_SEEN
    return 0 if done.lines else NOTHING_FOUND


def _accept_time(folder: Path) -> int:
    if not folder.is_dir():
        raise PredictionLogError(f"{folder}: there is no such folder; name that of the log (--folder, CHURN_LOG_DIR)")
    today = datetime.now(UTC).date()
    days = {file.day for file in listing(folder).files}
    before = present(days, today, accepted_day(folder))
    accept(folder, today)
    after = present(days, today, today)
    command.show(f"{folder}: days are now counted back from {after} (before: {before})")
    return 0


if __name__ == "__main__":
    command.run(main)
