"""The command as processes: two at once, one that is killed, and what its channels and status say."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from churn.model.scoring import Scorer
from monitoring.reports.report_folder import AT_RISK, COLUMNS, DRIFT, INDEX, MANAGER, SUMMARY
from tests.conftest import ChampionModel
from tests.support.listeners import HttpSink, closed_port, http_sink
from tests.support.predictions import log_predictions, week_of_customers
from tests.support.serving import PATIENCE, PROJECT

pytestmark = pytest.mark.integration

FILES = {AT_RISK, COLUMNS, DRIFT, MANAGER, SUMMARY}

UNDRAWN = """
from churn.command import run
from monitoring import report
from monitoring.pages import evidently_report

evidently_report._evidently = lambda *_: "<html><body></body></html>"
run(report.main)
"""
"""The command; Evidently, which takes its time, draws nothing."""


@pytest.fixture(scope="module")
def log(champion: ChampionModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    scorer, folder = Scorer(champion.model), tmp_path_factory.mktemp("log") / "predictions"
    rows = week_of_customers(400)
    probability = scorer.probability(scorer.score(scorer.encoder.frame(rows)))
    log_predictions(folder, rows, probability.tolist(), champion.model.tag, threshold=scorer.threshold)
    return folder


@pytest.fixture
def gateway() -> Iterator[HttpSink]:
    with http_sink() as sink:
        yield sink


def report(champion: ChampionModel, log: Path, reports: Path, **settings: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", UNDRAWN, "--log-dir", str(log), "--reports", str(reports)],
        cwd=PROJECT,
        env=os.environ | champion.environment | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass(frozen=True)
class Twice:
    """What two runs at once said and left."""

    said: list[tuple[str, str]]
    statuses: list[int]
    reports: Path
    asked: list[str]


@pytest.fixture(scope="module")
def twice(champion: ChampionModel, log: Path, tmp_path_factory: pytest.TempPathFactory) -> Twice:
    reports = tmp_path_factory.mktemp("twice") / "reports"
    with http_sink() as sink:
        settings = {"CHURN_ALERT_WEBHOOK": f"{sink.url}/hush", "CHURN_PUSHGATEWAY": sink.url}
        both = [report(champion, log, reports, CHURN_ALERT_ON="always", **settings) for _ in range(2)]
        said = [one.communicate(timeout=2 * PATIENCE) for one in both]
        return Twice(said, [one.returncode for one in both], reports, [request.path for request in sink.requests])


def test_two_at_once_both_end_well_and_leave_one_whole_report(twice: Twice) -> None:
    assert twice.statuses == [0, 0], twice.said
    assert {path.name for path in twice.reports.iterdir()} == {"2018-W44", INDEX}
    assert {path.name for path in (twice.reports / "2018-W44").iterdir()} >= FILES
    assert sorted(twice.asked) == ["/hush"] * 2 + ["/metrics/job/churn_report"] * 2
    assert "hush" not in str(twice.said)


def contents(reports: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (reports / "2018-W44").iterdir()}


def test_a_killed_run_leaves_the_last_good_report_and_the_next_run_ends_well(
    champion: ChampionModel, log: Path, twice: Twice, tmp_path: Path
) -> None:
    reports = tmp_path / "reports"
    shutil.copytree(twice.reports, reports)
    before = contents(reports)
    killed = report(champion, log, reports)
    assert killed.stderr is not None
    for line in killed.stderr:
        if "drawing the report" in line:
            killed.send_signal(signal.SIGKILL)
    assert killed.wait(PATIENCE) == -signal.SIGKILL
    assert contents(reports) == before
    failing = {"CHURN_ALERT_ON": "always", "CHURN_ALERT_WEBHOOK": f"http://127.0.0.1:{closed_port()}/hush"}
    again = report(champion, log, reports, **failing)
    out, err = again.communicate(timeout=2 * PATIENCE)
    assert again.returncode == 3, err
    assert "channel failed: webhook: 127.0.0.1: cannot be reached" in err
    assert str(reports / "2018-W44" / DRIFT) in out
    after = contents(reports)
    drawn = {DRIFT}  # Evidently names its plots at random
    assert {name: after[name] for name in after.keys() - drawn} == {
        name: before[name] for name in before.keys() - drawn
    }


def test_without_a_log_the_status_is_1_and_everybody_hears_why(
    champion: ChampionModel, tmp_path: Path, gateway: HttpSink
) -> None:
    (tmp_path / "empty").mkdir()
    failed = report(champion, tmp_path / "empty", tmp_path / "reports", CHURN_ALERT_WEBHOOK=gateway.url)
    _, err = failed.communicate(timeout=PATIENCE)
    assert failed.returncode == 1
    assert "error: no predictions are logged in" in err
    assert "Traceback" not in err
    (request,) = gateway.requests
    assert "no predictions are logged in" in request.body.decode()
