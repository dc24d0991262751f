"""The evaluation report on a small simulated log, through the same steps as `make evaluate`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from churn.activity.labels import Definition
from churn.activity.reading import read_events
from churn.activity.typed import write_events
from churn.errors import SettingError, TruthError
from training.evaluation_report.files import Section, markdown, page, write_report
from training.evaluation_report.report import (
    ReportSettings,
    against_section,
    read_truth,
    report,
    truth_section,
)
from training.featurize import featurize
from training.forest.fit import ForestSettings
from training.model.kept_evaluation import KeptEvaluation, keep_evaluation
from training.model.manifest import policy_facts
from training.model.trained import TrainingSettings
from training.run.run import evaluation_of
from training.run.train import train
from training.simulate import SimulationSettings, simulate, write_log, write_truth
from training.table.folder import DataFolder

pytestmark = pytest.mark.slow

FOREST = ForestSettings(trees=60, depth=6, leaf=20, jobs=2)


def quiet(_: str) -> None:
    """No progress."""


@dataclass(frozen=True)
class Run:
    """A data folder after featurize and train, the truth of its log, and the report over both."""

    folder: DataFolder
    truth: Path
    ours: KeptEvaluation
    sections: list[Section]
    found: dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    where = tmp_path_factory.mktemp("evaluation")
    # 800 customers of the default world are too few for a forest to come near the best possible.
    simulation = simulate(SimulationSettings(customers=800, days=120, seed=3, world="engaged-stay"))
    write_log(simulation, where / "log.parquet")
    write_truth(simulation, where / "truth.parquet")
    log, folder = read_events(str(where / "log.parquet"), ibis.duckdb.connect()), DataFolder(where)
    write_events(log, folder.events)
    featurize(log, folder, "log.parquet", Definition())
    table, _ = folder.training_table()
    trained = train(table, TrainingSettings("either", 30, forest=FOREST), quiet)
    ours = keep_evaluation(trained, policy_facts(trained), folder)
    settings = ReportSettings("whole-history", 5, read_truth(where / "truth.parquet"))
    sections, found = report(folder, ours, settings, quiet)
    return Run(folder, where / "truth.parquet", ours, sections, found)


def held_out(run: Run) -> pd.DataFrame:
    return pd.read_parquet(run.folder.path / "held_out.parquet")


def test_the_best_possible_is_that_of_the_true_probabilities(run: Run) -> None:
    rows = held_out(run).merge(pd.read_parquet(run.truth), on=["customer_id", "as_of"], suffixes=("", "_true"))
    found = run.found["truth"]
    assert found["oracle_auc"]["value"] == pytest.approx(roc_auc_score(rows.churned, rows.probability_true))
    assert found["auc"]["value"] == pytest.approx(roc_auc_score(rows.churned, rows.score))
    assert found["share"]["value"] == pytest.approx(found["auc"]["value"] / found["oracle_auc"]["value"])


def test_eight_hundred_customers_come_near_the_best_possible_and_not_past_it(run: Run) -> None:
    share = run.found["truth"]["share"]
    assert 0.8 < share["low"] < share["value"] < share["high"] < 1


def test_the_published_protocol_stands_beside_ours_with_what_its_leak_is_worth(run: Run) -> None:
    found = run.found["whole_history"]
    aucs = {name: found[name]["figures"]["auc"]["mean"] for name in ("with_span", "without_span", "until_then")}
    assert aucs["with_span"] > max(aucs["without_span"], aucs["until_then"]) + 0.03
    assert f"{aucs['with_span'] - aucs['until_then']:+.2f}" in found["sentence"]
    titles = [section.title.partition(":")[0] for section in run.sections]
    assert titles == [
        "Point in time",
        "Against the best possible",
        "Whole history",
        "The predecessor's features, point in time",
    ]


def test_ours_are_compared_with_the_predecessors_on_the_same_rows(run: Run) -> None:
    facts = run.found["predecessor_features"]
    gain = facts["predecessor"]["ours_minus_theirs"]
    assert gain["value"] == pytest.approx(facts["score"]["auc"]["value"] - facts["predecessor"]["auc"]["value"])
    assert gain["low"] < gain["value"] < gain["high"]


def test_a_difference_is_beyond_chance_only_when_it_is(run: Run) -> None:
    rows = held_out(run)
    noise = np.random.default_rng(0).random(len(rows))
    theirs = rows[["customer_id", "as_of"]].assign(predecessor=rows.score, predecessor_with_span=noise)
    _, facts = against_section(run.ours, theirs, seed=1)
    same, worse = (facts[name]["ours_minus_theirs"] for name in ("predecessor", "predecessor_with_span"))
    assert same == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert worse["low"] > 0


def test_the_report_without_a_protocol_is_ours_alone(run: Run) -> None:
    sections, found = report(run.folder, run.ours, ReportSettings(), quiet)
    assert [section.title for section in sections] == ["Point in time: this model"]
    assert "whole_history" not in found
    assert str(found["point_in_time"]["customers"]) in sections[0].text[0]


def test_an_evaluation_of_another_table_is_not_shown(run: Run, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    for name in ("training.parquet", "dataset.json", "held_out.parquet", "evaluation.json"):
        (tmp_path / name).write_bytes((run.folder.path / name).read_bytes())
    stale = json.loads((tmp_path / "evaluation.json").read_text()) | {"fingerprint": "another", "rows": -1}
    (tmp_path / "evaluation.json").write_text(json.dumps(stale))
    told: list[str] = []
    assert evaluation_of(folder, told.append).facts.rows > 0
    assert "no evaluation of this table" in told[0]


def test_a_protocol_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SettingError, match="whole-history"):
        ReportSettings("whole")


def test_truth_that_does_not_fit_is_refused(run: Run, tmp_path: Path) -> None:
    ours, truth = run.ours, pd.read_parquet(run.truth)
    with pytest.raises(TruthError, match="of another log"):
        truth_section(ours, truth[truth.customer_id != ours.held_out.customer_id.iloc[0]], "either", 1)
    with pytest.raises(TruthError, match="label is cancellation"):
        truth_section(ours, truth, "cancellation", 1)
    with pytest.raises(TruthError, match="does not exist"):
        read_truth(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("customer_id,probability\n1,0.5\n")
    with pytest.raises(TruthError, match="no column as_of"):
        read_truth(tmp_path / "other.csv")
    (tmp_path / "broken.parquet").write_text("not parquet")
    with pytest.raises(TruthError, match="cannot be read"):
        read_truth(tmp_path / "broken.parquet")


def test_text_from_outside_is_shown_as_text() -> None:
    section = Section("<b>", ("</script><script>alert(1)</script>",), ("<i>",), ("a|b",), (("<td>|",),))
    for text in (page("<title>", [section]), markdown("<title>", [section])):
        assert "<script>" not in text
        assert "&lt;script&gt;" in text
    assert "a\\|b" in markdown("t", [section])


def test_three_files_are_written(run: Run, tmp_path: Path) -> None:
    paths = write_report(tmp_path, "Evaluation", run.sections, run.found)
    assert [path.name for path in paths] == ["evaluation.html", "evaluation.md", "evaluation.json"]
    assert json.loads(paths[2].read_text())["truth"] == run.found["truth"]
    for section in run.sections:
        assert section.title in paths[1].read_text()
