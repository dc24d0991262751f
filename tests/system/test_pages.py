"""The report's pages in a real browser: readable on a phone and on a desk, and nothing logged is run."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn.model.scoring import Scorer
from monitoring import customer
from monitoring.drift.decision import MONITORED
from monitoring.pages import customer_page, index_page, manager_page
from monitoring.pages.evidently_report import LabelledRows
from monitoring.prediction_log.one_customer import answers_about
from monitoring.reports.report_folder import AT_RISK, DRIFT, INDEX, MANAGER, ReportFolder
from monitoring.reports.week import Week
from monitoring.weekly.at_risk import read_table
from monitoring.weekly.weekly import ReportSettings, make
from tests.conftest import ChampionModel
from tests.monitoring.pages.test_evidently_report import customers, drawn, with_labels
from tests.support.predictions import THURSDAY, log_predictions, week_of_customers
from tests.support.summaries import content, drifted, of_category, paging, season, too_few, weeks
from tests.system.browser import Page, browsing

pytestmark = pytest.mark.system

PHONE, DESK = (390, 844), (1280, 900)
CHANGED, QUIET, FEW = (Week.parse(name) for name in ("2018-W47", "2018-W44", "2018-W45"))
WEEK_MS = 7 * 86_400_000
ATTACKS = ("</script><script>window.attacked=1</script>", "<img src=x onerror='window.attacked=1'>")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("predictions")


@pytest.fixture(scope="module")
def reports(champion: ChampionModel, log: Path, tmp_path_factory: pytest.TempPathFactory) -> ReportFolder:
    """Four weeks made by the command's own function: a quiet one, one with too few, a missing one, a changed one."""
    found = ReportFolder(tmp_path_factory.mktemp("reports"))
    changed = week_of_customers(400)
    changed["adverts_7d"] += 3
    for number, attack in enumerate(ATTACKS):
        changed.loc[changed.index % 10 == number, "os"] = attack
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHURN_CHAMPION", str(champion.pointer))
        for week, rows in ((QUIET, week_of_customers(400)), (FEW, week_of_customers(150)), (CHANGED, changed)):
            later = (week.start_ms - QUIET.start_ms) // WEEK_MS
            answered(champion, log, rows.assign(as_of=np.int64(THURSDAY + later * WEEK_MS)), later)
            make(log, found, ReportSettings(week=week))
    return found


def answered(champion: ChampionModel, log: Path, rows: pd.DataFrame, later: int) -> None:
    scorer = Scorer(champion.model)
    probability = scorer.probability(scorer.score(scorer.encoder.frame(rows)))
    scored = datetime(2018, 11, 2, tzinfo=UTC).replace(day=2 + 7 * later)
    log_predictions(log, rows, probability.tolist(), champion.model.tag, scored=scored, threshold=scorer.threshold)


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_index_fits_the_window_and_shows_every_week(
    page: Page, reports: ReportFolder, size: tuple[int, int]
) -> None:
    page.open(reports.path / INDEX, *size)
    assert page.width() == size[0]
    text = page.text()
    for said in ("drift", "ok", "too few", "no report", "no report yet", "2018-W46", "end with 2018-W47"):
        assert said in text, said
    assert page.value("document.querySelectorAll('.features svg.spark').length") == len(MONITORED)
    assert page.errors == []


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_page_of_a_customer_fits_the_window_and_runs_nothing_that_was_logged(
    page: Page, log: Path, reports: ReportFolder, size: tuple[int, int], tmp_path: Path
) -> None:
    """The most at risk of those whose operating system is an attack, from the command's own function."""
    for one in read_table((reports.week(CHANGED) / AT_RISK).read_bytes(), AT_RISK):
        answers = answers_about(log, one.customer_id)
        if answers[-1]["features"]["os"] in ATTACKS:
            break
    path = tmp_path / "customer.html"
    path.write_bytes(customer_page.page(customer.facts(answers, ["2018-11-05: offer"])))
    page.open(path, *size)
    assert page.width() == size[0]
    text = page.text()
    for said in ("at risk", "Why", "What would help", "Offers so far", "2018-W44", "How the score comes about"):
        assert said in text, said
    assert page.value("document.querySelectorAll('.step rect').length") >= 5
    assert page.value("window.attacked") is None
    assert page.errors == []


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize(
    ("week", "verdict"),
    [(CHANGED, "this week needs attention now"), (QUIET, "nothing important changed"), (FEW, "no verdict possible")],
)
def test_the_managers_page_fits_the_window_and_says_what_is(
    page: Page, reports: ReportFolder, size: tuple[int, int], week: Week, verdict: str
) -> None:
    page.open(reports.week(week) / MANAGER, *size)
    assert page.width() == size[0]
    assert verdict in page.text()
    assert "customers are at risk of leaving." in page.text()
    assert page.errors == []


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_long_texts_and_many_weeks_stay_within_the_window(page: Page, tmp_path: Path, size: tuple[int, int]) -> None:
    word = "x" * 300
    newest = weeks(60)[-1]
    odd = paging("os", test="one category", **of_category(word), before=0.1, after=0.5)
    gone = {"model": f"churn:{word}", "predictions": 9, "customers": 9, "verdict": None, "refused": word}
    models = [content()["models"][0], gone]
    long = drifted(newest, features=[odd, paging(word)], sentence=word, model=word, models=models)
    summaries = season(60, missing=(7, 8)) | {newest: long, newest.previous: too_few(newest.previous)}
    (tmp_path / INDEX).write_bytes(index_page.page(summaries))
    (tmp_path / MANAGER).write_bytes(manager_page.page(long))
    for name in (INDEX, MANAGER):
        page.open(tmp_path / name, *size)
        page.value("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.width() == size[0], name
        assert page.errors == []


def test_the_links_of_the_index_lead_to_pages_and_back(page: Page, reports: ReportFolder) -> None:
    page.open(reports.path / INDEX, *DESK)
    targets = page.value("[...document.querySelectorAll('a[href]')].map(one => one.getAttribute('href'))")
    files = {target for target in targets if not target.startswith("#")}
    assert {f"{week}/{name}" for week in (CHANGED, QUIET, FEW) for name in (DRIFT, MANAGER, "summary.json")} == files
    assert all((reports.path / target).is_file() for target in files)
    for name in (MANAGER, DRIFT):
        page.open(reports.week(CHANGED) / name, *DESK)
        page.eventually("document.querySelector('a[href=\"../index.html\"]') !== null")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_schemes_are_drawn(page: Page, reports: ReportFolder, scheme: str) -> None:
    page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.open(reports.path / INDEX, *DESK)
    ground = page.value("getComputedStyle(document.body).backgroundColor")
    page.ask("Emulation.setEmulatedMedia", features=[])
    assert ground == {"light": "rgb(245, 246, 248)", "dark": "rgb(18, 22, 28)"}[scheme]


def test_evidentlys_page_is_drawn_with_our_verdict_and_runs_nothing_that_was_logged(
    page: Page, reports: ReportFolder
) -> None:
    page.open(reports.week(CHANGED) / DRIFT, *DESK)
    page.eventually("document.body.innerText.includes('Dataset Drift is detected')")
    text = page.text()
    assert "Week 2018-W47: drift" in text
    assert "adverts_7d: " in text
    assert "What was found in each of" in text
    for column in ("adverts_7d", "churn_probability", "will_churn"):
        assert column in text
    page.eventually("document.querySelectorAll('.js-plotly-plot, .plot-container').length > 0")
    assert page.value("window.attacked") is None
    assert "‹/script›‹script›window.attacked=1" in page.value("document.documentElement.innerHTML")
    assert "</script><script>window.attacked=1</script>" in text  # in our own reasons, as text
    assert page.errors == []


def test_the_performance_is_drawn_once_it_is_known_who_left(page: Page, tmp_path: Path) -> None:
    path = tmp_path / DRIFT
    labelled = LabelledRows(with_labels(1500, 1), with_labels(800, 2))
    path.write_text(drawn(customers(1500, 1), customers(800, 2), None, labelled), encoding="utf-8")
    page.open(path, *DESK)
    page.eventually("document.body.innerText.includes('Confusion Matrix')")
    for said in ("Dataset Drift is NOT detected", "ROC Curve", "Precision-Recall Curve", "of 600 plotted customers"):
        assert said.lower() in page.text().lower(), said
    assert page.errors == []


@pytest.mark.parametrize("name", [INDEX, f"{CHANGED}/{MANAGER}"])
def test_nothing_that_was_logged_runs_on_our_pages(page: Page, reports: ReportFolder, name: str) -> None:
    page.open(reports.path / name, *DESK)
    assert page.value("document.scripts.length") == 0
    assert page.value("document.images.length") == 0
    assert page.value("window.attacked") is None


def test_the_browser_tells_of_what_runs_and_of_what_fails(page: Page, tmp_path: Path) -> None:
    """Otherwise the tests above could not fail."""
    path = tmp_path / "attacked.html"
    path.write_text(f"<title>x</title><script>const os = '{ATTACKS[0]}'</script><script>throw Error('seen')</script>")
    page.open(path, *DESK)
    assert page.value("window.attacked") == 1
    assert any("seen" in error for error in page.errors)
    path.write_text(f"{ATTACKS[1]}<div style='width:2000px'>wide</div>")
    page.open(path, *DESK)
    page.eventually("window.attacked === 1")
    assert page.width() == 2000 + 8  # the body's margin
