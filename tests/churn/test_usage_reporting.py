"""No library reports its use: the switches are set before any of them is imported."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from churn.usage_reporting import REPORTING, SWITCHES

ROOT = Path(__file__).parent.parent.parent
OURS = ("churn", "serving", "training", "monitoring", "pipeline", "scripts", "load_tests")
OFF = "switches usage reporting off"


def imported_in_order(path: Path) -> list[str]:
    """The packages a file imports at any depth, in the order of its lines."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    found: list[str] = []
    for node in sorted(nodes, key=lambda node: node.lineno):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        found += [name.split(".")[0] for name in names]
    return found


def switched_off_before(path: Path) -> bool:
    """Whether `churn` is imported before the first reporting library that a file imports."""
    for package in imported_in_order(path):
        if package == "churn":
            return True
        if package in REPORTING:
            return False
    return False


def importing() -> list[Path]:
    """Our modules that import a library which reports its use."""
    modules = [ROOT / "service.py", *(path for room in OURS for path in sorted((ROOT / room).rglob("*.py")))]
    return [path for path in modules if REPORTING & set(imported_in_order(path))]


def test_there_are_such_modules() -> None:
    assert {"service.py", "scoring.py"} <= {path.name for path in importing()}


@pytest.mark.parametrize("path", importing(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_switches_are_set_before_a_library_that_reports_is_imported(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    package = ROOT / room / "__init__.py"
    covered = room == "churn" or (package.exists() and switched_off_before_all(package))
    assert covered or switched_off_before(path), f"{path} imports a library before `churn`, which {OFF}"


def switched_off_before_all(package: Path) -> bool:
    imports = imported_in_order(package)
    return bool(imports) and imports[0] == "churn"


def test_importing_churn_sets_every_switch_whatever_the_environment_says() -> None:
    program = "import churn, json, os; print(json.dumps(dict(os.environ)))"
    environment = {"PATH": os.environ["PATH"], "ORT_DISABLE_TELEMETRY": "0", "DO_NOT_TRACK": ""}
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert SWITCHES.items() <= json.loads(said).items()


def test_bentoml_forgets_that_it_was_allowed_to_report() -> None:
    program = (
        "from bentoml._internal.utils.analytics.usage_stats import do_not_track as off\n"
        "before = off()\nimport churn\nprint(before, off())"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert said.split() == ["False", "True"]
