"""One raw row -> typed values and the first reason to drop it, as DuckDB SQL.

Every row of the log is counted once: kept, or dropped for the first of these reasons.

| field         | must be                                         | otherwise                      |
|---------------|-------------------------------------------------|--------------------------------|
| the line      | a JSON object or CSV row with a known field     | dropped, malformed             |
| ts            | UTC epoch milliseconds from 2000 to 2100        | dropped (*)                    |
| page          | any text                                        | dropped                        |
| userId        | 1 to 128 characters; `30.0` is the customer 30  | dropped: no customer, too long |
| sessionId     | whole number, not negative                      | dropped                        |
| itemInSession | whole number, not negative                      | dropped                        |
| level         | free or paid                                    | dropped                        |
| all fields    | not equal to those of a row that is kept        | dropped, duplicate             |
| registration  | UTC epoch milliseconds from 2000 to 2100        | set to null                    |
| gender        | F or M                                          | set to null                    |
| length        | seconds, above 0, at most 24 hours              | set to null                    |
| status        | whole number from 100 to 599                    | set to null                    |
| userAgent     | what the library recognises                     | os, browser null, not counted  |

(*) A file in which more rows have their `ts` in another unit (seconds, micro- or
nanoseconds, text) than are good is refused: the unit is not guessed.

Empty text, null and an absent key are the same; text that is carried on is trimmed; a
number may be written as text, with a fraction of zero or an exponent. An optional field
that is absent is null and not counted. Names, song, auth and method only tell duplicates
from different rows.
"""

# ruff: noqa: S608 - this SQL is put together from constants

from typing import Final

from churn.contract import LONGEST_CUSTOMER_ID
from churn.customer_ids import customer_key_sql
from churn.raw_text import trimmed_sql

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
_UNITS: Final = {"seconds": 0.001, "microseconds": 1_000, "nanoseconds": 1_000_000}
_TS_IS_TEXT: Final = "ts is a date as text"
OTHER_UNIT: Final = (_TS_IS_TEXT, *(f"ts is in {unit}" for unit in _UNITS))

_CARRIED: Final = ("artist", "gender", "level", "location", "page", "userId")


def _clean(column: str) -> str:
    """The column as text; trimming costs, so only what is carried on as text is trimmed."""
    text = trimmed_sql(f'"{column}"') if column in _CARRIED else f'"{column}"'
    return f"nullif({text}, '') AS \"{column}\""


def _whole(column: str) -> str:
    """Whole number of a text column; null when it is none. A cast alone would round 1.5 and take 0x10."""
    number = f'try_cast("{column}" AS DOUBLE)'
    return f'CASE WHEN {number} = floor({number}) THEN try_cast("{column}" AS BIGINT) END'


def _milliseconds(column: str) -> str:
    """Epoch milliseconds of a text column, a fraction rounded; null when it is no number."""
    return f'CASE WHEN try_cast("{column}" AS DOUBLE) IS NOT NULL THEN try_cast("{column}" AS BIGINT) END'


def _in_range(moment: str) -> str:
    return f"{moment} BETWEEN {EARLIEST_MS} AND {LATEST_MS - 1}"


# Names of their own, so that no raw column is hidden by the value made of it.
_PARSED: Final = f"""
    {customer_key_sql('"userId"')} AS customer,
    {_milliseconds("ts")} AS moment,
    {_milliseconds("registration")} AS registered,
    {_whole("sessionId")} AS session,
    {_whole("itemInSession")} AS position,
    {_whole("status")} AS answer,
    try_cast(length AS DOUBLE) AS seconds
"""

_OTHER_UNITS: Final = "\n    ".join(
    f"WHEN moment BETWEEN {EARLIEST_MS * factor:.0f} AND {LATEST_MS * factor:.0f} THEN 'ts is in {unit}'"
    for unit, factor in _UNITS.items()
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
    WHEN level NOT IN ('free', 'paid') THEN 'level neither free nor paid'
END"""

# Optional values, each null when it is impossible.
_OPTIONAL: Final = {
    "registration": f"CASE WHEN {_in_range('registered')} THEN registered END",
    "gender": "CASE WHEN gender IN ('F', 'M') THEN gender END",
    "length": f"CASE WHEN seconds > 0 AND seconds <= {LONGEST_SONG_S} THEN round(seconds * 1000)::BIGINT END",
    "status": "CASE WHEN answer BETWEEN 100 AND 599 THEN answer::INTEGER END",
}
NULLED: Final = (
    "registration not in epoch milliseconds from 2000 to 2100",
    "gender neither F nor M",
    "length not in seconds above 0, at most 24 hours",
    "status not a whole number from 100 to 599",
)
"""What the bits of the staged column `nulled` mean, lowest first."""

_NULLED_BITS: Final = " + ".join(
    f'CASE WHEN "{column}" IS NOT NULL AND ({value}) IS NULL THEN {2**bit} ELSE 0 END'
    for bit, (column, value) in enumerate(_OPTIONAL.items())
)

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
    clean = f"SELECT file, {', '.join(_clean(column) for column in RAW_COLUMNS)} FROM ({raw})"
    parsed = f"SELECT *, {_PARSED} FROM ({clean})"
    return f"SELECT {_STAGED} FROM (SELECT *, {_FINGERPRINT} FROM ({parsed}))"
