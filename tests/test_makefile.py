"""Make hands the settings of training on by their whole names, and only those of its command line."""

import os
import subprocess
from pathlib import Path

import pytest

from training.options import SETTINGS

ROOT = Path(__file__).parent.parent
SHOWS_THE_ENVIRONMENT = '#!/bin/sh\necho "$*"\nenv\n'


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A virtual environment that counts as installed, whose Python shows what it was given."""
    (tmp_path / "bin").mkdir()
    for name in ("python", "uv"):
        (tmp_path / "bin" / name).write_text(SHOWS_THE_ENVIRONMENT)
        (tmp_path / "bin" / name).chmod(0o755)
    for name in (".demo", ".dev"):
        (tmp_path / name).touch()
    return tmp_path


def settings(venv: Path, target: str, *variables: str, **environment: str) -> dict[str, str]:
    """The settings of training in the environment of a target's last command, by whatever name."""
    said = subprocess.run(
        ["make", "--silent", target, f"VENV={venv}", *variables],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    shown = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return {name: value for name, value in shown.items() if name.removeprefix("CHURN_") in SETTINGS}


def test_without_settings_the_defaults_of_the_commands_count(venv: Path) -> None:
    for target in ("featurize", "train", "find_best_model", "evaluate"):
        assert settings(venv, target) == {}


def test_what_make_s_command_line_sets_arrives_with_the_prefix_only(venv: Path) -> None:
    given = ("SEED=5", "POLICY=precision", "TARGET_PRECISION=0.8", "PROMOTE=1", "MLFLOW=off")
    assert settings(venv, "train", *given) == {f"CHURN_{one.split('=')[0]}": one.split("=")[1] for one in given}


def test_what_the_environment_sets_with_the_prefix_arrives(venv: Path) -> None:
    assert settings(venv, "train", CHURN_SEED="5") == {"CHURN_SEED": "5"}
    assert settings(venv, "train", "SEED=6", CHURN_SEED="5") == {"CHURN_SEED": "6"}


def test_what_only_the_environment_calls_so_is_left_for_the_command_to_refuse(venv: Path) -> None:
    found = settings(venv, "train", SEED="5", TREES="9")
    assert sorted(found) == ["SEED", "TREES"]


def test_the_command_line_wins_over_a_stray_name(venv: Path) -> None:
    assert settings(venv, "train", "SEED=6", SEED="5") == {"CHURN_SEED": "6"}


def test_every_setting_can_be_set(venv: Path) -> None:
    assert settings(venv, "train", *(f"{name}=1" for name in SETTINGS)) == {f"CHURN_{name}": "1" for name in SETTINGS}


def test_a_stray_seed_changes_no_simulated_log(venv: Path) -> None:
    said = subprocess.run(
        ["make", "--silent", "simulate", f"VENV={venv}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SEED": "5"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "--seed 7 " in said
