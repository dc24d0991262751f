"""Bad input at the level of the whole report: what comes of it in the files, and what does not."""

import json
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churn.errors import PredictionLogError, ReportError
from churn.model.scoring import Scorer
from churn.model.store import save
from monitoring import report
from monitoring.drift.decision import FEWEST_ROWS
from monitoring.pages import evidently_report
from monitoring.reports.report_folder import DRIFT, INDEX, MANAGER, SUMMARY, ReportFolder
from monitoring.reports.week import Week
from monitoring.weekly.weekly import ReportSettings, make
from tests.conftest import ChampionModel
from tests.support.predictions import log_predictions, week_of_customers
from training.model.manifest import ModelFacts
from training.model.trained import TrainedModel

WEEK = Week.parse("2018-W44")
ATTACK = "</script><script>window.attacked=1</script>"
Log = Callable[..., Path]


@pytest.fixture(autouse=True)
def surroundings(champion: ChampionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The champion's pointer, and no plots: tests/system has those."""
    monkeypatch.setenv("CHURN_CHAMPION", str(champion.pointer))
    monkeypatch.setattr(evidently_report, "_evidently", lambda *_: "<html><body><div>plots</div></body></html>")


@pytest.fixture
def reports(tmp_path: Path) -> ReportFolder:
    return ReportFolder(tmp_path / "reports")


@pytest.fixture
def logged(champion: ChampionModel, tmp_path: Path) -> Log:
    scorer, folder = Scorer(champion.model), tmp_path / "predictions"

    def log(rows: pd.DataFrame, model: str = champion.model.tag, **options: Any) -> Path:
        probability = scorer.probability(scorer.score(scorer.encoder.frame(rows)))
        log_predictions(folder, rows, probability.tolist(), model, threshold=scorer.threshold, **options)
        return folder

    return log


@pytest.fixture
def second(trained: TrainedModel, facts: ModelFacts) -> str:
    """Another model of the store: the same forest under a version of its own."""
    return save(vars(facts), trained.files(), {}, {}).tag


def pages(reports: ReportFolder) -> dict[str, str]:
    paths = {INDEX: reports.path / INDEX} | {name: reports.week(WEEK) / name for name in (MANAGER, DRIFT, SUMMARY)}
    return {name: path.read_text() for name, path in paths.items()}


def command(monkeypatch: pytest.MonkeyPatch, log: Path, reports: ReportFolder, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["report", "--log-dir", str(log), "--reports", str(reports.path), *options])
    return report.main()


def test_an_empty_week_is_refused_and_stays_missing(
    logged: Log, reports: ReportFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = logged(week_of_customers(300))
    make(folder, reports, ReportSettings())
    before = pages(reports)
    with pytest.raises(PredictionLogError, match="no predictions for week 2018-W45"):
        command(monkeypatch, folder, reports, "--week", "2018-W45")
    assert not reports.week(Week(WEEK.end)).exists()
    assert pages(reports) == before
    assert "no report yet</span> after 2018-W44" in before[INDEX]


def test_an_empty_log_is_refused(reports: ReportFolder, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(PredictionLogError, match="no predictions are logged in"):
        make(tmp_path / "none", reports, ReportSettings())
    assert not reports.path.exists()


def test_fewer_than_200_customers_are_too_few_on_every_page(
    logged: Log, reports: ReportFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FEWEST_ROWS == 200
    rows = week_of_customers(199)
    rows["adverts_7d"] += 3  # so many that it would page
    assert command(monkeypatch, logged(rows), reports) == 0
    found = pages(reports)
    assert json.loads(found[SUMMARY])["verdict"] == "too few"
    assert "too few</span> too few: 199 current rows, a verdict needs 200" in found[INDEX]
    assert "no verdict possible" in found[MANAGER]
    assert "199 customers this week, compared with 200 in the training data, are too few." in found[MANAGER]
    assert "<strong>too few</strong>" in found[DRIFT]
    assert not any('class="badge ok"' in page for page in found.values())


def test_200_customers_are_enough(logged: Log, reports: ReportFolder) -> None:
    assert make(logged(week_of_customers(200)), reports, ReportSettings()).verdict == "ok"


def test_truncated_and_foreign_lines_are_counted_on_every_page(logged: Log, reports: ReportFolder) -> None:
    folder = logged(week_of_customers(300))
    (path,) = folder.glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    other = json.loads(lines[0]) | {"contract": "1-00000000"}
    path.write_bytes(b"".join(lines) + b"\xff\xfe\n[]\n" + json.dumps(other).encode() + b"\n" + lines[0][:100])
    content = make(folder, reports, ReportSettings())
    assert content.predictions == 301
    assert (content.log.partial, content.log.foreign, content.log.other_contract) == (1, 2, 1)
    assert [one.file for one in content.log.unusable] == [path.name]
    found = pages(reports)
    assert "Lines of the log left out: 1 truncated, 2 foreign, in 1 file" in found[INDEX]
    assert "3 lines of the log, in 1 file, could not be used." in found[MANAGER]


def test_each_model_of_a_week_is_reported(
    logged: Log, reports: ReportFolder, champion: ChampionModel, second: str
) -> None:
    changed = week_of_customers(400)
    changed["adverts_7d"] += 3
    logged(week_of_customers(300))
    content = make(logged(changed, second, scored=datetime(2018, 11, 3, tzinfo=UTC)), reports, ReportSettings())
    assert [(one.model, one.verdict, one.customers) for one in content.models] == [
        (champion.model.tag, "ok", 300),
        (second, "drift", 400),
    ]
    further = str(content.models[1].page)
    assert second in (reports.week(WEEK) / further).read_text()
    found = pages(reports)
    assert f'{second} <a href="2018-W44/{further}">Drift report</a>' in found[INDEX]
    assert f"1 more answered this week ({second})" in found[MANAGER]
    assert content.at_risk is not None
    assert content.at_risk.flagged > 0


def test_a_reference_of_another_contract_is_refused_saying_so(
    logged: Log, reports: ReportFolder, champion: ChampionModel, second: str
) -> None:
    made_for_another_contract(second)
    logged(week_of_customers(300))
    folder = logged(week_of_customers(300), second, scored=datetime(2018, 11, 3, tzinfo=UTC))
    content = make(folder, reports, ReportSettings())
    assert content.model == champion.model.tag
    refused = content.models[1]
    assert (refused.model, refused.verdict) == (second, None)
    assert f"{second}: made for contract 0-old, this code has 2-" in str(refused.refused)
    assert "make a model for this code with `make train PROMOTE=1`" in str(refused.refused)
    assert f"not compared</span> {second}: {second}: made for contract 0-old" in pages(reports)[INDEX]


def test_without_a_reference_of_this_contract_there_is_no_report(
    logged: Log, reports: ReportFolder, second: str
) -> None:
    made_for_another_contract(second)
    with pytest.raises(ReportError, match="made for contract 0-old, this code has 2-"):
        make(logged(week_of_customers(300), second), reports, ReportSettings())
    assert not reports.week(WEEK).exists()


def made_for_another_contract(tag: str) -> None:
    import bentoml  # noqa: PLC0415  # reads BENTOML_HOME when it is imported

    path = Path(bentoml.models.get(tag).path) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"contract": "0-old"}))


def test_a_category_with_markup_is_text_on_every_page(logged: Log, reports: ReportFolder) -> None:
    rows = week_of_customers(400)
    rows.loc[rows.index % 4 == 0, "os"] = ATTACK
    content = make(logged(rows), reports, ReportSettings())
    assert content.verdict == "drift"
    assert any(ATTACK in reason for reason in content.reasons)
    found = pages(reports)
    assert found.pop(SUMMARY).encode() == content.to_bytes()
    for name, page in found.items():
        assert "<script" not in page, name
    assert "&lt;script&gt;window.attacked=1" in found[DRIFT]


def test_a_damaged_summary_of_another_week_keeps_no_week_from_its_report(
    logged: Log, reports: ReportFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = logged(week_of_customers(300))
    make(folder, reports, ReportSettings())
    for week, content in ((WEEK.previous, "[]"), (WEEK.previous.previous, "{}"), (Week(WEEK.end), '{"verdict": "ok"')):
        shutil.copytree(reports.week(WEEK), reports.week(week))
        (reports.week(week) / SUMMARY).write_text(content)
    assert make(folder, reports, ReportSettings()).verdict == "ok"
    index = pages(reports)[INDEX]
    assert index.count('class="badge ok"') == 2  # this week's: at the top, and in its line
    assert "no report of week 2018-W43: " in (told := capsys.readouterr().err)
    assert "2018-W43/summary.json: content: found '[]'" in told
    assert "2018-W42/summary.json: model: missing; make the report of this week again" in told
    assert "2018-W45/summary.json: no JSON" in told
