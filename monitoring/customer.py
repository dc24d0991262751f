"""`make customer ID=`: one page about one customer, beside the list of who is at risk, for whoever is on the phone.

It is made from the prediction log, so it says what the list says, and a customer who was erased has none.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import pandas as pd

from churn.command import run, say, show
from churn.contract import BY_NAME, CONTRACT_VERSION, NAMES
from churn.customer_ids import customer_key
from churn.errors import ReportError, SettingError
from churn.files import replace_file
from churn.model.explaining import Explainer, stated
from churn.model.scoring import Scorer
from churn.moments import epoch_ms
from churn.prediction_log.line import LogLine
from churn.settings import LOG_DIR, text
from monitoring.drift.stored_models import watched
from monitoring.labels.hold_out import day_text
from monitoring.labels.treatments import HELD_OUT, treatments
from monitoring.pages.customer_page import CustomerFacts, WeekOfCustomer, page
from monitoring.pages.waterfall import waterfall
from monitoring.prediction_log.one_customer import answers_about
from monitoring.reports.report_folder import AT_RISK, CUSTOMER, ReportFolder
from monitoring.reports.week import Week
from monitoring.weekly.at_risk import explained

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def main() -> None:
    arguments = _arguments(sys.argv[1:])
    key = customer_key(arguments.id)
    if not key:
        raise SettingError("ID", arguments.id, "a customer's id")
    reports = ReportFolder(arguments.reports)
    week = _week(reports, arguments.week)
    answers = [line for line in answers_about(arguments.log_dir, key) if _week_of(line) <= week]
    if not answers or _week_of(answers[-1]) != week:
        raise ReportError(
            f"the log has no prediction about this customer in week {week}: never seen, not at risk, or erased; "
            "nothing was written"
        )
    content = page(facts(answers, _offers(arguments.offers, key)))
    path = reports.week(week) / f"{CUSTOMER}{_name(key)}.html"
    replace_file(path, content, 0o600)
    show(f"customer page: {path}")


def _week(reports: ReportFolder, name: str | None) -> Week:
    """The week asked for, or the newest with a list."""
    weeks = [Week.parse(name)] if name else list(reports.summaries(say))[-1:]
    if not weeks or reports.read(weeks[0], AT_RISK) is None:
        which = f"week {weeks[0]}" if weeks else "any week"
        raise ReportError(f"{reports.path} has no {AT_RISK} of {which}; make the report first: make report")
    return weeks[0]


def _name(key: str) -> str:
    """The customer's part of the file's name; an id that is no name for a file is told by its hash."""
    return key if _PLAIN.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()[:16]


def _moment(line: LogLine) -> datetime:
    return datetime.fromisoformat(line["as_of"])


def _week_of(line: LogLine) -> Week:
    return Week.of(epoch_ms(_moment(line)))


def facts(answers: Sequence[LogLine], offers: Sequence[str]) -> CustomerFacts:
    """Collect the content of the page.

    Raises:
        ReportError: the newest answer was made for other features.
        ModelStoreError: the model that gave it is gone.
    """
    newest = answers[-1]
    if newest["contract"] != CONTRACT_VERSION:
        raise ReportError(
            f"the newest answer about this customer is of contract {newest['contract']}, this code has "
            f"{CONTRACT_VERSION}; score the customers again, or use the code of that contract"
        )
    model = watched(newest["model"]).model
    scorer, explainer = Scorer(model), Explainer(model.forest(), model.manifest.columns)
    values = {name: newest["features"].get(name) for name in NAMES}
    matrix = scorer.encoder.frame(pd.DataFrame([values], dtype=object))
    contributions = explainer.contributions(matrix)[0]
    labelled = [
        (stated(BY_NAME[name], values[name]), float(share)) for name, share in zip(NAMES, contributions, strict=True)
    ]
    listed = next(explained(pd.DataFrame([values | _answer(newest)], dtype=object), model))
    return CustomerFacts(
        customer_id=newest["customer_id"],
        as_of=f"{_moment(newest):%Y-%m-%d %H:%M} UTC",
        flagged=newest["will_churn"],
        threshold=scorer.threshold,
        context=listed.context,
        course=list(_course(answers)),
        reasons=listed.reasons,
        base=explainer.base_value,
        score=float(explainer.base_value + contributions.sum()),
        steps=waterfall(explainer.base_value, labelled),
        help=listed.help,
        offers=offers,
    )


def _answer(line: LogLine) -> dict[str, str | float]:
    return {"customer_id": line["customer_id"], "churn_probability": line["churn_probability"]}


def _course(answers: Sequence[LogLine]) -> Iterator[WeekOfCustomer]:
    """The newest answer of each week."""
    newest = {_week_of(line): line["churn_probability"] for line in answers}
    for week, probability in sorted(newest.items()):
        yield WeekOfCustomer(str(week), probability)


def _offers(path: Path, key: str) -> list[str]:
    """The customer's rows in the campaign's file, if there is one."""
    rows = treatments(path) if path.exists() else []
    return [
        f"{day_text(one.day)}: {'held out, no offer' if one.group == HELD_OUT else 'offer'}"
        for one in sorted(rows, key=lambda one: one.day)
        if one.customer_id == key
    ]


def _arguments(options: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m monitoring.customer", description=__doc__)
    parser.add_argument("--id", required=True, help="the customer")
    parser.add_argument("--week", help="such as 2018-W44 (the newest with a report)")
    parser.add_argument("--log-dir", type=Path, default=Path(text(LOG_DIR)), help="folder of the prediction log")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder of the weekly reports")
    parser.add_argument("--offers", type=Path, default=Path("data/offers.csv"), help="the campaign's file")
    return parser.parse_args(options)


if __name__ == "__main__":
    run(main)
