"""The settings of reading a log: what may be unreadable, passed over or left out before it is refused."""

from typing import Final

from churn.settings import Setting

PASSED_OVER_PERCENT: Final = Setting(
    "CHURN_EVENTS_PASSED_OVER_PERCENT", "1", "Percent of the log's bytes that may lie in files that are passed over."
)
UNREADABLE_PERCENT: Final = Setting(
    "CHURN_EVENTS_UNREADABLE_PERCENT",
    "5",
    "Percent of the log's rows that may be unreadable lines or have a value that cannot be used.",
)
UNPACKED_MB: Final = Setting("CHURN_EVENTS_UNPACKED_MB", "32000", "Size in MB to which one file may unpack.")
WITHOUT: Final = Setting(
    "CHURN_EVENTS_WITHOUT",
    "",
    "Columns to go on without where they cannot be used: registration, gender, length, status, userAgent.",
)
SETTINGS: Final = (PASSED_OVER_PERCENT, UNREADABLE_PERCENT, UNPACKED_MB, WITHOUT)
