"""Events, a moment and a horizon to who churned. What has not happened yet is unknown, never 0."""

from typing import Final, Literal, get_args

from ibis import Table

from churn.errors import NotEnoughDataError, SettingError
from churn.features import CANCELLATION, DAY_MS
from churn.moments import iso

LabelKind = Literal["either", "inactivity", "cancellation"]
KINDS: Final[tuple[LabelKind, ...]] = get_args(LabelKind)
TRIGGERS: Final = ("Submit Downgrade", "Thumbs Down")
HORIZON_DAYS: Final = 30
LONGEST_HORIZON_DAYS: Final = 365


def labels(
    events: Table, as_of: int, log_end: int, kind: LabelKind = "either", horizon_days: int = HORIZON_DAYS
) -> Table:
    """Whether each customer seen before `as_of` churned in the `horizon_days` from it.

    `cancellation`: a *Cancellation Confirmation* in the horizon. `inactivity`: no event at
    all in it, by a customer who did a *Submit Downgrade* or *Thumbs Down* before `as_of`.
    `either`: one or the other. The horizon is closed at both ends, so that with `as_of` 30
    days before the log's end `inactivity` is the published label: last event more than 30
    days before the newest event of the log.

    Args:
        events: typed events (`churn.events`).
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
    check(kind, horizon_days)
    horizon_end = as_of + horizon_days * DAY_MS
    if horizon_end > log_end:
        raise NotEnoughDataError(
            f"labels at {iso(as_of)} are known only after {iso(horizon_end)}; the log ends at {iso(log_end)}"
        )
    outcome = _outcome(events, as_of, horizon_end)
    cancelled, silent = outcome.cancellations > 0, (outcome.triggers > 0) & (outcome.later_events == 0)
    churned = {"either": cancelled | silent, "inactivity": silent, "cancellation": cancelled}[kind]
    return outcome.select("customer_id", churned=churned.cast("int64"))


def check(kind: str, horizon_days: int) -> None:
    """Raise `SettingError` for a definition or a horizon that does not exist."""
    if kind not in KINDS:
        raise SettingError("label", kind, f"one of {', '.join(KINDS)}")
    if not 1 <= horizon_days <= LONGEST_HORIZON_DAYS:
        raise SettingError("horizon_days", horizon_days, f"1 to {LONGEST_HORIZON_DAYS}")


def _outcome(events: Table, as_of: int, horizon_end: int) -> Table:
    """Per customer seen before `as_of`: triggers before it; events and cancellations in the horizon."""
    before = events.ts < as_of
    within = (events.ts >= as_of) & (events.ts <= horizon_end)
    customers = events.group_by("customer_id").aggregate(
        earlier_events=before.sum(),
        triggers=(before & events.page.isin(TRIGGERS)).sum(),
        later_events=within.sum(),
        cancellations=(within & (events.page == CANCELLATION)).sum(),
    )
    return customers.filter(customers.earlier_events > 0)
