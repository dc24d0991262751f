"""Parts of the customers, to see where a change is: by level, operating system and time as a customer."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd

from monitoring.drift.column_summary import Population, summarise_frame
from monitoring.drift.decision import MONITORED
from monitoring.findings.drift import Comparison, Segment

SAMPLE_ROWS: Final = 50_000
"""Rows a side that segments are made from; they are ranked and never alarm."""

LARGEST: Final = 5
"""Of the operating systems, as many are looked at."""

TENURE_BANDS: Final = (0.0, 30.0, 90.0, 365.0, np.inf)


def comparisons(reference: pd.DataFrame, current: pd.DataFrame) -> dict[Comparison, tuple[Population, Population]]:
    """Each segment of both frames.

    Args:
        reference: one row per customer, the columns of `monitoring.drift.decision.MONITORED`.
        current: the same.
    """
    parts = zip(_masks(reference, reference), _masks(current, reference), strict=True)
    return {
        segment: (summarise_frame(reference[before], MONITORED), summarise_frame(current[after], MONITORED))
        for (segment, before), (_, after) in parts
    }


def _masks(frame: pd.DataFrame, reference: pd.DataFrame) -> Iterator[tuple[Segment, "pd.Series[Any]"]]:
    for column, most in (("level", LARGEST), ("os", LARGEST)):
        for label in reference[column].value_counts().index[:most]:
            yield Segment(feature=column, category=label), frame[column] == label
    tenure = frame["tenure_days"]
    for low, high in pairwise(TENURE_BANDS):
        band = Segment(feature="tenure_days", at_least=low, below=high if np.isfinite(high) else None)
        yield band, (tenure >= low) & (tenure < high)
