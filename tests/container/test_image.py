"""The image as an operator meets it: built, run with the fewest privileges, called, stopped."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from churn.contract import CONTRACT_VERSION, NAMES
from churn.model.artifact import load
from churn.model.champion import read_champion
from churn.model.explaining import Explainer
from churn.model.scoring import Scorer
from scripts.image import HARDENED, USER, container
from serving.prediction_writer import PredictionLog
from serving.requests import parse_predict
from tests.conftest import ChampionModel
from tests.container.local_base import Surroundings, surroundings
from tests.integration.test_service import customers
from tests.serving.test_prediction_writer import append, logged
from tests.support.serving import PATIENCE, PROJECT, free_port

pytestmark = pytest.mark.container

MEGABYTE = 1_000_000
NOT_FOR_SERVING = {"pandas", "scikit-learn", "scipy", "duckdb", "evidently", "autogluon.tabular", "mlflow", "prefect"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Surroundings:
    return surroundings(tmp_path_factory.mktemp("engine"))


@dataclass(frozen=True)
class Image:
    """A built image, and the folder of what was written beside it."""

    name: str
    beside: Path
    here: Surroundings

    def ask(self, *arguments: str) -> str:
        """What the engine answers."""
        command = (self.here.engine.name, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | dict(self.here.run))
        return done.stdout.strip()

    def inspect(self, template: str, what: str | None = None) -> str:
        return self.ask("inspect", "--format", template, what or self.name)


@pytest.fixture(scope="module")
def image(here: Surroundings, champion: ChampionModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    name, beside = f"churn-service-test:{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("beside")
    environment = os.environ | champion.environment | dict(here.build) | {"IMAGE": name, "ENGINE": here.engine.name}
    built = subprocess.run(
        [sys.executable, "-m", "scripts.image", "--beside", str(beside)],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert built.stdout.strip() == f"image {name}"
    made = Image(name, beside, here)
    yield made
    made.ask("rmi", "--force", name)


@dataclass
class Container:
    """A container in the foreground of a process of ours."""

    process: subprocess.Popen[bytes]
    name: str
    url: str
    output: Path
    volume: Path
    image: Image

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120)

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        complete = (self.image.here.engine.name, "exec", self.name, *command)
        return subprocess.run(
            complete, capture_output=True, text=True, check=False, env=os.environ | dict(self.image.here.run)
        )

    def wait_until_ready(self, headers: Mapping[str, str] | None = None) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", headers=headers).status_code == httpx.codes.OK:
                    return
            time.sleep(0.1)
        raise AssertionError(f"the container did not start:\n{self.output.read_text()}")


@contextlib.contextmanager
def launched(
    image: Image,
    folder: Path,
    volume: Path,
    more: tuple[str, ...] = (),
    caller: int = 0,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Container]:
    """Run the product's own command, with a name to ask after it."""
    volume.mkdir(exist_ok=True)
    os.chown(volume, caller or USER, caller or USER)
    port, name = str(free_port()), f"churn-test-{uuid.uuid4().hex[:12]}"
    command = container(image.here.engine, image.name, port, volume, settings or {}, 0)
    user = ("--user", str(caller)) if caller else ()
    command[2:2] = ["--name", name, *user, *more]
    output = folder / f"{name}.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            env=os.environ | dict(image.here.run) | dict(settings or {}),
            start_new_session=True,
        )
    try:
        yield Container(process, name, f"http://127.0.0.1:{port}", output, volume, image)
    finally:
        subprocess.run(
            (image.here.engine.name, "rm", "--force", name),
            capture_output=True,
            check=False,
            env=os.environ | dict(image.here.run),
        )
        process.wait(PATIENCE)


@pytest.fixture(scope="module")
def served(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    folder = tmp_path_factory.mktemp("served")
    with launched(image, folder, folder / "predictions") as running:
        running.wait_until_ready()
        yield running


def locked() -> set[str]:
    lines = (PROJECT / "requirements" / "serve.txt").read_text().splitlines()
    return {line.split("==")[0] for line in lines if re.match(r"[a-z0-9].*==", line) and "pypy" not in line}


def test_the_image_says_which_code_model_and_contract_it_is(image: Image, champion: ChampionModel) -> None:
    labels = json.loads(image.inspect("{{json .Config.Labels}}"))
    assert labels["churn.model"] == champion.model.tag
    assert labels["churn.model.sha256"] == champion.model.sha256
    assert labels["churn.contract"] == CONTRACT_VERSION
    assert labels["org.opencontainers.image.version"] == "0.1.0"
    assert labels["org.opencontainers.image.revision"]


def test_the_image_is_lean(image: Image) -> None:
    over = int(image.inspect("{{.Size}}")) - int(image.inspect("{{.Size}}", image.here.base))
    assert over <= 450 * MEGABYTE


def test_the_bill_of_materials_is_valid_and_is_the_lock(image: Image) -> None:
    (bill,) = image.beside.glob("*.cdx.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.read_text()) is None
    components = json.loads(bill.read_text())["components"]
    purls = [component.get("purl", "") for component in components]
    packages = {purl.split("/")[1].split("@")[0] for purl in purls if purl.startswith("pkg:pypi/")}
    # What is beyond the lock is the base image's own.
    assert locked() <= packages
    assert not packages & NOT_FOR_SERVING
    assert any(purl.startswith("pkg:deb/debian/libc6@") for purl in purls)


def test_telemetry_is_off_and_health_is_checked(image: Image) -> None:
    assert {"BENTOML_DO_NOT_TRACK=true", "DO_NOT_TRACK=1", "ORT_DISABLE_TELEMETRY=1"} <= set(
        json.loads(image.inspect("{{json .Config.Env}}"))
    )
    (found,) = json.loads(image.ask("image", "inspect", image.name))
    health = found.get("Healthcheck") or found["Config"]["Healthcheck"]
    assert health["Test"] == ["CMD", "python", "/app/bento/src/deploy/image/health.py"]
    assert image.inspect("{{.Config.User}}") == f"{USER}:{USER}"


def test_no_compiler_and_no_git_are_in_it(served: Container) -> None:
    found = served.execute(
        "python", "-c", "import shutil; print([t for t in ('gcc','cc','make','git') if shutil.which(t)])"
    )
    assert found.stdout.strip() == "[]"


def test_it_answers_as_the_model_does_in_process(served: Container, champion: ChampionModel) -> None:
    rows = customers(50)
    batch = parse_predict(json.dumps({"customers": rows}).encode(), datetime.now(UTC))
    scorer = Scorer(champion.model)
    matrix = scorer.encoder.batch(batch.numbers, batch.categories)
    score = scorer.score(matrix)
    contributions = Explainer(champion.model.forest(), champion.model.manifest.columns).contributions(matrix, 1)
    with served.client() as client:
        predictions = client.post("/predict", json={"customers": rows}).json()["predictions"]
        explanations = client.post("/explain", json={"customers": rows}).json()["explanations"]
    expected = scorer.probability(score)
    np.testing.assert_allclose([given["churn_probability"] for given in predictions], expected, atol=1e-9)
    np.testing.assert_allclose([given["score"] for given in explanations], score, atol=1e-9)
    given = [[explanation["contributions"][name] for name in NAMES] for explanation in explanations]
    np.testing.assert_allclose(given, contributions, atol=1e-9)


def test_it_runs_as_nobody_special_on_a_file_system_it_cannot_write(served: Container) -> None:
    assert served.execute("id", "-u").stdout.strip() == str(USER)
    for path in ("/app/bento/src/service.py", "/etc/hostname-of-mine", "/app/.venv/bin/new"):
        written = served.execute("python", "-c", f"open({path!r}, 'a')")
        assert written.returncode != 0
        assert "Read-only file system" in written.stderr or "Permission denied" in written.stderr


def test_the_health_check_passes(served: Container) -> None:
    assert served.execute("python", "/app/bento/src/deploy/image/health.py").returncode == 0


def patiently(client: httpx.Client, path: str, rows: int) -> int:
    """Ask again as long as more is held than the memory allows, as docs/api.md tells callers to."""
    asked = {"customers": customers(rows)}
    while (answer := client.post(path, json=asked)).status_code == httpx.codes.TOO_MANY_REQUESTS:
        time.sleep(int(answer.headers["Retry-After"]))
    return answer.status_code


def test_it_stays_within_its_memory_under_load(served: Container) -> None:
    assert int(served.image.inspect("{{.HostConfig.Memory}}", served.name)) == 512 * 1024 * 1024
    with served.client() as client, ThreadPoolExecutor(4) as callers:
        bodies = [("/predict", 10_000), ("/explain", 1_000)] * 4
        asked = [callers.submit(patiently, client, path, rows) for path, rows in bodies]
        assert [answer.result() for answer in asked] == [200] * len(bodies)
    assert served.image.inspect("{{.State.Running}} {{.State.OOMKilled}}", served.name) == "true false"


def test_two_replicas_share_a_volume_and_sigterm_loses_nothing(image: Image, tmp_path: Path) -> None:
    volume = tmp_path / "predictions"
    with launched(image, tmp_path, volume) as one, launched(image, tmp_path, volume) as other:
        for rows, replica in enumerate((one, other), start=3):
            replica.wait_until_ready()
            with replica.client() as client:
                assert client.post("/predict", json={"customers": customers(rows)}).status_code == 200
        for replica in (one, other):
            image.ask("kill", "--signal", "TERM", replica.name)
            assert replica.process.wait(PATIENCE) in {0, 128 + signal.SIGTERM}
            assert "Completed cleanup hook: close" in replica.output.read_text()
    logged = [path for path in volume.rglob("*") if path.is_file()]
    assert len(logged) == 2
    assert sum(len(path.read_text().splitlines()) for path in logged) == 3 + 4


def test_any_user_can_run_it(image: Image, tmp_path: Path) -> None:
    with launched(image, tmp_path, tmp_path / "predictions", caller=12_345) as running:
        running.wait_until_ready()
        with running.client() as client:
            assert client.post("/predict", json={"customers": customers(1)}).status_code == 200
    assert {path.stat().st_uid for path in running.volume.rglob("*") if path.is_file()} == {12_345}


def test_with_a_file_of_keys_only_who_has_one_is_answered_and_the_health_check_still_passes(
    image: Image, tmp_path: Path
) -> None:
    keys, held = tmp_path / "keys", {"X-API-Key": "a-key-of-the-tests-1"}
    keys.write_text(held["X-API-Key"] + "  # the tests\n")
    keys.chmod(0o400)
    os.chown(keys, USER, USER)
    settings = {"CHURN_API_KEYS_FILE": str(keys), "CHURN_PROTECT_ALL": "1"}
    with launched(image, tmp_path, tmp_path / "predictions", settings=settings) as running:
        running.wait_until_ready(held)
        with running.client() as client:
            asked = {"customers": customers(1)}
            assert client.post("/predict", json=asked).status_code == 401
            assert client.get("/metrics").status_code == 401
            assert client.post("/predict", json=asked, headers=held).status_code == 200
        assert running.execute("python", "/app/bento/src/deploy/image/health.py").returncode == 0


def test_without_a_volume_it_says_so(image: Image, tmp_path: Path) -> None:
    port = str(free_port())
    name = f"churn-test-{uuid.uuid4().hex[:12]}"
    image.ask(
        "run", "--detach", "--name", name, *HARDENED, "--env", f"PORT={port}", "--publish", f"{port}:{port}", image.name
    )
    try:
        with (tmp_path / "output.txt").open("wb") as file:
            follow = subprocess.Popen(
                (image.here.engine.name, "wait", name), stdout=file, env=os.environ | dict(image.here.run)
            )
        running = Container(follow, name, f"http://127.0.0.1:{port}", tmp_path / "output.txt", tmp_path, image)
        running.wait_until_ready()
        said = subprocess.run(
            (image.here.engine.name, "logs", name),
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | dict(image.here.run),
        )
        assert "it is lost with the container; mount a volume at /predictions" in said.stdout + said.stderr
    finally:
        image.ask("rm", "--force", name)


def copies_of_the_model() -> dict[str, list[str]]:
    """How the weekly report's job gets the model out of this image, by where that is said."""
    stack = yaml.safe_load((PROJECT / "deploy" / "compose" / "compose.yaml").read_text())
    manifests = yaml.safe_load_all((PROJECT / "deploy" / "kubernetes" / "base" / "weekly-report.yaml").read_text())
    (job,) = [found for found in manifests if found["kind"] == "CronJob"]
    (copying,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["initContainers"]
    return {"compose": stack["services"]["model"]["entrypoint"], "kubernetes": copying["command"]}


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_the_reports_job_gets_the_very_model_that_is_served(
    image: Image, champion: ChampionModel, tmp_path: Path, where: str
) -> None:
    program, *arguments = copies_of_the_model()[where]
    os.chown(tmp_path, USER, USER)
    run = (
        "run",
        "--rm",
        *HARDENED,
        "--volume",
        f"{tmp_path}:/bentoml",
        "--entrypoint",
        program,
        image.name,
        *arguments,
    )
    for _ in range(2):  # every week anew
        image.ask(*run)
    copied = read_champion(tmp_path / "champion.json")
    assert copied == champion.champion
    name, version = copied.tag.split(":")
    assert load(tmp_path / "models" / name / version, copied.tag, copied.sha256).manifest == champion.model.manifest


def erasing() -> dict[str, tuple[str, ...]]:
    """How the customer `7` is erased by a job of its own, by where that is said."""
    stack = yaml.safe_load((PROJECT / "deploy" / "compose" / "compose.yaml").read_text())
    job = yaml.safe_load((PROJECT / "deploy" / "kubernetes" / "base" / "erase.yaml").read_text())
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return {
        "compose": (*stack["services"]["erase"]["entrypoint"], "--customer", "7"),
        "kubernetes": tuple(word.replace("$(CUSTOMER)", "7") for word in container["command"]),
    }


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_a_customer_is_erased_by_a_job_of_its_own(image: Image, tmp_path: Path, where: str) -> None:
    append(PredictionLog(tmp_path, "m"), "7", "8", "7.0")
    program, *arguments = erasing()[where]
    for path in (tmp_path, *tmp_path.iterdir()):
        os.chown(path, USER, USER)
    place = ("--volume", f"{tmp_path}:/predictions", "--env", "CHURN_LOG_DIR=/predictions")
    run = ("run", "--rm", *HARDENED, "--network", "none", *place, "--entrypoint", program, image.name, *arguments)
    assert image.ask(*run) == "2 lines erased in /predictions"
    assert logged(tmp_path) == ["8"]


def test_a_customer_is_erased_beside_the_running_service(served: Container) -> None:
    with served.client() as client:
        asked = {"customers": [customer | {"customer_id": "to-be-erased"} for customer in customers(1)]}
        assert client.post("/predict", json=asked).status_code == 200
        command = ("python", "-m", "churn.prediction_log", "erase", "--folder", "/predictions", "--customer")
        assert served.execute(*command, "to-be-erased").returncode == 0
        nothing = served.execute(*command, "to-be-erased")
        assert (nothing.returncode, nothing.stdout) == (3, "0 lines erased in /predictions\n")
        assert client.post("/predict", json=asked).status_code == 200
    assert logged(served.volume).count("to-be-erased") == 1


@pytest.mark.parametrize("altered", ["forest.onnx", "forest.npz", "manifest.json"])
def test_a_tampered_model_does_not_start(image: Image, champion: ChampionModel, tmp_path: Path, altered: str) -> None:
    name, version = champion.model.tag.split(":")
    content = bytearray((champion.model.path / altered).read_bytes())
    content[-2] ^= 1
    (tmp_path / altered).write_bytes(content)
    (tmp_path / altered).chmod(0o644)
    inside = f"/app/bento/models/{name}/{version}/{altered}"
    with launched(image, tmp_path, tmp_path / "predictions", ("--volume", f"{tmp_path / altered}:{inside}:ro")) as told:
        assert told.process.wait(PATIENCE) != 0
    assert f"{altered} was altered" in told.output.read_text()
