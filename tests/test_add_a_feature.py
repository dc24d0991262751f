"""`docs/add-a-feature.md`, followed to the letter on a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sources import ROOT

PAGE = (ROOT / "docs" / "add-a-feature.md").read_text()
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "data", "reports", "champion.json")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project with the page's changes."""
    copied = shutil.copytree(ROOT, tmp_path / "copy", ignore=NOT_COPIED)
    for change in blocks("diff"):
        subprocess.run(["git", "apply", "--unidiff-zero", "-"], input=change, text=True, cwd=copied, check=True)
    return copied


def run(command: str, folder: Path) -> str:
    """A line of the page, in the environment of these tests instead of `.venv`."""
    stamp = Path(sys.prefix, ".demo")
    line = command.replace(".venv/bin/python", sys.executable)
    line = re.sub(r"^make ", f"make VENV={sys.prefix} -o {stamp} ", line)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MAKE"))}
    command_line = ["bash", "-euc", line]
    done = subprocess.run(command_line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.integration
def test_the_walk_through_adds_a_feature_that_is_documented_and_tested(copy: Path) -> None:
    assert "`upgrade_visits_14d`" not in (ROOT / "docs" / "features.md").read_text()
    (commands,) = blocks("sh")
    said = [run(command, copy) for command in commands.splitlines()]
    assert "113 features in features.md" in said[0]
    assert "`upgrade_visits_14d` | integer | 0 to 140,000 | no |" in (copy / "docs" / "features.md").read_text()
    assert re.search(r"\d+ passed", said[1])
