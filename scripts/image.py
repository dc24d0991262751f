"""`make image` and `make run-api`: the champion as an OCI image, and a container of it."""

import argparse
import json
import os
import shlex
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from churn.code_version import code_version
from churn.command import run, say, show
from churn.contract import CONTRACT_VERSION, example_customer
from churn.errors import ImageError
from churn.files import replace_file
from churn.model.champion import Champion, champion_path, read_champion
from churn.settings import CHAMPION, LOG_DIR
from scripts import bento, engine, image_inventory, sbom
from serving.settings import API_KEYS, API_KEYS_FILE, SETTINGS

ROOT: Final = Path(__file__).parent.parent
NAME: Final = "churn-service"
USER: Final = 1034
"""User of the image (deploy/image/Dockerfile.template)."""

HARDENED: Final = (
    *("--read-only", "--tmpfs", "/tmp"),  # noqa: S108  # inside the container
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "512m"),
)
"""The container works with nothing but these; Kubernetes says the same in its own words."""


KEYS: Final = "/run/churn-api-keys"
"""Path of the file of API keys in the container."""


def labels(champion: Champion) -> dict[str, str]:
    """Labels of an image, as `inspect` shows them: code, model, contract."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return {
        "org.opencontainers.image.title": NAME,
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.revision": code_version().name,
        "churn.model": champion.tag,
        "churn.model.sha256": champion.sha256,
        "churn.contract": CONTRACT_VERSION,
    }


def build(using: engine.Engine, beside: Path, environment: Mapping[str, str]) -> str:
    """Build the image, and write its bill of materials and an example request beside it.

    Args:
        using: the engine.
        beside: folder for the files.
        environment: `IMAGE` names the image; `IMAGE_OPTIONS` go to `bentoml containerize --opt`.

    Returns:
        Name and tag of the image.
    """
    champion = read_champion(champion_path())
    marked = labels(champion)
    tag = bento.build()
    image = environment.get("IMAGE") or f"{NAME}:{tag.partition(':')[2]}"
    say(f"building {image} of {champion.tag} with {using.name}; the first time takes a few minutes")
    options = [f"label={name}={value}" for name, value in marked.items()]
    _containerize(using, tag, image, options + shlex.split(environment.get("IMAGE_OPTIONS", "")))
    say("listing what is installed in it")
    inventory = using.output(image, Path(image_inventory.__file__).read_text())
    bill = beside / f"{image.replace('/', '_').replace(':', '-')}.cdx.json"
    replace_file(bill, sbom.bill_of_materials(image, marked, inventory).encode())
    replace_file(example_path(beside), json.dumps({"customers": [example_customer()]}, indent=1).encode())
    say(f"bill of materials: {bill}")
    return image


def example_path(beside: Path) -> Path:
    return beside / "example.json"


def _containerize(using: engine.Engine, tag: str, image: str, options: list[str]) -> None:
    bentoml = Path(sys.executable).absolute().parent / "bentoml"
    command = [str(bentoml), "containerize", tag, "--backend", using.name, "--image-tag", image]
    command += [part for option in options for part in ("--opt", option)]
    # BentoML reads the template of a bento only below its working directory, and unpacks the
    # bento in the temporary one: they have to be the same. The OCI format knows no health check.
    with tempfile.TemporaryDirectory(prefix="churn-image-") as folder:
        environment = os.environ | {"TMPDIR": folder, "BUILDAH_FORMAT": "docker"}
        built = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if built.returncode:
        said = (built.stdout + built.stderr).strip()[-4000:]
        raise ImageError(f"`bentoml containerize` failed with status {built.returncode}:\n{said}")


def container(
    using: engine.Engine, image: str, port: str, log_folder: Path, environment: Mapping[str, str], caller: int
) -> list[str]:
    """The command that runs the image in the foreground, as little privileged as it can be.

    The files of the prediction log belong to whoever calls; root hands the folder to the image's user.
    """
    command = [using.name, "run", "--rm", *HARDENED, "--volume", f"{log_folder}:/predictions"]
    command += ["--publish", f"{environment.get('HOST') or '127.0.0.1'}:{port}:{port}", "--env", f"PORT={port}"]
    command += _settings(environment)
    if caller:
        command += ["--user", str(caller)]
        command += ["--userns", "keep-id"] if using.name == "podman" else []
    return [*command, image]


def _settings(environment: Mapping[str, str]) -> list[str]:
    """The service's settings by name, so that no key is seen in a list of processes; a file of keys is mounted."""
    elsewhere = (CHAMPION, LOG_DIR, API_KEYS_FILE)
    passed = [setting.name for setting in SETTINGS if setting not in elsewhere and environment.get(setting.name)]
    given = [part for name in passed for part in ("--env", name)]
    keys = environment.get(API_KEYS_FILE.name)
    if keys:
        given += ["--volume", f"{Path(keys).absolute()}:{KEYS}:ro", "--env", f"{API_KEYS_FILE.name}={KEYS}"]
    return given


def check_keys(file: Path, caller: int) -> None:
    """The container's user has to be able to read the API keys.

    Args:
        file: as it is on this machine.
        caller: who starts the container; root's containers run as the image's user.

    Raises:
        ImageError: no such file, or it is another's.
    """
    if not file.is_file():
        raise ImageError(f"{API_KEYS_FILE.name}={file}: expected a file with a key on a line")
    user, found = caller or USER, file.stat()
    if not found.st_mode & (stat.S_IRUSR if found.st_uid == user else stat.S_IROTH):
        raise ImageError(
            f"{API_KEYS_FILE.name}={file}: user {user} of the container cannot read it; "
            f"hand it over: chown {user} {shlex.quote(str(file))}"
        )


def check_startable(using: engine.Engine, environment: Mapping[str, str], caller: int) -> None:
    """Before minutes are spent on building: whether a container could be started at all.

    Raises:
        ImageError: the engine builds only, or the API keys cannot be read.
    """
    if not using.runs_containers:
        raise ImageError(f"{using.name} builds images but runs no servers; run it with Docker or podman")
    if environment.get(API_KEYS_FILE.name):
        check_keys(Path(environment[API_KEYS_FILE.name]), caller)


def start(using: engine.Engine, image: str, beside: Path, environment: Mapping[str, str]) -> None:
    """Become the container."""
    port = environment.get("PORT") or "3000"
    log_folder = Path(environment.get(LOG_DIR.name) or LOG_DIR.default).absolute()
    log_folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        os.chown(log_folder, USER, USER)
    url = f"http://127.0.0.1:{port}"
    command = container(using, image, port, log_folder, environment, os.getuid())
    say(f"starting: {shlex.join(command)}")
    say(f"ready when this says so: curl --fail {url}/readyz")
    key = " --header 'x-api-key: KEY'" if environment.get(API_KEYS.name) or environment.get(API_KEYS_FILE.name) else ""
    for api in ("predict", "explain"):
        say(f"  curl {url}/{api}{key} --header 'content-type: application/json' --data @{example_path(beside)}")
    say("Ctrl-C stops it")
    os.execvp(command[0], command)  # noqa: S606  # the engine takes this process's place, and so its signals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", action="store_true", help="run a container of the image until interrupted")
    parser.add_argument("--beside", type=Path, default=Path("data/images"), help="folder of the bill of materials")
    given = parser.parse_args()
    using = engine.find(os.environ.get("ENGINE"))
    if given.run:
        check_startable(using, os.environ, os.getuid())
    image = build(using, given.beside, os.environ)
    show(f"image {image}")
    if given.run:
        start(using, image, given.beside, os.environ)


if __name__ == "__main__":
    run(main)
