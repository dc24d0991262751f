"""Text that other people's tools wrote: what is blank in it, and what says that there is no value.

One definition for every column of every file; the SQL is DuckDB's, and a test compares it with the Python.
"""

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


def trimmed_sql(column: str) -> str:
    """`str.strip` as a DuckDB expression over a column of text."""
    # Hardly any text has a blank at its ends, and to look there costs a quarter of trimming.
    begins, ends = f"{column} >= '!' AND {column} < chr(127)", f"{column}[-1] BETWEEN '!' AND '~'"
    return f"CASE WHEN {begins} AND {ends} THEN {column} ELSE trim({column}, '{BLANKS}') END"
