"""Spellings of a customer's id that mean the same customer. Erasure needs the standard library only."""

import re
from typing import Final

from churn.raw_text import trimmed_sql

_WHOLE: Final = re.compile(r"([0-9]+)\.0+")


def customer_key(text: str) -> str:
    """The id by which logs, lists, joins and erasure know a customer, however it was spelled.

    Blanks around it go, and so does the fraction of a whole number: `104.0` is `104`.
    Leading zeros, capitals and exponents stay, since they may tell two customers apart.
    Empty for blanks alone, which are nobody's id.
    """
    key = text.strip()
    whole = _WHOLE.fullmatch(key)
    return key if whole is None else whole[1]


def customer_key_sql(column: str) -> str:
    """`customer_key` as a DuckDB expression over a column of text."""
    key = trimmed_sql(column)
    return f"CASE WHEN contains({column}, '.') THEN regexp_replace({key}, '^{_WHOLE.pattern}$', '\\1') ELSE {key} END"
