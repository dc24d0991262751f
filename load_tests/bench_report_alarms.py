"""Measure how often weekly reports alarm on simulated logs, the whole way from the log to the verdict.

Each seed is a world of its own: a log is simulated, a forest is trained on the snapshots
whose labels are known, and every week after them is scored and compared with the model's
reference, as `make report` does. In the unchanged world the share of reports that alarm
must stay within the false-alarm rate; in the others it should be high once the change has
gone on for some weeks. Prints a table like that of docs/drift.md as Markdown:

    python -m load_tests.bench_report_alarms                 # 20 seeds of each world
    python -m load_tests.bench_report_alarms --seeds 3 --customers 1000 --world baseline
"""

import argparse
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from churn.activity.features import DAY_MS, features
from churn.activity.labels import HORIZON_DAYS
from churn.activity.reading import read_events
from churn.model.scoring import calibrated
from load_tests.error_rates import exact_interval
from monitoring.drift import wording
from monitoring.drift.column_summary import summarise_frame
from monitoring.drift.decision import MONITORED, decide
from monitoring.drift.stored_models import reference_frame
from monitoring.findings.drift import DriftDecision
from training.forest.fit import ForestSettings
from training.simulate import SimulationSettings, simulate, write_log
from training.simulator.settings import WORLDS
from training.table.dataset import training_table
from training.train import Trained, TrainingSettings, train

log = logging.getLogger("bench-report-alarms")

DAYS: Final = 150
FOREST: Final = ForestSettings(trees=100, depth=8, leaf=20, jobs=2)
WEEKS_AFTER: Final = (7, 14, 21, 28, HORIZON_DAYS)
"""Days after the newest labelled snapshot; the last is the end of the log, which the demo scores."""


@dataclass(frozen=True)
class Week:
    """One weekly report: days after the reference, and what was decided."""

    days_after: int
    decision: DriftDecision


def weeks(world: str, customers: int, seed: int) -> Iterator[Week]:
    """The weekly reports of one world, from its log; a change begins with the first of them."""
    change = None if world == "baseline" else DAYS - HORIZON_DAYS
    settings = SimulationSettings(customers=customers, days=DAYS, seed=seed, world=world, change_day=change)
    with tempfile.TemporaryDirectory(prefix="churn-bench-") as folder:
        path = Path(folder, "log.parquet")
        write_log(simulate(settings), path)
        events = read_events(path)
        table = training_table(events.events, events.report.first_ts, events.log_end)
        trained = train(table, TrainingSettings("either", HORIZON_DAYS, folds=3, origins=1, forest=FOREST), log.debug)
        reference = summarise_frame(reference_frame(trained.reference, trained.threshold), MONITORED)
        for days in WEEKS_AFTER:
            as_of = int(table.as_of.max()) + days * DAY_MS
            scored = _scored(features(events.events, as_of).to_pandas(), trained)
            yield Week(days, decide(reference, summarise_frame(scored, MONITORED)))


def _scored(rows: pd.DataFrame, trained: Trained) -> pd.DataFrame:
    score = trained.fitted.score(trained.fitted.encoder.frame(rows))
    return reference_frame(rows.assign(probability=calibrated(score, trained.calibration)), trained.threshold)


@dataclass
class Tally:
    """Reports of one world and one number of days, added up."""

    reports: int = 0
    pages: int = 0
    alarms: int = 0

    def add(self, decision: DriftDecision) -> None:
        self.reports += 1
        self.pages += decision.verdict == "drift"
        self.alarms += decision.severity != "none"


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print("| world | customers | days after the reference | reports | page | page or warn |")
    print("|---|---|---|---|---|---|")
    for world in arguments.world or WORLDS:
        tallies = {days: Tally() for days in WEEKS_AFTER}
        blamed: Counter[str] = Counter()
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            for week in weeks(world, arguments.customers, seed):
                tallies[week.days_after].add(week.decision)
                blamed.update({t.feature + "/" + t.test for t in week.decision.tests if t.severity != "none"})
                log.info("%s, seed %d, +%d days: %s", world, seed, week.days_after, wording.sentence(week.decision))
        for days, tally in tallies.items():
            print(f"| {world} | {arguments.customers:,} | {days} | {tally.reports} | {_share(tally)} |", flush=True)
        log.info("%s: %s", world, dict(blamed.most_common(12)))


def _share(tally: Tally) -> str:
    parts = []
    for hits in (tally.pages, tally.alarms):
        low, high = exact_interval(hits, tally.reports)
        parts.append(f"{hits / tally.reports:.0%} ({100 * low:.0f}–{100 * high:.0f})")
    return " | ".join(parts)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--world", action="append", choices=WORLDS, help="all of them, without")
    return parser.parse_args()


if __name__ == "__main__":
    main()
