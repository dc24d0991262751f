"""What must not be written twice is written in one module. Read from the syntax tree of every module."""

import ast
import io
import re
import tokenize
from collections.abc import Callable
from pathlib import Path

import pytest

from churn.contract import LONGEST_CUSTOMER_ID
from tests.support.sources import ROOT, files, tree

EVERYTHING = sorted(files().values())
PRODUCT = [path for path in EVERYTHING if path.parts[0] not in {"tests", "load_tests"}]
MEASURED_TOO = [path for path in EVERYTHING if path.parts[0] != "tests"]
MOVES_PATHS = {"os.replace", "os.rename", "os.renames", "shutil.move"}
SILENCES = re.compile(r"# (ruff: noqa|noqa|type: ignore)\b")
SAYS_WHY = re.compile(r"# (ruff: noqa|noqa|type: ignore)(: [A-Z0-9, ]+|\[[a-z, -]+\])(  #| -) .{4}")


def those_that(do: Callable[[ast.AST], bool], paths: list[Path]) -> set[str]:
    return {str(path) for path in paths if any(do(node) for node in ast.walk(tree(path)))}


def calls(node: ast.AST, *names: str) -> bool:
    """A call of one of the functions, by its whole name or by the end of it."""
    return isinstance(node, ast.Call) and bool(
        {ast.unparse(node.func), ast.unparse(node.func).split(".")[-1]} & {*names}
    )


def moves_a_path(node: ast.AST) -> bool:
    """`os.replace(…)`, or a `rename` or `replace` with the one argument that only a path's takes."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    if ast.unparse(node.func) in MOVES_PATHS:
        return True
    return node.func.attr in {"rename", "replace"} and len(node.args) == 1 and not node.keywords


def test_one_module_gives_a_file_or_folder_its_name() -> None:
    assert those_that(moves_a_path, MEASURED_TOO) == {"churn/files.py"}


def test_one_module_starts_servers() -> None:
    assert those_that(lambda node: calls(node, "Popen"), MEASURED_TOO) == {"churn/server_process.py"}


def test_one_module_draws_customers_again_for_an_interval() -> None:
    rooms = [path for path in PRODUCT if path.parts[:2] != ("training", "simulator")]
    assert those_that(lambda node: calls(node, "multinomial", "resample"), rooms) == {"churn/quality/intervals.py"}


def test_one_module_says_how_long_a_customers_id_may_be() -> None:
    def is_the_limit(node: ast.AST) -> bool:
        return isinstance(node, ast.Constant) and node.value == LONGEST_CUSTOMER_ID

    assert those_that(is_the_limit, PRODUCT) == {"churn/contract.py"}


def test_one_module_asks_git_which_code_this_is() -> None:
    def is_git(node: ast.AST) -> bool:
        return isinstance(node, ast.Constant) and node.value == "git"

    assert those_that(is_git, MEASURED_TOO) == {"churn/code_version.py"}


def test_one_module_quotes_names_and_texts_in_sql() -> None:
    def doubles_quotes(node: ast.AST) -> bool:
        return calls(node, "replace") and ast.unparse(node).endswith(("""('"', '""')""", """("'", "''")"""))

    assert those_that(doubles_quotes, MEASURED_TOO) == {"churn/sql.py"}


def comments(path: Path) -> dict[int, str]:
    """By the number of their line."""
    tokens = tokenize.generate_tokens(io.StringIO((ROOT / path).read_text()).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


@pytest.mark.parametrize("path", EVERYTHING, ids=str)
def test_whoever_silences_a_rule_or_catches_everything_says_why(path: Path) -> None:
    said = comments(path)
    silent = {line for line, text in said.items() if SILENCES.match(text) and not SAYS_WHY.match(text)}
    broad = {
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and ast.unparse(node.body[-1]) != "raise"
    }
    assert silent | (broad - set(said)) == set()


def reads_the_environment(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv", "os.putenv"}


def is_command(path: Path) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree(path).body)


def test_only_settings_and_commands_look_into_the_environment() -> None:
    rooms = [path for path in PRODUCT if not is_command(path)]
    told_by_bentoml = "serving/metrics_folder.py"  # a variable that BentoML sets in its workers, no setting of anybody
    assert those_that(reads_the_environment, rooms) - {told_by_bentoml} == {"churn/settings.py", "service.py"}


def runs_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("ast.") in {
        "literal_eval",
        "eval",
        "exec",
    }


def test_no_text_is_read_or_run_as_python() -> None:
    assert those_that(runs_text, MEASURED_TOO) == set()


def reads_a_finding_by_key(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        and re.search(r"summar|week|finding", ast.unparse(node.value), re.IGNORECASE) is not None
    )


def test_the_findings_of_a_week_are_fields_and_no_keys() -> None:
    assert those_that(reads_a_finding_by_key, [path for path in PRODUCT if path.parts[0] == "monitoring"]) == set()
