"""Text that other people's tools wrote: what is blank in it, and what says that there is no value.

One definition for every column of every file; the SQL is DuckDB's, and a test compares it with the Python.
"""

from collections.abc import Sequence
from typing import Final

BLANKS: Final = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""The characters that `str.strip` removes, for SQL, which must be told."""

ABSENT: Final = ("", "nan", "NaN", "NAN", "None", "null", "NULL", "\\N", "<NA>", "NaT", "NA", "N/A", "#N/A")
"""How tools write a missing value: NumPy and pandas, Python, SQL and Spark, Hive and MySQL, R, spreadsheets."""

EXPONENT: Final = r"[0-9](\.[0-9]+)?[eE][+-]?[0-9]{1,3}"
"""A number in scientific notation, which an id becomes in a column of floats: `1.1E7`, `1.54224E+12`."""

EXACT_DIGITS: Final = 15
"""A double holds any whole number of so many digits; a longer one may have lost its last."""


def trimmed_sql(column: str) -> str:
    """`str.strip` as a DuckDB expression over a column of text."""
    return f"CASE WHEN {_without_blanks_around(column)} THEN {column} ELSE {_trim(column)} END"


def value_sql(column: str) -> str:
    """A column of text without the blanks around it, null where it says that there is no value."""
    return (
        f"CASE WHEN {_without_blanks_around(column)} THEN {_known(column)} "
        f"WHEN {column} IS NOT NULL THEN {_known(_trim(column))} END"
    )


def name_sql(column: str, names: Sequence[str]) -> str:
    """A column of text as `value_sql`, but one of `names` where it differs from it in case and blanks only."""
    exactly = " ".join(f"WHEN '{name}' THEN {column}" for name in names)
    alike = " ".join(f"WHEN '{folded(name)}' THEN '{name}'" for name in names)
    bare = f"lower(translate({column}, '{BLANKS}', ''))"
    return (
        f"CASE {column} {exactly} ELSE "
        f"CASE WHEN {column} IS NOT NULL THEN CASE {bare} {alike} ELSE {value_sql(column)} END END END"
    )


def _without_blanks_around(column: str) -> str:
    # Hardly any text has a blank at its ends, and to look there costs a quarter of trimming.
    return f"{column} >= '!' AND {column} < chr(127) AND {column}[-1] BETWEEN '!' AND '~'"


def _trim(column: str) -> str:
    return f"trim({column}, '{BLANKS}')"


def _known(trimmed: str) -> str:
    # Not `IN`, of which DuckDB makes a join: eighteen of them cost ten times the rest of the reading.
    longest = max(len(text) for text in ABSENT)
    absent = " ".join(f"WHEN '{text}' THEN NULL" for text in ABSENT)
    return f"CASE WHEN strlen({trimmed}) > {longest} THEN {trimmed} ELSE CASE {trimmed} {absent} ELSE {trimmed} END END"


def folded(name: str) -> str:
    """The name without blanks, in lower case."""
    return "".join(name.split()).lower()


def exponent_sql(trimmed: str) -> str:
    """Tell whether a trimmed text is a number in scientific notation."""
    return f"({trimmed}[2] IN ('.', 'e', 'E') AND regexp_full_match({trimmed}, '{EXPONENT}'))"


def rounded_sql(trimmed: str) -> str:
    """Tell whether a trimmed text is a whole number in scientific notation without its last digits.

    `1.23E+3` may have been any of ten numbers; `1.23E+2` is 123.
    """
    mantissa, exponent = (f"split_part(lower({trimmed}), 'e', {part})" for part in (1, 2))
    digits = f"strlen(replace({mantissa}, '.', ''))"
    power = f"try_cast(replace({exponent}, '+', '') AS INTEGER)"
    return f"({exponent_sql(trimmed)} AND ({power} >= {EXACT_DIGITS} OR {digits} <= {power}))"
