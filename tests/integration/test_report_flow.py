"""The weekly job under Prefect: with its own record in the process, and as a schedule with a server of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pandas as pd
import pytest

from churn.errors import PredictionLogError, ReportError
from churn.model.scoring import Scorer
from monitoring import report
from monitoring.pages import evidently_report
from monitoring.reports.report_folder import SUMMARY
from tests.conftest import ChampionModel
from tests.support.listeners import HttpSink, http_sink
from tests.support.predictions import log_predictions, week_of_customers
from tests.support.serving import PATIENCE, PROJECT, free_port

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Prefect of the tests' own; it reads where it lives when it is first imported."""
    os.environ["PREFECT_HOME"] = str(tmp_path_factory.mktemp("prefect"))
    from prefect.testing.utilities import prefect_test_harness  # noqa: PLC0415  # see above

    with prefect_test_harness(server_startup_timeout=int(PATIENCE)):
        yield


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpSink]:
    with http_sink() as sink:
        monkeypatch.setenv("CHURN_ALERT_WEBHOOK", f"{sink.url}/hush")
        yield sink


@pytest.fixture
def logged(champion: ChampionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[pd.DataFrame], Path]:
    """Log the champion's own answers; Evidently, which takes its time, draws nothing."""
    monkeypatch.setenv("CHURN_CHAMPION", str(champion.pointer))
    monkeypatch.setattr(evidently_report, "_evidently", lambda *_: "<html><body></body></html>")
    scorer = Scorer(champion.model)

    def log(rows: pd.DataFrame) -> Path:
        probability = scorer.probability(scorer.score(scorer.encoder.frame(rows)))
        folder = tmp_path / "predictions"
        log_predictions(folder, rows, probability.tolist(), champion.model.tag, threshold=scorer.threshold)
        return folder

    return log


def options(log: Path, reports: Path) -> list[str]:
    return ["--log-dir", str(log), "--reports", str(reports)]


def texts(hook: HttpSink) -> list[str]:
    return [json.loads(request.body)["text"] for request in hook.requests]


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(("more_adverts", "name"), [(0, "Ok"), (3, "Drift")])
def test_a_run_makes_the_report_tells_and_is_completed(
    logged: Callable[[pd.DataFrame], Path], hook: HttpSink, tmp_path: Path, more_adverts: int, name: str
) -> None:
    from monitoring.flow import weekly_report  # noqa: PLC0415  # after Prefect has a home

    rows = week_of_customers(400)
    rows["adverts_7d"] += more_adverts
    reports = tmp_path / "reports"
    state = weekly_report("2018-W44", options(logged(rows), reports), return_state=True)
    assert (state.type.value, state.name) == ("COMPLETED", name)
    assert json.loads((reports / "2018-W44" / SUMMARY).read_text())["sentence"] in state.message
    assert texts(hook) == (["Churn model, week 2018-W44: ticket"] if name == "Drift" else [])


@pytest.mark.usefixtures("prefect")
def test_a_run_without_a_report_has_failed_and_told_it_once(hook: HttpSink, tmp_path: Path) -> None:
    from monitoring.flow import weekly_report  # noqa: PLC0415  # after Prefect has a home

    (tmp_path / "predictions").mkdir()
    state = weekly_report("2018-W44", options(tmp_path / "predictions", tmp_path / "reports"), return_state=True)
    assert state.type.value == "FAILED"
    assert isinstance(state.result(raise_on_failure=False), PredictionLogError)
    assert texts(hook) == ["Churn model, week 2018-W44: no report"]


@pytest.mark.usefixtures("prefect")
def test_a_disk_that_did_not_answer_is_asked_again(
    hook: HttpSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monitoring import flow  # noqa: PLC0415  # after Prefect has a home

    tries = []

    def make(request: report.Request) -> dict[str, Any]:
        tries.append(request.settings.week)
        if len(tries) < 3:
            raise OSError(5, "Input/output error")
        raise ReportError("there is nothing to report")

    monkeypatch.setattr(report.Request, "make", make)
    monkeypatch.setattr(flow, "make_report", flow.make_report.with_options(retry_delay_seconds=0))
    state = flow.weekly_report("2018-W44", options(tmp_path, tmp_path / "reports"), return_state=True)
    assert state.type.value == "FAILED"
    assert len(tries) == 3
    assert texts(hook) == ["Churn model, week 2018-W44: no report"]


@pytest.mark.usefixtures("prefect")
def test_what_another_try_may_better() -> None:
    from monitoring.flow import may_pass  # noqa: PLC0415  # after Prefect has a home

    full = ReportError("the report cannot be written")
    full.__cause__ = OSError(28, "No space left on device")
    assert [may_pass(error) for error in (OSError(), duckdb.IOException(), full)] == [True] * 3
    assert [may_pass(error) for error in (ReportError("no"), ValueError(), None)] == [False] * 3


@contextlib.contextmanager
def scheduled(folder: Path, environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`report-schedule` with a server of its own, until the end of the block; gives the server's address."""
    port = str(free_port())
    own = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_API_PORT": port,
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    }
    command = [sys.executable, "-m", "monitoring.report_schedule", *options(folder / "predictions", folder / "reports")]
    usual = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=usual | own | environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process, f"http://127.0.0.1:{port}/api"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def eventually(find: Callable[[], Any], output: Path) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if found := find():
                return found
        time.sleep(0.5)
    raise AssertionError(f"it did not happen:\n{output.read_text()}")


def test_a_schedule_runs_by_itself_and_leaves_nothing_behind(hook: HttpSink, tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    output = tmp_path / "output.txt"
    with scheduled(tmp_path, {"CHURN_REPORT_SCHEDULE": "daily", "WEEK": "2018-W44"}) as (process, url):

        def posted(path: str, **body: Any) -> Any:
            return httpx.post(f"{url}{path}", json=body, timeout=60).json()

        (deployment,) = eventually(lambda: posted("/deployments/filter"), output)
        (schedule,) = deployment["schedules"]
        assert schedule["active"] is True
        assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("0 6 * * *", "UTC")
        assert deployment["parameters"]["week"] == "2018-W44"
        planned = eventually(lambda: posted("/flow_runs/filter"), output)
        assert {run["state_type"] for run in planned} == {"SCHEDULED"}
        assert {run["expected_start_time"][11:16] for run in planned} == {"06:00"}
        made = posted(f"/deployments/{deployment['id']}/create_flow_run", state={"type": "SCHEDULED"})

        def state() -> str:
            return str(httpx.get(f"{url}/flow_runs/{made['id']}", timeout=60).json()["state_type"])

        assert eventually(lambda: state() in {"COMPLETED", "FAILED", "CRASHED"} and state(), output) == "FAILED"
        assert texts(hook) == ["Churn model, week 2018-W44: no report"]
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/health")
    assert "hush" not in output.read_text()
