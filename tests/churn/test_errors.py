"""One tree of errors, in one file; what HTTP refuses is not what commands print."""

import ast

import pytest

from churn import errors
from churn.command import run
from churn.errors import ChurnError, ProductError, RefusalError
from serving.refusals import RequestError
from tests.support.sources import files, tree

BUILT_IN = {"Exception", "BaseException", "ValueError", "RuntimeError", "OSError", "TypeError", "KeyError"}
PRODUCT = {module: path for module, path in files().items() if path.parts[0] not in {"tests", "load_tests"}}


def defined(module: str) -> set[str]:
    """The errors that a module defines: by their name, or by what they are made from."""
    return {
        node.name
        for node in ast.walk(tree(PRODUCT[module]))
        if isinstance(node, ast.ClassDef)
        and (node.name.endswith("Error") or any(ast.unparse(base) in BUILT_IN for base in node.bases))
    }


def test_every_error_is_defined_in_the_tree() -> None:
    elsewhere = {name: found for name in PRODUCT if name != "churn.errors" and (found := defined(name))}
    assert elsewhere == {"serving.refusals": {"RequestError"}}


def test_the_tree_has_one_root() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert {one for one in classes if not issubclass(one, ProductError)} == set()
    assert all(one.__name__.endswith("Error") and one.__doc__ for one in classes)


def test_a_refusal_is_no_error_that_a_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert issubclass(RequestError, RefusalError)
    assert not issubclass(RequestError, ChurnError)

    def refuse() -> None:
        raise RequestError(400, "the body is not valid JSON")

    with pytest.raises(RequestError):
        run(refuse)
    assert capsys.readouterr().err == ""
