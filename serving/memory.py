"""Gives memory that a large request has freed back to the system, where the C library can (glibc)."""

import ctypes
from collections.abc import Callable
from typing import Final


def _found() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


_TRIM: Final = _found()


def give_back() -> None:
    """Without this, a worker keeps what its largest requests once needed."""
    if _TRIM is not None:
        _TRIM(0)
