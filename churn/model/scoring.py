"""Features to probability: one encoding for training and serving, scored by ONNX Runtime."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from churn.contract import CATEGORICAL, NUMERIC, OTHER
from churn.model.artifact import Calibration, Column, StoredModel

NULL_VALUE: Final = -1.0
"""A null number: below every bound of the contract, so an ordinary split can tell it from all others."""

_numbers_of: Final = attrgetter(*NUMERIC)
_categories_of: Final = attrgetter(*CATEGORICAL)

Matrix = NDArray[np.float32]
Vector = NDArray[np.float64]


class Columns(Protocol):
    """Values by feature name: a dictionary of arrays, a data frame."""

    def __getitem__(self, name: str, /) -> Any: ...


class Encoder:
    """Customers to the forest's matrix.

    Numbers stand as they are, null as `NULL_VALUE`. A category becomes one column per
    known value; an unknown value of an open category goes to its `other` column, and
    null to none of them. A model may use some of the contract's features only.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        numeric = [index for index, column in enumerate(columns) if column.category is None]
        self._names = tuple(columns[index].feature for index in numeric)
        if not self._names or list(self._names) != [name for name in NUMERIC if name in self._names]:
            raise ValueError("the numeric columns must be some of the contract's, in its order")
        self._numeric = np.array(numeric)
        self._used = np.array([NUMERIC.index(name) for name in self._names])
        self._position: dict[str, dict[str, int]] = {name: {} for name in CATEGORICAL}
        for index, column in enumerate(columns):
            if column.category is not None:
                self._position[column.feature][column.category] = index

    def rows(self, customers: Sequence[Any]) -> Matrix:
        """Encode validated customers (`churn.contract.Customer`), float32 [n, columns]."""
        numbers = np.array([_numbers_of(customer) for customer in customers], dtype=np.float32)[:, self._used]
        categories = zip(*map(_categories_of, customers), strict=True)
        return self._fill(numbers, dict(zip(CATEGORICAL, categories, strict=True)))

    def frame(self, frame: Columns) -> Matrix:
        """Encode columns of values by feature name, float32 [n, columns]; nulls are None or NaN."""
        numbers = np.column_stack([np.asarray(frame[name], dtype=np.float32) for name in self._names])
        categories = {name: np.asarray(frame[name], dtype=object) for name in CATEGORICAL}
        return self._fill(numbers, categories)

    def batch(self, numbers: Vector, categories: Sequence[tuple[str | None, ...]]) -> Matrix:
        """Encode numbers [n, len(NUMERIC)], null as NaN, and each row's categories in the order of CATEGORICAL."""
        by_name = dict(zip(CATEGORICAL, zip(*categories, strict=True), strict=True))
        return self._fill(numbers[:, self._used].astype(np.float32), by_name)

    def _fill(self, numbers: Matrix, categories: Mapping[str, Sequence[Any] | NDArray[Any]]) -> Matrix:
        matrix = np.zeros((len(numbers), len(self.columns)), dtype=np.float32)
        numbers[np.isnan(numbers)] = NULL_VALUE
        matrix[:, self._numeric] = numbers
        for name, values in categories.items():
            position = self._position[name]
            if not position:
                continue
            other = position.get(OTHER, -1)
            for row, value in enumerate(values):
                column = position.get(value, other) if isinstance(value, str) else -1
                if column >= 0:
                    matrix[row, column] = 1.0
        return matrix


class Scorer:
    """A stored model, ready to score.

    `score` is the forest's class-balanced share of churners, for explaining.
    `probability` is its calibrated, strictly increasing image: what the service answers.
    """

    def __init__(self, model: StoredModel) -> None:
        manifest = model.manifest
        self.tag = model.tag
        self.threshold = manifest.threshold
        self.encoder = Encoder(manifest.columns)
        self._calibration = manifest.calibration
        self._session = open_session(model.onnx())

    def score(self, matrix: Matrix) -> Vector:
        """Uncalibrated forest score of each row, float64 [n]."""
        return run_session(self._session, matrix)

    def probability(self, score: Vector) -> Vector:
        """Calibrated probability of churn, float64 [n]."""
        return calibrated(score, self._calibration)

    def flags(self, probability: Vector) -> NDArray[np.bool_]:
        """Predict churn for each customer: true at or above the threshold."""
        return probability >= self.threshold


def open_session(onnx: bytes) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on one thread: a forest is scored faster than threads are woken."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


def run_session(session: onnxruntime.InferenceSession, matrix: Matrix) -> Vector:
    """Score float32 [n, columns]; the forest compares in float64 what was rounded to float32, as scikit-learn does."""
    scores = session.run(None, {"x": matrix.astype(np.float64)})[0]
    return np.asarray(scores[:, 0], dtype=np.float64)


def calibrated(score: Vector, calibration: Calibration) -> Vector:
    """`1 / (1 + exp(-(slope * score + intercept)))`."""
    return np.asarray(1.0 / (1.0 + np.exp(-(calibration.slope * score + calibration.intercept))))
