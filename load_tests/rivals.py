"""What the service is measured against, as BentoML services: the framework's floor, and its usual way.

`Floor` has the models and settings of the service and does nothing. `Usual` is a batchable API
over a forest of scikit-learn; `RIVAL_FOREST` names a file of it, made by the benchmark.
"""

# mypy: disable-error-code="untyped-decorator"
# BentoML's decorators carry types that do not fit strict mode.

import os
from typing import Any, Final

import bentoml
import joblib  # type: ignore[import-untyped]  # what the rivals use; it ships no types
import numpy as np

from churn.api_models import Prediction, PredictResponse
from churn.contract import NUMERIC, Customer

SETTINGS: Final[dict[str, Any]] = {"tracing": {"excluded_urls": ".*"}, "logging": {"access": {"enabled": False}}}


@bentoml.service(name="floor", traffic={"timeout": 5}, **SETTINGS)
class Floor:
    """Validates, and answers a constant."""

    @bentoml.api
    async def predict(self, customers: list[Customer]) -> PredictResponse:
        answers = [
            Prediction(customer_id=one.customer_id, churn_probability=0.5, will_churn=False) for one in customers
        ]
        return PredictResponse(model="none", predictions=answers)


@bentoml.service(name="usual", traffic={"timeout": 60})
class Usual:
    """BentoML's own batching over a pickled forest, with its default settings."""

    def __init__(self) -> None:
        self._forest = joblib.load(os.environ["RIVAL_FOREST"])

    @bentoml.api(batchable=True)
    def predict(self, customers: list[Customer]) -> list[Prediction]:
        matrix = np.array([[getattr(one, name) for name in NUMERIC] for one in customers], dtype=np.float32)
        probabilities = self._forest.predict_proba(np.nan_to_num(matrix, nan=-1.0))[:, 1]
        return [
            Prediction(customer_id=one.customer_id, churn_probability=float(p), will_churn=bool(p > 0.5))
            for one, p in zip(customers, probabilities, strict=True)
        ]
