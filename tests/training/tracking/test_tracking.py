"""Runs are kept where they are to be kept, and what does not answer is told at once."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from churn.errors import TrackingError
from churn.model.champion import Champion
from churn.quality.figure import Figure
from training.model.manifest import ModelFacts
from training.model.store import Decision
from training.model.trained import TrainedModel
from training.tracking import runs as tracking
from training.tracking.place import check_answers, tracking_uri, without_password
from training.tracking.runs import (
    RUN_LABEL,
    MlflowRun,
    Untracked,
    flat,
    labels_of,
    record_facts,
    record_model,
    tracked,
    with_bounds,
)

MODEL = Champion("churn:abc", "f" * 64)
SETTINGS = ("MLFLOW", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME")


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


def client(data: Path) -> Any:
    from mlflow import MlflowClient  # noqa: PLC0415  # slow to import

    return MlflowClient(tracking_uri=tracking_uri(data))


@contextmanager
def server_answering(status: int) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_training_run_is_kept_in_the_data_folder(tmp_path: Path, trained: TrainedModel, facts: ModelFacts) -> None:
    card = tmp_path / "card"
    card.mkdir()
    (card / "model_card.html").write_text("card")
    said: list[str] = []
    with tracked("train", tmp_path, True, said.append) as run:
        assert run.id is not None
        record_facts(run, facts)
        record_model(run, MODEL, Decision(True, "no champion yet"), card, said.append)
    kept = client(tmp_path).get_run(run.id)
    assert kept.info.status == "FINISHED"
    assert kept.info.run_name == "train"
    assert kept.data.params["fingerprint"] == facts.training.fingerprint
    assert kept.data.params["forest.trees"] == str(trained.settings.forest.trees)
    auc = trained.evaluation.figures["auc"]
    assert [kept.data.metrics[name] for name in ("auc", "auc_low", "auc_high")] == [auc.value, auc.low, auc.high]
    assert kept.data.tags["bentoml_model"] == "churn:abc"
    assert kept.data.tags["champion"] == "true"
    assert kept.data.tags["code.dirty"] in {"true", "false"}
    files = client(tmp_path).list_artifacts(run.id, "model_card")
    assert [file.path for file in files] == ["model_card/model_card.html"]
    assert list((tmp_path / "mlflow-files").rglob("model_card.html"))
    assert labels_of(run) == {RUN_LABEL: run.id}
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert len(said) == 1
    assert run.id in said[0]


def test_a_run_left_by_an_error_is_marked_failed(tmp_path: Path) -> None:
    ids: list[str | None] = []

    def fail() -> None:
        with tracked("train", tmp_path, True, lambda _: None) as run:
            ids.append(run.id)
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    assert client(tmp_path).get_run(ids[0]).info.status == "FAILED"


@pytest.mark.parametrize(
    ("setting", "wanted", "reason"),
    [
        ({"CHURN_MLFLOW": "off"}, True, "CHURN_MLFLOW=off"),
        ({"CHURN_MLFLOW": "OFF"}, True, "CHURN_MLFLOW=off"),
        ({}, False, "--no-tracking"),
    ],
)
def test_tracking_can_be_turned_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: dict[str, str], wanted: bool, reason: str
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    said: list[str] = []
    with tracked("train", tmp_path, wanted, said.append) as run:
        run.parameters({"a": 1})
        run.metrics({"a": 1.0})
        run.tags({"a": "b"})
        run.folder(tmp_path, "nothing")
    assert isinstance(run, Untracked)
    assert labels_of(run) == {}
    assert said == [f"not tracked: {reason}"]
    assert list(tmp_path.iterdir()) == []


def test_without_mlflow_training_goes_on_with_a_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    said: list[str] = []
    with tracked("train", tmp_path, True, said.append) as run:
        assert run.id is None
    assert said == ["not tracked: MLflow is not installed (dependency group `track`)"]


def test_a_server_that_is_not_there_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    entered = []

    def enter() -> None:
        with tracked("train", tmp_path, True, lambda _: None):
            entered.append(True)

    with pytest.raises(TrackingError, match="does not answer") as error:
        enter()
    assert uri in str(error.value)
    assert "MLFLOW=off" in str(error.value)
    assert not entered


def test_a_server_in_trouble_is_refused() -> None:
    with server_answering(503) as uri, pytest.raises(TrackingError, match="answers with status 503"):
        check_answers(uri)


@pytest.mark.parametrize("status", [200, 401, 404])
def test_a_server_that_answers_at_all_is_taken(status: int) -> None:
    with server_answering(status) as uri:
        check_answers(uri)


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999", "http://", "postgresql://127.0.0.1:99999/runs"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(TrackingError, match="does not answer"):
        check_answers(address)


def test_a_database_that_is_not_there_is_refused_without_showing_its_password() -> None:
    uri = f"postgresql://anna:secret@127.0.0.1:{closed_port()}/runs"
    with pytest.raises(TrackingError, match="does not answer") as error:
        check_answers(uri)
    assert "secret" not in str(error.value)
    assert without_password(uri) in str(error.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database, and long enough to be taken for one")
    with pytest.raises(TrackingError, match="not a database"):
        check_answers(tracking_uri(tmp_path))


def test_a_refusal_after_the_model_was_stored_is_a_warning(tmp_path: Path) -> None:
    class Gone:
        def log_batch(self, *_: object, **__: object) -> None:
            raise ConnectionError("gone")

    said: list[str] = []
    run = MlflowRun(Gone(), "http://tracking.example", "1")
    record_model(run, MODEL, Decision(True, "no champion yet"), tmp_path, said.append)
    assert len(said) == 1
    assert said[0].startswith("warning: the model is stored")
    assert "gone" in said[0]


def test_the_server_named_by_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example")
    assert tracking_uri(tmp_path) == "http://tracking.example"


def test_another_database_and_experiment_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where MLflow puts files of a database that is not ours
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'theirs.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "streaming")
    with tracked("train", tmp_path / "data", True, lambda _: None) as run:
        pass
    found = client(tmp_path)
    experiment = found.get_experiment(found.get_run(run.id).info.experiment_id)
    assert experiment.name == "streaming"
    assert not (tmp_path / "data").exists()


def test_nested_settings_become_names_with_points() -> None:
    nested = {"seed": 7, "forest": {"trees": 200, "without": []}, "empty": {}}
    assert list(flat(nested)) == [("seed", 7), ("forest.trees", 200), ("forest.without", [])]


def test_a_figure_becomes_three_metrics() -> None:
    assert with_bounds({"auc": Figure(0.7, 0.6, 0.8)}) == {
        "auc": 0.7,
        "auc_low": 0.6,
        "auc_high": 0.8,
    }
