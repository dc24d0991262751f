"""Reasons beside customers like this one: those who stayed, of the same plan and time as a customer.

New customers all look alike beside the median of everybody who stays. Beside their peers they do not.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from churn.contract import BY_NAME, FEATURES, NAMES, Feature
from churn.model.explaining import Reason, Typical, Value, beside, stated
from churn.model.facts import PeerFacts

CONTEXT: Final = ("tenure_days", "level")
"""Said once, and no reasons: they are what makes customers peers."""

BANDS: Final = (7, 28, 90)
"""Ends of the bands of tenure, in days."""

EVERYBODY: Final = "everybody"
"""The group for those who have too few peers."""

TOPICS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("events", "songs", "listening_minutes", "artists", "sessions", "active_days"), "activity"),
    **dict.fromkeys(("songs_per_session", "session_minutes"), "sessions"),
    **dict.fromkeys(("downgrade_visits", "downgrade_submits"), "downgrade"),
}
"""Measures that say the same thing; any other is a topic of its own."""

OF_TOPIC: Final = tuple(TOPICS.get(feature.measure, feature.measure) for feature in FEATURES)
"""The topic of each feature, in the contract's order."""

_LEAST_SPREAD: Final = 0.01
"""Contributions to a score that differ by less are all the same."""


def peer_group(tenure_days: float | None, level: str) -> str:
    """The name of a customer's group.

    >>> peer_group(0.4, "free"), peer_group(28.0, "paid"), peer_group(None, "paid")
    ('free, under 7 days', 'paid, under 90 days', 'paid, longer')
    """
    ends = [end for end in BANDS if tenure_days is not None and tenure_days < end]
    return f"{level}, under {ends[0]} days" if ends else f"{level}, longer"


def days_seen(feature: Feature, tenure_days: float | None) -> float:
    """How many days of a feature's window a customer has been there; 1 or more for what has no window."""
    window = float(feature.window or 1)
    return window if feature.window is None or tenure_days is None else min(window, max(tenure_days, 0.0))


def reasons_beside_peers(
    values: Mapping[str, Value], contributions: NDArray[np.float64], peers: Mapping[str, PeerFacts], top_k: int
) -> list[Reason]:
    """Reasons that raise a customer's score, the most unusual among the peers' contributions first.

    A topic appears once, by the feature that raises the score most, and only if the topic as a whole raises it. It
    is ranked by its contribution beside how far contributions of the topic spread among peers who stayed.

    Args:
        values: by feature name; null is None.
        contributions: float64 [features], one row of `Explainer.contributions`.
        peers: `Manifest.peers`.
        top_k: how many at most.
    """
    tenure, level = values["tenure_days"], values["level"]
    assert not isinstance(tenure, str)
    group = peers.get(peer_group(tenure, str(level)), peers[EVERYBODY])
    ranked = sorted(_topics(contributions), key=lambda one: -_strength(one, contributions, group))
    return [
        _reason(FEATURES[max(places, key=lambda place: contributions[place])], values, contributions, group)
        for _, places in ranked[:top_k]
    ]


def by_topic(contributions: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Contributions [rows, features] added up by topic, [rows] each."""
    return {
        topic: contributions[:, [place for place, one in enumerate(OF_TOPIC) if one == topic]].sum(axis=1)
        for topic in dict.fromkeys(OF_TOPIC)
    }


def _topics(contributions: NDArray[np.float64]) -> list[tuple[str, list[int]]]:
    """The topics that raise the score, with the places of their features; not the context."""
    places: dict[str, list[int]] = {}
    for place, topic in enumerate(OF_TOPIC):
        if NAMES[place] not in CONTEXT:
            places.setdefault(topic, []).append(place)
    return [(topic, found) for topic, found in places.items() if contributions[found].sum() > 0]


def _strength(one: tuple[str, Sequence[int]], contributions: NDArray[np.float64], group: PeerFacts) -> float:
    topic, places = one
    return float(contributions[list(places)].sum()) / (group.spread.get(topic, 0.0) + _LEAST_SPREAD)


def _reason(
    feature: Feature, values: Mapping[str, Value], contributions: NDArray[np.float64], group: PeerFacts
) -> Reason:
    value, typical, tenure = values[feature.name], group.typical.get(feature.name), values["tenure_days"]
    assert not isinstance(tenure, str)
    said = stated(feature, value)
    seen = days_seen(feature, tenure)
    if feature.window is not None and seen < feature.window and value is not None:
        said = f"{said} ({seen:.1f} days seen)"
    text = f"{said}; {beside(value, _over(typical, feature, seen), 'similar customers who stay')}"
    return Reason(feature.name, value, float(contributions[NAMES.index(feature.name)]), text)


def _over(typical: Typical, feature: Feature, seen: float) -> Typical:
    """The peers' pace over the days that this customer has been seen."""
    if not isinstance(typical, float) or not adds_up(feature):
        return typical
    return typical * seen / float(feature.window or 1)


def adds_up(feature: Feature) -> bool:
    """True if a feature grows with the days of its window that are seen, as counts do and averages do not."""
    return (
        feature.window is not None and feature.name == f"{feature.measure}_{feature.window}d" and not feature.nullable
    )


def context(values: Mapping[str, Value]) -> str:
    """Describe the customer: `a customer for 12 days, on the free plan`."""
    return ", ".join(stated(BY_NAME[name], values[name]) for name in CONTEXT)
