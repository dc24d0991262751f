"""Shares, counts and features in plain words: no jargon, no names of columns."""

import re
from typing import Final

from churn.contract import BY_NAME
from monitoring.drift.decision import CHURN_PROBABILITY, WILL_CHURN
from monitoring.drift.wording import plain

_SUBJECT_END: Final = re.compile(r"[;:].*|, read from .*|\.$")
_OUTPUT_WORDS: Final = {
    CHURN_PROBABILITY.name: "The chance of leaving, as the model sees it",
    WILL_CHURN.name: "Customers at risk, as the model sees it",
}


def described(name: str) -> str:
    """A feature as a manager would call it."""
    if name in _OUTPUT_WORDS:
        return _OUTPUT_WORDS[name]
    return _SUBJECT_END.sub("", BY_NAME[name].description) if name in BY_NAME else "A figure that is no longer used"


def amount(name: str, value: float) -> str:
    """A value of a feature."""
    return f"{value:.0%}" if name == CHURN_PROBABILITY.name else plain(value)


def share(part: float) -> str:
    """`12 of 100`, and finer where it is rare; never "0 of 100" of something that is there."""
    for whole in (100, 1_000):
        if part * whole >= 1 or part <= 0:
            break
    else:
        return "fewer than 1 of 1,000"
    rounded = round(part * whole)
    if rounded == whole and part < 1:
        return f"more than {whole - 1} of {whole}"
    return f"{rounded} of {whole:,}"


def of_100(value: float) -> str:
    return f"{round(100 * value)}"


def counted(number: int, noun: str) -> str:
    """`1 customer`, `1,200 customers`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
