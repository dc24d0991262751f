"""Small contract-valid tables with a signal, made without an event log."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from churn.activity.dataset_facts import TableFacts
from churn.activity.features import DAY_MS
from churn.activity.report import ReadReport
from churn.contract import CONTRACT_VERSION, GROUPS, MEASURES, NAMES, TREND_DAYS, WINDOWS
from churn.moments import epoch_ms, iso
from load_tests.behaviour import behaviour
from training.table.dataset import fingerprint

NEWEST = epoch_ms(datetime(2019, 1, 29, tzinfo=UTC))
ALL_GROUPS = tuple(group.name for group in GROUPS if group.name != "profile")


def training_table(customers: int = 200, snapshots: int = 8, seed: int = 0) -> pd.DataFrame:
    """Rows of `training.table.dataset.training_table`: weekly snapshots back from `NEWEST`."""
    generator = np.random.default_rng(seed)
    parts = [_snapshot(generator, customers, NEWEST - back * 7 * DAY_MS) for back in range(snapshots)]
    return pd.concat(parts).sort_values(["as_of", "customer_id"], ignore_index=True)


def table_facts(table: pd.DataFrame, source: str = "synthetic") -> TableFacts:
    """The facts that `make featurize` would write beside a table."""
    first_ts, log_end = 1_538_352_000_000, int(table.as_of.max()) + 30 * DAY_MS
    read = ReadReport(
        files=1,
        rows=10,
        kept=10,
        dropped={},
        nulled={},
        examples=(),
        customers=int(table.customer_id.nunique()),
        first_ts=first_ts,
        log_end=log_end,
        after_gap=0,
    )
    return TableFacts(
        source=source,
        contract=CONTRACT_VERSION,
        first_ts=first_ts,
        log_end=log_end,
        label="either",
        horizon_days=30,
        newest_rows=0,
        read=read,
        refused=None,
        rows=len(table),
        customers=int(table.customer_id.nunique()),
        snapshots=tuple(iso(int(moment)) for moment in sorted(table.as_of.unique())),
        short_snapshots=(),
        churn_rate=float(table["churned"].mean()),
        fingerprint=fingerprint(table),
    )


def _snapshot(generator: np.random.Generator, customers: int, as_of: int) -> pd.DataFrame:
    frame = pd.DataFrame({"customer_id": [str(number) for number in range(customers)], "as_of": as_of, "short": False})
    rates = generator.gamma(2, 1, customers)
    days = {
        measure.name: generator.poisson(rates[:, None] * (0.2 if measure.name != "songs" else 3), (customers, 28))
        for measure in MEASURES
    }
    days["active_days"] = (days["songs"] > 0).astype(int)
    days["sessions"] = days["active_days"]
    days["artists"] = days["songs"]
    days["events"] = np.sum([days[name] for name in days if name not in {"active_days", "artists", "events"}], axis=0)
    for window in WINDOWS:
        for name, counts in days.items():
            frame[f"{name}_{window}d"] = counts[:, :window].sum(axis=1)
        frame[f"listening_minutes_{window}d"] = frame[f"songs_{window}d"] * 4.0
        sessions = frame[f"sessions_{window}d"].replace(0, np.nan)
        frame[f"songs_per_session_{window}d"] = frame[f"songs_{window}d"] / sessions
        frame[f"session_minutes_{window}d"] = 4.0 * frame[f"songs_per_session_{window}d"]
    for measure in MEASURES:
        if measure.trend:
            whole = frame[f"{measure.name}_{TREND_DAYS}d"].replace(0, np.nan)
            frame[f"{measure.name}_trend"] = 4.0 * frame[f"{measure.name}_7d"] / whole
    frame["level"] = generator.choice(["free", "paid"], customers)
    frame["gender"] = generator.choice(np.array(["F", "M", None], dtype=object), customers, p=[0.45, 0.45, 0.1])
    frame["os"] = generator.choice(np.array(["Windows", "Mac OS X", "Linux", None], dtype=object), customers)
    frame["browser"] = generator.choice(np.array(["Chrome", "Firefox", None], dtype=object), customers)
    frame["tenure_days"] = np.where(generator.random(customers) < 0.05, np.nan, generator.exponential(80, customers))
    frame["days_since_last_event"] = np.where(frame["active_days_7d"] > 0, 1.5, 20.0)
    added = pd.DataFrame(
        [behaviour({str(name): value for name, value in row.items()}) for row in frame.to_dict("records")]
    )
    frame = pd.concat([frame, added], axis=1)
    logit = -2.2 + 0.5 * frame["thumbs_down_14d"] - 0.05 * frame["songs_14d"] + 0.8 * (frame["level"] == "free")
    frame["churned"] = (generator.random(customers) < 1 / (1 + np.exp(-logit))).astype(int)
    return frame[["customer_id", "as_of", "short", *NAMES, "churned"]]
