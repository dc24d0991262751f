"""An engine and a base image where there are none: no Docker, or no registry to pull from.

Nothing of this is needed on a machine with Docker and its registry; there the product's own
files do.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from churn.errors import EngineError
from scripts import engine

PRODUCT_BASE: Final = "python:3.11-slim"
LOCAL_BASE: Final = "localhost/churn-python-base:bookworm"
PACKAGES: Final = ("podman", "runc", "debootstrap", "ca-certificates")
PYTHON: Final = "python3,python3-venv,python3-pip,python-is-python3,ca-certificates"
CERTIFICATES: Final = "/etc/ssl/certs"

CONFIGURATION: Final = """\
[containers]
netns = "host"
default_ulimits = ["nofile=8192:8192", "nproc=8192:8192"]
{volumes}
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "cni"
"""
"""For podman 4.3 as root, without systemd."""


@dataclass(frozen=True)
class Surroundings:
    """How the engine is called here.

    Attributes:
        engine: the one that answers.
        base: what the product's base image is here.
        build: environment of a build.
        run: environment of everything else.
    """

    engine: engine.Engine
    base: str
    build: Mapping[str, str]
    run: Mapping[str, str]


def surroundings(folder: Path) -> Surroundings:
    """The engine of this machine as it is, when it has the base image or can pull it; else podman with a local base."""
    try:
        found = engine.find(os.environ.get("ENGINE"))
    except EngineError:
        _install()
        found = engine.find("podman")
    if found.runs_containers and _has_product_base(found):
        return Surroundings(found, PRODUCT_BASE, {}, {})
    return _local(folder)


def _has_product_base(found: engine.Engine) -> bool:
    there = subprocess.run((found.name, "image", "inspect", PRODUCT_BASE), capture_output=True, check=False)
    if there.returncode == 0:
        return True
    pulled = subprocess.run((found.name, "pull", PRODUCT_BASE), capture_output=True, check=False)
    return pulled.returncode == 0


def _install() -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(("apt-get", "update", "-qq"), check=True, env=os.environ | quiet)
    command = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES)
    subprocess.run(command, check=True, env=os.environ | quiet)


def _local(folder: Path) -> Surroundings:
    if shutil.which("podman") is None or shutil.which("debootstrap") is None:
        _install()
    run = {"CONTAINERS_CONF": str(_configured(folder / "run.conf", ""))}
    certificates = f'volumes = ["{CERTIFICATES}:{CERTIFICATES}:O"]'
    build = {
        "CONTAINERS_CONF": str(_configured(folder / "build.conf", certificates)),
        "IMAGE_OPTIONS": f"network=host build-context={PRODUCT_BASE}=container-image://{LOCAL_BASE}",
    }
    there = subprocess.run(("podman", "image", "exists", LOCAL_BASE), check=False, env=os.environ | run)
    if there.returncode:
        _import_base(folder / "root", run)
    return Surroundings(engine.Engine("podman"), LOCAL_BASE, build, run)


def _configured(path: Path, volumes: str) -> Path:
    path.write_text(CONFIGURATION.format(volumes=volumes))
    return path


def _import_base(root: Path, environment: Mapping[str, str]) -> None:
    bootstrap = ("debootstrap", "--variant=minbase", f"--include={PYTHON}", "bookworm", str(root))
    subprocess.run(bootstrap, check=True, stdout=subprocess.DEVNULL)
    for kept in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / kept)
    with subprocess.Popen(("tar", "-C", str(root), "-c", "."), stdout=subprocess.PIPE) as packed:
        command = ("podman", "import", "-", LOCAL_BASE)
        subprocess.run(
            command, stdin=packed.stdout, check=True, capture_output=True, env=os.environ | dict(environment)
        )
    shutil.rmtree(root)
