"""Named policies that turn probabilities into a decision threshold: who is worth an offer.

Every threshold lies midway between two observed probabilities: at an observed one, the
last digit of a sum would decide.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.errors import PrecisionTargetError, SettingError
from churn.quality.intervals import effective_size, wilson
from churn.quality.measures import LABEL

PolicyName = Literal["f1", "precision", "cost", "top_share"]
POLICIES: Final[tuple[PolicyName, ...]] = get_args(PolicyName)
MINIMUM_FLAGGED: Final = 30
"""Customers a promise of precision rests on, at least."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class PolicySettings:
    """A policy and what it needs; a number that the chosen policy does not need is not looked at.

    `target_precision`: to be reached by `precision`. `fallback`: the policy that takes over
    where it cannot be. `offer_cost`, `kept_value`: of one offer, and of one customer who
    stays for it, in the same money; `success_rate`: share of the churners who stay when
    they get the offer. `top_share`: share of the customers to flag.
    """

    name: PolicyName = "f1"
    target_precision: float | None = None
    fallback: PolicyName | None = None
    offer_cost: float | None = None
    kept_value: float | None = None
    success_rate: float | None = None
    top_share: float | None = None

    def given(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold, the policy it follows in the end, and why."""

    threshold: float
    policy: PolicyName
    reason: str


NEEDED: Final[dict[PolicyName, tuple[str, ...]]] = {
    "f1": (),
    "precision": ("target_precision",),
    "cost": ("offer_cost", "kept_value", "success_rate"),
    "top_share": ("top_share",),
}
SHARES: Final = ("target_precision", "success_rate", "top_share")


def check(settings: PolicySettings) -> None:
    """Raise `SettingError` for a policy that does not exist, or lacks or exceeds what it needs."""
    if settings.name not in POLICIES:
        raise SettingError("policy", settings.name, f"one of {', '.join(POLICIES)}")
    if settings.fallback is not None:
        _check_fallback(settings)
    for policy in (settings.name, *([settings.fallback] if settings.fallback else [])):
        for name in NEEDED[policy]:
            _check_number(policy, name, getattr(settings, name))
    if "cost" in (settings.name, settings.fallback) and break_even(settings) >= 1:
        raise SettingError(
            "offer_cost",
            settings.offer_cost,
            f"less than kept_value x success_rate = {_worth(settings):g}; otherwise no offer ever pays",
        )


def _check_fallback(settings: PolicySettings) -> None:
    others = [name for name in POLICIES if name != "precision"]
    if settings.name != "precision":
        raise SettingError("fallback", settings.fallback, "none: only the policy precision can fail to be reached")
    if settings.fallback not in others:
        raise SettingError("fallback", settings.fallback, f"one of {', '.join(others)}")


def _check_number(policy: str, name: str, value: float | None) -> None:
    expected = f"a number above 0{' and at most 1' if name in SHARES else ''}, for the policy {policy}"
    if value is None or not 0 < value < np.inf or (name in SHARES and value > 1):
        raise SettingError(name, value, expected)


def choose(predictions: pd.DataFrame, settings: PolicySettings) -> ThresholdChoice:
    """The threshold of the policy asked for, or of its fallback.

    Args:
        predictions: columns `customer_id`, `churned`, `probability`, of rows the forest
            that scored them has not seen.
        settings: checked here too.

    Raises:
        PrecisionTargetError: the target cannot be promised, and there is no fallback.
        SettingError: a setting is missing or out of range.
    """
    check(settings)
    if settings.name != "precision":
        return _simple(settings.name, predictions, settings)
    try:
        found = precision_threshold(predictions, settings.target_precision or 0.0)
    except PrecisionTargetError as error:
        if settings.fallback is None:
            raise
        other = _simple(settings.fallback, predictions, settings)
        return ThresholdChoice(other.threshold, other.policy, f"{error}; fell back to {other.policy}: {other.reason}")
    reason = f"the smallest threshold whose lower 95 % bound of precision reaches {settings.target_precision:g}"
    return ThresholdChoice(found, "precision", reason)


def _simple(policy: PolicyName, predictions: pd.DataFrame, settings: PolicySettings) -> ThresholdChoice:
    probability = predictions["probability"].to_numpy(np.float64)
    if policy == "cost":
        least = break_even(settings)
        return ThresholdChoice(
            cost_threshold(probability, least), policy, f"an offer pays from a probability of {least:.3g} on"
        )
    if policy == "top_share":
        share = settings.top_share or 0.0
        return ThresholdChoice(top_share_threshold(probability, share), policy, f"the {share:.3g} most likely to leave")
    return ThresholdChoice(f1_threshold(probability, predictions[LABEL].to_numpy(np.int64)), "f1", "the highest F1")


def f1_threshold(probability: Vector, churned: NDArray[np.int64]) -> float:
    """The threshold of highest F1; the highest of several."""
    order, ends = _ranked(probability)
    hits, flagged = np.cumsum(churned[order])[ends], ends + 1
    return _below(probability[order], int(ends[np.argmax(2 * hits / (flagged + churned.sum()))]))


def top_share_threshold(probability: Vector, share: float) -> float:
    """The threshold that flags as many as possible, and at most `share` of the rows; equal ones together."""
    order, ends = _ranked(probability)
    within = ends[ends + 1 <= share * len(order)]
    return _below(probability[order], int(within[-1]) if len(within) else -1)


def break_even(settings: PolicySettings) -> float:
    """The probability from which an offer pays: `offer_cost / (kept_value * success_rate)`.

    An offer to a customer who would leave with probability p brings
    `p * success_rate * kept_value - offer_cost`.
    """
    return (settings.offer_cost or 0.0) / _worth(settings)


def _worth(settings: PolicySettings) -> float:
    return (settings.kept_value or 0.0) * (settings.success_rate or 0.0)


def cost_threshold(probability: Vector, least: float) -> float:
    """The threshold that flags the rows of probability `least` and above.

    The calibrated probability decides, not the best sum on these rows: that sum is a
    matter of luck at the few rows next to the threshold.
    """
    order, _ = _ranked(probability)
    return _below(probability[order], int((probability >= least).sum()) - 1)


def net_value(flagged: Vector, churned: Vector, settings: PolicySettings) -> Vector:
    """The value of flagging, row by row, in the money of the settings."""
    return flagged * (churned * _worth(settings) - (settings.offer_cost or 0.0))


def precision_threshold(predictions: pd.DataFrame, target: float, minimum: int = MINIMUM_FLAGGED) -> float:
    """The smallest threshold whose lower 95 % bound of precision reaches `target`.

    At least `minimum` customers are to be flagged. The bound is that of
    `churn.quality.intervals.share_interval`: rows of one customer count together.

    Raises:
        PrecisionTargetError: there is none; says which precision can be had.
    """
    ranked = precision_by_threshold(predictions)
    enough = ranked[ranked.customers >= minimum]
    if enough.empty:
        raise PrecisionTargetError(
            f"precision {target:g} cannot be promised: it takes {minimum} flagged customers, and only "
            f"{predictions.customer_id.nunique()} are known",
            None,
        )
    reaching = enough[enough.low >= target]
    if len(reaching):
        return float(reaching.threshold.iloc[-1])
    best = enough.loc[enough.low.idxmax()]
    raise PrecisionTargetError(
        f"precision {target:g} cannot be promised: the most that can is {best.low:.3f} (found {best.precision:.3f}, "
        f"less its 95 % bound), by flagging {best.share:.1%} of the rows, {best.customers:.0f} customers here; "
        "ask for less, or set a fallback policy",
        float(best.threshold),
    )


def precision_by_threshold(predictions: pd.DataFrame) -> pd.DataFrame:
    """Every threshold from the highest to the lowest, and what flagging from it on gives.

    Columns: `threshold`, `share` and `customers` flagged, `precision`, `low` and `high`
    (its 95 % interval), `recall`.
    """
    order, ends = _ranked(predictions["probability"].to_numpy(np.float64))
    rows = predictions.iloc[order]
    churned = rows[LABEL].to_numpy(np.float64)
    by_customer = rows.groupby("customer_id", sort=False)[LABEL]
    # What the row's customer had among the rows above it.
    cases = by_customer.cumcount().to_numpy(np.float64)
    hits = by_customer.cumsum().to_numpy(np.float64) - churned
    flagged, found = np.arange(1.0, len(rows) + 1), np.cumsum(churned)
    customers = np.cumsum(cases == 0).astype(np.float64)
    precision = found / flagged
    # Sums over customers of hits², hits × cases and cases², row by row.
    hits_2 = np.cumsum(2 * hits * churned + churned)
    hits_cases = np.cumsum(hits + churned * (cases + 1))
    cases_2 = np.cumsum(2 * cases + 1)
    spread = np.maximum(hits_2 - 2 * precision * hits_cases + precision**2 * cases_2, 0)
    variance = customers / np.maximum(customers - 1, 1) * spread / flagged**2
    low, high = wilson(precision, effective_size(precision, variance, customers, flagged))
    probability = rows["probability"].to_numpy(np.float64)
    table = pd.DataFrame(
        {
            "threshold": (probability + np.append(probability[1:], 0.0)) / 2,
            "share": flagged / len(rows),
            "customers": customers,
            "precision": precision,
            "low": low,
            "high": high,
            "recall": found / max(found[-1], 1.0),
        }
    )
    return table.iloc[ends].reset_index(drop=True)


def _ranked(probability: Vector) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order from high to low, and the positions in it that end a group of equal values."""
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    return order, np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))


def _below(ranked: Vector, last: int) -> float:
    """Midway between the row `last` (-1: none is flagged) and the next; 1 and 0 stand beyond the ends."""
    above = ranked[last] if last >= 0 else 1.0
    following = ranked[last + 1] if last + 1 < len(ranked) else 0.0
    return float((above + following) / 2)
