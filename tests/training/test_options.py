"""Options come from flags, then from `CHURN_…`; an old name in the environment is refused."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from churn.errors import RenamedSettingError, SettingError
from training.options import SETTINGS, add_option, parse

ROOT = Path(__file__).parent.parent.parent


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_option(parser, "seed", int, 7, "of every draw")
    add_option(parser, "target-precision", float, None, "for the policy precision")
    return parse(parser, arguments)


def test_a_flag_counts_before_the_environment_and_that_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (parsed().seed, parsed().target_precision) == (7, None)
    monkeypatch.setenv("CHURN_SEED", "5")
    monkeypatch.setenv("CHURN_TARGET_PRECISION", "0.8")
    assert (parsed().seed, parsed().target_precision) == (5, 0.8)
    assert parsed("--seed", "3").seed == 3
    monkeypatch.setenv("CHURN_SEED", "")
    assert parsed().seed == 7


def test_what_is_not_of_the_kind_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_SEED", "many")
    with pytest.raises(SettingError, match="CHURN_SEED='many': expected a whole number"):
        parsed()


@pytest.mark.parametrize("name", SETTINGS)
def test_an_old_name_is_refused_with_the_new_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "5")
    with pytest.raises(RenamedSettingError, match=f"^{name} is set in the environment; this setting is CHURN_{name}"):
        parsed()
    monkeypatch.setenv(name, "")
    parsed()


@pytest.mark.parametrize("command", ["featurize", "train", "select", "evaluate"])
def test_every_training_command_refuses_it(tmp_path: Path, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"training.{command}", "--data", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"TREES": "5"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(
        "error: TREES is set in the environment; this setting is CHURN_TREES now: rename it, or unset it\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_documented(name: str) -> None:
    rows = [line for line in (ROOT / "docs" / "evaluation.md").read_text().splitlines() if line.startswith("| `")]
    assert [row for row in rows if f"`{name}`" in row.split("|")[1]], f"{name} is in no table of docs/evaluation.md"
