"""`make customer ID=`: what the page says of a customer, and that there is none of somebody unknown."""

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn.errors import ChurnError, ReportError, SettingError
from churn.model.explaining import Explainer
from churn.model.scoring import Scorer
from churn.prediction_log.erasing import erase
from monitoring import customer
from monitoring.pages.customer_page import percent
from monitoring.reports.report_folder import AT_RISK, SUMMARY, ReportFolder
from monitoring.reports.week import Week
from monitoring.weekly.at_risk import AtRisk, table
from tests.conftest import ChampionModel
from tests.support.predictions import THURSDAY, log_predictions, week_of_customers
from tests.support.summaries import quiet

WEEK = Week.parse("2018-W44")
WEEK_MS = 7 * 86_400_000
ATTACK = "<script>x</script>"
Command = Callable[..., Path]


@pytest.fixture
def log(champion: ChampionModel, tmp_path: Path) -> Path:
    """Two weeks of answers about 40 customers."""
    scorer, folder = Scorer(champion.model), tmp_path / "predictions"
    for number, seed in enumerate((2, 1)):
        frame = week_of_customers(40, seed).assign(as_of=np.int64(THURSDAY - WEEK_MS * (1 - number)))
        frame.loc[frame.index == 3, "os"] = ATTACK
        frame.loc[frame.index == 4, "customer_id"] = "../=4"
        probability = scorer.probability(scorer.score(scorer.encoder.frame(frame)))
        scored = datetime(2018, 10, 26 + 6 * number, tzinfo=UTC) if number == 0 else datetime(2018, 11, 2, tzinfo=UTC)
        log_predictions(
            folder, frame, probability.tolist(), champion.model.tag, scored=scored, threshold=scorer.threshold
        )
    return folder


@pytest.fixture
def reports(tmp_path: Path) -> ReportFolder:
    folder = ReportFolder(tmp_path / "reports")
    folder.replace_week(WEEK, {SUMMARY: quiet(WEEK).to_bytes(), AT_RISK: table([AtRisk("1", 0.5, ())])})
    return folder


@pytest.fixture
def command(
    log: Path,
    reports: ReportFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    def call(*options: str) -> Path:
        places = ["--log-dir", str(log), "--reports", str(reports.path), "--offers", str(tmp_path / "offers.csv")]
        monkeypatch.setattr("sys.argv", ["customer", *places, *options])
        customer.main()
        return Path(capsys.readouterr().out.strip().removeprefix("customer page: "))

    return call


def test_the_page_says_what_the_model_says(command: Command, champion: ChampionModel, tmp_path: Path) -> None:
    (tmp_path / "offers.csv").write_text("customer_id,date,group\n1,2018-10-20,offered\n2,2018-10-20,held_out\n")
    path = command("--id", " 1.0 ")
    said = path.read_text()
    scorer, explainer = Scorer(champion.model), Explainer(champion.model.forest(), champion.model.manifest.columns)
    row = week_of_customers(40, 1).query("customer_id == '1'")
    matrix = scorer.encoder.frame(row)
    score = scorer.score(matrix)
    assert f'<p class="likely">{percent(scorer.probability(score)[0])}</p>' in said
    assert f'score: <span class="number">{score[0]:.3f}</span>' in said
    assert f'a score of <span class="number">{explainer.base_value:.3f}</span>' in said
    assert "2018-W43: " in said
    assert "2018-W44: " in said
    assert "<li>2018-10-20: offer</li>" in said
    assert path.name == "customer-1.html"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_page_stays_private_when_the_report_is_filled_in(command: Command, reports: ReportFolder) -> None:
    path = command("--id", "1")
    reports.change(WEEK, SUMMARY, lambda before: before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_comes_from_outside_is_escaped_and_leaves_no_folder(command: Command, reports: ReportFolder) -> None:
    frame = week_of_customers(40, 1)
    assert ATTACK not in command("--id", str(frame["customer_id"][3])).read_text()
    path = command("--id", "../=4")
    assert path.parent == reports.week(WEEK)
    assert "Customer ../=4" in path.read_text()


def test_who_is_erased_unknown_or_not_asked_about_gets_a_sentence_and_no_page(
    command: Command, log: Path, reports: ReportFolder
) -> None:
    erase(log, "1")
    before = sorted(reports.week(WEEK).iterdir())
    for who in ("1", "4711"):
        with pytest.raises(ReportError, match="no prediction about this customer in week 2018-W44: never seen"):
            command("--id", who)
    assert sorted(reports.week(WEEK).iterdir()) == before


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (["--id", " "], SettingError, "ID=' ': expected a customer's id"),
        (["--id", "1", "--week", "2018-W01"], ReportError, "has no at_risk.csv of week 2018-W01"),
        (["--id", "1", "--week", "soon"], SettingError, "WEEK='soon'"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_a_sentence(
    command: Command, options: list[str], kind: type[ChurnError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        command(*options)


def test_an_answer_for_other_features_is_not_explained(command: Command, log: Path) -> None:
    newest = max(log.glob("*.jsonl"), key=lambda path: path.name)
    text = newest.read_text()
    contract = pd.read_json(newest, lines=True)["contract"][0]
    newest.write_text(text.replace(contract, "0-00000000"))
    with pytest.raises(ReportError, match=f"of contract 0-00000000, this code has {contract}"):
        command("--id", "1")
