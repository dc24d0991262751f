"""`make docs`: the table of features in the documentation, from the contract."""

from pathlib import Path
from typing import Final

from churn.behaviour_features import DECAY_WEIGHTS, FEWEST_SESSIONS, PRIOR_SONGS, RATE_PER_10000_SONGS
from churn.command import run, show
from churn.contract import AT_RISK_DAYS, CONTRACT_VERSION, FEATURES, GROUPS, Feature
from churn.files import replace_file

PAGE: Final = Path(__file__).parent.parent / "docs" / "features.md"

GROUP_HEAD: Final = """## Groups

A model uses the features of some groups; `profile` is part of every one. Requests always carry all features. A feature
of the groups after `windows` is null where the log reaches back less than the group's days.

| group | days | features | what they have in common |
|---|---|---|---|"""

_RATES: Final = ", ".join(f"`{name}` {rate}" for name, rate in RATE_PER_10000_SONGS.items())
_WEIGHTS: Final = "; ".join(
    f"for {half_life} days {weights[0]}, {weights[1]}, {weights[2]} … {weights[-1]}, in all {sum(weights)}"
    for half_life, weights in DECAY_WEIGHTS.items()
)

FORMULAS: Final = f"""## How they are computed

A **day** is 24 hours counted back from `as_of`, whatever the calendar: the event at `ts` (milliseconds) lies in day
`d = (as_of - 1 - ts) // 86400000`, and in the last N days where `as_of - N days <= ts < as_of`, that is `d < N`. A
**session** is what has one `sessionId` of one customer: the numbers repeat between customers. Windows cut sessions: one
that began before the window begins with its first event in the window. "The log reaches back" from `as_of` to its first
event, or to the first one after a gap of more than {AT_RISK_DAYS} days.

- **Profile**: `level`, `gender`, `os`, `browser` and the registration are the last ones known in the {AT_RISK_DAYS}
  days before `as_of`. `tenure_days` is `(as_of - registration) / 86400000`, and null when the registration is later
  than `as_of`.
  `os` and `browser` are the families that the library `ua-parser` reads from the user agent, in its spelling:
  `Mac OS X`, `Windows`, `iOS`; `IE`, `Chrome`, `Mobile Safari`. What the model has not seen is "other" to it.
- **Windows**: counts of events by page; `artists` are different artists of songs, `active_days` different `d`,
  `listening_minutes` the lengths of the songs started; `songs_per_session` is songs / sessions, `session_minutes` the
  mean of (last event - first event) of the sessions. A trend is `(x_7d * 4) / x_28d`. On a log shorter than a window
  they count what there is, and the snapshot is marked short.
- **Friction**: Thumbs Down + Roll Advert + Downgrade + Settings, and its trend as above.
- **Decayed rates**: `sum(c[d] * w[d]) / sum(w[d])`, where `c[d]` is the count of day d and `w[d]` the whole number next
  to `65536 * 2 ** (-d / h)`, over 28 days for the half-life h of 10 days and 56 days for 30:
  {_WEIGHTS}.
- **Shrunk rates**: `(10000 * count + {PRIOR_SONGS} * r) / (10 * (songs + {PRIOR_SONGS}))`, with constants r, visits
  per 10,000 songs of the public log: {_RATES}.
- **Page recency**: `(as_of - newest ts of the page) / 86400000`; the look-back plus 1 where it has none.
- **Habit gaps**: of the sessions in the look-back, n in number, `gap = (last start - first start) / (n - 1)`, null
  under {FEWEST_SESSIONS} sessions; the ratio is `(as_of - last start) / gap`.
- **Last session**: the session of the newest event in 28 days (of two that end at one moment the one with the higher
  number): its songs, its friction, and the minutes between its first and last event there.
- **Days seen**: `1 + max(d)` over the events of the look-back, 0 without any; songs and friction divided by it.

The **label** looks at events with `as_of <= ts <= as_of + horizon`: closed at both ends.
"""


def page() -> str:
    """The whole page; a test compares it with the file."""
    head = f"""# Features

Made from `churn/contract.py` by `make docs`. Contract {CONTRACT_VERSION}, {len(FEATURES)} features. Every one describes
a customer at a moment, `as_of`, and counts only what happened before it. The service takes exactly these, under these
names. Bounds are inclusive; what the log shows above a bound is capped at it.

| feature | type | values | null | what it says |
|---|---|---|---|---|
"""
    return head + "\n".join(_row(feature) for feature in FEATURES) + f"\n\n{_groups()}\n\n{FORMULAS}"


def _groups() -> str:
    rows = (f"| `{group.name}` | {group.lookback_days} | {len(group.names)} | {group.summary} |" for group in GROUPS)
    return "\n".join([GROUP_HEAD, *rows])


def _row(feature: Feature) -> str:
    kind = {"count": "integer", "real": "number", "category": "text"}[feature.kind]
    null = "yes" if feature.nullable else "no"
    return f"| `{feature.name}` | {kind} | {_values(feature)} | {null} | {feature.description} |"


def _values(feature: Feature) -> str:
    if feature.categories:
        return ", ".join(f"`{category}`" for category in feature.categories)
    return "any, 64 characters at most" if feature.is_category else f"{feature.minimum:g} to {feature.maximum:,.0f}"


def main() -> None:
    replace_file(PAGE, page().encode())
    show(f"{len(FEATURES)} features in {PAGE.name}")


if __name__ == "__main__":
    run(main)
