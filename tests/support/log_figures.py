"""The figures by which a log is compared with the real one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from churn.errors import EventLogError


@dataclass(frozen=True)
class Figure:
    """A figure of a log: its value in the real mini log (or the full one, where only that is known)."""

    name: str
    real: float
    sql: str


_DAY_MS: Final = 86_400_000


def _per_thousand_songs(page: str, real: float) -> Figure:
    sql = f"1000.0 * count(*) filter (page = '{page}') / count(*) filter (page = 'NextSong') from log"
    return Figure(f"{page} per 1,000 songs", real, sql)


def _leavers_to_stayers(page: str, real: float) -> Figure:
    sql = (
        "avg(visits) filter (cancelled) / avg(visits) filter (not cancelled) from ("
        f"select cancelled, count(*) filter (page = '{page}') / count(distinct ts // {_DAY_MS}) as visits "
        "from known join customers using (userId) group by userId, cancelled)"
    )
    return Figure(f"{page} per active day, leavers to stayers", real, sql)


FIGURES: Final = (
    Figure("customers who cancel, %", 23.1, "100.0 * avg(cancelled::int) from customers"),
    Figure(
        "published inactivity label, %",
        16.4,
        f"100.0 * avg((triggers > 0 and last_ts < (select max(ts) from log) - {30 * _DAY_MS})::int) from customers",
    ),
    Figure("events per customer, mean", 1236, "avg(events) from customers"),
    Figure("events per customer, lower quartile", 296, "quantile_cont(events, 0.25) from customers"),
    Figure("events per customer, median", 848, "median(events) from customers"),
    Figure("events per customer, upper quartile", 1863, "quantile_cont(events, 0.75) from customers"),
    Figure("events per customer, maximum", 9632, "max(events) from customers"),
    Figure("rows without a customer, %", 2.9, "100.0 * avg((coalesce(userId, '') = '')::int) from log"),
    Figure("rows of paying customers, %", 78, "100.0 * avg((level = 'paid')::int) from known"),
    Figure("paying at the end, leavers, %", 78, "100.0 * avg(paid::int) filter (cancelled) from customers"),
    Figure("paying at the end, stayers, %", 71, "100.0 * avg(paid::int) filter (not cancelled) from customers"),
    Figure("days seen, leavers", 24.3, "avg(days) filter (cancelled) from customers"),
    Figure("days seen, stayers", 45.8, "avg(days) filter (not cancelled) from customers"),
    Figure("items per session, mean", 86, "avg(items) from visits"),
    Figure("items per session, median", 50, "median(items) from visits"),
    Figure("minutes per session, mean", 298, "avg(minutes) from visits"),
    Figure("minutes per session, median", 166, "median(minutes) from visits"),
    _per_thousand_songs("Home", 63.4),
    _per_thousand_songs("Thumbs Up", 55.0),
    _per_thousand_songs("Add to Playlist", 28.6),
    _per_thousand_songs("Add Friend", 18.8),
    _per_thousand_songs("Roll Advert", 17.2),
    _per_thousand_songs("Login", 14.2),
    _per_thousand_songs("Thumbs Down", 11.2),
    _per_thousand_songs("Downgrade", 9.0),
    _per_thousand_songs("Help", 7.6),
    _per_thousand_songs("Settings", 6.6),
    _per_thousand_songs("About", 4.1),
    _per_thousand_songs("Upgrade", 2.2),
    _per_thousand_songs("Save Settings", 1.36),
    _per_thousand_songs("Error", 1.13),
    _per_thousand_songs("Submit Upgrade", 0.70),
    _per_thousand_songs("Submit Downgrade", 0.28),
    _per_thousand_songs("Cancel", 0.23),
    _leavers_to_stayers("Roll Advert", 1.44),
    _leavers_to_stayers("Thumbs Down", 1.29),
    _leavers_to_stayers("Downgrade", 1.49),
    _leavers_to_stayers("Settings", 1.32),
    _leavers_to_stayers("Thumbs Up", 0.89),
    _leavers_to_stayers("Home", 0.62),
    Figure(
        "starts on a weekend day to a weekday",
        0.5,
        "2.5 * count(*) filter (weekday > 5) / count(*) filter (weekday <= 5) from visits",
    ),
    Figure("different artists per 1,000 songs heard", 77.4, "1000.0 * count(distinct artist) / count(artist) from log"),
    Figure("song length, median in seconds", 234.5, "median(length) from log"),
)

_VIEWS: Final = (
    "create view known as select * from log where coalesce(userId, '') <> ''",
    f"""create table customers as select userId, count(*) as events, max(ts) as last_ts,
        bool_or(page = 'Cancellation Confirmation') as cancelled, arg_max(level, ts) = 'paid' as paid,
        (max(ts) - min(ts)) / {_DAY_MS} as days,
        count(*) filter (page in ('Thumbs Down', 'Submit Downgrade')) as triggers from known group by userId""",
    """create table visits as select count(*) as items, (max(ts) - min(ts)) / 60000 as minutes,
        isodow(make_timestamp(cast(min(ts) * 1000 as bigint))) as weekday
        from known group by userId, sessionId""",
)


def figures(log: Path | str) -> dict[str, float]:
    """Every figure of a log in the real schema (JSON lines, gzipped or not, or Parquet), by name.

    Raises:
        EventLogError: the file cannot be read as such a log.
    """
    reader = "read_parquet($log)" if str(log).endswith(".parquet") else "read_json($log, format = 'newline_delimited')"
    with duckdb.connect() as connection:
        try:
            connection.execute(f"create table log as select * from {reader}", {"log": str(log)})
            for view in _VIEWS:
                connection.execute(view)
        except duckdb.Error as error:
            raise EventLogError(f"{log}: not a log in the real schema: {error}") from error
        return {figure.name: _value(connection, figure) for figure in FIGURES}


def _value(connection: duckdb.DuckDBPyConnection, figure: Figure) -> float:
    row = connection.execute(f"select {figure.sql}").fetchone()
    return float("nan") if row is None or row[0] is None else float(row[0])


def table(found: dict[str, float]) -> str:
    """The figures beside the real ones, as Markdown."""
    lines = ["| figure | real | this log |", "|---|---|---|"]
    lines += [f"| {figure.name} | {figure.real:g} | {found[figure.name]:.4g} |" for figure in FIGURES]
    return "\n".join(lines)
