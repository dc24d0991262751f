"""Groups of customers who stayed, by plan and time as a customer: what is usual there, and how contributions spread."""

from typing import Final

import numpy as np
import pandas as pd

from churn.contract import FEATURES
from churn.model.explaining import Explainer
from churn.model.facts import PeerFacts
from churn.retention.peers import EVERYBODY, adds_up, by_topic, days_seen, peer_group
from training.forest.fit import FittedForest
from training.model.typical import typical

FEWEST: Final = 20
"""Customers in a group; those of smaller ones stand beside everybody."""

MOST: Final = 5_000
"""Customers that are explained for the spread."""

_DIGITS: Final = 6
"""The compiled and the NumPy explainer differ in the last digits."""


def peers(fitted: FittedForest, stayed: pd.DataFrame) -> dict[str, PeerFacts]:
    """The groups by name, and everybody; `stayed` has the features of customers who stayed."""
    some = stayed.head(MOST).reset_index(drop=True)
    pace = _as_if_seen_whole(some)
    matrix = fitted.encoder.frame(some)
    spread = by_topic(Explainer(fitted.arrays, fitted.encoder.columns).contributions(matrix))
    tenure = [None if pd.isna(days) else float(days) for days in some["tenure_days"]]
    group = np.array([peer_group(days, level) for days, level in zip(tenure, some["level"], strict=True)], dtype=object)
    parts = {EVERYBODY: np.full(len(some), fill_value=True)}
    parts |= {name: group == name for name in sorted(set(group))}
    return {
        name: PeerFacts(
            customers=int(members.sum()),
            typical=typical(pace[members]),
            spread={topic: round(float(one[members].std()), _DIGITS) for topic, one in spread.items() if members.any()},
        )
        for name, members in parts.items()
        if name == EVERYBODY or members.sum() >= FEWEST
    }


def _as_if_seen_whole(stayed: pd.DataFrame) -> pd.DataFrame:
    """Scale counts to the whole window at the customer's pace; nobody counts as seen for less than a day."""
    found = stayed.copy()
    tenure = stayed["tenure_days"].to_numpy(np.float64)
    for feature in FEATURES:
        if adds_up(feature):
            whole = days_seen(feature, None)
            seen = np.where(np.isnan(tenure), whole, np.clip(tenure, 1.0, whole))
            found[feature.name] = stayed[feature.name].to_numpy(np.float64) * whole / seen
    return found
