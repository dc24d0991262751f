"""The explanation kernel, built once for all tests that need it."""

import tempfile
from functools import cache
from pathlib import Path

from churn.model.native.build import build

_FOLDER = tempfile.TemporaryDirectory(prefix="churn-kernel-")


@cache
def folder() -> Path:
    """Where the built libraries lie."""
    built = Path(_FOLDER.name)
    build(built)
    return built
