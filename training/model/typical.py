"""Usual values among customers who stayed: reasons compare with them."""

import pandas as pd

from churn.contract import FEATURES


def typical(stayed: pd.DataFrame) -> dict[str, float | dict[str, float] | None]:
    """The median of each number and the share of each category among customers who stayed."""
    found: dict[str, float | dict[str, float] | None] = {}
    for feature in FEATURES:
        values = stayed[feature.name].dropna()
        if feature.is_category:
            found[feature.name] = {str(k): float(v) for k, v in (values.value_counts() / max(len(stayed), 1)).items()}
        else:
            found[feature.name] = float(values.median()) if len(values) else None
    return found
