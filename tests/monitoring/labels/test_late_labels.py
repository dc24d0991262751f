"""Labels that come weeks later: from the events only, at each prediction's own moment, into the week it was made in."""

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, f1_score, precision_score, recall_score, roc_auc_score

from churn.activity.features import DAY_MS, at_risk
from churn.activity.labels import Definition, labels
from churn.activity.reading import read_events
from churn.errors import EventLogError, SettingError, TreatmentsError
from churn.model.artifact import MANIFEST, REFERENCE, sha256
from churn.model.scoring import Scorer
from churn.model.store import save, stored_model
from churn.moments import iso
from monitoring import report as command
from monitoring.findings.performance import PendingLabels, Performance
from monitoring.findings.summary import Summary
from monitoring.labels import back_fill, late_labels
from monitoring.labels.late_labels import LabelledWeek, LabelSettings, opened
from monitoring.pages import evidently_report
from monitoring.reports.report_folder import AT_RISK, COLUMNS, DRIFT, INDEX, MANAGER, SUMMARY, ReportFolder
from monitoring.reports.week import Week
from monitoring.weekly.weekly import ReportSettings, make
from tests.conftest import ChampionModel
from tests.support.predictions import THURSDAY, log_predictions, week_of_customers
from tests.support.raw_logs import LOGGED_OUT, json_lines, raw
from tests.support.summaries import quiet
from training.model.manifest import ModelFacts
from training.model.trained import TrainedModel

WEEK = Week.parse("2018-W44")
MODEL = "churn:test"
HORIZON = 30 * DAY_MS
CUSTOMERS = 240
LATER = datetime(2018, 11, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidently takes ten seconds for all columns, and is not what this is about."""
    monkeypatch.setattr(evidently_report, "_evidently", lambda *_: "<html><body><div>plots</div></body></html>")


@pytest.fixture(autouse=True)
def pointer(champion: ChampionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_CHAMPION", str(champion.pointer))


@pytest.fixture
def reports(tmp_path: Path) -> ReportFolder:
    return ReportFolder(tmp_path / "reports")


def lives(until: int, customers: int = CUSTOMERS, seed: int = 0) -> list[dict[str, Any]]:
    """Customers who come about every day; some grumble, some of these go quiet, some cancel; up to the log's end."""
    generator = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = [{**LOGGED_OUT, "ts": until}]
    for number in range(customers):
        last = until if generator.random() < 0.5 else THURSDAY + int(generator.integers(-5, 20)) * DAY_MS
        cancels = last < until and generator.random() < 0.5
        for day in range(int(THURSDAY - 40 * DAY_MS), min(last, until), DAY_MS):
            page = "Thumbs Down" if generator.random() < 0.03 else "Home"
            moment = min(day + int(generator.integers(DAY_MS)), until - 1)
            rows.append(raw(userId=str(number), ts=moment, page=page, sessionId=number, itemInSession=day // DAY_MS))
        if cancels:
            rows.append(raw(userId=str(number), ts=last, page="Cancellation Confirmation", sessionId=number))
    return [row for row in rows if row["ts"] <= until]


@pytest.fixture
def event_log(tmp_path: Path) -> Callable[..., str]:
    def write(until: int, **options: Any) -> str:
        path = tmp_path / f"events-{until}.json"
        path.write_text(json_lines(lives(until, **options)))
        return str(path)

    return write


@pytest.fixture
def asked(champion: ChampionModel, tmp_path: Path) -> Callable[..., Path]:
    """The champion's answers about all customers, at a moment or at one each."""
    scorer, folder = Scorer(champion.model), tmp_path / "predictions"

    def ask(as_of: Any = THURSDAY, rows: int = CUSTOMERS, seed: int = 1, **options: Any) -> Path:
        frame = week_of_customers(rows, seed).assign(as_of=as_of)
        probability = scorer.probability(scorer.score(scorer.encoder.frame(frame)))
        options = {"model": champion.model.tag} | options
        log_predictions(folder, frame, probability.tolist(), threshold=scorer.threshold, **options)
        return folder

    return ask


def logged(folder: Path) -> pd.DataFrame:
    """The prediction log, read line by line by nobody's code but this."""
    lines = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    frame = pd.DataFrame([line for line in lines if line["api"] == "predict"])
    moments = pd.to_datetime(frame["as_of"], format="ISO8601")
    return frame.assign(as_of=(moments - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(1, "ms"))


def judged_by_training(folder: Path, events: str, kind: Any = "either", horizon: int = 30) -> pd.DataFrame:
    """Predictions of the log beside the labels of training's own path, moment by moment."""
    log, predictions, parts = read_events(events), logged(folder), []
    for as_of in predictions["as_of"].unique().tolist():
        if as_of + horizon * DAY_MS <= log.log_end:
            found = labels(log.events, as_of, log.log_end, kind, horizon).inner_join(
                at_risk(log.events.filter(log.events.ts < as_of), as_of), "customer_id"
            )
            parts.append(predictions[predictions["as_of"] == as_of].merge(found.to_pandas(), on="customer_id"))
    joined: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return joined


def by_scikit_learn(rows: pd.DataFrame) -> dict[str, float]:
    truth, flagged, probability = rows["churned"], rows["will_churn"], rows["churn_probability"]
    return {
        "auc": roc_auc_score(truth, probability),
        "f1": f1_score(truth, flagged),
        "precision": precision_score(truth, flagged),
        "recall": recall_score(truth, flagged),
        "brier": brier_score_loss(truth, probability),
    }


def values(part: dict[str, Any], names: Any) -> dict[str, float]:
    return {name: part["metrics"][name]["value"] for name in names}


def summary_of(reports: ReportFolder, week: Week = WEEK) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((reports.week(week) / SUMMARY).read_text())
    return found


def report(folder: Path, reports: ReportFolder, events: str | None, week: Week | None = WEEK, **labels: Any) -> Any:
    settings = ReportSettings(week=week, labels=LabelSettings(events=events, **labels))
    return json.loads(make(folder, reports, settings).to_bytes())["performance"]


def test_realised_figures_are_those_of_scikit_learn_on_the_labels_of_training(
    asked: Callable[..., Path], reports: ReportFolder, event_log: Callable[..., str]
) -> None:
    """Every prediction counts: here at several moments, and some customers are asked about twice."""
    moments = THURSDAY + np.arange(CUSTOMERS) % 5 * 3_600_000
    asked(moments)
    folder = asked(moments[:80] + DAY_MS, rows=80, scored=datetime(2018, 11, 3, tzinfo=UTC))
    asked(THURSDAY, api="explain", scored=datetime(2018, 11, 4, tzinfo=UTC))
    events = event_log(THURSDAY + 35 * DAY_MS)
    expected = judged_by_training(folder, events)

    found = report(folder, reports, events)["realised"]

    figures = by_scikit_learn(expected)
    assert values(found, figures) == pytest.approx(figures, abs=1e-12)
    assert (found["rows"], found["customers"]) == (len(expected), expected["customer_id"].nunique())
    assert found["churners"] == expected[expected["churned"] == 1]["customer_id"].nunique()
    assert 30 <= found["churners"] <= CUSTOMERS - 30
    assert (found["definition"], found["horizon_days"]) == ("either", 30)
    assert found["labels_until"] == iso(THURSDAY + 35 * DAY_MS)
    for figure in found["metrics"].values():
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert (found["untreated"], found["treated"]) == (None, None)


def test_what_the_log_does_not_tell_yet_is_pending_and_not_zero(
    asked: Callable[..., Path], reports: ReportFolder, event_log: Callable[..., str]
) -> None:
    asked(np.where(np.arange(CUSTOMERS) < 150, THURSDAY, THURSDAY + DAY_MS))
    folder = asked(THURSDAY, rows=5, scored=datetime(2018, 11, 3, tzinfo=UTC))
    end = THURSDAY + HORIZON
    none_yet = report(folder, reports, event_log(end - 1))
    assert none_yet["realised"] is None
    assert none_yet["pending"] == {"customers": CUSTOMERS, "known_after": iso(end + DAY_MS)}
    some = report(folder, reports, event_log(end))
    expected = judged_by_training(folder, event_log(end))
    assert set(expected["as_of"]) == {THURSDAY}
    assert some["realised"]["rows"] == len(expected) > expected["customer_id"].nunique()
    assert some["realised"]["customers"] == expected["customer_id"].nunique()
    assert some["pending"] == {"customers": CUSTOMERS - 150, "known_after": iso(end + DAY_MS)}
    whole = report(folder, reports, event_log(end + DAY_MS))
    assert whole["realised"]["customers"] > 150
    assert whole["pending"] is None


def test_figures_go_back_to_the_week_of_the_predictions_and_touch_nothing_else(
    asked: Callable[..., Path], reports: ReportFolder, event_log: Callable[..., str]
) -> None:
    asked()
    folder = asked(THURSDAY + 35 * DAY_MS, scored=datetime(2018, 12, 7, tzinfo=UTC))
    report(folder, reports, None)
    before = {path.name: path.read_bytes() for path in reports.week(WEEK).iterdir()}
    newest = report(folder, reports, event_log(THURSDAY + 36 * DAY_MS), week=None)
    after = {path.name: path.read_bytes() for path in reports.week(WEEK).iterdir()}

    assert newest["realised"] is None
    assert set(after) == set(before) == {SUMMARY, DRIFT, AT_RISK, COLUMNS, MANAGER}
    assert {name for name in after if after[name] != before[name]} == {SUMMARY, MANAGER}
    assert (reports.week(WEEK) / AT_RISK).stat().st_mode & 0o777 == 0o600
    old, new = json.loads(before[SUMMARY]), json.loads(after[SUMMARY])
    performance = new["performance"]
    assert performance["realised"]["metrics"]["auc"]["value"] is not None
    assert performance["pending"] is None
    assert performance["estimated"] == old["performance"]["estimated"]
    assert new["models"][0].pop("performance") == performance
    assert {**old, "performance": None} == {
        **new,
        "performance": None,
        "models": [new["models"][0] | {"performance": old["models"][0]["performance"]}],
    }
    assert (reports.path / INDEX).exists()


def test_a_week_that_is_done_is_not_read_again_until_the_treatments_change(
    asked: Callable[..., Path],
    reports: ReportFolder,
    event_log: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    asked()
    folder = asked(THURSDAY + 35 * DAY_MS, scored=datetime(2018, 12, 7, tzinfo=UTC))
    report(folder, reports, None)
    events = event_log(THURSDAY + 36 * DAY_MS)
    staged: list[list[str]] = []
    stage = late_labels.LateLabels.stage

    def noted(self: Any, files: Any, weeks: Any, spool: Any) -> None:
        staged.append([str(week) for week in weeks])
        stage(self, files, weeks, spool)

    monkeypatch.setattr(late_labels.LateLabels, "stage", noted)
    for _ in range(2):
        report(folder, reports, events, week=None)
    assert staged == [["2018-W44"]]
    offers = tmp_path / "offers.csv"
    offers.write_text("customer_id,date\n3,2018-11-05\n")
    for _ in range(2):
        report(folder, reports, events, week=None, treatments=offers)
    assert staged == [["2018-W44"]] * 2
    assert summary_of(reports)["performance"]["realised"]["treated"]["customers"] <= 1


def test_a_log_that_ends_earlier_takes_nothing_back(
    asked: Callable[..., Path], reports: ReportFolder, event_log: Callable[..., str]
) -> None:
    asked(np.where(np.arange(CUSTOMERS) < 150, THURSDAY, THURSDAY + 2 * DAY_MS))
    folder = asked(THURSDAY + 35 * DAY_MS, scored=datetime(2018, 12, 7, tzinfo=UTC))
    report(folder, reports, event_log(THURSDAY + 31 * DAY_MS))
    known = summary_of(reports)
    assert known["performance"]["pending"]["customers"] == CUSTOMERS - 150
    report(folder, reports, event_log(THURSDAY + 30 * DAY_MS), week=None)
    assert summary_of(reports) == known
    report(folder, reports, event_log(THURSDAY + 33 * DAY_MS), week=None)
    assert summary_of(reports)["performance"]["pending"] is None


def test_a_summary_of_before_performance_was_known_of_is_filled_in_too() -> None:
    pending = PendingLabels(customers=3, known_after="2018-11-01T12:00:00Z")
    one, other = ({"model": model, "predictions": 3, "customers": 3} for model in ("m:1", "m:2"))
    before = one | {"schema": 1, "week": "2018-W44", "verdict": "ok", "new": {"field": 1}, "models": [one, other]}
    stored = Summary.read(json.dumps(before).encode(), "summary.json")
    found = back_fill.filled_in(stored, {"m:1": LabelledWeek(None, pending)})
    known = Performance(estimated=None, realised=None, pending=pending)
    assert [found.performance, *(model.performance for model in found.models)] == [known, known, Performance()]
    performance = {"estimated": None, "realised": None, "pending": pending.model_dump()}
    expected = before | {"performance": performance, "models": [one | {"performance": performance}, other]}
    assert json.loads(found.to_bytes()) == expected


def test_a_damaged_summary_of_another_week_hides_no_report(
    asked: Callable[..., Path], reports: ReportFolder, event_log: Callable[..., str], champion: ChampionModel
) -> None:
    damaged = {"schema": 1, "models": [{"model": champion.model.tag, "predictions": 7, "performance": {"realised": 5}}]}
    for week in (WEEK, WEEK.previous):
        reports.replace_week(week, {SUMMARY: json.dumps(damaged).encode(), DRIFT: b""})
    found = report(asked(), reports, event_log(THURSDAY + 31 * DAY_MS))
    assert found["realised"]["rows"] > 100
    assert summary_of(reports)["volume"]["previous_predictions"] is None
    assert summary_of(reports, WEEK.previous) == damaged


def test_what_is_known_outlives_the_predictions(
    asked: Callable[..., Path],
    reports: ReportFolder,
    event_log: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """The log is kept for some days only; a change of treatments must not judge what is left of it."""
    asked(rows=100, scored=datetime(2018, 11, 3, tzinfo=UTC))
    asked()
    folder = asked(THURSDAY + 35 * DAY_MS, scored=datetime(2018, 12, 7, tzinfo=UTC))
    events = event_log(THURSDAY + 36 * DAY_MS)
    report(folder, reports, events)
    known = summary_of(reports)
    min(folder.glob("*.jsonl")).unlink()
    offers = tmp_path / "offers.csv"
    offers.write_text("customer_id,date\n3,2018-11-05\n")
    report(folder, reports, events, week=None, treatments=offers)
    assert summary_of(reports) == known
    assert "predictions of churn:" in capsys.readouterr().err


def test_a_report_made_again_keeps_what_is_known_of_the_same_predictions_only(
    asked: Callable[..., Path], reports: ReportFolder, event_log: Callable[..., str]
) -> None:
    folder = asked()
    known = report(folder, reports, event_log(THURSDAY + 31 * DAY_MS))
    again = report(folder, reports, None)
    assert again == known
    assert summary_of(reports)["models"][0]["performance"] == known
    asked(THURSDAY + 1, rows=10, scored=datetime(2018, 11, 3, tzinfo=UTC))
    changed = report(folder, reports, None)
    assert changed["realised"] is None
    assert changed["pending"]["customers"] == CUSTOMERS


def test_treated_and_untreated_are_told_apart(
    asked: Callable[..., Path], reports: ReportFolder, event_log: Callable[..., str], tmp_path: Path
) -> None:
    folder, events = asked(), event_log(THURSDAY + 31 * DAY_MS)
    dates = {0: "2018-10-31", 1: "2018-11-01", 2: "2018-12-01", 3: "2018-12-02"}  # as_of is 11-01, its horizon 12-01
    rows = [(number, dates[number % 4]) for number in range(160)] + [(999, "2018-11-05")]
    offers = tmp_path / "offers.csv"
    offers.write_text("customer_id,date\n" + "".join(f"{customer},{date}\n" for customer, date in rows))
    found = report(folder, reports, events, treatments=offers)["realised"]
    expected = judged_by_training(folder, events)
    treated = expected["customer_id"].isin([str(number) for number in range(160) if number % 4 in (1, 2)])
    for name, part in {"treated": expected[treated], "untreated": expected[~treated]}.items():
        figures = by_scikit_learn(part)
        assert values(found[name], figures) == pytest.approx(figures, abs=1e-12), name
        assert found[name]["customers"] == len(part)
    assert found["customers"] == len(expected)
    notes = " ".join(found["notes"])
    assert f"{treated.sum()} customers got an offer" in notes
    assert (
        "1 of 161 treatments match nobody: their customer_id is neither in the log of events nor among the predictions"
    ) in notes


def test_who_was_held_out_is_untreated_and_stands_for_those_who_got_an_offer(
    asked: Callable[..., Path],
    reports: ReportFolder,
    event_log: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when the group is of an earlier list, as far as its horizon goes; one by one and added up alike."""
    folder, events = asked(), event_log(THURSDAY + 31 * DAY_MS)
    dates = ("2018-10-01", "2018-10-02", "2018-11-01", "2018-12-02")  # the first and the last do not cover 11-01
    rows = [(number, dates[number % 4], "held_out" if number % 8 < 4 else "offered") for number in range(160)]
    offers = tmp_path / "offers.csv"
    offers.write_text("customer_id,date,group\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows))
    found = report(folder, reports, events, treatments=offers)["realised"]
    expected = judged_by_training(folder, events)
    number = expected["customer_id"].astype(int)
    covered = (number < 160) & (number % 4).isin([1, 2])
    treated, held_out = covered & (number % 8 >= 4), covered & (number % 8 < 4)
    part = expected[~treated]
    weight = np.where(held_out[~treated], 1 / 0.15, 1.0)
    figures = {
        "auc": roc_auc_score(part["churned"], part["churn_probability"], sample_weight=weight),
        "precision": precision_score(part["churned"], part["will_churn"], sample_weight=weight),
        "recall": recall_score(part["churned"], part["will_churn"], sample_weight=weight),
    }
    assert values(found["untreated"], figures) == pytest.approx(figures, abs=1e-12)
    assert (found["treated"]["customers"], found["untreated"]["customers"]) == (treated.sum(), len(part))
    assert values(found, ["auc"])["auc"] == pytest.approx(by_scikit_learn(expected)["auc"], abs=1e-12)
    assert any(
        note.startswith(f"{held_out.sum()} customers were held out and count 6.7 times") for note in found["notes"]
    )
    monkeypatch.setattr(late_labels, "ROWS_ONE_BY_ONE", 0)
    again = report(folder, reports, events, treatments=offers)["realised"]
    assert values(again["untreated"], figures) == pytest.approx(figures, abs=0.01)


def test_a_customer_is_one_in_predictions_events_and_treatments_however_spelled(
    asked: Callable[..., Path], reports: ReportFolder, event_log: Callable[..., str], tmp_path: Path
) -> None:
    events, folder = event_log(THURSDAY + 31 * DAY_MS), asked()
    (log,) = folder.glob("*.jsonl")
    log.write_text(re.sub(r'"customer_id":"(\d+)"', r'"customer_id":" \1.0"', log.read_text()))
    offers = tmp_path / "offers.csv"
    offers.write_text(
        "customer_id,date\n" + "".join(f"{number}.00,2018-11-05\n" for number in range(160)) + "1.1E7,2018-11-05\n"
    )
    found = report(folder, reports, events, treatments=offers)["realised"]
    assert found["treated"]["customers"] + found["untreated"]["customers"] == found["customers"] > 200
    assert found["treated"]["customers"] > 130
    assert any(
        note.startswith("1 of 161 treatments match nobody") and note.endswith("; ids with an exponent, as 1.1E7 has: 1")
        for note in found["notes"]
    )


def test_customers_without_a_label_or_without_a_chance_are_counted_and_not_judged(
    asked: Callable[..., Path], reports: ReportFolder, tmp_path: Path
) -> None:
    folder, end = asked(), THURSDAY + 31 * DAY_MS
    rows = lives(end)
    rows = [row for row in rows if row["userId"] not in {"1", "2", "3"}]
    rows.append(raw(userId="1", ts=THURSDAY))  # not seen before
    rows.append(raw(userId="2", ts=THURSDAY - 10, page="Cancellation Confirmation"))
    path = tmp_path / "events.json"
    path.write_text(json_lines(rows))
    found = report(folder, reports, str(path))["realised"]
    notes = " ".join(found["notes"])
    assert "2 customers (2 predictions) are not judged: they are not in the log of events before" in notes
    cancelled = {row["userId"] for row in rows if row["page"].startswith("Cancellation") and row["ts"] < THURSDAY}
    assert f"{len(cancelled)} customers ({len(cancelled)} predictions) are not judged: they had cancelled" in notes
    assert found["customers"] == CUSTOMERS - 2 - len(cancelled)
    assert not any(f'"{number}"' in json.dumps(found) for number in (1, 2, 3))


def test_a_log_of_other_customers_judges_nobody(
    asked: Callable[..., Path], reports: ReportFolder, tmp_path: Path
) -> None:
    path = tmp_path / "events.json"
    rows = [{**row, "userId": f"other-{row['userId']}"} for row in lives(THURSDAY + 31 * DAY_MS) if row["userId"]]
    path.write_text(json_lines([*rows, {**LOGGED_OUT, "ts": THURSDAY + 31 * DAY_MS}]))
    found = report(asked(), reports, str(path))["realised"]
    assert (found["customers"], found["rows"]) == (0, 0)
    assert found["metrics"]["auc"] == {"value": None, "low": None, "high": None}
    assert f"{CUSTOMERS} customers ({CUSTOMERS} predictions) are not judged" in " ".join(found["notes"])


def test_the_definition_is_the_models_own_unless_another_is_asked_for(
    asked: Callable[..., Path], reports: ReportFolder, event_log: Callable[..., str]
) -> None:
    folder, events = asked(), event_log(THURSDAY + 31 * DAY_MS)
    found = report(folder, reports, events, label="cancellation", horizon_days=14)["realised"]
    figures = by_scikit_learn(judged_by_training(folder, events, "cancellation", 14))
    assert values(found, figures) == pytest.approx(figures, abs=1e-12)
    assert (found["definition"], found["horizon_days"]) == ("cancellation", 14)
    assert (
        "judged by cancellation within 14 days; the model was trained to foresee either within 30 days"
        in found["notes"]
    )


def test_a_log_that_begins_too_late_is_said_to(
    asked: Callable[..., Path], reports: ReportFolder, tmp_path: Path
) -> None:
    path = tmp_path / "events.json"
    rows = [row for row in lives(THURSDAY + 31 * DAY_MS) if row["ts"] >= THURSDAY - 10 * DAY_MS]
    path.write_text(json_lines(rows))
    found = report(asked(), reports, str(path))["realised"]
    assert "the log of events begins 10.0 days before the first prediction" in " ".join(found["notes"])


def test_each_model_is_judged_by_itself_and_one_that_is_gone_is_named(
    asked: Callable[..., Path],
    reports: ReportFolder,
    event_log: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked()
    folder = asked(model="churn:gone", rows=300, scored=datetime(2018, 11, 3, tzinfo=UTC))
    report(folder, reports, event_log(THURSDAY + 31 * DAY_MS))
    first, gone = summary_of(reports)["models"]
    assert first["performance"]["realised"]["rows"] <= CUSTOMERS
    assert gone["performance"] == {"estimated": None, "realised": None, "pending": None}
    assert "labels: not for churn:gone" in capsys.readouterr().err


def of_another_contract(tag: str) -> None:
    """Contract, names of the features, columns and reference, as an earlier contract had them."""
    path = stored_model(tag).path
    manifest = json.loads((path / MANIFEST).read_text())
    reference = pd.read_parquet(path / REFERENCE).rename(columns={"songs_14d": "songs_30d"})
    reference.to_parquet(path / REFERENCE)
    manifest["files"][REFERENCE] = sha256((path / REFERENCE).read_bytes())
    manifest["features"] = ["songs_30d" if name == "songs_14d" else name for name in manifest["features"]]
    for part in (manifest["typical"], manifest["importance"]):
        part["songs_30d"] = part.pop("songs_14d")
    for column in manifest["columns"]:
        column["feature"] = column["feature"].replace("songs_14d", "songs_30d")
    (path / MANIFEST).write_text(json.dumps(manifest | {"contract": "0-old"}))


def logged_under_another_contract(folder: Path, tag: str) -> None:
    """Take the features of this contract out of a model's lines."""
    for path in folder.glob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            if line["model"] == tag:
                line["features"]["songs_30d"] = line["features"].pop("songs_14d")
                line["contract"] = "0-old"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_model_of_an_earlier_contract_is_judged_by_all_but_its_features(
    asked: Callable[..., Path],
    reports: ReportFolder,
    event_log: Callable[..., str],
    trained: TrainedModel,
    facts: ModelFacts,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = save(vars(facts), trained.files(), {}, {}).tag
    of_another_contract(old)
    asked()
    folder = asked(model=old, scored=datetime(2018, 11, 3, tzinfo=UTC))
    logged_under_another_contract(folder, old)
    report(folder, reports, None)
    champion, former = summary_of(reports)["models"]
    assert former["model"] == old
    assert former["verdict"] is None
    assert "made for contract 0-old" in former["refused"]
    for field in ("mean_probability", "flagged_share"):
        assert former[field] == {name: pytest.approx(value, abs=1e-6) for name, value in champion[field].items()}
    assert former["performance"] == champion["performance"]
    assert former["performance"]["pending"]["customers"] == CUSTOMERS
    report(folder, reports, event_log(THURSDAY + 31 * DAY_MS))
    champion, former = summary_of(reports)["models"]
    assert former["performance"]["realised"] == champion["performance"]["realised"]
    assert former["performance"]["realised"]["rows"] > 100
    assert "labels: not for" not in capsys.readouterr().err


def test_a_week_of_a_model_whose_contract_has_gone_since_is_filled_in(
    asked: Callable[..., Path],
    reports: ReportFolder,
    event_log: Callable[..., str],
    trained: TrainedModel,
    facts: ModelFacts,
) -> None:
    old = save(vars(facts), trained.files(), {}, {}).tag
    folder = asked(model=old)
    report(folder, reports, None)
    logged_under_another_contract(folder, old)
    of_another_contract(old)
    asked(THURSDAY + 35 * DAY_MS, scored=datetime(2018, 12, 7, tzinfo=UTC))
    report(folder, reports, event_log(THURSDAY + 36 * DAY_MS), week=None)
    (former,) = summary_of(reports)["models"]
    assert former["performance"]["realised"]["rows"] > 100


def test_predictions_without_a_report_are_pointed_out(
    asked: Callable[..., Path],
    reports: ReportFolder,
    event_log: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked()
    folder = asked(THURSDAY + 35 * DAY_MS, scored=datetime(2018, 12, 7, tzinfo=UTC))
    report(folder, reports, event_log(THURSDAY + 36 * DAY_MS), week=None)
    assert "predictions were logged in 2018-W44, which have no report" in capsys.readouterr().err
    assert not reports.week(WEEK).exists()


def test_what_cannot_be_read_stops_before_anything_is_written(
    asked: Callable[..., Path], reports: ReportFolder, event_log: Callable[..., str], tmp_path: Path
) -> None:
    folder = asked()
    with pytest.raises(EventLogError, match="no such file or folder"):
        report(folder, reports, str(tmp_path / "none.json"))
    with pytest.raises(SettingError, match="expected a log of events beside it"):
        LabelSettings(treatments=tmp_path / "offers.csv")
    for wrong in ({"label": "gone"}, {"horizon_days": 0}):
        with pytest.raises(SettingError):
            LabelSettings(**wrong)
    offers = tmp_path / "offers.csv"
    offers.write_text("customer_id,date\n1,soon\n")
    with pytest.raises(TreatmentsError, match="line 2: date: found 'soon'"):
        report(folder, reports, event_log(THURSDAY + 31 * DAY_MS), treatments=offers)
    assert not reports.path.exists()


def test_grouped_rows_give_the_same_figures_within_their_grid(
    asked: Callable[..., Path],
    reports: ReportFolder,
    event_log: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What millions of predictions are put through, on a week small enough to be done row by row too."""
    folder, events = asked(), event_log(THURSDAY + 31 * DAY_MS)
    one_by_one = report(folder, reports, events)["realised"]["metrics"]
    monkeypatch.setattr(late_labels, "ROWS_ONE_BY_ONE", 10)
    grouped = report(folder, reports, events)["realised"]["metrics"]
    assert grouped != one_by_one
    for name, figure in grouped.items():
        tolerance = 0.02 if name == "calibration_error" else 0.002
        assert figure["value"] == pytest.approx(one_by_one[name]["value"], abs=tolerance), name
        widths = [found["high"] - found["low"] for found in (figure, one_by_one[name])]
        assert widths[0] == pytest.approx(widths[1], rel=0.35), name


def test_half_a_line_counts_for_nothing_here_too(
    asked: Callable[..., Path], reports: ReportFolder, event_log: Callable[..., str]
) -> None:
    folder, events = asked(), event_log(THURSDAY + 31 * DAY_MS)
    whole = report(folder, reports, events)["realised"]["rows"]
    (path,) = folder.glob("*.jsonl")
    content = path.read_bytes()
    last = json.loads(content.splitlines()[0]) | {"request_id": "killed", "row": 0}
    path.write_bytes(content + b'nonsense\n[]\n{"schema":1,"erased":true}\n' + json.dumps(last).encode())
    assert report(folder, reports, events)["realised"]["rows"] == whole


def test_monitoring_answers_about_labels_without_a_prediction_in_sight(
    event_log: Callable[..., str], tmp_path: Path
) -> None:
    settings = LabelSettings(events=event_log(THURSDAY + 31 * DAY_MS))
    with opened(settings, tmp_path) as found:
        assert found.log_end == THURSDAY + 31 * DAY_MS
        assert found.has_begun(WEEK, Definition())
        assert not found.has_begun(Week(WEEK.end), Definition())
        assert found.inputs(Definition()) != found.inputs(Definition("cancellation"))
    assert back_fill.carried_over(quiet(), None) == quiet()


def test_the_command_takes_the_settings_and_says_what_was_found(
    asked: Callable[..., Path],
    reports: ReportFolder,
    event_log: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    offers = tmp_path / "offers.csv"
    offers.write_text("customer_id,date\n3,2018-11-05\n")
    options = ["--log-dir", str(asked()), "--reports", str(reports.path), "--events", event_log(THURSDAY + 31 * DAY_MS)]
    options += ["--treatments", str(offers), "--label", "cancellation", "--horizon-days", "20"]
    monkeypatch.setattr(sys, "argv", ["report", *options])
    command.main()
    found = summary_of(reports)["performance"]
    assert (found["realised"]["definition"], found["realised"]["horizon_days"]) == ("cancellation", 20)
    assert found["realised"]["treated"]["customers"] <= 1
    printed = capsys.readouterr().out
    for kind in ("estimated", "realised"):
        assert f"{kind} AUC: {found[kind]['metrics']['auc']['value']:.3f} (95 % interval " in printed
    with pytest.raises(SettingError, match="label='gone'"):
        command.requested(["--label", "gone"], LATER)
