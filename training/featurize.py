"""`make featurize`: the activity log to the training table and to the newest features."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from churn.activity.dataset_facts import LogFacts, TableFacts
from churn.activity.labels import HORIZON_DAYS, KINDS, Definition
from churn.activity.reading import read_events
from churn.activity.typed import EventLog, write_events
from churn.command import run, say, show
from churn.contract import CONTRACT_VERSION
from churn.errors import NotEnoughDataError, SettingError
from churn.moments import iso
from churn.quality.measures import LABEL
from training.options import add_option, parse
from training.simulate import SimulationSettings, simulate, write_log
from training.table.bodies import bodies
from training.table.dataset import fingerprint, newest_table, training_table
from training.table.folder import NEWEST, TRAINING, DataFolder

PREFERRED_LOG: Final = "customer_churn_mini.json"
SIMULATED_LOG: Final = "simulated.json.gz"
FORMATS: Final = ("table", "requests")


def main() -> None:
    arguments = _arguments()
    definition = Definition(arguments.label, arguments.horizon_days)
    if arguments.format not in FORMATS:
        raise SettingError("FORMAT", arguments.format, f"one of {', '.join(FORMATS)}")
    folder = DataFolder(arguments.data)
    source = find_log(arguments.events, folder)
    log = read_events(source, progress=say)
    for line in log.report.lines():
        say(line)
    folder.path.mkdir(parents=True, exist_ok=True)
    write_events(log, folder.events)
    facts = featurize(log, folder, source, definition)
    if arguments.format == "requests":
        written = folder.write_requests(bodies(folder.newest_table()))
        show(f"request bodies: {len(written)} files, {written[0] if written else 'none'} and on")
    _tell(facts, folder)


def find_log(given: str | None, folder: DataFolder) -> str:
    """The log to read: the one given, else the real one if it lies in the data folder, else a simulated one."""
    if given:
        return given
    preferred, simulated = folder.path / PREFERRED_LOG, folder.path / SIMULATED_LOG
    if preferred.exists():
        return str(preferred)
    if not simulated.exists():
        settings = SimulationSettings()
        say(f"no log given and no {preferred}: simulating {settings.customers} customers over {settings.days} days")
        folder.path.mkdir(parents=True, exist_ok=True)
        write_log(simulate(settings), simulated)
    return str(simulated)


def featurize(log: EventLog, folder: DataFolder, source: str, definition: Definition) -> LogFacts:
    """Write the newest features and, where the log is long enough, the training table; return the facts."""
    newest = newest_table(log.events, log.report.first_ts, log.log_end)
    folder.write_table(NEWEST, newest)
    about_the_log: dict[str, Any] = {
        "source": Path(source).name,
        "contract": CONTRACT_VERSION,
        "first_ts": log.report.first_ts,
        "log_end": log.log_end,
        "label": definition.kind,
        "horizon_days": definition.horizon_days,
        "newest_rows": len(newest),
        "read": log.report,
    }
    facts: LogFacts
    try:
        table = training_table(log.events, log.report.first_ts, log.log_end, definition, say)
    except NotEnoughDataError as error:
        folder.drop_training_table()
        facts = LogFacts(**about_the_log, refused=str(error))
    else:
        folder.write_table(TRAINING, table)
        facts = _table_facts(table, about_the_log)
    folder.write_facts(facts)
    return facts


def _table_facts(table: pd.DataFrame, about_the_log: Mapping[str, Any]) -> TableFacts:
    return TableFacts(
        **about_the_log,
        refused=None,
        rows=len(table),
        customers=int(table.customer_id.nunique()),
        snapshots=tuple(iso(int(moment)) for moment in sorted(table.as_of.unique())),
        short_snapshots=tuple(iso(int(moment)) for moment in sorted(table.as_of[table.short].unique())),
        churn_rate=float(table[LABEL].mean()),
        fingerprint=fingerprint(table),
    )


def _tell(facts: LogFacts, folder: DataFolder) -> None:
    show(
        f"newest features: {facts.newest_rows} customers at risk after {iso(facts.log_end)}, in {folder.path / NEWEST}"
    )
    if not isinstance(facts, TableFacts):
        show(f"no training table: {facts.refused}")
        return
    dates = facts.snapshots
    show(
        f"training table: {facts.rows} rows of {facts.customers} customers at {len(dates)} weekly snapshots "
        f"({dates[0]} to {dates[-1]}), {facts.churn_rate:.1%} churned, in {folder.path / TRAINING}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", default=os.environ.get("EVENTS"), help="log: file, folder or glob")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder to write to")
    add_option(parser, "label", str, "either", f"definition of churn: {', '.join(KINDS)}")
    add_option(parser, "horizon-days", int, HORIZON_DAYS, "how far the label looks")
    parser.add_argument("--format", default="table", help=f"{', '.join(FORMATS)}: also write bodies ready to post")
    return parse(parser)


if __name__ == "__main__":
    run(main)
