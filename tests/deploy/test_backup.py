"""Backup and restore as docs/deploy.md has them: nothing acknowledged is missing, and all of it works again."""

import re
import shutil
import stat
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from churn.model.artifact import load
from churn.model.champion import read_champion
from churn.prediction_log.erasing import erase
from monitoring.prediction_log.log_reader import read_week
from serving.prediction_writer import PredictionLog
from tests.conftest import ChampionModel
from tests.serving.test_prediction_writer import append, logged
from tests.support.log_contents import files, read
from tests.support.predictions import log_predictions, week_of_customers

PAGE = Path(__file__).parent.parent.parent / "docs" / "deploy.md"


def commands() -> tuple[str, str]:
    """The two blocks of the page that make a backup, and bring it back."""
    section = PAGE.read_text().partition("\n## Backup and restore\n")[2].partition("\n## ")[0]
    backup, restore, *_ = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    return backup, restore


def run(block: str, place: Path) -> None:
    subprocess.run(["sh", "-e", "-c", block.replace("/srv", str(place))], check=True)


@pytest.fixture
def running(tmp_path: Path, champion: ChampionModel) -> Path:
    """A folder with a log, reports and a store."""
    place = tmp_path / "churn"
    log_predictions(place / "predictions", week_of_customers(300), [0.25] * 300, model=champion.model.tag)
    (place / "reports" / "2018-W43").mkdir(parents=True)
    (place / "reports" / "2018-W43" / "at_risk.csv").write_text("customer_id\n30\n")
    (place / "reports" / "2018-W43" / "at_risk.csv").chmod(0o600)
    shutil.copytree(champion.home, place / "bentoml")
    shutil.copy(champion.environment["CHURN_CHAMPION"], place / "champion.json")
    return place


def test_a_backup_that_is_made_while_the_service_writes_holds_what_was_acknowledged(
    running: Path, tmp_path: Path, champion: ChampionModel
) -> None:
    backup, restore = commands()
    log = PredictionLog(running / "predictions", champion.model.tag, clock=lambda: datetime(2018, 11, 2, tzinfo=UTC))
    append(log, *(f"before-{number}" for number in range(50)))
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            append(log, *(f"during-{number}" for number in range(10)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        run(backup, tmp_path)
    finally:
        ended.set()
        writer.join()
    run(restore, tmp_path)

    restored = tmp_path / "churn-restored"
    assert {f"before-{number}" for number in range(50)} <= set(logged(restored / "predictions"))
    assert sum(read(path).foreign for path in files(restored / "predictions")) == 0
    for path in (running / "predictions", *files(running / "predictions")):
        copy = restored / path.relative_to(running)
        assert stat.S_IMODE(copy.stat().st_mode) == stat.S_IMODE(path.stat().st_mode)
    assert stat.S_IMODE((restored / "reports" / "2018-W43" / "at_risk.csv").stat().st_mode) == 0o600

    with read_week(restored / "predictions") as week:
        assert str(week.week) == "2018-W44"
        assert week.customers() >= 350
    assert erase(restored / "predictions", "before-7").lines == 1
    pointer = read_champion(restored / "champion.json")
    stored = restored / "bentoml" / champion.model.path.relative_to(champion.home)
    assert load(stored, pointer.tag, pointer.sha256).manifest == champion.model.manifest
