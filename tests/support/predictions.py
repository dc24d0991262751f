"""Prediction logs for the tests, written by the real writer."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from churn.contract import NAMES
from churn.moments import epoch_ms
from churn.prediction_log.line import Api
from serving.prediction_writer import Answered, PredictionLog
from tests.support import synthetic
from training.table.bodies import customers

THURSDAY = epoch_ms(datetime(2018, 11, 1, 12, tzinfo=UTC))
"""In week 2018-W44."""


def week_of_customers(rows: int = 300, seed: int = 1, as_of: int = THURSDAY) -> pd.DataFrame:
    """One row of features per customer, like those of the `champion` fixture's reference."""
    return synthetic.training_table(rows, 1, seed).drop(columns="churned").assign(as_of=np.int64(as_of))


def log_predictions(
    folder: Path,
    rows: pd.DataFrame,
    probability: Sequence[float],
    model: str = "churn:test",
    api: Api = "predict",
    scored: datetime = datetime(2018, 11, 2, 9, tzinfo=UTC),
    threshold: float = 0.5,
) -> Path:
    """Log the answers to one request, in a file of its own; returns that file."""
    listed = customers(rows)
    before = set(folder.glob("*.jsonl"))
    log = PredictionLog(folder, model, clock=lambda: scored)
    answered = Answered(
        f"request-{len(before)}",
        [row["customer_id"] for row in listed],
        [row["as_of"] for row in listed],
        [{name: row[name] for name in NAMES} for row in listed],
        list(probability),
        [p >= threshold for p in probability],
    )
    log.append(api, [answered])
    log.close()
    (written,) = set(folder.glob("*.jsonl")) - before
    return written
