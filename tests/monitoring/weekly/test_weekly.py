"""The weekly report, from a log to its files: what it says, what it refuses, and what it must not hold."""

import csv
import gzip
import json
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn.contract import FEATURES
from churn.errors import ModelStoreError, PredictionLogError, ReportError, SettingError
from churn.model.scoring import Scorer
from monitoring import report
from monitoring.drift.decision import MONITORED
from monitoring.findings.performance import PendingLabels
from monitoring.findings.summary import AtRiskCounts, Reference, Stale, Volume
from monitoring.pages import evidently_report
from monitoring.reports.report_folder import AT_RISK, COLUMNS, DRIFT, INDEX, MANAGER, SUMMARY, ReportFolder
from monitoring.reports.week import Week
from monitoring.weekly.weekly import ReportSettings, make
from tests.conftest import ChampionModel
from tests.support.predictions import THURSDAY, log_predictions, week_of_customers

WEEK = Week.parse("2018-W44")
WEEK_MS = 7 * 86_400_000


@pytest.fixture
def reports(tmp_path: Path) -> ReportFolder:
    return ReportFolder(tmp_path / "reports")


@pytest.fixture(autouse=True)
def pointer(champion: ChampionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_CHAMPION", str(champion.pointer))


@pytest.fixture(autouse=True)
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidently takes ten seconds for all columns: only the test that is about its page draws one."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(evidently_report, "_evidently", lambda *_: "<html><body><div>plots</div></body></html>")


@pytest.fixture
def drawn() -> None:
    """Asked for by a test that wants Evidently's own page."""


@pytest.fixture
def logged(champion: ChampionModel, tmp_path: Path) -> Callable[..., Path]:
    """Log the champion's own answers about some customers."""
    scorer, folder = Scorer(champion.model), tmp_path / "predictions"

    def log(rows: pd.DataFrame, model: str = champion.model.tag, **options: Any) -> Path:
        probability = scorer.probability(scorer.score(scorer.encoder.frame(rows)))
        log_predictions(folder, rows, probability.tolist(), model, threshold=scorer.threshold, **options)
        return folder

    return log


def summary_of(reports: ReportFolder, week: Week = WEEK) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((reports.week(week) / SUMMARY).read_text())
    return found


def test_an_unchanged_week_is_reported_without_alarm(
    logged: Callable[..., Path], reports: ReportFolder, champion: ChampionModel
) -> None:
    rows = week_of_customers(400)
    content = make(logged(rows), reports, ReportSettings())
    assert content.verdict == "ok"
    assert (content.week, content.customers, content.predictions) == ("2018-W44", 400, 400)
    assert content.reference == Reference(rows=200, as_of=champion.model.training.reference_as_of)
    assert [entry.feature for entry in content.features] == [feature.name for feature in MONITORED]
    assert (reports.week(WEEK) / SUMMARY).read_bytes() == content.to_bytes()
    assert sorted(path.name for path in reports.week(WEEK).iterdir()) == [AT_RISK, COLUMNS, DRIFT, MANAGER, SUMMARY]


def test_a_changed_week_is_drift_and_says_in_what(logged: Callable[..., Path], reports: ReportFolder) -> None:
    rows = week_of_customers(400)
    rows["adverts_7d"] += 3
    content = make(logged(rows), reports, ReportSettings())
    assert content.verdict == "drift"
    assert "adverts_7d" in content.sentence
    assert content.level == "ticket"
    assert [(one.kind, one.subjects) for one in content.conditions] == [("drift", ("adverts_7d",))]
    (entry,) = [one for one in content.features if one.feature == "adverts_7d"]
    assert entry.severity == "page"
    assert entry.multiple is not None
    assert entry.multiple >= 1
    page = (reports.week(WEEK) / DRIFT).read_text()
    assert content.sentence in page
    assert "drift" in (reports.path / INDEX).read_text()


def test_fewer_than_200_customers_get_no_verdict(logged: Callable[..., Path], reports: ReportFolder) -> None:
    content = make(logged(week_of_customers(199)), reports, ReportSettings())
    assert content.verdict == "too few"
    assert content.sentence == "too few: 199 current rows, a verdict needs 200"
    assert {entry.test for entry in content.features} == {None}


def test_the_list_holds_everybody_flagged_and_nothing_else_names_anybody(
    logged: Callable[..., Path], reports: ReportFolder
) -> None:
    rows = week_of_customers(300)
    rows["customer_id"] = "secret-" + rows["customer_id"]
    content = make(logged(rows), reports, ReportSettings())
    folder = reports.week(WEEK)
    with (folder / AT_RISK).open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert content.at_risk == AtRiskCounts(flagged=len(listed), listed=len(listed))
    assert 0 < len(listed) < 300
    chances = [float(row["churn_probability"]) for row in listed]
    assert chances == sorted(chances, reverse=True)
    assert all(row["customer_id"].startswith("secret-") and row["reason_1"] for row in listed)
    assert stat.S_IMODE((folder / AT_RISK).stat().st_mode) == 0o600
    for path in [folder / DRIFT, folder / MANAGER, folder / SUMMARY, reports.path / INDEX]:
        assert "secret-" not in path.read_text(), path


def test_the_list_can_be_limited(logged: Callable[..., Path], reports: ReportFolder) -> None:
    content = make(logged(week_of_customers(300)), reports, ReportSettings(at_risk=2))
    assert content.at_risk is not None
    assert content.at_risk.listed == 2
    assert content.at_risk.flagged > 2


def test_the_same_week_gives_the_same_files(logged: Callable[..., Path], reports: ReportFolder) -> None:
    folder = logged(week_of_customers(300))
    make(folder, reports, ReportSettings())
    before = {path.name: path.read_bytes() for path in reports.week(WEEK).iterdir()}
    make(folder, reports, ReportSettings())
    assert {path.name: path.read_bytes() for path in reports.week(WEEK).iterdir()} == before


def test_a_model_that_is_not_in_the_store_is_named_and_hides_no_other(
    logged: Callable[..., Path], reports: ReportFolder, champion: ChampionModel
) -> None:
    logged(week_of_customers(500), model="churn:gone")
    folder = logged(week_of_customers(300), scored=datetime(2018, 11, 3, tzinfo=UTC))
    content = make(folder, reports, ReportSettings())
    assert content.model == champion.model.tag
    gone = content.models[1]
    assert (gone.model, gone.verdict, gone.customers) == ("churn:gone", None, 500)
    assert "churn:gone is not in the model store" in str(gone.refused)


def test_without_any_model_of_the_week_there_is_no_report(logged: Callable[..., Path], reports: ReportFolder) -> None:
    folder = logged(week_of_customers(300), model="churn:gone")
    with pytest.raises(ReportError, match="churn:gone is not in the model store"):
        make(folder, reports, ReportSettings())
    assert not reports.week(WEEK).exists()


def test_a_model_asked_for_must_have_answered(logged: Callable[..., Path], reports: ReportFolder) -> None:
    with pytest.raises(ModelStoreError, match="churn:other made no predictions in week 2018-W44"):
        make(logged(week_of_customers(300)), reports, ReportSettings(model="churn:other"))


def test_a_failed_run_leaves_the_last_good_report(logged: Callable[..., Path], reports: ReportFolder) -> None:
    make(logged(week_of_customers(300)), reports, ReportSettings())
    before = summary_of(reports)
    with pytest.raises(PredictionLogError):
        make(reports.path, reports, ReportSettings())
    assert summary_of(reports) == before


def test_a_week_without_a_report_is_shown_as_missing(logged: Callable[..., Path], reports: ReportFolder) -> None:
    rows = week_of_customers(300)
    logged(rows)
    folder = logged(rows.assign(as_of=np.int64(THURSDAY + 2 * WEEK_MS)), scored=datetime(2018, 11, 20, tzinfo=UTC))
    for week in (WEEK, Week(Week(WEEK.end).end)):
        make(folder, reports, ReportSettings(week=week))
    page = (reports.path / INDEX).read_text()
    assert page.index("2018-W46") < page.index("2018-W45") < page.index("2018-W44")
    line = page[page.index("<strong>2018-W45</strong>") : page.index("<strong>2018-W44</strong>")]
    assert "no report" in line
    assert 'class="badge ok"' not in line


def test_unusable_lines_are_counted_and_their_file_is_named(
    logged: Callable[..., Path], reports: ReportFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = logged(week_of_customers(300))
    (path,) = folder.glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'nonsense\n{"schema":1')
    content = make(folder, reports, ReportSettings())
    assert (content.log.foreign, content.log.partial) == (1, 1)
    assert [one.file for one in content.log.unusable] == [path.name]
    assert f"{path.name}: 1 truncated, 1 foreign" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more_adverts", "options", "level", "status"),
    [(0, [], "shown", 0), (3, [], "ticket", 0), (3, ["--critical-features", "os, adverts_7d"], "page", 2)],
)
def test_the_exit_status_tells_a_page_from_a_ticket(
    logged: Callable[..., Path],
    reports: ReportFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more_adverts: int,
    options: list[str],
    level: str,
    status: int,
) -> None:
    rows = week_of_customers(400)
    rows["adverts_7d"] += more_adverts
    folder = logged(rows)
    monkeypatch.setattr(sys, "argv", ["report", "--log-dir", str(folder), "--reports", str(reports.path), *options])
    assert report.main() == status
    said = capsys.readouterr().out
    assert f"level: {level}\n" in said
    assert str(reports.week(WEEK) / AT_RISK) in said


def test_a_broken_column_that_the_model_uses_pages(
    logged: Callable[..., Path], reports: ReportFolder, champion: ChampionModel
) -> None:
    weights = champion.model.manifest.importance
    numbers = [feature.name for feature in FEATURES if not feature.is_category]
    rows = week_of_customers(400)
    rows[max(numbers, key=lambda name: weights.get(name, 0.0))] = -1
    content = make(logged(rows), reports, ReportSettings())
    assert content.level == "page"
    assert content.conditions[0].kind == "broken data"


@pytest.mark.parametrize(("last_week_too", "onset"), [(False, "sudden"), (True, "gradual")])
def test_the_week_before_tells_a_sudden_change_from_one_that_stayed(
    logged: Callable[..., Path], reports: ReportFolder, last_week_too: bool, onset: str
) -> None:
    changed = week_of_customers(400)
    changed["adverts_7d"] += 3
    before = (changed if last_week_too else week_of_customers(400)).assign(as_of=np.int64(THURSDAY - WEEK_MS))
    logged(before, scored=datetime(2018, 10, 26, tzinfo=UTC))
    folder = logged(changed)
    assert make(folder, reports, ReportSettings(week=WEEK)).onset == {}
    make(folder, reports, ReportSettings(week=WEEK.previous))
    content = make(folder, reports, ReportSettings(week=WEEK))
    assert content.onset["adverts_7d"] == onset
    assert "previous week" in content.compared


def test_a_change_in_one_segment_is_ranked_there(logged: Callable[..., Path], reports: ReportFolder) -> None:
    rows = week_of_customers(3000)
    rows.loc[rows["level"] == "free", "adverts_7d"] += 3
    content = make(logged(rows), reports, ReportSettings())
    assert "level=free" in [*content.compared, *content.too_few]
    assert set(content.compared).isdisjoint(content.too_few)


@pytest.mark.usefixtures("drawn")
def test_the_whole_page_is_drawn_for_every_column_that_the_model_uses(
    champion: ChampionModel, logged: Callable[..., Path], reports: ReportFolder
) -> None:
    rows = week_of_customers(300)
    rows.loc[rows.index % 10 == 0, "os"] = "<b>new</b>"
    make(logged(rows), reports, ReportSettings())
    page = (reports.week(WEEK) / DRIFT).read_text()
    used = {column.feature for column in champion.model.manifest.columns}
    assert f"out of {len(used) + 2})" in page  # and the two outputs
    assert "<b>new</b>" not in page
    assert all(name in page for name in used)
    kept = json.loads(gzip.decompress((reports.week(WEEK) / evidently_report.snapshot_of(DRIFT)).read_bytes()))
    assert "‹b›new‹/b›" in json.dumps(kept, ensure_ascii=False)
    assert "<b>new</b>" not in json.dumps(kept)


def test_volume_is_compared_with_the_week_before_when_that_is_reported(
    logged: Callable[..., Path], reports: ReportFolder
) -> None:
    rows = week_of_customers(400)
    folder = logged(rows)
    logged(rows.iloc[:100], scored=datetime(2018, 11, 4, tzinfo=UTC))
    logged(rows.iloc[:250].assign(as_of=np.int64(THURSDAY - WEEK_MS)), scored=datetime(2018, 10, 26, tzinfo=UTC))
    alone = make(folder, reports, ReportSettings(week=WEEK)).volume
    assert alone == Volume(predictions=500, customers=400)
    make(folder, reports, ReportSettings(week=WEEK.previous))
    beside = make(folder, reports, ReportSettings(week=WEEK)).volume
    assert beside == Volume(predictions=500, customers=400, previous_predictions=250, change=1.0)


def test_features_much_older_than_the_request_are_stale(
    logged: Callable[..., Path], reports: ReportFolder, champion: ChampionModel
) -> None:
    rows = week_of_customers(400)
    logged(rows.iloc[:300], scored=datetime(2018, 11, 3, 12, tzinfo=UTC))  # 48 hours after `as_of`, not more
    folder = logged(rows.iloc[300:], scored=datetime(2018, 11, 3, 12, 0, 0, 1000, tzinfo=UTC))
    content = make(folder, reports, ReportSettings())
    assert content.stale == Stale(older_than_hours=48, predictions=100, share=0.25)
    assert content.models[0].stale == content.stale
    assert make(folder, reports, ReportSettings(stale_hours=49)).stale == Stale(
        older_than_hours=49, predictions=0, share=0.0
    )
    with pytest.raises(SettingError, match="stale_hours"):
        ReportSettings(stale_hours=-1)


@pytest.mark.parametrize("memory", [0.4, -1, float("nan")])
def test_too_little_memory_to_work_with_is_refused(memory: float) -> None:
    with pytest.raises(SettingError, match="memory"):
        ReportSettings(memory_gb=memory)


def test_options_of_the_command_reach_the_report() -> None:
    found = report.requested(["--memory", "3.5", "--stale-hours", "72"], datetime(2018, 11, 12, tzinfo=UTC)).settings
    assert (found.memory_gb, found.stale_hours) == (3.5, 72)


def test_performance_is_estimated_for_each_model_and_says_when_it_will_be_known(
    logged: Callable[..., Path], reports: ReportFolder, champion: ChampionModel
) -> None:
    rows = week_of_customers(400)
    logged(rows.iloc[:50], scored=datetime(2018, 11, 4, tzinfo=UTC))  # asked twice: each customer counts once
    content = make(logged(rows), reports, ReportSettings())
    scorer = Scorer(champion.model)
    probability = scorer.probability(scorer.score(scorer.encoder.frame(rows)))
    estimated, pending = content.performance.estimated, content.performance.pending
    assert estimated is not None
    precision, recall = estimated.metrics.precision, estimated.metrics.recall
    assert precision is not None
    assert recall is not None
    flagged = probability >= scorer.threshold
    assert (estimated.customers, estimated.method) == (400, "CBPE")
    assert estimated.expected_churners == pytest.approx(probability.sum())
    assert precision.value == pytest.approx(probability[flagged].mean())
    assert recall.value == pytest.approx(probability[flagged].sum() / probability.sum())
    for _, figure in estimated.metrics.named():
        assert figure.low < figure.value < figure.high
    assert pending == PendingLabels(customers=400, known_after="2018-12-01T12:00:00Z")
    assert content.performance.realised is None
    assert content.models[0].performance == content.performance
