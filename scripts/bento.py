"""`make bento`: the champion and the service into a bento, in the BentoML store."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from churn.command import run, say, show
from churn.errors import BentoBuildError
from churn.model.champion import champion_path, read_champion

ROOT: Final = Path(__file__).parent.parent
SOURCES: Final = ("bentofile.yaml", "service.py", "churn", "serving", "requirements", "deploy/image")


def build() -> str:
    """Build from a copy of what ships, with the champion pointer beside `service.py`.

    A copy, because the pointer may be elsewhere (`CHURN_CHAMPION`), and two builds may run
    at once.

    Returns:
        The tag of the bento.
    """
    champion = read_champion(champion_path())
    say(f"building the bento of {champion.tag}")
    with tempfile.TemporaryDirectory(prefix="churn-bento-") as name:
        folder = Path(name)
        for source in SOURCES:
            _copy(ROOT / source, folder / source)
        shutil.copy(champion_path(), folder / "champion.json")
        return _bentoml_build(folder)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _bentoml_build(folder: Path) -> str:
    bentoml = Path(sys.executable).parent / "bentoml"
    built = subprocess.run(
        [str(bentoml), "build", "--output", "tag", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=_environment_of_the_copy(),
    )
    tag = built.stdout.strip().splitlines()[-1].removeprefix("__tag__:") if built.stdout.strip() else ""
    if built.returncode or ":" not in tag:
        raise BentoBuildError(f"`bentoml build` failed with status {built.returncode}:\n{built.stderr.strip()[-2000:]}")
    return tag


def _environment_of_the_copy() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "CHURN_CHAMPION"}


def main() -> None:
    show(f"bento {build()}")


if __name__ == "__main__":
    run(main)
