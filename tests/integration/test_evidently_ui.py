"""The weeks in Evidently's own pages: a real server, asked over HTTP."""

import contextlib
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from churn.errors import ReportError
from monitoring.drift.column_summary import summarise_frame
from monitoring.drift.decision import CHURN_PROBABILITY, MONITORED, decide
from monitoring.evidently_ui import PROJECT as TITLE
from monitoring.evidently_ui import fill
from monitoring.findings.drift import DriftDecision
from monitoring.pages import evidently_report
from monitoring.reports.report_folder import SUMMARY, ReportFolder
from monitoring.reports.week import Week
from tests.integration.test_report_flow import eventually
from tests.support.serving import PATIENCE, PROJECT, free_port

pytestmark = pytest.mark.integration

WEEK = Week.parse("2018-W44")
SHOWN = [feature for feature in MONITORED if feature.name in {"level", "songs_7d", CHURN_PROBABILITY.name}]


def population(shift: float) -> pd.DataFrame:
    generator = np.random.default_rng(7)
    numbers = {feature.name: generator.uniform(size=300) + shift for feature in SHOWN if not feature.is_category}
    return pd.DataFrame(numbers | {"level": ["free", "paid", "paid"] * 100})


def decided(shift: float) -> DriftDecision:
    before, after = (summarise_frame(population(by), SHOWN) for by in (0.0, shift))
    return decide(before, after, features=SHOWN)


def paging(shift: float) -> int:
    """How many of the columns drifted."""
    leading = [decided(shift).leading(feature.name) for feature in SHOWN]
    return sum(test is not None and test.severity == "page" for test in leading)


def snapshot(shift: float) -> bytes:
    kept: list[str] = []
    head = evidently_report.Head("week", [])
    evidently_report.render(population(0.0), population(shift), decided(shift), head, SHOWN, keep=kept.append)
    (text,) = kept
    return gzip.compress(text.encode())


def summary(week: Week, verdict: str) -> bytes:
    drawn = {"model": "churn:new", "predictions": 900, "customers": 300, "page": "drift.html"}
    drawn |= {"verdict": verdict, "severity": "none"}
    gone = {"model": "churn:gone", "predictions": 9, "customers": 9, "refused": "it is not in the store"}
    return json.dumps({"schema": 1, "week": str(week), **drawn, "models": [drawn, gone]}).encode()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> ReportFolder:
    """Two weeks with a page, the later one changed, and one from before pages could be drawn again."""
    folder = ReportFolder(tmp_path_factory.mktemp("ui") / "reports")
    for week, verdict, shift in ((WEEK, "ok", 0.0), (Week(WEEK.end), "drift", 0.2)):
        files = {SUMMARY: summary(week, verdict), evidently_report.snapshot_of("drift.html"): snapshot(shift)}
        folder.replace_week(week, files)
    folder.replace_week(WEEK.previous, {SUMMARY: summary(WEEK.previous, "ok")})
    return folder


@contextlib.contextmanager
def shown(reports: ReportFolder, workspace: Path) -> Iterator[Callable[..., Any]]:
    """`monitor-ui` until the end of the block; gives what asks it."""
    port = str(free_port())
    options = ["--reports", str(reports.path), "--workspace", str(workspace), "--port", port]
    command = [sys.executable, "-m", "monitoring.evidently_ui", *options]
    output = workspace.parent / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=PROJECT, env=dict(os.environ), stdout=file, stderr=file)

    def ask(path: str, **body: Any) -> Any:
        url = f"http://127.0.0.1:{port}/api{path}"
        return (httpx.post(url, json=body, timeout=60) if body else httpx.get(url, timeout=60)).json()

    try:
        eventually(lambda: ask("/projects"), output)
        yield ask
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_the_weeks_are_runs_of_one_project_however_often_it_is_started(reports: ReportFolder, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    assert fill(workspace, reports) == 2
    with shown(reports, workspace) as ask:
        (project,) = ask("/projects")
        assert project["name"] == TITLE
        runs = sorted(ask(f"/projects/{project['id']}/reports"), key=lambda run: str(run["name"]))
        assert [(run["name"], run["timestamp"], run["tags"]) for run in runs] == [
            ("2018-W44 churn:new", "2018-11-04T23:59:59", ["ok"]),
            ("2018-W45 churn:new", "2018-11-11T23:59:59", ["drift"]),
        ]
        assert runs[0]["metadata"]["customers"] == "300"
        series = {
            "DriftedColumnsCount": {"value_type": "count"},
            "MeanValue": {"column": CHURN_PROBABILITY.name},
        }
        wanted = [
            {"tags": [], "metadata": {}, "metric": f"evidently:metric_v2:{metric}", "metric_labels": labels}
            for metric, labels in series.items()
        ]
        answer = ask(f"/v2/snapshots/{project['id']}/data_series_batch", series_filter=wanted)
        found = {one["metric_type"]: one["values"] for one in answer["series"]}
        drifted, mean = (found[f"evidently:metric_v2:{metric}"] for metric in series)
        assert drifted == [0, paging(0.2)]
        assert paging(0.2) > 0
        assert mean == pytest.approx([0.5, 0.7], abs=0.05)


def test_a_week_without_a_snapshot_is_told(
    reports: ReportFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path, reports)
    assert "2018-W43: drift.snapshot.json.gz is missing; make the report of this week again" in capsys.readouterr().err


def test_without_a_report_there_is_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="make report"):
        fill(tmp_path / "workspace", ReportFolder(tmp_path))
    assert not (tmp_path / "workspace").exists()
