"""The alternatives that the service is measured against, as BentoML services.

`Floor` is the framework's floor: the models, settings and boundary of the service around
BentoML's own request handling, doing nothing. `Parsed` answers a constant where the service
answers, below BentoML's request handling: the floor of this project's way. `Usual` is a
batchable API over a pickled forest of scikit-learn; `RIVAL_FOREST` names a file of it.
"""

# mypy: disable-error-code="untyped-decorator"
# BentoML's decorators carry types that do not fit strict mode.

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import bentoml
import joblib  # type: ignore[import-untyped]  # what the rivals load their forest with; it ships no types
import orjson

from churn.contract import Customer
from churn.model.scoring import Encoder
from serving.api import Content, Prediction, PredictResponse
from serving.api_keys import ApiKeys
from serving.asgi import Application, Exchange, Message, Receive, Scope, Send
from serving.boundary import Boundary
from serving.bounded_service import BoundedService
from serving.limits import Limits
from serving.micro_batches import MicroBatcher, PendingRequest
from serving.observer import RequestObserver
from serving.requests import parse_together
from serving.site import Site

PATH: Final = "/predict"
SETTINGS: Final[dict[str, Any]] = {"tracing": {"excluded_urls": ".*"}, "logging": {"access": {"enabled": False}}}
OBSERVER: Final = RequestObserver("none")  # counts as the service counts


class Through(Boundary):
    """The service's boundary, behind which BentoML's own request handling answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await super().__call__(scope, receive, send)
            return
        started, exchange = time.perf_counter(), Exchange(scope, receive, send)
        self._keys.check(exchange.headers)

        async def answer(body: Content, _: str) -> bytes:
            await self._app(scope, _replay(body, receive), send)
            return b""

        share = self._budget.share()
        await self._answered(exchange, share, answer)
        share.release()
        self.observer.answered(PATH, 200, time.perf_counter() - started, exchange.request_id, None)


def _replay(body: Content, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


def _around(kind: type[Boundary], app: Application) -> Boundary:
    return kind(app, Limits(), ApiKeys([]), observer=OBSERVER)


@bentoml.service(
    name="floor",
    service_class=partial(BoundedService, boundary=partial(_around, Through)),
    traffic={"timeout": 5},
    **SETTINGS,
)
class Floor:
    """Validates, and answers a constant."""

    site = Site()

    @bentoml.api
    async def predict(self, customers: list[Customer]) -> PredictResponse:
        return _constants(customers)


def _constants(customers: list[Customer]) -> PredictResponse:
    answers = [Prediction(customer_id=one.customer_id, churn_probability=0.5, will_churn=False) for one in customers]
    return PredictResponse(model="none", predictions=answers)


@bentoml.service(name="parsed", service_class=partial(BoundedService, boundary=partial(_around, Boundary)), **SETTINGS)
class Parsed:
    """Validates, and answers a constant before BentoML's request handling, as the service does."""

    def __init__(self) -> None:
        self.site = Site({PATH: MicroBatcher(self._checked, self._answers).ask})

    @bentoml.api
    async def predict(self, customers: list[Customer]) -> PredictResponse:
        return _constants(customers)

    @staticmethod
    def _checked(requests: Sequence[PendingRequest]) -> list[Sequence[str] | Exception]:
        batch, spans = parse_together([request.body for request in requests], datetime.now(UTC))
        return [batch.customer_ids[span] if isinstance(span, slice) else span for span in spans]

    @staticmethod
    def _answers(checked: Sequence[Sequence[str]]) -> list[bytes]:
        return list(map(_constant_json, checked))


def _constant_json(customer_ids: Sequence[str]) -> bytes:
    predictions = [{"customer_id": who, "churn_probability": 0.5, "will_churn": False} for who in customer_ids]
    return orjson.dumps({"model": "none", "predictions": predictions})


@bentoml.service(name="usual", traffic={"timeout": 60})
class Usual:
    """BentoML's own batching over a pickled forest, with its default settings."""

    def __init__(self) -> None:
        pickled = joblib.load(os.environ["RIVAL_FOREST"])
        self._forest, self._encoder = pickled["forest"], Encoder(pickled["columns"])

    @bentoml.api(batchable=True)
    def predict(self, customers: list[Customer]) -> list[Prediction]:
        probabilities = self._forest.predict_proba(self._encoder.rows(customers))[:, 1]
        return [
            Prediction(customer_id=one.customer_id, churn_probability=float(p), will_churn=bool(p > 0.5))
            for one, p in zip(customers, probabilities, strict=True)
        ]
