"""`make simulate`: an activity log in the real schema, of any size, whose true probabilities are known."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from churn.command import run, say
from churn.errors import SettingError
from churn.moments import iso
from training.simulator.settings import DEFAULT_START, WORLDS, SimulationSettings
from training.simulator.simulation import Simulation, simulate
from training.simulator.writing import result_file, write_log
from training.table.dataset import snapshots

__all__ = ["Simulation", "SimulationSettings", "simulate", "write_log", "write_truth"]


def write_truth(simulation: Simulation, path: Path | str) -> None:
    """Write the true probabilities at the weekly snapshots of training: CSV, or Parquet to `*.parquet`.

    Columns: `customer_id`, `as_of` (UTC epoch milliseconds), `probability` (of the label
    `either` over 30 days).

    Raises:
        NotEnoughDataError: the log is too short for a snapshot.
        SettingError: the file cannot be written.
    """
    target = Path(path)
    table = _true_probabilities(simulation)
    with result_file(target) as fresh:
        if target.suffix == ".parquet":
            table.to_parquet(fresh, index=False)
        else:
            table.to_csv(fresh, index=False)


def _true_probabilities(simulation: Simulation) -> pd.DataFrame:
    dates = sorted(snapshot.as_of for snapshot in snapshots(int(simulation.ts[0]), int(simulation.ts[-1])))
    parts = []
    for as_of in dates:
        part = simulation.true_probability(as_of)
        part.insert(1, "as_of", np.int64(as_of))
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    arguments = _arguments()
    settings = SimulationSettings(
        customers=arguments.customers,
        days=arguments.days,
        seed=arguments.seed,
        start=_midnight(arguments.start),
        world=arguments.world,
        change_day=arguments.change_day,
        returning=arguments.returning,
    )
    say(f"simulating {settings.customers:,} customers over {settings.days} days from {iso(settings.start_ms)}")
    simulation = simulate(settings, say)
    write_log(simulation, arguments.out, say)
    if arguments.truth:
        write_truth(simulation, arguments.truth)
        say(f"true probabilities in {arguments.truth}")


def _midnight(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise SettingError("start", text, "a date such as 2018-10-01") from error


def _arguments() -> argparse.Namespace:
    standard = SimulationSettings()
    parser = argparse.ArgumentParser(prog="python -m training.simulate", description=__doc__)
    parser.add_argument("--customers", type=int, default=standard.customers, help="customers the log shows")
    parser.add_argument("--days", type=int, default=standard.days, help="length of the log")
    parser.add_argument("--seed", type=int, default=standard.seed, help="of every draw")
    parser.add_argument("--start", default=DEFAULT_START.date().isoformat(), help="first day, UTC")
    parser.add_argument("--world", default=standard.world, help=f"one of {', '.join(WORLDS)}")
    parser.add_argument("--change-day", type=int, help="day from which the world is changed (two thirds of the log)")
    parser.add_argument(
        "--returning",
        type=float,
        default=standard.returning,
        help="chance a day that a customer who cancelled comes back",
    )
    parser.add_argument("--out", type=Path, required=True, help="*.json, *.json.gz or *.parquet")
    parser.add_argument("--truth", type=Path, help="also write the true probabilities (*.csv, *.parquet)")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
