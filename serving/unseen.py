"""Warnings about categories that the model has not seen: they are scored as `other`."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from churn.contract import BY_NAME, MAXIMUM_CATEGORY_LENGTH, OTHER
from churn.model.artifact import Column

SHOWN_WARNINGS: Final = 20
"""An answer lists at most this many; a caller that spells one name in a thousand ways needs no more."""


def known_categories(columns: Sequence[Column]) -> dict[str, list[str]]:
    """The values of each open category that a model knows by name, in alphabetical order."""
    known: dict[str, list[str]] = {}
    for column in columns:
        if column.category not in {None, OTHER} and BY_NAME[column.feature].categories is None:
            known.setdefault(column.feature, []).append(str(column.category))
    return {name: sorted(values) for name, values in known.items()}


class UnseenCategories:
    """A warning for each value of an open category that a model does not know."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = known_categories(columns)
        self._known = {name: frozenset({None, OTHER, *values}) for name, values in self._names.items()}

    def warnings(self, features: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """One for each feature and unseen value, most frequent first within a feature; empty for most requests.

        Args:
            features: of each customer the values by feature name.

        Returns:
            `loc`, the first customer with the value, and `msg`.
        """
        found: list[dict[str, Any]] = []
        for name, known in self._known.items():
            if {row[name] for row in features} <= known:
                continue
            values = [row[name] for row in features]
            counted = Counter(value for value in values if value not in known)
            found += [self._warning(name, value, count, values.index(value)) for value, count in counted.most_common()]
        return found[:SHOWN_WARNINGS]

    def _warning(self, name: str, value: str, count: int, row: int) -> dict[str, Any]:
        known = ", ".join(self._names[name])
        customers = "1 customer" if count == 1 else f"{count} customers"
        return {
            "loc": ["customers", row, name],
            "msg": f"{value[:MAXIMUM_CATEGORY_LENGTH]!r} of {customers} is scored as {OTHER}: the model knows {known}",
        }
