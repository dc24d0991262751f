"""Texts in the cells of a file that people open in a spreadsheet: none is run as a formula, and each is read back.

A spreadsheet runs a cell that begins with a formula sign (OWASP, "CSV Injection"). Which text begins a cell depends on
its locale: many split at a semicolon or a tab, and a line break or NUL may begin a cell of its own.
"""

import re
from typing import Final

_BREAKS: Final = ";\t\r\n\x00"
_SIGNS: Final = "=+\\-@＝＋－＠\t\r\n\x00"
_BEGINNING: Final = f"(?:\\A|(?<=[{_BREAKS}]))"
_RUN: Final = re.compile(f"{_BEGINNING}('*)(?=[{_SIGNS}])")
_NEUTRAL: Final = re.compile(f"{_BEGINNING}'('*)(?=[{_SIGNS}])")


def cell(text: str) -> str:
    """The text with an apostrophe before each formula sign that may begin a cell.

    >>> cell("x;=1"), cell("'=1"), cell("1;2")
    ("x;'=1", "''=1", '1;2')
    """
    return _RUN.sub(r"\1'", text)


def text_of(cell: str) -> str:
    """The text that `cell` was given.

    >>> text_of("x;'=1"), text_of("''=1")
    ('x;=1', "'=1")
    """
    return _NEUTRAL.sub(r"\1", cell)
