"""Many tests, one error rate: p-values adjusted for how many were made."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def holm(p: Sequence[float]) -> FloatArray:
    """Adjusted p-values that bound the chance of any false alarm, whatever the dependence.

    Holm (1979), *A simple sequentially rejective multiple test procedure*.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    return _restored(np.minimum(np.maximum.accumulate(scaled), 1.0), order)


def benjamini_hochberg(p: Sequence[float]) -> FloatArray:
    """Adjusted p-values that bound the expected share of false ones among those picked.

    Benjamini and Hochberg (1995), *Controlling the false discovery rate*. With nothing to
    find, that is the chance of picking any.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * len(values) / np.arange(1, len(values) + 1)
    return _restored(np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0), order)


def _restored(ordered: FloatArray, order: npt.NDArray[np.intp]) -> FloatArray:
    adjusted = np.empty_like(ordered)
    adjusted[order] = ordered
    return adjusted
