"""What must not be written twice is written in one module. Read from the source of every module."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("churn", "serving", "training", "monitoring", "pipeline", "scripts", "load_tests")
MOVES_PATHS = {"os.replace", "os.rename", "os.renames", "shutil.move"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in [ROOT / "service.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]:
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def those_that(do: Callable[[ast.AST], bool]) -> set[str]:
    return {name for name, tree in modules() if any(do(node) for node in ast.walk(tree))}


def moves_a_path(node: ast.AST) -> bool:
    """`os.replace(…)`, or a `rename` or `replace` with the one argument that only a path's takes."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    if ast.unparse(node.func) in MOVES_PATHS:
        return True
    return node.func.attr in {"rename", "replace"} and len(node.args) == 1 and not node.keywords


def test_one_module_gives_a_file_or_folder_its_name() -> None:
    assert those_that(moves_a_path) == {"churn/files.py"}


def starts_a_process_and_goes_on(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in {"subprocess.Popen", "Popen"}


def test_one_module_starts_servers() -> None:
    assert those_that(starts_a_process_and_goes_on) == {"churn/server_process.py"}
