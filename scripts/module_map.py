"""`make docs`: the map of the modules in the documentation, from the first line of each."""

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from churn.command import run, show
from churn.files import replace_file

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "map.md"
ROOMS: Final = ("churn", "serving", "training", "monitoring", "scripts", "load_tests", "deploy")

HEAD: Final = """# Map

Made by `make docs` from the first line of every module. Who may import whom:
[decisions/layout.md](decisions/layout.md).
"""


def page() -> str:
    """The whole page; a test compares it with the file."""
    modules = [ROOT / "service.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]
    folders = dict.fromkeys(path.parent for path in modules)
    sections = (_section(folder, [path for path in modules if path.parent == folder]) for folder in folders)
    return "\n".join([HEAD, *sections])


def _section(folder: Path, modules: Iterable[Path]) -> str:
    """A heading and a table; the folder itself is described by its `__init__.py`."""
    described = {path: first_line(path) for path in modules}
    about = described.pop(folder / "__init__.py", "")
    name = f"`{folder.relative_to(ROOT)}/`" if folder != ROOT else "The root"
    rows = [f"| `{path.name}` | {text} |" for path, text in described.items()]
    table = ["| module | what it is |", "|---|---|", *rows, ""] if rows else []
    return "\n".join([f"## {name}", "", *([about, ""] if about else []), *table])


def first_line(path: Path) -> str:
    """The first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return text.partition("\n")[0].replace("|", "\\|")


def main() -> None:
    content = page()
    replace_file(PAGE, content.encode())
    show(f"{content.count('| `')} modules in {PAGE.name}")


if __name__ == "__main__":
    run(main)
