"""The simulated log beside the real one, its true probabilities beside what happens, and its worlds."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from churn.activity.features import DAY_MS, at_risk, come_back
from churn.activity.labels import labels
from churn.activity.reading import read_events
from churn.activity.typed import EventLog
from churn.errors import SettingError
from tests.support.log_figures import FIGURES, figures
from training.simulate import Simulation, SimulationSettings, simulate, write_log

pytestmark = pytest.mark.slow

# The figure in the simulated log may be this much of the real one. Each is at least as wide as two
# samples of 225 customers differ by chance; where the simulator is known to differ, the band says so.
BANDS = {
    "customers who cancel, %": (0.65, 1.4),
    "published inactivity label, %": (0.4, 1.5),
    "events per customer, mean": (0.75, 1.25),
    "events per customer, median": (0.7, 1.4),
    "events per customer, lower quartile": (0.6, 1.8),
    "events per customer, upper quartile": (0.7, 1.3),
    "rows without a customer, %": (0.6, 1.5),
    "rows of paying customers, %": (0.85, 1.15),
    "items per session, mean": (0.75, 1.25),
    "items per session, median": (0.75, 1.3),
    "minutes per session, mean": (0.75, 1.25),
    "minutes per session, median": (0.75, 1.3),
    "Home per 1,000 songs": (0.8, 1.2),
    "Thumbs Up per 1,000 songs": (0.85, 1.15),
    "Thumbs Down per 1,000 songs": (0.8, 1.2),
    "Add to Playlist per 1,000 songs": (0.75, 1.25),
    "Add Friend per 1,000 songs": (0.75, 1.25),
    "Roll Advert per 1,000 songs": (0.6, 1.5),
    "Downgrade per 1,000 songs": (0.75, 1.3),
    "Thumbs Up per active day, leavers to stayers": (0.7, 1.3),
    "Thumbs Down per active day, leavers to stayers": (0.7, 1.4),
    "Roll Advert per active day, leavers to stayers": (0.6, 2.0),
    "starts on a weekend day to a weekday": (0.85, 1.15),
    "song length, median in seconds": (0.9, 1.1),
}
SMALL = SimulationSettings(customers=600, days=63, seed=5)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulated") / "log.json.gz"
    write_log(simulate(SMALL), path)
    return path


@pytest.fixture(scope="module")
def log(small: Path) -> EventLog:
    return read_events(str(small))


@pytest.fixture(scope="module")
def found(small: Path) -> dict[str, float]:
    return figures(small)


@pytest.mark.parametrize("name", sorted(BANDS))
def test_the_log_is_like_the_real_one(found: dict[str, float], name: str) -> None:
    real = next(figure.real for figure in FIGURES if figure.name == name)
    low, high = BANDS[name]
    assert low <= found[name] / real <= high, f"{name}: {found[name]:.4g}, real {real}"


def test_the_reader_takes_every_row(log: EventLog) -> None:
    assert set(log.report.dropped) == {reason for reason in log.report.dropped if "no customer" in reason}
    assert log.report.customers == SMALL.customers


def test_nobody_acts_after_cancelling(log: EventLog) -> None:
    events = log.events.to_pandas()
    cancelled = events[events.page == "Cancellation Confirmation"].set_index("customer_id").ts
    last = events.groupby("customer_id").ts.max()
    assert cancelled.index.is_unique
    assert (last[cancelled.index] == cancelled).all()


def test_the_level_changes_by_its_pages_only(log: EventLog) -> None:
    events = log.events.to_pandas().sort_values(["customer_id", "ts", "session_id", "item"])
    before = events.groupby("customer_id").shift()
    changed = events[(events.level != before.level) & before.level.notna()]
    pages = set(before.loc[changed.index].page) | set(changed.page)
    assert pages & {"Submit Upgrade", "Submit Downgrade"}
    involved = before.loc[changed.index].page.isin(["Submit Upgrade", "Submit Downgrade"]) | changed.page.isin(
        ["Submit Upgrade", "Submit Downgrade"]
    )
    assert involved.all()


def test_session_numbers_repeat_between_customers(log: EventLog) -> None:
    sessions = log.events.select("customer_id", "session_id").distinct().to_pandas()
    assert sessions.session_id.duplicated().any()


def test_absent_keys_instead_of_nulls(small: Path) -> None:
    content = subprocess.run(["gzip", "-dc", str(small)], capture_output=True, check=True).stdout
    rows = [json.loads(line) for line in content.splitlines()[:2000]]
    assert all(value is not None for row in rows for value in row.values())
    assert all(("artist" in row) == (row["page"] == "NextSong") for row in rows)


def test_the_same_settings_give_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for number in range(2):
        path = tmp_path / f"{number}.json.gz"
        write_log(simulate(SimulationSettings(customers=40, days=20, seed=3)), path)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    write_log(simulate(SimulationSettings(customers=40, days=20, seed=4)), tmp_path / "other.json.gz")
    assert len(digests) == 1
    assert hashlib.sha256((tmp_path / "other.json.gz").read_bytes()).hexdigest() not in digests


def test_the_world_where_the_engaged_stay_is_the_one_that_it_always_was(tmp_path: Path) -> None:
    settings = SimulationSettings(customers=40, days=20, seed=3, world="engaged-stay")
    write_log(simulate(settings), tmp_path / "log.json")
    digest = hashlib.sha256((tmp_path / "log.json").read_bytes()).hexdigest()
    assert digest == "5bc8b63fbb6598281d54f063deeac3405fed239be2cb67cd2ba938ec61db9a7b"


@pytest.fixture(scope="module")
def long() -> Simulation:
    return simulate(SimulationSettings(customers=1500, days=150, seed=11))


def realised(simulation: Simulation, folder: Path, as_of: int) -> pd.DataFrame:
    path = folder / "log.parquet"
    if not path.exists():
        write_log(simulation, path)
    log = read_events(str(path), ibis.duckdb.connect())
    table: pd.DataFrame = labels(log.events, as_of, log.log_end).to_pandas()
    return table


def test_the_truth_is_calibrated_and_the_best_auc_is_that_of_a_hard_task(long: Simulation, tmp_path: Path) -> None:
    parts = []
    for day in (60, 90, 115):
        as_of = long.settings.start_ms + day * DAY_MS
        truth = long.true_probability(as_of)
        assert truth.probability.between(0, 1).all()
        parts.append(truth.merge(realised(long, tmp_path, as_of), on="customer_id", validate="one_to_one"))
        assert len(parts[-1]) == len(truth)
    table = pd.concat(parts)
    error = np.sqrt((table.probability * (1 - table.probability)).sum()) / len(table)
    assert abs(table.churned.mean() - table.probability.mean()) < 4 * error
    high = table[table.probability > table.probability.quantile(0.8)]
    assert abs(high.churned.mean() - high.probability.mean()) < 0.08
    assert 0.70 < roc_auc_score(table.churned, table.probability) < 0.82
    assert 0.07 < table.churned.mean() < 0.2


def test_customers_who_come_back_are_at_risk_again_in_the_log_and_in_the_truth(tmp_path: Path) -> None:
    simulation = simulate(SimulationSettings(customers=500, days=120, seed=5, returning=0.02))
    write_log(simulation, tmp_path / "log.parquet")
    log = read_events(tmp_path / "log.parquet", ibis.duckdb.connect())
    assert log.report.came_back > 20
    parts = []
    for day in (50, 70, 85):
        as_of = simulation.settings.start_ms + day * DAY_MS
        truth = simulation.true_probability(as_of)
        past = log.events.filter(log.events.ts < as_of)
        assert set(truth.customer_id) == set(at_risk(past, as_of).to_pandas().customer_id)
        back = set(come_back(past).to_pandas().customer_id)
        assert len(back & set(truth.customer_id)) > 10
        parts.append(truth.merge(realised(simulation, tmp_path, as_of), on="customer_id", validate="one_to_one"))
    table = pd.concat(parts)
    error = np.sqrt((table.probability * (1 - table.probability)).sum()) / len(table)
    assert abs(table.churned.mean() - table.probability.mean()) < 4 * error


@pytest.mark.parametrize("world", ["adverts", "price-rise", "new-market", "broken-client"])
def test_a_world_changes_from_its_day_and_not_before(world: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"customers": 150, "days": 60, "seed": 2}
    tables = []
    for number, simulation in enumerate(
        (SimulationSettings(**settings), SimulationSettings(**settings, world=world, change_day=30))
    ):
        path = tmp_path / f"{number}.parquet"
        write_log(simulate(simulation), path)
        tables.append(pd.read_parquet(path))
    first = SMALL.start_ms + 30 * DAY_MS
    base, changed = (table[table.ts >= first] for table in tables)
    if world == "broken-client":
        assert changed.userAgent.isna().mean() > base.userAgent.isna().mean() + 0.05
    elif world == "adverts":
        share = [(table.page == "Roll Advert").sum() / (table.page == "NextSong").sum() for table in (base, changed)]
        assert share[1] > 1.3 * share[0]
    elif world == "price-rise":
        leavers = [
            table.page.isin(["Cancellation Confirmation", "Submit Downgrade"]).sum() for table in (base, changed)
        ]
        assert leavers[1] > leavers[0]
    else:
        assert set(changed.location.dropna()) - set(tables[0].location.dropna())
    before = [table[table.ts < first - DAY_MS] for table in tables]
    assert abs(len(before[0]) - len(before[1])) <= 0.25 * len(before[0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"customers": 0},
        {"days": 0},
        {"world": "mars"},
        {"seed": -1},
        {"change_day": 5},
        {"world": "engaged-stay", "change_day": 5},
        {"world": "adverts", "change_day": 999},
        {"returning": 1.5},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="expected"):
        SimulationSettings(**wrong)


def test_the_command_says_what_is_wrong_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training.simulate", "--customers", "0", "--out", str(tmp_path / "x.json")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "customers=0: expected" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []
