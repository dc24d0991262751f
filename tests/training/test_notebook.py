"""The notebook runs as it stands, and is stored without what it printed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RUN_CELLS = """
import json, sys
cells = json.loads(open(sys.argv[1], encoding="utf-8").read())["cells"]
names = {"__name__": "__main__"}
for cell in cells:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), f"<cell {cell['id']}>", "exec"), names)
rates, table = names["rates"], names["table"]
for as_of, found in table.groupby("as_of").churned.mean().items():
    assert abs(rates.loc[names["iso"](as_of)[:10], "either"] - found) < 1e-12
"""


def cells(notebook: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text())["cells"]
    return found


def test_there_is_a_notebook() -> None:
    assert [notebook.name for notebook in NOTEBOOKS] == ["exploration.ipynb"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_no_outputs_are_stored(notebook: Path) -> None:
    for cell in cells(notebook):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
        assert "attachments" not in cell


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_all_cells_run_on_a_simulated_log(notebook: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "EVENTS"}
    environment |= {"MPLBACKEND": "agg", "TMPDIR": str(tmp_path)}
    finished = subprocess.run(
        [sys.executable, "-c", RUN_CELLS, str(notebook)],
        cwd=notebook.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "kept, of 250 customers" in finished.stdout
