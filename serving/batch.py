"""Customers column by column: the batch that is scored, and the fast check that they are what the contract says."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import numpy as np

from churn.contract import (
    BY_NAME,
    CATEGORICAL,
    LONGEST_CUSTOMER_ID,
    MAXIMUM_CATEGORY_LENGTH,
    NUMERIC,
    Customer,
    Feature,
    customer_key,
    whole,
)
from churn.contradictions import Numbers
from serving.request_moments import Moments

_COUNTS: Final = tuple(name for name in NUMERIC if BY_NAME[name].kind == "count")
_REALS: Final = tuple(name for name in NUMERIC if BY_NAME[name].kind == "real")
_counts_of: Final = itemgetter(*_COUNTS)
_reals_of: Final = itemgetter(*_REALS)
_categories_of: Final = itemgetter(*CATEGORICAL)
_ids_of: Final = itemgetter("customer_id")
_moments_of: Final = itemgetter("as_of")
_FIELDS: Final = len(Customer.model_fields)
_CATEGORIES: Final = tuple(BY_NAME[name] for name in CATEGORICAL)
_COUNT_TYPES: Final = frozenset({int, type(None)})  # NumPy would take a boolean for a number
_REAL_TYPES: Final = frozenset({int, float, type(None)})
_COUNT_PLACES: Final = [NUMERIC.index(name) for name in _COUNTS]
_REAL_PLACES: Final = [NUMERIC.index(name) for name in _REALS]
_MINIMUM: Final = np.array([BY_NAME[name].minimum for name in NUMERIC], dtype=np.float64)
_MAXIMUM: Final = np.array([BY_NAME[name].maximum for name in NUMERIC], dtype=np.float64)
_NULLABLE: Final = np.array([BY_NAME[name].nullable for name in NUMERIC])


@dataclass(frozen=True)
class Batch:
    """Validated customers, column by column.

    Attributes:
        customer_ids: as sent.
        as_of: moments in UTC, ISO 8601 ending in Z.
        numbers: float64 [customers, len(contract.NUMERIC)]; null is NaN.
        categories: of each customer, in the order of contract.CATEGORICAL; null is None.
        features: of each customer the values by feature name, as sent.
    """

    customer_ids: Sequence[str]
    as_of: Sequence[str]
    numbers: Numbers
    categories: Sequence[tuple[str | None, ...]]
    features: Sequence[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.customer_ids)

    @classmethod
    def joined(cls, batches: Sequence["Batch"]) -> "Batch":
        """The customers of several batches, or of none."""
        if len(batches) == 1:
            return batches[0]
        return cls(
            [one for batch in batches for one in batch.customer_ids],
            [one for batch in batches for one in batch.as_of],
            np.concatenate([np.empty((0, len(NUMERIC))), *(batch.numbers for batch in batches)]),
            [one for batch in batches for one in batch.categories],
            [one for batch in batches for one in batch.features],
        )

    def keys(self) -> list[tuple[str, str]]:
        """Keys that must be unique in a request: the customer, however the id is spelled, and the moment."""
        text = "".join(self.customer_ids)
        plain = "." not in text and text.split(None, 1) == [text]  # no blank and no fraction in any of them
        ids = self.customer_ids if plain else map(customer_key, self.customer_ids)
        return list(zip(ids, self.as_of, strict=True))


def by_columns(rows: list[Any], moments: Moments) -> Batch | None:
    """The batch, or None when a row is not what the contract says."""
    try:
        ids, as_of = list(map(_ids_of, rows)), list(map(_moments_of, rows))
        categories = list(map(_categories_of, rows))
        counts, reals = _counts(rows), list(map(_reals_of, rows))
        utc = [moments.utc(text) for text in as_of]
        plausible = (
            all(len(row) == _FIELDS for row in rows)
            and all(map(_is_id, ids))
            and all(map(_are_categories, _CATEGORIES, zip(*categories, strict=True)))
            and set(map(type, chain.from_iterable(counts))) <= _COUNT_TYPES
            and set(map(type, chain.from_iterable(reals))) <= _REAL_TYPES
        )
        numbers = _numbers(counts, reals) if plausible else None
    except (TypeError, KeyError, ValueError, OverflowError):
        return None  # not an object, a list for a value, a field missing, no moment, more than 64 bits
    if numbers is None:
        return None
    for row in rows:
        del row["customer_id"], row["as_of"]
    return Batch(ids, utc, numbers, categories, rows)


def _counts(rows: list[Any]) -> list[tuple[Any, ...]]:
    """The counts of each row; those written as 3.0 become integers, in the rows too."""
    counts = list(map(_counts_of, rows))
    if float in set(map(type, chain.from_iterable(counts))):
        for row in rows:
            row.update({name: whole(row[name]) for name in _COUNTS})
        counts = list(map(_counts_of, rows))
    return counts


def _is_id(value: object) -> bool:
    return type(value) is str and 1 <= len(value) <= LONGEST_CUSTOMER_ID and not value.isspace()


def _are_categories(feature: Feature, values: tuple[object, ...]) -> bool:
    return all(_is_category(feature, value) for value in set(values))


def _is_category(feature: Feature, value: object) -> bool:
    if value is None:
        return feature.nullable
    if type(value) is not str:
        return False
    if feature.categories is not None:
        return value in feature.categories
    return 1 <= len(value) <= MAXIMUM_CATEGORY_LENGTH


def _numbers(counts: list[tuple[int | None, ...]], reals: list[tuple[float | None, ...]]) -> Numbers | None:
    """Float64 [rows, numeric features], or None when one is out of its bounds."""
    numbers: Numbers = np.empty((len(counts), len(NUMERIC)), dtype=np.float64)
    numbers[:, _COUNT_PLACES] = np.array(counts, dtype=np.float64)
    numbers[:, _REAL_PLACES] = np.array(reals, dtype=np.float64)
    inside = (numbers >= _MINIMUM) & (numbers <= _MAXIMUM)  # null is not
    if not inside.all() and not (inside | np.isnan(numbers) & _NULLABLE).all():
        return None
    return numbers
