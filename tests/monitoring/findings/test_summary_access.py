"""A summary is read through its types: nowhere by the names of its fields, and no sentence is parsed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring.findings.summary import Summary
from tests.support.sources import files

ROOT = Path(__file__).parent.parent.parent.parent
SCHEMA = Summary.model_json_schema()
FIELDS = {name for part in (SCHEMA, *SCHEMA["$defs"].values()) for name in part["properties"]}
READERS = ("monitoring.alerts", "monitoring.labels", "monitoring.pages", "monitoring.reports", "monitoring.weekly")
COMMANDS = ("monitoring.report", "monitoring.flow", "monitoring.evidently_ui")
MODULES = sorted(module for module in files() if module.startswith(READERS) or module in COMMANDS)


def keys(tree: ast.AST) -> Iterator[str]:
    """The constant keys that a module looks up, by `[…]` or `.get(…)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            looked_up: ast.expr = node.slice
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "get"
            and node.args
        ):
            looked_up = node.args[0]
        else:
            continue
        if isinstance(looked_up, ast.Constant) and isinstance(looked_up.value, str):
            yield looked_up.value


@pytest.mark.parametrize("module", MODULES)
def test_no_field_of_a_summary_is_looked_up_by_its_name(module: str) -> None:
    assert not set(keys(ast.parse((ROOT / files()[module]).read_text()))) & FIELDS


def test_a_look_up_by_name_would_be_found() -> None:
    assert set(keys(ast.parse("a['verdict']; b.get('log', 1); c[0]; d.get(e)"))) == {"verdict", "log"}
    assert len(MODULES) > 20
    assert {"verdict", "schema", "unusable", "known_after", "category"} <= FIELDS


def test_no_text_is_evaluated() -> None:
    for module, path in files().items():
        names = {
            node.attr for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Attribute)
        }
        assert "literal_eval" not in names, module
