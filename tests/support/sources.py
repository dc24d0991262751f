"""The project's modules as syntax trees: their names, their imports, and what they reach."""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
ROOMS: Final = ("churn", "serving", "training", "monitoring", "pipeline", "scripts", "load_tests", "tests")
ENTRIES: Final = (Path("service.py"), Path("deploy/image/start.py"), Path("deploy/image/health.py"))
"""Modules of ours that lie in no room."""


@cache
def files() -> dict[str, Path]:
    """Every module by its dotted name, with its path from the root."""
    paths = [path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    return {module_name(path): path for path in sorted([*paths, *ENTRIES])}


def module_name(path: Path) -> str:
    """`churn/model/__init__.py` -> `churn.model`."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(), filename=str(path))


@cache
def imported(path: Path) -> frozenset[str]:
    """The modules a file imports, as exactly as it names them; imports in functions and under `TYPE_CHECKING` count."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in files() else str(node.module) for name in names}
    return frozenset(found)


def imports(path: Path) -> set[str]:
    """The modules of ours that a file imports."""
    return {name for name in imported(path) if name in files()} - {module_name(path)}


def packages(path: Path) -> set[str]:
    """The top-level packages that a file imports, ours and others'."""
    return {name.split(".")[0] for name in imported(path)}


def reached(entries: Iterable[Path]) -> set[Path]:
    """The files that run when the entries run: these, what they import, and the packages around both."""
    found: set[Path] = set()
    waiting = list(entries)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [files()[name] for name in imports(path)]
            waiting += [init for folder in path.parents if (init := folder / "__init__.py") in files().values()]
    return found
