"""What is refused: a file that is no activity log, and a log in which nobody is a customer."""

# ruff: noqa: S608 - this SQL is put together from constants; values are parameters

from churn.activity.files import LogFile
from churn.activity.rows import NO_CUSTOMER, OTHER_UNIT, REQUIRED_COLUMNS
from churn.activity.sources import query
from churn.activity.staged import Counts, StagedLog
from churn.errors import EventLogError


def check(log: StagedLog, source: str) -> None:
    """Raise EventLogError for what is not an activity log, file by file and as a whole."""
    for file, counts in log.counts.items():
        _check_file(log, file, counts)
    total = log.total()
    if not total:
        raise EventLogError(f"{source}: empty; expected rows with {', '.join(REQUIRED_COLUMNS)}")
    if not total[None]:
        raise EventLogError(f"{source}: no row of a known customer: {_why(log, log.files[0], total)}")


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
    values = ", ".join(f"count(nullif(\"{column}\", ''))" for column in REQUIRED_COLUMNS)
    (found,) = log.rows(f"SELECT {values} FROM ({query(file, log.duck)})", [file])
    return [column for column, number in zip(REQUIRED_COLUMNS, found, strict=True) if number == 0]


def _some_ts(log: StagedLog, file: LogFile) -> str:
    (found,) = log.rows(f"SELECT min(ts) FROM ({query(file, log.duck)}) WHERE ts <> ''", [file])
    return str(found[0])[:40]
