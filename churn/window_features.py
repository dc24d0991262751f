"""The profile, and what is counted over fixed windows."""

import math
from typing import Final

from churn.feature import AT_RISK_DAYS, EVENTS_PER_DAY, MINUTES_PER_DAY, TREND_DAYS, WINDOWS, Feature, Measure

# Order matters: it is the order of the columns everywhere.
MEASURES: Final = (
    Measure("events", "actions of any kind", EVENTS_PER_DAY, 70),
    Measure("songs", "songs played", EVENTS_PER_DAY, 56, trend=True),
    Measure("listening_minutes", "minutes of music started", EVENTS_PER_DAY * 60, 232.5, kind="real", trend=True),
    Measure("artists", "different artists heard", EVENTS_PER_DAY, 50),
    Measure("sessions", "listening sessions", EVENTS_PER_DAY, 1, trend=True),
    Measure("active_days", "days with any action", 1, 1, trend=True),
    Measure("thumbs_up", "thumbs up", EVENTS_PER_DAY, 2, trend=True),
    Measure("thumbs_down", "thumbs down", EVENTS_PER_DAY, 1, trend=True, actionable=True),
    Measure("playlist_adds", "songs added to a playlist", EVENTS_PER_DAY, 2, trend=True, actionable=True),
    Measure("friends_added", "friends added", EVENTS_PER_DAY, 1, trend=True, actionable=True),
    Measure("adverts", "adverts heard", EVENTS_PER_DAY, 3, trend=True, actionable=True),
    Measure("downgrade_visits", "visits to the downgrade page", EVENTS_PER_DAY, 1),
    Measure("downgrade_submits", "downgrades to the free plan", EVENTS_PER_DAY, 0),
    Measure("settings_visits", "visits to the settings page", EVENTS_PER_DAY, 1),
    Measure("help_visits", "visits to the help page", EVENTS_PER_DAY, 1, actionable=True),
    Measure("errors", "error pages seen", EVENTS_PER_DAY, 0, actionable=True),
)

PROFILE: Final = (
    Feature(
        "level",
        "category",
        "Plan of the customer at the last action: free or paid.",
        "on the {value} plan",
        "paid",
        categories=("free", "paid"),
        measure="level",
    ),
    Feature(
        "gender",
        "category",
        "Gender as the customer registered it: F or M; null when not known.",
        "registered as {value}",
        "F",
        nullable=True,
        categories=("F", "M"),
        measure="gender",
    ),
    Feature(
        "os",
        "category",
        "Operating system of the last device; named as ua-parser does (Mac OS X, Windows, iOS), null when not known.",
        "listens on {value}",
        "Windows",
        nullable=True,
        measure="os",
        missing="operating system not known",
    ),
    Feature(
        "browser",
        "category",
        "Browser of the last device; named as ua-parser does (IE, Chrome, Mobile Safari), null when not known.",
        "uses {value}",
        "Chrome",
        nullable=True,
        measure="browser",
    ),
    Feature(
        "tenure_days",
        "real",
        "Days since the customer registered; null when the registration is not known.",
        "a customer for {value} days",
        63.5,
        maximum=36_500,
        nullable=True,
        measure="tenure",
        missing="time as a customer not known",
        ages_days=math.inf,
    ),
    Feature(
        "days_since_last_event",
        "real",
        "Days since the customer last did anything.",
        "last active {value} days ago",
        1.25,
        maximum=AT_RISK_DAYS,
        measure="recency",
        ages_days=1,  # follows the day of the week: weekends are quiet, so Monday's values are not Friday's
    ),
)


def _windowed(measure: Measure, days: int) -> Feature:
    return Feature(
        f"{measure.name}_{days}d",
        measure.kind,
        f"{measure.what[0].upper()}{measure.what[1:]} in the last {days} days.",
        f"{{value}} {measure.what} in the last {days} days",
        _example(measure, days),
        maximum=measure.per_day * days,
        measure=measure.name,
        window=days,
        actionable=measure.actionable,
    )


def _example(measure: Measure, days: int) -> float:
    total = measure.example_per_week * days / min(WINDOWS)
    return total if measure.kind == "real" else int(total)


def _per_session(days: int) -> tuple[Feature, ...]:
    return (
        Feature(
            f"songs_per_session_{days}d",
            "real",
            f"Songs played per listening session in the last {days} days; null without a session.",
            f"{{value}} songs per session in the last {days} days",
            56.0,
            maximum=EVENTS_PER_DAY * days,
            nullable=True,
            measure="songs_per_session",
            window=days,
            missing=f"no listening session in the last {days} days",
        ),
        Feature(
            f"session_minutes_{days}d",
            "real",
            f"Mean length of a listening session in the last {days} days, in minutes; null without a session.",
            f"sessions of {{value}} minutes in the last {days} days",
            240.0,
            maximum=MINUTES_PER_DAY * days,
            nullable=True,
            measure="session_minutes",
            window=days,
            missing=f"no listening session in the last {days} days",
        ),
    )


TREND_MAXIMUM: Final = TREND_DAYS / min(WINDOWS)


def _trend(measure: Measure) -> Feature:
    return Feature(
        f"{measure.name}_trend",
        "real",
        f"{measure.what[0].upper()}{measure.what[1:]} per day in the last {min(WINDOWS)} days, as a multiple of the "
        f"last {TREND_DAYS} days' pace: 1 is steady, 0 is stopped; null without any in {TREND_DAYS} days.",
        f"{measure.what} this week at {{value}} times the usual pace",
        1.0,
        maximum=TREND_MAXIMUM,
        nullable=True,
        measure=measure.name,
        missing=f"no {measure.what} in the last {TREND_DAYS} days",
    )


WINDOW_FEATURES: Final[tuple[Feature, ...]] = (
    *(_windowed(measure, days) for measure in MEASURES for days in WINDOWS),
    *(feature for days in WINDOWS for feature in _per_session(days)),
    *(_trend(measure) for measure in MEASURES if measure.trend),
)
