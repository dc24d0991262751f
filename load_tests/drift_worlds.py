"""Simulated populations with a known change, for measuring how often the drift decision is right.

A customer is a row of correlated normal variables, one a feature; features of the same
measure (its 7, 14 and 28 days) share most of theirs. Each feature turns its variable into a
value: listening minutes log-normal, session minutes normal, counts with the many zeros of
real counts, categories by shares. The variables are cut to hundredths of a standard
deviation, so that a population of any size is a table of counts and a report on 100,000
rows takes a tenth of a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from churn.contract import BY_NAME, FEATURES, Feature
from monitoring.drift.column_summary import ColumnSummary, Population
from monitoring.drift.decision import CHURN_PROBABILITY, OUTPUTS, WILL_CHURN

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Noise = npt.NDArray[np.float32]

REFERENCE_ROWS: Final = 5_000
REACH: Final = 6
PER_DEVIATION: Final = 100
LATENT: Final[FloatArray] = np.arange(-REACH * PER_DEVIATION, REACH * PER_DEVIATION + 1) / PER_DEVIATION

COMMON_WEIGHT: Final = 0.5
MEASURE_WEIGHT: Final = 0.6
OWN_WEIGHT: Final = (1 - COMMON_WEIGHT**2 - MEASURE_WEIGHT**2) ** 0.5
USUAL_NULLS: Final = 0.03
FLAGGED: Final = 0.05

SHARES: Final = {
    "level": {"free": 0.3, "paid": 0.7},
    "gender": {"F": 0.45, "M": 0.55},
    "os": {"Windows": 0.45, "Mac": 0.24, "iPhone": 0.1, "Linux": 0.1, "iPad": 0.06, "Android": 0.04, "ChromeOS": 0.01},
    "browser": {"Chrome": 0.51, "Safari": 0.25, "Firefox": 0.18, "IE": 0.05, "Edge": 0.0095, "Opera": 0.0005},
    WILL_CHURN.name: {"false": 1 - FLAGGED, "true": FLAGGED},
}


def _picked(measures: Sequence[str]) -> tuple[Feature, ...]:
    return tuple(feature for feature in FEATURES if feature.measure in measures and feature.window is not None)


THIRTY_FIVE: Final = (
    *(BY_NAME[name] for name in ("level", "gender", "os", "browser", "days_since_last_event")),
    *_picked(("listening_minutes", "songs_per_session", "session_minutes", "songs", "thumbs_up", "errors", "adverts")),
    *(feature for feature in FEATURES if feature.group == "windows" and feature.name.endswith("_trend")),
)
"""Five of the profile, 21 windowed (nine numbers, twelve counts), nine trends."""

CONTRACT: Final = FEATURES


@dataclass(frozen=True)
class Change:
    """The change of one feature: its variable times `scale` plus `shift`, `nulls` more nulls, one label's share."""

    feature: str
    shift: float = 0.0
    scale: float = 1.0
    nulls: float = 0.0
    label: str = ""
    share: float = 0.0


@dataclass(frozen=True)
class World:
    """The features of a report (the outputs are added), and what has changed since the reference."""

    features: tuple[Feature, ...]
    change: Change = field(default_factory=lambda: Change(""))

    @property
    def columns(self) -> tuple[Feature, ...]:
        return (*self.features, *OUTPUTS)

    def population(self, rows: int, generator: np.random.Generator) -> Population:
        """`rows` customers of this world."""
        common = _noise(rows, generator) * COMMON_WEIGHT
        shared: dict[str, Noise] = {}
        columns: dict[str, ColumnSummary] = {}
        for feature in self.columns:
            if feature.measure not in shared:
                shared[feature.measure] = common + _noise(rows, generator) * MEASURE_WEIGHT
            latent = shared[feature.measure] + _noise(rows, generator) * OWN_WEIGHT
            columns[feature.name] = self._column(feature, latent, generator)
        return Population(rows, columns)

    def _column(self, feature: Feature, latent: Noise, generator: np.random.Generator) -> ColumnSummary:
        change = self.change if self.change.feature == feature.name else Change(feature.name)
        return _summary(
            feature, _cells(latent * np.float32(change.scale) + np.float32(change.shift)), generator, change
        )


def unchanged_column(feature: Feature, rows: int, generator: np.random.Generator) -> ColumnSummary:
    """One column of an unchanged world, drawn as counts: microseconds, however many rows."""
    halfway = (LATENT[1:] + LATENT[:-1]) / 2
    shares = np.diff(special.ndtr(halfway), prepend=0.0, append=1.0)
    return _summary(feature, generator.multinomial(rows, shares), generator, Change(feature.name))


def _summary(feature: Feature, cells: IntArray, generator: np.random.Generator, change: Change) -> ColumnSummary:
    rate = (USUAL_NULLS if feature.nullable else 0.0) + change.nulls
    held = generator.binomial(cells, 1 - rate) if rate else cells
    rows = int(cells.sum())
    nulls = rows - int(held.sum())
    if feature.is_category:
        return _category(feature, held, nulls, change)
    values, place = _axis(feature)
    counts = np.bincount(place, held, len(values)).astype(np.int64)
    kept = counts > 0
    return ColumnSummary(feature, rows, nulls, numbers=values[kept], counts=counts[kept])


def _noise(rows: int, generator: np.random.Generator) -> Noise:
    return generator.standard_normal(rows, dtype=np.float32)


def _cells(latent: Noise) -> IntArray:
    """How many rows fall on each value of `LATENT`."""
    nearest = np.rint(latent * PER_DEVIATION).astype(np.int64) + REACH * PER_DEVIATION
    return np.bincount(np.clip(nearest, 0, len(LATENT) - 1), minlength=len(LATENT))


@cache
def _axis(feature: Feature) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """The feature's distinct values, and which of them each value of `LATENT` gives."""
    return np.unique(_values(feature), return_inverse=True)


def _values(feature: Feature) -> FloatArray:
    """The feature's value for each value of `LATENT`: monotone, within the contract's bounds."""
    if feature.name == CHURN_PROBABILITY.name:
        probabilities: FloatArray = np.round(special.expit(LATENT - 1.5), 4)
        return probabilities
    example = max(float(feature.example or 0), 0.1)
    if feature.measure in ("session_minutes", "songs_per_session"):
        raw = example * (1 + LATENT / (REACH + 1))
    else:
        raw = example * np.exp(LATENT)
    whole = np.floor(raw) if feature.kind == "count" else np.round(raw, 4)
    bounded: FloatArray = np.clip(whole, feature.minimum, feature.maximum)
    return bounded


def _category(feature: Feature, cells: IntArray, nulls: int, change: Change) -> ColumnSummary:
    shares = dict(SHARES[feature.name])
    if change.label:
        rest = 1 - shares.pop(change.label)
        shares = {label: share / rest * (1 - change.share) for label, share in shares.items()}
        shares[change.label] = change.share
    bounds = special.ndtri(np.cumsum(list(shares.values()))[:-1])
    counts = np.bincount(np.searchsorted(bounds, LATENT), cells, len(shares)).astype(np.int64)
    found = [(label, int(count)) for label, count in zip(shares, counts, strict=True) if count]
    return ColumnSummary(
        feature,
        int(cells.sum()) + nulls,
        nulls,
        labels=tuple(label for label, _ in found),
        counts=np.array([count for _, count in found], dtype=np.int64),
    )


@dataclass(frozen=True)
class Cell:
    """One line of the table: a change, a week's rows, and the share of reports that may or must alarm."""

    name: str
    rows: int
    change: Change
    at_most: float | None = None
    at_least: float | None = None


NOTHING: Final = Change("")
NORMAL: Final = "session_minutes_14d"
CELLS: Final = (
    Cell("nothing changed", 500, NOTHING, at_most=0.05),
    Cell("nothing changed", 2_000, NOTHING, at_most=0.05),
    Cell("nothing changed", 20_000, NOTHING, at_most=0.05),
    Cell("nothing changed", 100_000, NOTHING, at_most=0.05),
    Cell("mean + 0.02 sd", 100_000, Change(NORMAL, shift=0.02), at_most=0.05),
    Cell("mean + 0.2 sd", 2_000, Change(NORMAL, shift=0.2), at_least=0.95),
    Cell("variance × 1.3", 2_000, Change(NORMAL, scale=1.3**0.5), at_least=0.90),
    Cell("nulls 0 → 5 %", 2_000, Change("songs_7d", nulls=0.05), at_least=0.95),
    Cell("a category's share 10 → 15 %", 2_000, Change("os", label="iPhone", share=0.15), at_least=0.90),
    Cell("flagged 5 → 20 %", 2_000, Change(WILL_CHURN.name, label="true", share=0.20), at_least=0.95),
)
FURTHER_CELLS: Final = (
    Cell("mean + 0.1 sd", 2_000, Change(NORMAL, shift=0.1)),
    Cell("mean + 0.2 sd", 500, Change(NORMAL, shift=0.2)),
    Cell("variance × 1.3", 500, Change(NORMAL, scale=1.3**0.5)),
    Cell("a log-normal, + 0.2 sd of its logarithm", 2_000, Change("listening_minutes_7d", shift=0.2)),
    Cell("a count, + 0.2 sd of its logarithm", 2_000, Change("thumbs_up_7d", shift=0.2)),
    Cell("a rare count, + 0.2 sd of its logarithm", 2_000, Change("errors_28d", shift=0.2)),
    Cell("nulls 3 → 8 %", 2_000, Change("gender", nulls=0.05)),
    Cell("mean + 0.1 sd", 100_000, Change(NORMAL, shift=0.1)),
)
"""No promise is made for these; the benchmark shows them too."""
