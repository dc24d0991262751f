"""Customers of the simulator, as the service takes them."""

import tempfile
from pathlib import Path
from typing import Any, Final

from churn.activity.reading import read_events
from training.simulate import SimulationSettings, simulate, write_log
from training.table.bodies import customers
from training.table.dataset import newest_table

CUSTOMERS: Final = 300
DAYS: Final = 35


def simulated(seed: int) -> list[dict[str, Any]]:
    """Simulate a small world, and compute the features of everybody who is at risk at its end."""
    simulation = simulate(SimulationSettings(customers=CUSTOMERS, days=DAYS, seed=seed))
    with tempfile.TemporaryDirectory(prefix="load-test-") as name:
        path = Path(name, "log.json.gz")
        write_log(simulation, path)
        log = read_events(str(path))
        return customers(newest_table(log.events, log.report.first_ts, log.log_end))
