"""The load of a working day: 80 % single predictions, 15 % batches of 100, 5 % explanations.

`make load-test` runs it (`load_tests.load_test`). By hand: `locust -f load_tests/locustfile.py
--host http://localhost:3000`. It exits with 1 when any answer was an error, or there was none. `LOAD_CUSTOMERS`
names a file of simulated customers, `CHURN_API_KEY` holds the key of a service that wants one.
"""

# mypy: disable-error-code="untyped-decorator"
# Locust's decorators carry no types.

import json
import os
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from locust import FastHttpUser, constant, events, task
from locust.env import Environment

from load_tests.customers import mixed

SEED: Final = int(os.environ.get("SEED") or 7)
BATCH: Final = 100
SIMULATED: Final = os.environ.get("LOAD_CUSTOMERS")


@events.quitting.add_listener
def fail_without_an_answer(environment: Environment, **_: Any) -> None:
    """Nothing asked is nothing shown."""
    if environment.stats.total.num_requests == 0:
        environment.process_exit_code = 1


class Backend(FastHttpUser):  # type: ignore[misc]  # Locust ships no types
    """A backend team's process."""

    wait_time = constant(0)
    _customers: Iterator[dict[str, Any]]

    def on_start(self) -> None:
        simulated = json.loads(Path(SIMULATED).read_text()) if SIMULATED else []
        self._customers = mixed(random.Random(SEED), simulated)
        key = os.environ.get("CHURN_API_KEY")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    @task(80)
    def predict_one(self) -> None:
        self._post("/predict", 1, "predict 1")

    @task(15)
    def predict_batch(self) -> None:
        self._post("/predict", BATCH, f"predict {BATCH}")

    @task(5)
    def explain_one(self) -> None:
        self._post("/explain", 1, "explain 1")

    def _post(self, path: str, count: int, name: str) -> None:
        body = {"customers": list(islice(self._customers, count))}
        self.client.post(path, json=body, headers=self._headers, name=name)
