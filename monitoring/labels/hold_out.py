"""Assign the customers of the list to an offer, or to the group that is held out to measure its effect.

A hash decides, not a person and not the order of the list, so the groups differ by chance
alone, and the same list gives the same groups however often it is made.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from churn.errors import TreatmentsError
from churn.spreadsheet import cell
from monitoring.labels.treatments import CUSTOMER, DATE, GROUP, HELD_OUT, OFFERED, Treatment

HELD_OUT_SHARE: Final = 0.15
COLUMNS: Final = (CUSTOMER, DATE, GROUP)
_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True)
class Offer:
    """A new row of the campaign's file; `day` in days since 1970 (UTC)."""

    customer_id: str
    day: int
    group: str


def group_of(customer_id: str, seed: int) -> str:
    """`held_out` for 15 % of the customers, `offered` for the others.

    >>> group_of("104", 7), group_of("110", 7)
    ('held_out', 'offered')
    """
    digest = hashlib.sha256(f"{seed}:{customer_id}".encode()).digest()
    return HELD_OUT if int.from_bytes(digest[:8]) < HELD_OUT_SHARE * 2**64 else OFFERED


def new_offers(
    listed: Iterable[str], day: int, campaign: Sequence[Treatment], horizon_days: int, seed: int
) -> list[Offer]:
    """The rows that a list adds to a campaign.

    A customer keeps the group of the campaign's file for as long as the file is there, and gets
    no second row before a whole horizon has passed.

    Args:
        listed: the keys of the customers at risk, in the order of the list.
        day: of the offers.
        campaign: the rows so far.
        horizon_days: how long a group lasts.
        seed: of the hash that decides about new customers.
    """
    groups = {one.customer_id: one.group for one in campaign}
    newest: dict[str, int] = {}
    for one in campaign:
        newest[one.customer_id] = max(one.day, newest.get(one.customer_id, one.day))
    return [
        Offer(customer, day, groups.get(customer) or group_of(customer, seed))
        for customer in dict.fromkeys(listed)
        if customer not in newest or newest[customer] + horizon_days <= day
    ]


def check_campaign(path: Path, campaign: Iterable[Treatment], listed: Mapping[str, int], known: set[str]) -> None:
    """Refuse rows that no list can have led to.

    Args:
        path: the campaign's file.
        campaign: its rows.
        listed: the day of the first list that each customer is on.
        known: keys of other customers who exist, though no list that is left has them.

    Raises:
        TreatmentsError: a row without a group, of a customer nobody knows, or from before the list.
    """
    for one in campaign:
        if one.group is None:
            raise TreatmentsError(path, "header", GROUP, "no such column", f"columns {', '.join(COLUMNS)}")
        if one.customer_id not in listed and one.customer_id not in known:
            raise TreatmentsError(
                path, one.place, CUSTOMER, "an id that is on no list", "a customer of a list, or of the log"
            )
        first = listed.get(one.customer_id, one.day)
        if one.day < first:
            expected = f"{day_text(first)} or later, since the customer's first list is of that day"
            raise TreatmentsError(path, one.place, DATE, day_text(one.day), expected)


def extended(path: Path, offers: Iterable[Offer]) -> bytes:
    """The campaign's file with more rows; what stands in it, further columns included, stays as it is.

    Raises:
        TreatmentsError: the file lacks a column.
    """
    before = path.read_bytes().decode("utf-8-sig") if path.exists() else ""
    header = next(csv.reader(io.StringIO(before, newline="")), None) or list(COLUMNS)
    for name in COLUMNS:
        if name not in header:
            raise TreatmentsError(path, "header", name, ", ".join(header), f"columns {', '.join(COLUMNS)}")
    buffer = io.StringIO(newline="")
    buffer.write(before or ",".join(COLUMNS) + "\r\n")
    if before and not before.endswith("\n"):
        buffer.write("\r\n")
    writer = csv.DictWriter(buffer, header, restval="", lineterminator="\r\n")
    for one in offers:
        writer.writerow({CUSTOMER: cell(one.customer_id), DATE: day_text(one.day), GROUP: one.group})
    return buffer.getvalue().encode()


def day_text(day: int) -> str:
    """`2018-11-05`, from days since 1970."""
    return (_EPOCH + timedelta(days=day)).isoformat()
