"""The house: arrows point down. What may import what is read from the source of every module."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "churn": {"churn"},
    "training": {"churn", "training"},
    "monitoring": {"churn", "monitoring"},
    "service": {"churn", "monitoring"},
}
ROOMS = {*MAY_IMPORT, "scripts", "tests", "load_tests"}
NEEDS_THE_LOG = {"duckdb", "ibis", "pandas", "pyarrow", "sklearn", "evidently", "scipy", "ua_parser"}


def imported(path: Path) -> set[str]:
    """Every module a file imports, wherever in it the import stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def sources(room: str) -> list[Path]:
    return [ROOT / "service.py"] if room == "service" else sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_arrows_point_down(room: str) -> None:
    assert sources(room)
    for path in sources(room):
        rooms = {name.split(".")[0] for name in imported(path)} & ROOMS
        assert rooms <= MAY_IMPORT[room], f"{path.relative_to(ROOT)} imports {rooms - MAY_IMPORT[room]}"


def test_of_monitoring_the_service_knows_the_prediction_log_only() -> None:
    used = {name for name in imported(ROOT / "service.py") if name.startswith("monitoring.")}
    assert {name.split(".")[1] for name in used} == {"prediction_log"}


def shipped() -> set[Path]:
    """What `service.py` reaches, followed through our own modules."""
    reached, waiting = set(), [ROOT / "service.py"]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        for name in imported(path):
            base = ROOT.joinpath(*name.split("."))
            waiting += [file for file in (base.with_suffix(".py"), base / "__init__.py") if file.exists()]
    return reached


def test_the_service_reaches_nothing_that_its_image_does_not_install() -> None:
    for path in shipped():
        packages = {name.split(".")[0] for name in imported(path)}
        assert not packages & NEEDS_THE_LOG, f"{path.relative_to(ROOT)} imports {packages & NEEDS_THE_LOG}"


def test_no_module_unpickles() -> None:
    for room in MAY_IMPORT:
        for path in sources(room):
            assert not imported(path) & {"pickle", "joblib", "dill", "cloudpickle", "shelve"}, path
