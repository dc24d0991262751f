"""Checks of whole columns: a wrong unit, lost digits, or no usable value refuse the log.

A row at a time, each such value looks like one to be dropped or set to null.
"""

# ruff: noqa: S608 - this SQL is put together from constants; values are parameters

from typing import Any, Final

from churn.activity.files import LogFile
from churn.activity.pages import KNOWN, SONG
from churn.activity.rows import DOUBT, NULLED, OPTIONAL_COLUMNS, UNITS
from churn.activity.settings import WITHOUT
from churn.activity.sources import query
from churn.activity.staged import StagedLog
from churn.errors import EventLogError, SettingError
from churn.raw_text import exponent_sql
from churn.settings import text

Facts = dict[str, Any]

# The column of staged rows that holds the values of an optional column.
_STAGED: Final = {**{column: column for column in OPTIONAL_COLUMNS}, "length": "length_ms", "userAgent": "agent"}

_FEW: Final = 3
"""As many different values that look as if they had lost digits are no coincidence."""

# Six or seven digits are what spreadsheets and `%g` leave of a moment, and 24 bits what a 32-bit float does. Neither
# is how people round: whole minutes, hours and days are no such multiples, or hardly ever.
_ROUNDED: Final = "({0} % 1000000 = 0 OR {0} % 65536 = 0)"
_WHOLE_MINUTES: Final = "{0} % 60000 = 0"

_MOMENTS: Final = ("ts", "registration")
_IDS: Final = {"userId": "customer_id", "sessionId": "session_id"}
_PAGES_NAMED: Final = 5
_LONGEST_NAME: Final = 40


def left_out() -> tuple[str, ...]:
    """The columns that the setting says to go on without; raises SettingError for one that is needed, or is none."""
    given = text(WITHOUT)
    columns = tuple(name for name in (part.strip() for part in given.split(",")) if name)
    if not set(columns) <= set(_STAGED):
        raise SettingError(WITHOUT.name, given, f"some of {', '.join(_STAGED)}, between commas")
    return columns


def check_columns(log: StagedLog, source: str) -> None:
    """Raise EventLogError for a column that cannot be what it should be; forget those that are to be left out."""
    without = left_out()
    files = {str(file.readable): file for file in log.counts}
    by_file = _facts(log)
    for name, facts in by_file.items():
        if name in files:
            _check_file(log, files[name], facts, without)
    for column, meaning in zip(OPTIONAL_COLUMNS, NULLED, strict=True):
        if column not in without:
            _check_values(source, column, meaning, list(by_file.values()))
    _check_pages(log, source)
    for column in without:
        log.duck.execute(f"UPDATE {log.catalog}.staged SET {_STAGED[column]} = NULL")


def check_agents(agents: int, recognised: int) -> None:
    """Raise EventLogError when the library recognises none of the log's user agents."""
    if agents and not recognised and "userAgent" not in left_out():
        raise EventLogError(
            f"userAgent: none of {agents:,} different values is that of a known browser or operating system; "
            f"correct the column{_or_without('userAgent')}"
        )


def _facts(log: StagedLog) -> dict[str, Facts]:
    """By file: how many values each column has, how many look rounded, and the bits of what is doubtful."""
    sums = {"doubts": "bit_or(doubts)", "nulled": "bit_or(nulled)"}
    for column in (*_MOMENTS, *OPTIONAL_COLUMNS):
        sums[column] = f"count({_STAGED.get(column, column)})"
    for column in _MOMENTS:
        sums[f"{column} rounded"] = f"count(*) FILTER ({_ROUNDED.format(column)})"
    found = log.rows(f"SELECT file, {', '.join(sums.values())} FROM {log.catalog}.staged GROUP BY file ORDER BY file")
    return {file: dict(zip(sums, values, strict=True)) for file, *values in found}


def _check_file(log: StagedLog, file: LogFile, facts: Facts, without: tuple[str, ...]) -> None:
    if "registration" not in without:
        _check_unit(log, file, facts)
    for column in _MOMENTS:
        if column not in without and 2 * facts[f"{column} rounded"] > facts[column]:
            _check_moments(log, file, column)
    for column, staged in _IDS.items():
        if facts["doubts"] & DOUBT[f"{column} rounded"]:
            _check_ids(log, file, column, staged)


def _check_unit(log: StagedLog, file: LogFile, facts: Facts) -> None:
    for unit in UNITS:
        bit = DOUBT[f"registration in {unit}"]
        if (
            facts["doubts"] & bit
            and (rows := _count(log, file, f"count(*) FILTER (doubts & {bit} > 0)")) > facts["registration"]
        ):
            raise EventLogError(
                f"{file.path}: registration is in {unit} in {rows:,} rows; expected UTC epoch milliseconds (such as "
                f"1538352117000) or a date; convert the column{_or_without('registration')}"
            )


def _check_moments(log: StagedLog, file: LogFile, column: str) -> None:
    rounded = _ROUNDED.format(column)
    distinct = f"count(DISTINCT {column}) FILTER ({rounded} AND NOT {_WHOLE_MINUTES.format(column)})"
    if _count(log, file, distinct) >= _FEW or _has_exponents(log, file, column):
        raise _lost_digits(file, column, _count(log, file, f"count(*) FILTER ({rounded})"))


def _has_exponents(log: StagedLog, file: LogFile, column: str) -> bool:
    """Return true if most values of a column are in scientific notation."""
    number = f'trim("{column}")'
    sql = f'SELECT count("{column}"), count(*) FILTER ({exponent_sql(number)}) FROM ({query(file, log.duck)})'
    ((values, exponents),) = log.rows(sql, [file])
    return bool(2 * exponents > values)


def _check_ids(log: StagedLog, file: LogFile, column: str, staged: str) -> None:
    exponents, rounded = (
        _count(log, file, f"count(DISTINCT {staged}) FILTER (doubts & {DOUBT[f'{column} {what}']} > 0)")
        for what in ("with an exponent", "rounded")
    )
    if rounded >= _FEW and 2 * rounded > exponents:
        raise _lost_digits(
            file, column, _count(log, file, f"count(*) FILTER (doubts & {DOUBT[f'{column} rounded']} > 0)")
        )


def _lost_digits(file: LogFile, column: str, rows: int) -> EventLogError:
    return EventLogError(
        f"{file.path}: {column} has lost its last digits in {rows:,} rows, as 1542241826000 does where a spreadsheet "
        f"makes 1.54224E+12 of it; export the column again, as text or whole numbers{_or_without(column)}"
    )


def _check_values(source: str, column: str, meaning: str, files: list[Facts]) -> None:
    lost = any(facts["nulled"] & 2 ** OPTIONAL_COLUMNS.index(column) for facts in files)
    if lost and not any(facts[column] for facts in files):
        raise EventLogError(f"{source}: no value can be used: {meaning}; correct the column{_or_without(column)}")


def _check_pages(log: StagedLog, source: str) -> None:
    good = f"FROM {log.catalog}.staged WHERE reason IS NULL"
    known = ", ".join(f"'{name}'" for name in KNOWN)
    if log.rows(f"SELECT 1 {good} AND page IN ({known}) LIMIT 1"):
        return
    found = log.rows(f"SELECT page {good} GROUP BY page ORDER BY count(*) DESC, page LIMIT {_PAGES_NAMED}")
    names = ", ".join(name[:_LONGEST_NAME] for (name,) in found)
    raise EventLogError(
        f"{source}: page: no row has a known page; found {names}; expected pages such as {SONG} and Home"
    )


def _count(log: StagedLog, file: LogFile, what: str) -> int:
    sql = f"SELECT {what} FROM {log.catalog}.staged WHERE file = $file"
    ((found,),) = log.duck.execute(sql, {"file": str(file.readable)}).fetchall()
    return int(found)


def _or_without(column: str) -> str:
    return f", or set {WITHOUT.name}={column} to go on without it" if column in _STAGED else ""
