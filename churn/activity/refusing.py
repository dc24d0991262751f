"""Refusals: a file that is no activity log, and a log in which nobody is a customer."""

# ruff: noqa: S608 - this SQL is put together from constants; values are parameters

import itertools
from collections.abc import Iterable
from typing import Final

from churn.activity.column_checks import check_columns
from churn.activity.files import LogFile
from churn.activity.report import examples
from churn.activity.rows import NO_CUSTOMER, NOT_UTF8, OTHER_UNIT, REQUIRED_COLUMNS, UNREADABLE
from churn.activity.settings import UNREADABLE_PERCENT
from churn.activity.sources import query
from churn.activity.staged import Counts, StagedLog
from churn.errors import EventLogError
from churn.raw_text import value_sql
from churn.settings import whole_number
from churn.sql import quoted

_PLACES: Final = 3

_NO_FAULT: Final = (None, NO_CUSTOMER)
_EXPECTED_VALUES: Final = "values that the columns of an activity log may have (docs/event-log.md)"


def check(log: StagedLog, source: str) -> None:
    """Raise EventLogError for what is not an activity log, file by file and as a whole."""
    for file, counts in log.counts.items():
        _check_file(log, file, counts)
    total = log.total()
    if not total:
        raise EventLogError(f"{source}: empty; expected rows with {', '.join(REQUIRED_COLUMNS)}")
    if not total[None]:
        raise EventLogError(f"{source}: no row of a known customer: {_why(log, next(iter(log.counts)), total)}")
    _check_share(log, source, total, UNREADABLE)
    check_columns(log, source)
    _check_share(log, source, total, [reason for reason in total if reason not in _NO_FAULT])


def _check_share(log: StagedLog, source: str, total: Counts, reasons: Iterable[str | None]) -> None:
    """Raise EventLogError when more rows are lost for these reasons than the setting allows."""
    lost = {reason: total[reason] for reason in reasons if total[reason]}
    if 100 * sum(lost.values()) <= whole_number(UNREADABLE_PERCENT, 0, 100) * total.total():
        return
    found = ", ".join(f"{reason} ({rows:,})" for reason, rows in lost.items())
    convert = "; convert it (iconv -f LATIN1 -t UTF-8)" if max(lost, key=lost.__getitem__) == NOT_UTF8 else ""
    unreadable = lost.keys() <= set(UNREADABLE)
    what = "lines cannot be read" if unreadable else "rows cannot be used"
    expected = "a JSON object or a CSV row on each line" if unreadable else _EXPECTED_VALUES
    places = ", ".join(itertools.islice(examples(log), _PLACES))
    raise EventLogError(
        f"{source}: {sum(lost.values()):,} of {total.total():,} {what}: {found}; for example {places}; "
        f"expected {expected}{convert}, "
        f"or set {UNREADABLE_PERCENT.name} higher to go on without them"
    )


def _check_file(log: StagedLog, file: LogFile, counts: Counts) -> None:
    good = counts[None] + counts[NO_CUSTOMER]
    for unit in OTHER_UNIT:
        if counts[unit] > good:
            raise EventLogError(
                f"{file.path}: {unit} in {counts[unit]:,} rows (such as {_some_ts(log, file)}); expected UTC "
                "epoch milliseconds (such as 1538352117000); convert the column"
            )
    if counts and not good:
        raise EventLogError(f"{file.path}: not an activity log: {_why(log, file, counts)}")


def _why(log: StagedLog, file: LogFile, counts: Counts) -> str:
    absent = _absent(log, file)
    lacking = f"no {', '.join(absent)} in any row; " if absent else ""
    reasons = ", ".join(f"{reason} ({rows:,} rows)" for reason, rows in counts.most_common() if reason)
    return f"{lacking}found {reasons}; expected one row per line with {', '.join(REQUIRED_COLUMNS)}"


def _absent(log: StagedLog, file: LogFile) -> list[str]:
    """The required columns without any value in the file."""
    values = ", ".join(f"count({value_sql(quoted(column))})" for column in REQUIRED_COLUMNS)
    (found,) = log.rows(f"SELECT {values} FROM ({query(file, log.duck)})", [file])
    return [column for column, number in zip(REQUIRED_COLUMNS, found, strict=True) if number == 0]


def _some_ts(log: StagedLog, file: LogFile) -> str:
    # Only what is a number or a date: where columns are shifted, anything may stand in the place of `ts`.
    is_moment = "try_cast(ts AS DOUBLE) IS NOT NULL OR try_cast(ts AS TIMESTAMP) IS NOT NULL"
    (found,) = log.rows(f"SELECT min(ts) FROM ({query(file, log.duck)}) WHERE {is_moment}", [file])
    return str(found[0])[:40]
