"""The waterfall leads from the base to the score, whatever is small added up."""

import pytest

from monitoring.pages.waterfall import WIDTH, waterfall


def test_the_steps_are_the_contributions_largest_first_and_the_small_ones_together() -> None:
    given = [("a", 0.1), ("b", -0.3), ("c", 0.01), ("d", 0.02), ("e", 0.0), ("a", 0.05)]
    steps = waterfall(0.5, given, shown=3)
    assert [(step.label, step.signed) for step in steps] == [
        ("b", "−0.300"),
        ("a", "+0.100"),
        ("a", "+0.050"),
        ("3 others together", "+0.030"),
    ]
    assert sum(step.contribution for step in steps) == pytest.approx(sum(value for _, value in given))


def test_each_bar_begins_where_the_one_before_ends() -> None:
    steps = waterfall(0.5, [("a", -0.3), ("b", 0.1)])  # from 0.5 to 0.2 to 0.3; the scale is from 0.2 to 0.5
    assert [(step.start, step.width) for step in steps] == [(0, WIDTH), (0, pytest.approx(33.3))]
    assert [step.raises for step in steps] == [False, True]


def test_nothing_contributed_is_no_step() -> None:
    assert waterfall(0.5, [("a", 0.0)]) == []
