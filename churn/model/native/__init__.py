"""The compiled TreeSHAP kernel: found, verified, loaded, called.

`python -m churn.model.native.build` makes it. It is part of the code, never of a model: it
lies beside this file, and is loaded only when its sha256 is the one that `libraries.json`,
which is reviewed and versioned with the source, has for it.
"""

import ctypes
import hashlib
import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from churn.errors import NativeUnavailableError
from churn.model.treeshap import Floats, Matrix, Paths, Trees, paths, quadrature

FOLDER: Final = Path(__file__).parent
LIBRARIES: Final = FOLDER / "libraries.json"

_NODE: Final = np.dtype(
    [
        ("parent", np.int32),
        ("previous", np.int32),
        ("column", np.int32),
        ("is_right", np.int32),
        ("unknown", np.float64),
        ("unknown_before", np.float64),
        ("value", np.float64),
        ("threshold", np.float32),
        ("padding", np.int32),
    ]
)
"""`Node` of treeshap.c."""

_ROWS: Final = 8
"""`ROWS` of treeshap.c."""


@dataclass(frozen=True)
class Library:
    """A verified, loaded library."""

    path: Path
    explain: "ctypes._NamedFuncPointer"


def library_name() -> str:
    """File name of the library for this machine: `treeshap-linux-x86_64.so`."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    return f"treeshap-{sys.platform}-{machine}.so"


def expected_sha256() -> dict[str, str]:
    """sha256 of each library that the reviewed source gives."""
    return dict(json.loads(LIBRARIES.read_text())["sha256"])


def load(folder: Path = FOLDER) -> Library:
    """Verify and load the library for this machine.

    Raises:
        NativeUnavailableError: none is made for this machine, none was built, or it is not the reviewed one.
    """
    name = library_name()
    expected = expected_sha256().get(name)
    if expected is None:
        raise NativeUnavailableError(f"no kernel is made for {sys.platform} on {platform.machine()}")
    path = folder / name
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise NativeUnavailableError(
            f"{name} cannot be read ({error.strerror}); run `python -m churn.model.native.build`"
        ) from error
    if found != expected:
        raise NativeUnavailableError(
            f"{name} is not the reviewed one: sha256 {found[:12]}…, {LIBRARIES.name} says {expected[:12]}…; "
            "run `python -m churn.model.native.build`"
        )
    try:
        explain = ctypes.CDLL(str(path)).churn_treeshap
    except (OSError, AttributeError) as error:
        raise NativeUnavailableError(f"{name} cannot be loaded: {error}") from error
    explain.restype = None
    return Library(path, explain)


class NativeTreeShap:
    """As `churn.model.treeshap.TreeShap`, by the compiled kernel. Callable from many threads at once."""

    def __init__(self, forest: Trees, columns: int, library: Library) -> None:
        layout = paths(forest)
        self._explain = library.explain
        self._columns = columns
        self._first, self._splits, self._nodes = _by_tree(layout)
        self._most = max(1, int(self._splits.max()))
        self._pairs = -(-layout.quadrature_nodes() // 2)
        points, weights = quadrature(2 * self._pairs)
        self._quadrature = np.concatenate([points, 1 - points, weights])
        self._forest = (
            _pointer(self._nodes),
            _pointer(self._first),
            _pointer(self._splits),
            ctypes.c_int32(len(self._splits)),
            ctypes.c_int32(self._most),
            _pointer(self._quadrature),
            ctypes.c_int32(self._pairs),
        )

    def __call__(self, matrix: Matrix) -> Floats:
        """Contribution of each column to each row's score, float64 [rows, columns]."""
        rows = np.ascontiguousarray(matrix, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self._columns:
            raise ValueError(f"the matrix is {rows.shape}, expected [rows, {self._columns}]")
        result = np.empty(rows.shape)
        scratch = np.empty((3 * self._most + _ROWS * self._columns) * 2 * self._pairs + self._most)
        self._explain(  # ctypes lets other threads run meanwhile
            *self._forest,
            _pointer(rows),
            ctypes.c_int64(len(rows)),
            ctypes.c_int32(self._columns),
            _pointer(scratch),
            _pointer(result),
        )
        return result


def _by_tree(layout: Paths) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.void]]:
    """First node and number of splits of each tree, and the nodes: tree by tree, splits before leaves."""
    order = np.lexsort((layout.is_leaf, layout.tree))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    first = np.searchsorted(layout.tree[order], np.arange(layout.trees + 1))
    root = first[layout.tree[order]]
    nodes = np.zeros(len(order), _NODE)
    nodes["parent"] = place[layout.parent[order]] - root
    nodes["previous"] = place[layout.previous[order]] - root
    nodes["column"] = layout.column[order]
    nodes["is_right"] = layout.is_right[order]
    nodes["unknown"] = layout.unknown[order]
    nodes["unknown_before"] = layout.unknown[layout.previous[order]]
    nodes["value"] = layout.value[order]
    nodes["threshold"] = layout.threshold[order]
    splits = np.bincount(layout.tree[~layout.is_leaf], minlength=layout.trees)
    return first.astype(np.int32), splits.astype(np.int32), nodes


def _pointer(array: NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
