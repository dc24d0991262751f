"""Customers drawn from the contract: valid, without contradictions, and all different."""

import random
from collections.abc import Iterator
from itertools import count, pairwise
from typing import Any, Final

from churn.contract import MEASURES, WINDOWS, example_customer
from load_tests.behaviour import behaviour

AS_OF: Final = "2018-11-02T00:00:00Z"
_SYSTEMS: Final = ("Windows", "Mac OS X", "Linux", "iOS", "Android", None)
_BROWSERS: Final = ("Chrome", "Firefox", "Safari", "Edge", None)


def draw(generator: random.Random) -> Iterator[dict[str, Any]]:
    """Customers without end: busy and quiet, with nulls as a real population has them."""
    number = 0
    while True:
        number += 1
        yield _customer(generator, f"load-{number}")


def mixed(generator: random.Random, simulated: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Drawn ones and simulated ones in turn, all with ids of their own; only drawn ones where none are simulated."""
    drawn = draw(generator)
    for number in count():
        yield next(drawn)
        if simulated:
            yield generator.choice(simulated) | {"customer_id": f"simulated-{number}"}


def _customer(generator: random.Random, customer_id: str) -> dict[str, Any]:
    busy = generator.lognormvariate(0, 1)
    weeks = {days: sum(generator.uniform(0.5, 1.5) for _ in range(days // 7)) for days in WINDOWS}
    for shorter, longer in pairwise(WINDOWS):
        weeks[longer] = max(weeks[longer], weeks[shorter])
    row = example_customer(customer_id, AS_OF)
    row |= {"level": generator.choice(["free", "paid"]), "gender": generator.choice(["F", "M", None])}
    row |= {"os": generator.choice(_SYSTEMS), "browser": generator.choice(_BROWSERS)}
    row |= {"tenure_days": round(generator.expovariate(1 / 80), 2), "days_since_last_event": 1.0}
    for measure in MEASURES:
        for days in WINDOWS:
            value = measure.example_per_week * busy * weeks[days]
            row[f"{measure.name}_{days}d"] = round(value, 2) if measure.kind == "real" else int(value)
    for days in WINDOWS:
        row[f"sessions_{days}d"] = row[f"active_days_{days}d"] = max(1, int(min(weeks[days], days)))
        row[f"events_{days}d"] = max(row[f"events_{days}d"], row[f"songs_{days}d"], row[f"sessions_{days}d"])
        row[f"artists_{days}d"] = min(row[f"artists_{days}d"], row[f"songs_{days}d"])
        if not row[f"songs_{days}d"]:
            row[f"listening_minutes_{days}d"] = 0.0
    for measure in MEASURES:
        if measure.trend and not row[f"{measure.name}_{WINDOWS[-1]}d"]:
            row[f"{measure.name}_trend"] = None
    return row | behaviour(row)
