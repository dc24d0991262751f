"""The service: two batched APIs over the champion. Validates, scores, explains, and logs before it answers."""

# mypy: disable-error-code="untyped-decorator"
# BentoML's decorators carry types that do not fit strict mode; pyproject.toml leaves them out.

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import bentoml
import orjson
from _bentoml_sdk import Service  # type: ignore[import-untyped]  # what bentoml.service takes as service_class
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.models import BentoModel

from churn import VERSION
from churn.contract import CONTRACT_VERSION, NAMES, Customer
from churn.errors import ChurnError, ModelStoreError, PredictionLogError
from churn.model import artifact
from churn.model.counterfactual import Counterfactual, Suggestion
from churn.model.explaining import Explainer, reasons
from churn.model.scoring import Matrix, Scorer, Vector
from churn.prediction_log.line import Api
from serving import metrics, openapi
from serving.api import (
    DEFAULT_TOP_K,
    Content,
    ExplainRequest,
    ExplainResponse,
    PredictRequest,
    PredictResponse,
    Problem,
    RequestError,
)
from serving.boundary import Answer, Boundary, Limits, Page, request_id_of
from serving.memory import give_back
from serving.metrics_folder import forget_dead_workers, reserve_room, use_own_folder
from serving.micro_batches import MOST_BYTES, Asked, MicroBatcher
from serving.own_log import others_in_json, tell
from serving.prediction_writer import Answered, PredictionLog
from serving.requests import Batch, parse_explain, parse_together
from serving.settings import ServiceSettings

LARGE_BYTES: Final = 1024 * 1024
"""After a larger body, freed memory is given back."""


def load_champion() -> artifact.StoredModel:
    """The model that the pointer names, verified.

    Raises:
        ChurnError: no pointer, no such model, or it is not what the pointer and the manifest say.
    """
    champion = artifact.read_champion(artifact.champion_path())
    try:
        folder = Path(bentoml.models.get(champion.tag).path)
    except NotFound:
        raise ModelStoreError(f"{champion.tag} is not in the model store; run `make train PROMOTE=1`") from None
    return artifact.load(folder, champion.tag, champion.sha256)


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


try:
    SETTINGS: Final = ServiceSettings.read(os.environ)
    MODEL: Final = load_champion()
except ChurnError as refused:
    raise refusing_to_start(refused) from refused

use_own_folder()

# Filled by each worker when its model is ready; what is not in them does not exist.
ANSWERS: Final[dict[str, Answer]] = {}
PAGES: Final[dict[str, Page]] = {}


def record(path: str, status: int, seconds: float, request_id: str, refusal: RequestError | None) -> None:
    """Count a request, and write its line if it is to have one; without anything of its content."""
    metrics.count_request(path, status, seconds)
    if refusal is not None:
        metrics.count_refusal(refusal)
    if SETTINGS.request_log == "all" or (SETTINGS.request_log == "errors" and status >= 500):
        error = refusal.error if refusal is not None else None
        tell("request", path=path, status=status, seconds=round(seconds, 6), request_id=request_id, error=error)


class BoundedService(Service):  # type: ignore[misc]  # BentoML's types are left out, see pyproject.toml
    """BentoML's service with our boundary around it."""

    def to_asgi(self, is_main: bool = True) -> Boundary:
        """The boundary, and within it BentoML's application."""
        limits = Limits(in_flight=SETTINGS.max_in_flight, held=SETTINGS.max_held)
        return Boundary(
            super().to_asgi(is_main),
            ANSWERS,
            PAGES,
            limits,
            SETTINGS.api_keys,
            protect_all=SETTINGS.protect_all,
            record=record,
            crowd=metrics.IN_FLIGHT.inc,
        )


@bentoml.service(
    name="churn_service",
    service_class=BoundedService,
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
        self._scorer = Scorer(MODEL)
        self._explainer = Explainer(MODEL.forest(), MODEL.manifest.columns)
        self._counterfactual = Counterfactual(MODEL.forest(), MODEL.manifest.columns)
        self._log = open_log()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._batches = MicroBatcher(self._predicted, self._predictions, self._threads if SETTINGS.log_fsync else None)
        ANSWERS.update({"/predict": self.answer_predict, "/explain": self.answer_explain})
        PAGES.update(
            {
                "/": Page(openapi.HTML_PAGE, b"text/html; charset=utf-8"),
                "/docs.json": Page(openapi.json_page(MODEL.tag, keyed=bool(SETTINGS.api_keys)), b"application/json"),
            }
        )
        reserve_room()
        others_in_json()
        tell("start", **self._facts())

    def _facts(self) -> dict[str, Any]:
        """What an operator wants to know of a worker that has started."""
        return {
            "worker": os.getpid(),
            "workers": SETTINGS.workers,
            "version": VERSION,
            "model": MODEL.tag,
            "contract": CONTRACT_VERSION,
            "explainer": self._explainer.engine,
            "explainer_note": self._explainer.engine_note,
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
        self._threads.shutdown()
        self._log.close()
        tell("stop", worker=os.getpid())

    # Over HTTP the boundary calls `answer_predict` and `answer_explain` itself; these two declare
    # the APIs to BentoML (its client, its schema) and serve callers within Python.

    @bentoml.api
    async def predict(self, customers: list[Customer]) -> PredictResponse:
        """How likely each customer is to leave, in the order asked; at most 10,000 customers."""
        asked = PredictRequest(customers=customers)
        answer = await self.answer_predict(asked.model_dump_json().encode(), request_id_of({}))
        return PredictResponse.model_validate_json(answer)

    @bentoml.api
    async def explain(
        self, customers: list[Customer], top_k: int = DEFAULT_TOP_K, what_would_help: bool = False
    ) -> ExplainResponse:
        """How likely each customer is to leave, and why; at most 1,000 customers."""
        asked = ExplainRequest(customers=customers, top_k=top_k, what_would_help=what_would_help)
        answer = await self.answer_explain(asked.model_dump_json().encode(), request_id_of({}))
        return ExplainResponse.model_validate_json(answer)

    async def answer_predict(self, body: Content, request_id: str) -> bytes:
        """JSON to JSON."""
        if len(body) <= MOST_BYTES:
            return await self._batches.ask(body, request_id)
        return await self._off_the_loop(self._predict_one, Asked(body, request_id))

    async def answer_explain(self, body: Content, request_id: str) -> bytes:
        """JSON to JSON."""
        return await self._off_the_loop(self._explain, Asked(body, request_id))

    async def _off_the_loop(self, answer: Callable[[Asked], bytes], asked: Asked) -> bytes:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, answer, asked)
        finally:
            if len(asked.body) > LARGE_BYTES:
                self._threads.submit(give_back)

    def _predict_one(self, asked: Asked) -> bytes:
        [outcome] = self._batches.answer([asked])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _predicted(self, asked: Sequence[Asked]) -> list[Answered | Exception]:
        metrics.TOGETHER.observe(len(asked))
        batch, spans = parse_together([one.body for one in asked], datetime.now(UTC))
        if not batch:
            return [refused for refused in spans if isinstance(refused, RequestError)]
        _, _, probability = self._scored(batch)
        probabilities, flags = probability.tolist(), self._scorer.flags(probability).tolist()
        return [
            _answered(one.request_id, batch, span, probabilities, flags) if isinstance(span, slice) else span
            for one, span in zip(asked, spans, strict=True)
        ]

    def _predictions(self, answered: Sequence[Answered]) -> list[bytes]:
        answers = list(map(_predictions, answered))
        self._keep("predict", answered)
        return answers

    def _explain(self, asked: Asked) -> bytes:
        batch, options = parse_explain(asked.body, datetime.now(UTC))
        matrix, score, probability = self._scored(batch)
        contributions = self._explainer.contributions(matrix, SETTINGS.threads)
        explanations: list[dict[str, Any]] = [
            {
                "customer_id": customer_id,
                "churn_probability": float(probability[row]),
                "score": float(score[row]),
                "contributions": dict(zip(NAMES, contributions[row].tolist(), strict=True)),
                "reasons": reasons(batch.features[row], contributions[row], MODEL.manifest.typical, options.top_k),
            }
            for row, customer_id in enumerate(batch.customer_ids)
        ]
        if options.what_would_help:
            helpful = self._counterfactual.what_would_help(matrix, self._scorer)
            for explanation, suggestions in zip(explanations, helpful, strict=True):
                explanation["what_would_help"] = [_suggestion(suggestion) for suggestion in suggestions]
        answer = {"model": MODEL.tag, "base_value": self._explainer.base_value, "explanations": explanations}
        content = orjson.dumps(answer)
        flags = self._scorer.flags(probability).tolist()
        self._keep("explain", [_answered(asked.request_id, batch, slice(None), probability.tolist(), flags)])
        return content

    def _scored(self, batch: Batch) -> tuple[Matrix, Vector, Vector]:
        matrix = self._scorer.encoder.batch(batch.numbers, batch.categories)
        score = self._scorer.score(matrix)
        return matrix, score, self._scorer.probability(score)

    def _keep(self, api: Api, answered: Sequence[Answered]) -> None:
        """Log and count what is about to be sent: the last thing before it is."""
        try:
            self._log.append(api, answered)
        except PredictionLogError as error:
            raise RequestError(503, "the prediction could not be logged", [Problem(loc=[], msg=str(error))]) from error
        metrics.count_predictions(api, [one.probabilities for one in answered], sum(sum(one.flags) for one in answered))


def _answered(
    request_id: str, batch: Batch, span: slice, probabilities: Sequence[float], flags: Sequence[bool]
) -> Answered:
    """What a request asked of the batch, and what it is answered."""
    return Answered(
        request_id,
        batch.customer_ids[span],
        batch.as_of[span],
        batch.features[span],
        probabilities[span],
        flags[span],
    )


def _predictions(answered: Answered) -> bytes:
    columns = zip(answered.customer_ids, answered.probabilities, answered.flags, strict=True)
    predictions = [{"customer_id": who, "churn_probability": p, "will_churn": flag} for who, p, flag in columns]
    return orjson.dumps({"model": MODEL.tag, "predictions": predictions})


def _suggestion(suggestion: Suggestion) -> dict[str, Any]:
    return {
        "feature": suggestion.feature,
        "from": suggestion.from_value,
        "to": suggestion.to_value,
        "churn_probability": suggestion.churn_probability,
    }
