"""The customers of the load test: all of them valid, so that a refusal is the service's fault."""

import json
import random
from datetime import UTC, datetime
from itertools import islice

import numpy as np

from load_tests.customers import draw, mixed
from load_tests.simulated import simulated
from serving.requests import parse_predict


def test_every_drawn_customer_is_accepted_and_they_differ() -> None:
    drawn = list(islice(draw(random.Random(1)), 2_000))
    batch = parse_predict(json.dumps({"customers": drawn}).encode(), datetime(2018, 11, 2, tzinfo=UTC))
    assert len(batch) == 2_000
    assert len(np.unique(batch.numbers, axis=0)) > 1_900


def test_drawn_and_simulated_customers_take_turns_and_are_accepted() -> None:
    some = list(islice(mixed(random.Random(1), simulated(1)), 400))
    batch = parse_predict(json.dumps({"customers": some}).encode(), datetime(2019, 1, 1, tzinfo=UTC))
    assert [one.split("-")[0] for one in batch.customer_ids] == ["load", "simulated"] * 200


def test_without_simulated_customers_all_are_drawn() -> None:
    assert list(islice(mixed(random.Random(1), []), 5)) == list(islice(draw(random.Random(1)), 5))
