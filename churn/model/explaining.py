"""Features to contributions to reasons: why a customer's score is what it is, in numbers and in plain words."""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from churn.contract import FEATURES, NAMES, Feature
from churn.errors import ArtifactError, NativeUnavailableError
from churn.model import native
from churn.model.artifact import Column, Forest
from churn.model.treeshap import Floats, Matrix, TreeShap, base_value, paths

Value = float | str | None
Typical = float | Mapping[str, float] | None

_ROWS_PER_THREAD: Final = 8
_WORK_PER_THREAD: Final = 250_000
"""Less, as rows x nodes, is done before another thread is awake."""

_AGREEMENT: Final = 1e-9


class Engine(Protocol):
    """Computes the contribution of each column to each row's score, float64 [rows, columns]."""

    def __call__(self, matrix: Matrix) -> Floats: ...


class Explainer:
    """SHAP contributions to a forest's score, exact and path-dependent (`churn.model.treeshap`).

    `base_value` plus a row's contributions is its score. Safe to call from several threads.

    Attributes:
        base_value: the score of a customer of whom nothing is known.
        engine: `native`, the compiled kernel, or `numpy`, which gives the same more slowly.
        engine_note: why it is that engine, for the log.
    """

    def __init__(self, forest: Forest, columns: Sequence[Column], libraries: Path = native.FOLDER) -> None:
        """Prepare a forest.

        Args:
            forest: as stored.
            columns: of the forest's matrix, in its order.
            libraries: the folder of the compiled kernel.

        Raises:
            ArtifactError: the forest splits on a column that there is not.
        """
        if int(forest.column.max()) >= len(columns):
            raise ArtifactError(
                f"the forest splits on column {forest.column.max()}, the manifest has {len(columns)}; retrain"
            )
        self._columns = len(columns)
        self.base_value = base_value(paths(forest))
        self.engine: Literal["native", "numpy"]
        self._explain: Engine
        reference = TreeShap(forest, len(columns))
        try:
            self._explain, self.engine_note = _native(forest, len(columns), libraries, reference)
            self.engine = "native"
        except NativeUnavailableError as error:
            self._explain, self.engine, self.engine_note = reference, "numpy", str(error)
        feature = np.array([NAMES.index(column.feature) for column in columns])
        self._by_feature = np.argsort(feature, kind="stable")
        self._starts = np.flatnonzero(np.diff(feature[self._by_feature], prepend=-1))
        self._features = feature[self._by_feature][self._starts]
        self._rows_per_thread = max(_ROWS_PER_THREAD, _WORK_PER_THREAD // len(forest.left))
        self._pool = ThreadPoolExecutor(thread_name_prefix="explain")

    def column_contributions(self, matrix: Matrix, threads: int = 1) -> Floats:
        """The contribution of each column to each row's score.

        Args:
            matrix: float32 [rows, columns], as `churn.model.scoring.Encoder` makes it.
            threads: how many to share the rows among; the answer does not depend on it.

        Returns:
            float64 [rows, columns].
        """
        if matrix.ndim != 2 or matrix.shape[1] != self._columns:
            raise ValueError(f"the matrix is {matrix.shape}, expected [rows, {self._columns}]")
        parts = max(1, min(threads, len(matrix) // self._rows_per_thread))
        if parts == 1:
            return self._explain(matrix)
        mine, *others = np.array_split(matrix, parts)
        futures = [self._pool.submit(self._explain, other) for other in others]
        return np.concatenate([self._explain(mine), *(future.result() for future in futures)])

    def contributions(self, matrix: Matrix, threads: int = 1) -> Floats:
        """The contribution of each feature to each row's score; a category's columns are added up.

        Returns:
            float64 [rows, len(contract.FEATURES)], in the contract's order.
        """
        columns = self.column_contributions(matrix, threads)
        result = np.zeros((len(columns), len(FEATURES)))
        result[:, self._features] = np.add.reduceat(columns[:, self._by_feature], self._starts, axis=1)
        return result


def _native(forest: Forest, columns: int, libraries: Path, reference: TreeShap) -> tuple[Engine, str]:
    """The compiled kernel, once it has given what NumPy gives on this very machine."""
    library = native.load(libraries)
    kernel = native.NativeTreeShap(forest, columns, library)
    probe = np.repeat(np.array([[-1], [1]], dtype=np.float32), columns, axis=1)
    gap = float(np.abs(kernel(probe) - reference(probe)).max())
    if not gap <= _AGREEMENT:
        raise NativeUnavailableError(f"{library.path.name} differs from NumPy by {gap:.2g} on this machine")
    return kernel, f"{library.path.name}, verified"


@dataclass(frozen=True)
class Reason:
    """One reason for a score. `contribution` is what `feature` adds to the score; negative speaks for staying."""

    feature: str
    value: Value
    contribution: float
    text: str


def reasons(
    customer_values: Mapping[str, Value],
    contributions: NDArray[np.float64],
    typical: Mapping[str, Typical],
    top_k: int,
) -> list[Reason]:
    """Why a customer is at risk, strongest reason first; then what speaks for staying.

    A measure counted over several windows appears once, by the window (or trend) that
    contributes most. What contributes nothing is no reason, so there may be fewer than
    `top_k`.

    Args:
        customer_values: by feature name, as the customer was sent; null is None.
        contributions: float64 [features], one row of `Explainer.contributions`.
        typical: `Manifest.typical`, of customers who stayed.
        top_k: how many at most.
    """
    strongest: dict[str, int] = {}
    for index in np.argsort(-np.abs(contributions), kind="stable"):
        if contributions[index]:
            strongest.setdefault(FEATURES[index].measure, int(index))
    ranked = sorted(strongest.values(), key=lambda index: _rank(float(contributions[index])))
    return [
        _reason(FEATURES[index], customer_values[NAMES[index]], float(contributions[index]), typical[NAMES[index]])
        for index in ranked[:top_k]
    ]


def _rank(contribution: float) -> tuple[bool, float]:
    """Sort: contributions that raise the score first, then by size."""
    return contribution < 0, -abs(contribution)


def _reason(feature: Feature, value: Value, contribution: float, typical: Typical) -> Reason:
    text = f"{stated(feature, value)}; {beside(value, typical)}"
    return Reason(feature.name, value, contribution, text if contribution > 0 else f"speaks for staying: {text}")


def stated(feature: Feature, value: Value) -> str:
    """A customer's value in plain words: `9 thumbs down in the last 14 days`."""
    if value is None:
        return feature.missing or f"{feature.measure} not known"
    if isinstance(value, str):
        return feature.phrase.format(value=value)
    return _singular(feature.phrase.format(value=rounded(value)))


_ONE: Final = re.compile(r"(?<![\d.,])1 ((?:\w+ )??)(?!thumbs|times)(\w+?)s\b")


def _singular(text: str) -> str:
    """`1 listening sessions` -> `1 listening session`."""
    return _ONE.sub(r"1 \1\2", text)


def beside(value: Value, typical: Typical, whom: str = "customers who stay") -> str:
    """The value of customers who stay: their median, or the share that has the same category."""
    if isinstance(typical, Mapping):
        share = 1 - sum(typical.values()) if value is None else typical.get(str(value), 0.0)
        return f"the same for {_percent(share)} of {whom}"
    return f"{whom}: {'not known' if typical is None else rounded(typical)}"


def _percent(share: float) -> str:
    if share < 0.01:
        return "fewer than 1 %"
    return f"{share:.0%}".replace("%", " %")


def rounded(number: float) -> str:
    """A number as a person would say it: `1,204`, `63`, `8.5`, `0.25`."""
    decimals = 0 if number >= 10 else 1 if number >= 1 else 2
    text = f"{number:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text
