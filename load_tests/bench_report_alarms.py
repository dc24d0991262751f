"""Measure how often weekly reports alarm on simulated logs, the whole way from the log to the verdict.

Each seed is a world of its own: a log is simulated, a forest is trained on the snapshots
whose labels are known, and every week after them is scored and compared with the model's
reference, as `make report` does. In the unchanged world the share of reports that alarm
must stay within the false-alarm rate; in the others it should be high once the change has
gone on for some weeks. Prints a table like that of docs/drift.md as Markdown:

    python -m load_tests.bench_report_alarms                 # 20 seeds of each world, 4 weeks each
    python -m load_tests.bench_report_alarms --weeks 26 --world baseline
    python -m load_tests.bench_report_alarms --seeds 3 --customers 1000 --world baseline

What is done is kept in a file, a line for each report: a run that was ended goes on where it stopped.
"""

import argparse
import json
import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from churn.activity.features import DAY_MS, Moment, features
from churn.activity.labels import HORIZON_DAYS
from churn.activity.reading import read_events
from churn.model.scoring import calibrated
from load_tests.error_rates import exact_interval
from monitoring.drift.column_summary import summarise_frame
from monitoring.drift.decision import MONITORED, decide
from monitoring.drift.stored_models import reference_frame
from monitoring.findings.drift import DriftDecision
from training.forest.fit import ForestSettings
from training.model.trained import TrainedModel, TrainingSettings
from training.run.train import train
from training.simulate import SimulationSettings, simulate, write_log
from training.simulator.settings import UNCHANGING, WORLDS
from training.table.dataset import as_frame, training_table

log = logging.getLogger("bench-report-alarms")

DAYS: Final = 150
"""Days of the log that the forest is trained on; the weeks after its newest labelled snapshot may go beyond them."""

FOREST: Final = ForestSettings(trees=100, depth=8, leaf=20, jobs=2)


@dataclass(frozen=True)
class Report:
    """One weekly report: of which world, how many days after the reference, and whether it alarmed because of what."""

    world: str
    customers: int
    seed: int
    days_after: int
    page: bool
    alarm: bool
    blamed: tuple[str, ...]

    @classmethod
    def of(cls, world: str, customers: int, seed: int, days_after: int, decision: DriftDecision) -> "Report":
        blamed = tuple(f"{test.feature}/{test.test}" for test in decision.tests if test.severity != "none")
        severity = decision.severity
        return cls(world, customers, seed, days_after, severity == "page", severity != "none", blamed)


def days_after(weeks: int) -> tuple[int, ...]:
    """When the reports are due: every week, and the end of the log that was trained on, which the demo scores."""
    return tuple(sorted({*range(7, 7 * weeks + 1, 7), HORIZON_DAYS}))


def reports(world: str, customers: int, seed: int, due: tuple[int, ...]) -> Iterator[Report]:
    """The weekly reports of one world, from its log; a change begins with the first of them."""
    change = None if world in UNCHANGING else DAYS - HORIZON_DAYS
    days = DAYS + max(due) - HORIZON_DAYS
    settings = SimulationSettings(customers=customers, days=days, seed=seed, world=world, change_day=change)
    with tempfile.TemporaryDirectory(prefix="churn-bench-") as folder:
        path = Path(folder, "log.parquet")
        write_log(simulate(settings), path)
        events = read_events(path)
        trained_until = events.log_end - (days - DAYS) * DAY_MS
        known = events.events.filter(events.events.ts <= trained_until)
        table = training_table(known, events.report.first_ts, trained_until)
        trained = train(table, TrainingSettings("either", HORIZON_DAYS, folds=3, origins=1, forest=FOREST), log.debug)
        reference = summarise_frame(reference_frame(trained.reference, trained.threshold), MONITORED)
        for elapsed in due:
            as_of = int(table.as_of.max()) + elapsed * DAY_MS
            moment = Moment(as_of, (as_of - events.report.first_ts) / DAY_MS)
            scored = summarise_frame(_scored(as_frame(features(events.events, moment)), trained), MONITORED)
            yield Report.of(world, customers, seed, elapsed, decide(reference, scored, elapsed_days=elapsed))


def _scored(rows: pd.DataFrame, trained: TrainedModel) -> pd.DataFrame:
    score = trained.fitted.score(trained.fitted.encoder.frame(rows))
    return reference_frame(rows.assign(probability=calibrated(score, trained.calibration)), trained.threshold)


@dataclass(frozen=True)
class Kept:
    """The file of what has been done, a JSON line for each report; a line cut short is one that is not there."""

    path: Path

    def reports(self) -> list[Report]:
        if not self.path.exists():
            return []
        lines = self.path.read_text().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        return [Report(**fields | {"blamed": tuple(fields["blamed"])}) for fields in found]

    def add(self, found: Iterable[Report]) -> None:
        """Append all reports of one seed in one write, so that a seed is there as a whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write("".join(json.dumps(asdict(report)) + "\n" for report in found))


def measured(kept: Kept, world: str, arguments: argparse.Namespace) -> list[Report]:
    """The reports of the asked seeds of one world: those that are kept, and the others made now."""
    due, seeds = days_after(arguments.weeks), range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    for seed in seeds:
        known = {one.days_after for one in _of(kept, world, arguments.customers) if one.seed == seed}
        if not known >= set(due):
            made = [one for one in reports(world, arguments.customers, seed, due) if one.days_after not in known]
            kept.add(made)
            pages = sum(one.page for one in made)
            log.info("%s, seed %d: %d of %d reports page", world, seed, pages, len(made))
    found = _of(kept, world, arguments.customers)
    return [one for one in found if one.days_after in due and one.seed in seeds]


def _of(kept: Kept, world: str, customers: int) -> list[Report]:
    return [one for one in kept.reports() if (one.world, one.customers) == (world, customers)]


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print("| world | customers | days after the reference | reports | page | page or warn |")
    print("|---|---|---|---|---|---|")
    for world in arguments.world or WORLDS:
        found = measured(Kept(arguments.kept), world, arguments)
        for days in days_after(arguments.weeks):
            _print_row(world, arguments.customers, str(days), [one for one in found if one.days_after == days])
        _print_row(world, arguments.customers, "all", found)
        blamed = Counter(name for one in found for name in one.blamed)
        log.info("%s: %s", world, dict(blamed.most_common(12)))


def _print_row(world: str, customers: int, days: str, found: list[Report]) -> None:
    shares = []
    for hits in (sum(one.page for one in found), sum(one.alarm for one in found)):
        low, high = exact_interval(hits, len(found))
        shares.append(f"{hits / len(found):.1%} ({100 * low:.1f}–{100 * high:.1f})")
    print(f"| {world} | {customers:,} | {days} | {len(found)} | {' | '.join(shares)} |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--weeks", type=int, default=4, help="weekly reports after the reference")
    parser.add_argument("--world", action="append", choices=WORLDS, help="all of them, without")
    parser.add_argument("--kept", type=Path, default=Path("reports/bench/alarms.jsonl"), help="what has been done")
    return parser.parse_args()


if __name__ == "__main__":
    main()
