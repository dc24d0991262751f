"""Runs in MLflow, a local file or the server that is set: settings and results.

`MLFLOW=off` tracks nothing; so does a machine without MLflow (dependency group `track`).
MLflow takes seconds to import: nothing here imports it before a run is tracked.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

from churn.code_version import code_version
from churn.errors import TrackingError
from churn.model.champion import Champion
from churn.settings import Setting, set_for_libraries, text
from training.model.manifest import ModelFacts
from training.model.store import Decision
from training.tracking.place import TRACKING_URI, check_answers, refusals, tracking_uri, without_password

FILES: Final = "mlflow-files"
TRACKING: Final = Setting("CHURN_MLFLOW", "on", "off trains without tracking.")
EXPERIMENT: Final = Setting("MLFLOW_EXPERIMENT_NAME", "churn", "Name of the experiment that the runs belong to.")
RUN_LABEL: Final = "mlflow_run"
"""Label of the stored model that names its run."""

_PARAMETERS_AT_ONCE: Final = 100

# Set before MLflow is imported, unless the user has: no minutes of retries.
_ENVIRONMENT: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


class Run(Protocol):
    """A run that is tracked, or is not; the caller need not know which. All raise `TrackingError`."""

    @property
    def id(self) -> str | None:
        """MLflow's id of the run; None when nothing is tracked."""

    def parameters(self, values: Mapping[str, Any]) -> None:
        """The settings; nested names are joined by a point."""

    def metrics(self, values: Mapping[str, float]) -> None:
        """The results; figures that are not finite are left out."""

    def tags(self, values: Mapping[str, str]) -> None: ...

    def folder(self, path: Path, name: str) -> None:
        """Keep all files of a folder under `name`."""


class Untracked:
    """Keeps nothing."""

    id: None = None

    def parameters(self, values: Mapping[str, Any]) -> None: ...

    def metrics(self, values: Mapping[str, float]) -> None: ...

    def tags(self, values: Mapping[str, str]) -> None: ...

    def folder(self, path: Path, name: str) -> None: ...


@dataclass(frozen=True)
class MlflowRun:
    """A run of MLflow's, written to at once."""

    client: Any
    uri: str
    id: str

    def parameters(self, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param  # noqa: PLC0415  # slow to import

        given = [Param(name, _text(value)) for name, value in flat(values)]
        with refusals(self.uri):
            for start in range(0, len(given), _PARAMETERS_AT_ONCE):
                self.client.log_batch(self.id, params=given[start : start + _PARAMETERS_AT_ONCE])

    def metrics(self, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415  # slow to import

        now = int(time.time() * 1000)
        found = [Metric(name, float(value), now, 0) for name, value in values.items() if math.isfinite(value)]
        with refusals(self.uri):
            self.client.log_batch(self.id, metrics=found)

    def tags(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag  # noqa: PLC0415  # slow to import

        with refusals(self.uri):
            self.client.log_batch(self.id, tags=[RunTag(name, value) for name, value in values.items()])

    def folder(self, path: Path, name: str) -> None:
        with refusals(self.uri):
            self.client.log_artifacts(self.id, str(path), name)


@contextmanager
def tracked(kind: str, data: Path, wanted: bool, progress: Callable[[str], None]) -> Iterator[Run]:
    """A run for the length of the block, marked failed or killed when the block is left by an error.

    Args:
        kind: of command: its name in the list of runs.
        data: folder of the local file.
        wanted: False tracks nothing.
        progress: is told where the run is kept, or why it is not.

    Raises:
        TrackingError: at once, when what is to keep the run does not answer.
    """
    reason = _why_untracked(wanted)
    if reason is not None:
        progress(f"not tracked: {reason}")
        yield Untracked()
        return
    found = _start(kind, data)
    progress(f"tracked: MLflow run {found.id} in {without_password(found.uri)}")
    status = "FAILED"
    try:
        yield found
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        with suppress(TrackingError), refusals(found.uri):
            found.client.set_terminated(found.id, status)


def _why_untracked(wanted: bool) -> str | None:
    if not wanted:
        return "--no-tracking"
    if text(TRACKING).lower() in {"off", "0", "no", "false"}:
        return f"{TRACKING.name}=off"
    if find_spec("mlflow") is None:
        return "MLflow is not installed (dependency group `track`)"
    return None


def _start(kind: str, data: Path) -> MlflowRun:
    set_for_libraries(_ENVIRONMENT, unless_set=True)
    uri = tracking_uri(data)
    check_answers(uri)
    from mlflow import MlflowClient  # noqa: PLC0415  # slow to import

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with refusals(uri):
        client = MlflowClient(tracking_uri=uri)
        created = client.create_run(_experiment(client, data), run_name=kind, tags=_code_tags())
    return MlflowRun(client, uri, created.info.run_id)


def _experiment(client: Any, data: Path) -> str:
    """The experiment's id; where the runs are in our own file, their files lie beside it."""
    name = text(EXPERIMENT)
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    ours = not text(TRACKING_URI)
    return str(client.create_experiment(name, (data / FILES).resolve().as_uri() if ours else None))


def _code_tags() -> dict[str, str]:
    code = code_version()
    return {"code.revision": code.revision, "code.dirty": str(code.dirty).lower()}


def flat(values: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, Any]]:
    """Each innermost value with its names joined by points: `{"forest": {"trees": 9}}` is `forest.trees`, 9."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{under}{name}.")
        else:
            yield f"{under}{name}", value


def _text(value: Any) -> str:
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    return ", ".join(map(str, value)) if listed else str(value)


class Interval(Protocol):
    """A value and the ends of its interval."""

    @property
    def value(self) -> float: ...

    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...


def with_bounds(figures: Mapping[str, Interval]) -> dict[str, float]:
    """Figures as metrics: `auc` is the value, `auc_low` and `auc_high` are the ends of its interval."""
    return {
        f"{name}{end}": number
        for name, figure in figures.items()
        for end, number in (("", figure.value), ("_low", figure.low), ("_high", figure.high))
    }


def record_facts(tracked_run: Run, facts: ModelFacts) -> None:
    """Record a model before it is stored: settings and data as parameters, figures as metrics."""
    training, metrics = facts.training.model_dump(), facts.metrics
    search = {name: value for name, value in (training["search"] or {}).items() if name not in {"curve", "by_fold"}}
    tracked_run.parameters({**training, "search": search, "policy": facts.policy.name})
    counts = {"rows": metrics.rows, "customers": metrics.customers, "churners": metrics.churners}
    tracked_run.metrics(with_bounds(metrics.figures) | counts | {"threshold": facts.threshold})


def record_model(
    tracked_run: Run, model: Champion, decision: Decision, card: Path, progress: Callable[[str], None]
) -> None:
    """Let the run point to the model that was stored, and keep its card.

    The model is good without it: a refusal is a warning.
    """
    tags = {"bentoml_model": model.tag, "model_sha256": model.sha256}
    try:
        tracked_run.tags(tags | {"champion": str(decision.promote).lower(), "promotion": decision.reason})
        tracked_run.folder(card, "model_card")
    except TrackingError as error:
        progress(f"warning: the model is stored, but its run does not point to it: {error}")


def labels_of(tracked_run: Run) -> dict[str, str]:
    """Labels of the stored model that point to its run."""
    return {} if tracked_run.id is None else {RUN_LABEL: tracked_run.id}
