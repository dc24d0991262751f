"""The BentoML service: puts model, prediction log, answers and HTTP edge together."""

# mypy: disable-error-code="untyped-decorator"
# BentoML's decorators carry types that do not fit strict mode; pyproject.toml leaves them out.

import os
from functools import partial
from typing import Any, Final

import churn  # noqa: F401  # before BentoML: it switches usage reporting off

# isort: split

import bentoml
from bentoml.exceptions import BentoMLException
from bentoml.models import BentoModel

from churn import VERSION
from churn.contract import CONTRACT_VERSION, Customer
from churn.errors import ChurnError
from churn.model.store import champion_model
from serving import metrics, openapi
from serving.answering import Answering
from serving.api import DEFAULT_TOP_K, ExplainRequest, ExplainResponse, PredictRequest, PredictResponse
from serving.asgi import Application, request_id_of
from serving.boundary import Boundary
from serving.bounded_service import BoundedService
from serving.limits import Limits
from serving.log_watch import LogWatch
from serving.metrics_folder import forget_dead_workers, reserve_room, use_own_folder
from serving.observer import RequestObserver
from serving.own_log import others_in_json, tell
from serving.prediction_writer import PredictionLog
from serving.settings import ServiceSettings
from serving.site import Site
from serving.unseen import known_categories


def open_log() -> PredictionLog:
    """The prediction log, proven to be writable now."""
    log = PredictionLog(
        SETTINGS.log_folder,
        MODEL.tag,
        retention_days=SETTINGS.log_retention_days,
        fsync=SETTINGS.log_fsync,
        warn=lambda message: tell("warning", message=message),
    )
    log.check()
    return log


def refusing_to_start(error: ChurnError) -> BentoMLException:
    """BentoML shows its own errors without a traceback."""
    return BentoMLException(f"the service does not start: {error}")


def boundary(app: Application) -> Boundary:
    """The layers between the server and BentoML's application."""
    return Boundary(
        app,
        Limits(in_flight=SETTINGS.max_in_flight, held=SETTINGS.max_held),
        SETTINGS.api_keys,
        protect_all=SETTINGS.protect_all,
        observer=RequestObserver(SETTINGS.request_log),
    )


try:
    SETTINGS: Final = ServiceSettings.read(os.environ)
    MODEL: Final = champion_model()
except ChurnError as refused:
    raise refusing_to_start(refused) from refused

use_own_folder()


@bentoml.service(
    name="churn_service",
    service_class=partial(BoundedService, boundary=boundary),
    workers=SETTINGS.workers,
    # What each of these is worth: docs/decisions/serving-settings.md.
    tracing={"excluded_urls": ".*"},
    logging={"access": {"enabled": False}},
)
class Churn:
    """Predicts which customers are about to leave, and says why."""

    model = BentoModel(MODEL.tag)

    def __init__(self) -> None:
        forget_dead_workers()
        metrics.show_model(MODEL.tag, bentoml.models.get(MODEL.tag).info.creation_time.timestamp())
        log = open_log()
        self._answering = Answering(MODEL, log, threads=SETTINGS.threads, wait_for_disk=SETTINGS.log_fsync)
        self._watch = LogWatch(log)
        self.site = Site(
            {"/predict": self._answering.predict, "/explain": self._answering.explain},
            openapi.documents(MODEL.tag, keyed=bool(SETTINGS.api_keys), known=known_categories(MODEL.manifest.columns)),
        )
        reserve_room()
        others_in_json()
        tell("start", **self._facts())

    def _facts(self) -> dict[str, Any]:
        """Facts about a worker that has started, for the operator."""
        return {
            "worker": os.getpid(),
            "workers": SETTINGS.workers,
            "version": VERSION,
            "model": MODEL.tag,
            "contract": CONTRACT_VERSION,
            "explainer": self._answering.explainer.engine,
            "explainer_note": self._answering.explainer.engine_note,
            "log_folder": str(SETTINGS.log_folder),
            "api_key": bool(SETTINGS.api_keys),
        }

    @bentoml.on_deployment
    @staticmethod
    def check() -> None:
        """Before the workers start: see that predictions can be logged."""
        if not SETTINGS.api_keys:
            tell("warning", message="no API key is configured (CHURN_API_KEYS): whoever reaches the port may call")
        try:
            open_log().close()
        except ChurnError as error:
            raise refusing_to_start(error) from error

    @bentoml.on_shutdown
    def close(self) -> None:
        """After the last answer."""
        self._watch.close()
        self._answering.close()
        tell("stop", worker=os.getpid())

    # Over HTTP the boundary answers at the paths of `site`; these two declare
    # the APIs to BentoML (its client, its schema) and serve callers within Python.

    @bentoml.api
    async def predict(self, customers: list[Customer]) -> PredictResponse:
        """How likely each customer is to leave, in the order asked; at most 10,000 customers."""
        request = PredictRequest(customers=customers)
        answer = await self._answering.predict(request.model_dump_json().encode(), request_id_of({}))
        return PredictResponse.model_validate_json(answer)

    @bentoml.api
    async def explain(
        self, customers: list[Customer], top_k: int = DEFAULT_TOP_K, what_would_help: bool = False
    ) -> ExplainResponse:
        """How likely each customer is to leave, and why; at most 1,000 customers."""
        request = ExplainRequest(customers=customers, top_k=top_k, what_would_help=what_would_help)
        answer = await self._answering.explain(request.model_dump_json().encode(), request_id_of({}))
        return ExplainResponse.model_validate_json(answer)
