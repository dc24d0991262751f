"""One raw row -> typed values and the first reason to drop it, as DuckDB SQL.

Every row of the log is counted once: kept, or dropped for the first of these reasons.

| field         | must be                                         | otherwise                      |
|---------------|-------------------------------------------------|--------------------------------|
| the line      | a JSON object or CSV row with a known field     | dropped, malformed             |
| ts            | UTC epoch milliseconds from 2000 to 2100        | dropped (*)                    |
| page          | any text                                        | dropped (**)                   |
| userId        | 1 to 128 characters; `30.0` is the customer 30  | dropped: no customer, too long |
| sessionId     | whole number, not negative                      | dropped                        |
| itemInSession | whole number, not negative                      | dropped                        |
| level         | free or paid                                    | dropped                        |
| all fields    | not equal to those of a row that is kept        | dropped, duplicate             |
| registration  | a date, or epoch milliseconds, 2000 to 2100     | set to null (*)                |
| gender        | F or M                                          | set to null                    |
| length        | seconds, above 0, at most 24 hours              | set to null                    |
| status        | whole number from 100 to 599                    | set to null                    |
| userAgent     | what the library recognises                     | os, browser null, not counted  |

(*) A file in which more rows have their `ts` in another unit (seconds, micro- or
nanoseconds, text) than are good is refused: the unit is not guessed. So is one whose
`registration` is. (**) Pages that the service does not have are counted by name.
`churn.activity.column_checks` says what else is refused because of a whole column.

In all columns and formats, absent are: an absent key, null, blanks, and the texts that
tools write for a missing value (`churn.raw_text`), which are counted. Blanks around a
value do not count, nor does the case of `page`, `level`, `gender`, `auth` and `method`. A
number may be written as text, with a fraction of zero or an exponent. An optional field
that is absent is null and not counted. Names, song, auth and method only tell duplicates
from different rows.
"""

# ruff: noqa: S608 - this SQL is put together from constants

from typing import Final

from churn.activity.pages import KNOWN
from churn.contract import LONGEST_CUSTOMER_ID
from churn.customer_ids import customer_key_sql
from churn.raw_text import exponent_sql, name_sql, rounded_sql, trimmed_sql, value_sql
from churn.sql import quoted

RAW_COLUMNS: Final = (
    "artist", "auth", "firstName", "gender", "itemInSession", "lastName", "length", "level", "location",
    "method", "page", "registration", "sessionId", "song", "status", "ts", "userAgent", "userId",
)  # fmt: skip
REQUIRED_COLUMNS: Final = ("ts", "userId", "page", "sessionId", "itemInSession", "level")

EARLIEST_MS: Final = 946_684_800_000  # 2000-01-01
LATEST_MS: Final = 4_102_444_800_000  # 2100-01-01, exclusive
LONGEST_SONG_S: Final = 24 * 60 * 60

MALFORMED: Final = "malformed line"
NOT_UTF8: Final = "line that is not UTF-8"
TOO_LONG: Final = "line longer than 16 MB"
UNREADABLE: Final = (MALFORMED, NOT_UTF8, TOO_LONG)
"""Reasons for which a line holds no row at all."""

NO_CUSTOMER: Final = "no customer (userId empty or absent)"
DUPLICATE: Final = "duplicate row"
UNITS: Final = {"seconds": 0.001, "microseconds": 1_000, "nanoseconds": 1_000_000}
_TS_IS_TEXT: Final = "ts is a date as text"
OTHER_UNIT: Final = (_TS_IS_TEXT, *(f"ts is in {unit}" for unit in UNITS))

_LEVELS: Final = ("free", "paid")
_GENDERS: Final = ("F", "M")
_NAMES: Final = {
    "page": KNOWN,
    "level": _LEVELS,
    "gender": _GENDERS,
    "auth": ("Logged In", "Logged Out", "Cancelled", "Guest"),
    "method": ("PUT", "GET"),
}
"""Columns whose values are names, whatever their case."""


_NUMBERS: Final = ("ts", "registration", "sessionId", "itemInSession", "status", "length")


def _raw(column: str) -> str:
    return quoted(f"_{column}")


def _number(column: str) -> str:
    return quoted(f"{column} as number")


def _value(column: str) -> str:
    if column in _NAMES:
        return name_sql(_raw(column), _NAMES[column])
    value = value_sql(_raw(column))
    # Most are numbers, which need no second look. Not a number, which is above all others, is absent.
    if column not in _NUMBERS:
        return value
    return f"CASE WHEN {_number(column)} <= 1e308 THEN {trimmed_sql(_raw(column))} ELSE {value} END"


# Which texts were read as absent, and where: "userId nan", one per line.
_SAYS_ABSENT: Final = {column: f"({_raw(column)} <> '' AND \"{column}\" IS NULL)" for column in RAW_COLUMNS}
_ABSENT: Final = f"""CASE WHEN {" OR ".join(_SAYS_ABSENT.values())} THEN concat_ws(chr(10), {
    ", ".join(
        f"CASE WHEN {says} THEN '{column} ' || {trimmed_sql(_raw(column))} END" for column, says in _SAYS_ABSENT.items()
    )
}) END AS absent"""


def _whole(column: str) -> str:
    """Whole number of a text column; null when it is none. A cast alone would round 1.5 and take 0x10."""
    number = _number(column)
    return f'CASE WHEN {number} = floor({number}) THEN try_cast("{column}" AS BIGINT) END'


def _milliseconds(column: str, otherwise: str = "NULL") -> str:
    """Epoch milliseconds of a text column, a fraction rounded; null when it is no number."""
    return f'CASE WHEN {_number(column)} IS NOT NULL THEN try_cast("{column}" AS BIGINT) ELSE {otherwise} END'


def _date(column: str) -> str:
    """Epoch milliseconds of a date or moment as text; without a time zone it is UTC."""
    # A cast to TIMESTAMP alone would ignore the offset of a time zone.
    zoned = f"regexp_matches(\"{column}\", ':[0-9.]+ ?[+-]')"
    return (
        f"epoch_ms(CASE WHEN {zoned} THEN try_cast(\"{column}\" AS TIMESTAMPTZ) AT TIME ZONE 'UTC' "
        f'ELSE try_cast("{column}" AS TIMESTAMP) END)'
    )


def _in_range(moment: str) -> str:
    return f"{moment} BETWEEN {EARLIEST_MS} AND {LATEST_MS - 1}"


def _in_unit(moment: str, factor: float) -> str:
    return f"{moment} BETWEEN {EARLIEST_MS * factor:.0f} AND {LATEST_MS * factor:.0f}"


# Names of their own, so that no raw column is hidden by the value made of it.
_PARSED: Final = f"""
    {customer_key_sql('"userId"')} AS customer,
    {_milliseconds("ts")} AS moment,
    {_milliseconds("registration", _date("registration"))} AS registered,
    {_whole("sessionId")} AS session,
    {_whole("itemInSession")} AS position,
    {_whole("status")} AS answer,
    CASE WHEN length IS NOT NULL THEN {_number("length")} END AS seconds
"""

_OTHER_UNITS: Final = "\n    ".join(
    f"WHEN {_in_unit('moment', factor)} THEN 'ts is in {unit}'" for unit, factor in UNITS.items()
)

_REASON: Final = f"""CASE
    WHEN coalesce({", ".join(f'"{column}"' for column in RAW_COLUMNS)}) IS NULL THEN '{MALFORMED}'
    WHEN ts IS NULL THEN 'ts missing'
    WHEN moment IS NULL AND try_cast(ts AS TIMESTAMP) IS NOT NULL THEN '{_TS_IS_TEXT}'
    WHEN moment IS NULL THEN 'ts not a number'
    {_OTHER_UNITS}
    WHEN NOT {_in_range("moment")} THEN 'ts before 2000 or after 2100'
    WHEN page IS NULL THEN 'page missing'
    WHEN customer IS NULL THEN '{NO_CUSTOMER}'
    WHEN length(customer) > {LONGEST_CUSTOMER_ID} THEN 'userId longer than {LONGEST_CUSTOMER_ID} characters'
    WHEN "sessionId" IS NULL THEN 'sessionId missing'
    WHEN session IS NULL OR session < 0 THEN 'sessionId not a whole number from 0'
    WHEN "itemInSession" IS NULL THEN 'itemInSession missing'
    WHEN position IS NULL OR position < 0 THEN 'itemInSession not a whole number from 0'
    WHEN level IS NULL THEN 'level missing'
    WHEN level NOT IN {_LEVELS} THEN 'level neither free nor paid'
END"""

# Optional values, each null when it is impossible.
_OPTIONAL: Final = {
    "registration": f"CASE WHEN {_in_range('registered')} THEN registered END",
    "gender": f"CASE WHEN gender IN {_GENDERS} THEN gender END",
    "length": f"CASE WHEN seconds > 0 AND seconds <= {LONGEST_SONG_S} THEN round(seconds * 1000)::BIGINT END",
    "status": "CASE WHEN answer BETWEEN 100 AND 599 THEN answer::INTEGER END",
}
OPTIONAL_COLUMNS: Final = tuple(_OPTIONAL)
NULLED: Final = (
    "registration neither a date nor epoch milliseconds, from 2000 to 2100",
    "gender neither F nor M",
    "length not in seconds above 0, at most 24 hours",
    "status not a whole number from 100 to 599",
)
"""Meanings of the bits of the staged column `nulled`, lowest first."""

_NULLED_BITS: Final = " + ".join(
    f'CASE WHEN "{column}" IS NOT NULL AND ({value}) IS NULL THEN {2**bit} ELSE 0 END'
    for bit, (column, value) in enumerate(_OPTIONAL.items())
)

_DOUBTS: Final = {
    **{
        f"registration in {unit}": f"NOT {_in_range('registered')} AND {_in_unit('registered', factor)}"
        for unit, factor in UNITS.items()
    },
    **{f"{column} with an exponent": exponent_sql(quoted(column)) for column in ("userId", "sessionId")},
    **{f"{column} rounded": rounded_sql(quoted(column)) for column in ("userId", "sessionId")},
}
DOUBT: Final = {what: 2**bit for bit, what in enumerate(_DOUBTS)}
"""The bits of the staged column `doubts`: what makes a column doubtful when many of its values have it."""

_DOUBT_BITS: Final = " + ".join(f"CASE WHEN {test} THEN {DOUBT[what]} ELSE 0 END" for what, test in _DOUBTS.items())

_STAGED: Final = f"""
    file,
    {_REASON} AS reason,
    customer AS customer_id,
    CASE WHEN {_in_range("moment")} THEN moment END AS ts,
    session AS session_id,
    position AS item,
    page,
    level,
    {_OPTIONAL["gender"]} AS gender,
    "userAgent" AS agent,
    {_OPTIONAL["registration"]} AS registration,
    {_OPTIONAL["length"]} AS length_ms,
    artist,
    {_OPTIONAL["status"]} AS status,
    location,
    ({_NULLED_BITS})::UTINYINT AS nulled,
    ({_DOUBT_BITS})::UTINYINT AS doubts,
    {_ABSENT},
    fingerprint
"""

# Numbers count as numbers (1 is 1.0), what is none as the text it is.
_FINGERPRINT: Final = """
    hash(artist, auth, "firstName", gender, position, "lastName", level, location, method, page, session, song,
         moment, "userAgent", customer,
         registered, CASE WHEN registered IS NULL THEN registration END,
         answer, CASE WHEN answer IS NULL THEN status END,
         seconds, CASE WHEN seconds IS NULL THEN length END) AS fingerprint
"""

IDENTITY: Final = ("customer_id", "ts", "session_id", "item", "fingerprint")
"""Rows alike in these staged columns are equal in all raw columns: the 64-bit fingerprint
of all of them only has to tell apart what one customer did in one millisecond."""


def staged(raw: str) -> str:
    """The query for staged rows, of a query for raw rows: `file` and `RAW_COLUMNS`, all text."""
    named = ", ".join(f'"{column}" AS {_raw(column)}' for column in RAW_COLUMNS)
    # A cast takes spaces around a number, and no other blanks.
    numbers = ", ".join(
        f'coalesce(try_cast("{column}" AS DOUBLE), try_cast({trimmed_sql(quoted(column))} AS DOUBLE)) '
        f"AS {_number(column)}"
        for column in _NUMBERS
    )
    values = ", ".join(f'{_value(column)} AS "{column}"' for column in RAW_COLUMNS)
    read = f"SELECT *, {values} FROM (SELECT file, {named}, {numbers} FROM ({raw}))"
    return f"SELECT {_STAGED} FROM (SELECT *, {_FINGERPRINT} FROM (SELECT *, {_PARSED} FROM ({read})))"
