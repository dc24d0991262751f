"""Events, a moment and a horizon to who churned. What has not happened yet is unknown, never 0."""

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from ibis import Table

from churn.activity.features import is_at_risk, newest
from churn.activity.pages import CANCELLATION, SONG
from churn.errors import NotEnoughDataError, SettingError
from churn.moments import DAY_MS, iso

LabelKind = Literal["either", "inactivity", "cancellation"]
KINDS: Final[tuple[LabelKind, ...]] = get_args(LabelKind)
TRIGGERS: Final = ("Submit Downgrade", "Thumbs Down")
HORIZON_DAYS: Final = 30
LONGEST_HORIZON_DAYS: Final = 365


@dataclass(frozen=True)
class Definition:
    """A definition of churn, and how far ahead it looks.

    Raises:
        SettingError: there is no such definition, or the horizon is out of its range.
    """

    kind: LabelKind = "either"
    horizon_days: int = HORIZON_DAYS

    def __post_init__(self) -> None:
        check(self.kind, self.horizon_days)

    @property
    def horizon_ms(self) -> int:
        return self.horizon_days * DAY_MS


def labels(
    events: Table, as_of: int, log_end: int, kind: LabelKind = "either", horizon_days: int = HORIZON_DAYS
) -> Table:
    """Label each customer seen before `as_of`: churned in the `horizon_days` from it, or not.

    `cancellation`: a *Cancellation Confirmation* in the horizon. `inactivity`: no event at
    all in it, by a customer who did a *Submit Downgrade* or *Thumbs Down* before `as_of`.
    `either`: one or the other. The horizon is closed at both ends, so that with `as_of` 30
    days before the log's end `inactivity` is the published label: last event more than 30
    days before the newest event of the log.

    Args:
        events: typed events (`churn.activity.reading`).
        as_of: UTC epoch milliseconds; events at or after it are the outcome.
        log_end: newest `ts` of any row of the log, with or without a customer.
        kind: which definition.
        horizon_days: how far to look.

    Returns:
        A table with `customer_id` and `churned` (int64, 0 or 1).

    Raises:
        NotEnoughDataError: the horizon has not elapsed at `log_end`.
        SettingError: an unknown kind, or a horizon out of range.
    """
    definition = Definition(kind, horizon_days)
    horizon_end = as_of + definition.horizon_ms
    if horizon_end > log_end:
        raise NotEnoughDataError(
            f"labels at {iso(as_of)} are known only after {iso(horizon_end)}; the log ends at {iso(log_end)}"
        )
    outcome = _outcome(events, as_of, ["customer_id"], definition)
    return outcome.select("customer_id", churned=_churned(outcome, definition))


def labels_at(events: Table, moments: Table, log_end: int, definition: Definition) -> Table:
    """The same labels for customers who each have moments of their own.

    Args:
        events: typed events (`churn.activity.reading`).
        moments: `customer_id` and `as_of` (UTC epoch milliseconds), each pair once.
        log_end: newest `ts` of any row of the log, with or without a customer.
        definition: of churn.

    Returns:
        `customer_id`, `as_of`, `churned` (int64, 0 or 1), and `at_risk` at that moment
        (boolean: as `churn.activity.features` defines it, so that a row of training would exist). A
        customer not seen before the moment, and a moment whose horizon has not elapsed,
        are left out: not known.
    """
    known = moments.filter(moments.as_of + definition.horizon_ms <= log_end)
    joined = known.inner_join(events.select("customer_id", "ts", "page"), "customer_id")
    outcome = _outcome(joined, joined.as_of, ["customer_id", "as_of"], definition)
    at_risk = is_at_risk(
        outcome.last_earlier_ts, outcome.last_earlier_song, outcome.last_earlier_cancellation, outcome.as_of
    )
    return outcome.select("customer_id", "as_of", churned=_churned(outcome, definition), at_risk=at_risk)


def check(kind: str, horizon_days: int) -> None:
    """Raise `SettingError` for a definition or a horizon that does not exist."""
    if kind not in KINDS:
        raise SettingError("label", kind, f"one of {', '.join(KINDS)}")
    if not 1 <= horizon_days <= LONGEST_HORIZON_DAYS:
        raise SettingError("horizon_days", horizon_days, f"1 to {LONGEST_HORIZON_DAYS}")


def _churned(outcome: Table, definition: Definition) -> Any:
    cancelled, silent = outcome.cancellations > 0, (outcome.triggers > 0) & (outcome.later_events == 0)
    churned = {"either": cancelled | silent, "inactivity": silent, "cancellation": cancelled}[definition.kind]
    return churned.cast("int64")


def _outcome(events: Table, as_of: Any, keys: list[str], definition: Definition) -> Table:
    """Per key, if seen before `as_of`: what was before it; events and cancellations in the horizon."""
    before = events.ts < as_of
    within = (events.ts >= as_of) & (events.ts <= as_of + definition.horizon_ms)
    cancelled = events.page == CANCELLATION
    customers = events.group_by(keys).aggregate(
        earlier_events=before.sum(),
        last_earlier_ts=events.ts.max(where=before),
        last_earlier_song=newest(events, SONG, before),
        last_earlier_cancellation=newest(events, CANCELLATION, before),
        triggers=(before & events.page.isin(TRIGGERS)).sum(),
        later_events=within.sum(),
        cancellations=(within & cancelled).sum(),
    )
    return customers.filter(customers.earlier_events > 0)
