"""Outcomes of the customers of a campaign, from a log of events that goes on past their horizon."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import ibis
import pandas as pd

from churn.activity.features import DAY_MS
from churn.activity.labels import Definition, labels_at
from churn.activity.reading import read_events
from churn.command import say
from monitoring.labels.treatments import CUSTOMER, GROUP, Treatment


@dataclass(frozen=True)
class CampaignOutcomes:
    """`judged`: `customer_id`, `group` and `churned` of whom an outcome is known, who could be kept at their date.

    `pending` customers are in their horizon still; `gone` had left before their date, or were never seen.
    """

    judged: pd.DataFrame
    pending: int
    gone: int


class EventsOfCampaign:
    """A log of events, read once."""

    def __init__(self, events: str) -> None:
        """Read it; raises `EventLogError` when it cannot be read."""
        self._backend = ibis.duckdb.connect()
        say(f"reading {events}")
        self._log = read_events(events, self._backend, say)

    def known(self, customers: Iterable[str]) -> set[str]:
        """Those of the customers whom the log has."""
        wanted = ibis.memtable({CUSTOMER: sorted(customers)}, schema={CUSTOMER: "string"})
        found = wanted.semi_join(self._log.events, CUSTOMER)
        return set(self._backend.to_pyarrow(found)[CUSTOMER].to_pylist())

    def outcomes(self, rows: Sequence[Treatment], definition: Definition) -> CampaignOutcomes:
        """The outcome of each row's customer, from the beginning of its day."""
        assigned = pd.DataFrame(
            {
                CUSTOMER: pd.Series([one.customer_id for one in rows], dtype="object"),
                "as_of": pd.Series([one.day * DAY_MS for one in rows], dtype="int64"),
                GROUP: pd.Series([one.group for one in rows], dtype="object"),
            }
        )
        moments = ibis.memtable(assigned[[CUSTOMER, "as_of"]], schema={CUSTOMER: "string", "as_of": "int64"})
        labels = labels_at(self._log.events, moments, self._log.log_end, definition)
        found = self._backend.to_pandas(labels).merge(assigned, on=[CUSTOMER, "as_of"])
        elapsed = int((assigned.as_of + definition.horizon_ms <= self._log.log_end).sum())
        judged = found.loc[found.at_risk, [CUSTOMER, GROUP, "churned"]]
        return CampaignOutcomes(judged, pending=len(rows) - elapsed, gone=elapsed - len(judged))
