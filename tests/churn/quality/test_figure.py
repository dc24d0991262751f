"""A figure says its interval, and what is not defined is null in JSON."""

import doctest
import json
import math

import pytest

from churn.quality import figure
from churn.quality.figure import Figure


def test_the_examples_of_its_documentation() -> None:
    assert doctest.testmod(figure).failed == 0


@pytest.mark.parametrize(
    ("value", "bounds", "expected"),
    [
        (0.5, (0.25, 0.75), {"value": 0.5, "low": 0.25, "high": 0.75}),
        (0.5, (math.nan, math.nan), {"value": 0.5, "low": None, "high": None}),
        (math.nan, (0.25, 0.75), {"value": None, "low": None, "high": None}),
    ],
)
def test_what_is_not_defined_is_null(value: float, bounds: tuple[float, float], expected: dict[str, object]) -> None:
    assert json.loads(json.dumps(Figure.of(value, bounds).to_dict(), allow_nan=False)) == expected
