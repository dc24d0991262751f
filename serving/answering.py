"""Answers requests: validates, scores and explains, and logs before it answers. JSON in, JSON out."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from churn.contract import NAMES
from churn.errors import PredictionLogError
from churn.model.artifact import StoredModel
from churn.model.counterfactual import Counterfactual, Suggestion
from churn.model.explaining import Explainer, reasons
from churn.model.scoring import Matrix, Scorer, Vector
from churn.prediction_log.line import Api
from serving import metrics
from serving.api import Content, Problem
from serving.batch import Batch
from serving.memory import give_back
from serving.micro_batches import MOST_BYTES, MicroBatcher, PendingRequest
from serving.prediction_writer import Answered, PredictionLog
from serving.refusals import RequestError
from serving.requests import parse_explain, parse_together
from serving.unseen import UnseenCategories

LARGE_BYTES: Final = 1024 * 1024
"""After a larger body, freed memory is given back."""


class Answering:
    """The answers of one model, each logged before it is given.

    Args:
        model: verified.
        log: where predictions are logged; closed with this.
        threads: for the contributions of a batch.
        wait_for_disk: whether an append to the log takes so long that batches are worked on in a thread.
    """

    def __init__(self, model: StoredModel, log: PredictionLog, *, threads: int, wait_for_disk: bool) -> None:
        self.explainer = Explainer(model.forest(), model.manifest.columns)
        self._model = model
        self._log = log
        self._explaining_threads = threads
        self._scorer = Scorer(model)
        self._counterfactual = Counterfactual(model.forest(), model.manifest.columns)
        self._unseen = UnseenCategories(model.manifest.columns)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._batches = MicroBatcher(self._predicted, self._logged, self._thread if wait_for_disk else None)

    def close(self) -> None:
        """After the last answer."""
        self._thread.shutdown()
        self._log.close()

    async def predict(self, body: Content, request_id: str) -> bytes:
        """The answer of `POST /predict`.

        Raises:
            RequestError: the request is wrong, or cannot be logged.
        """
        if len(body) <= MOST_BYTES:
            return await self._batches.ask(body, request_id)
        return await self._off_the_loop(self._predict_alone, PendingRequest(body, request_id))

    async def explain(self, body: Content, request_id: str) -> bytes:
        """The answer of `POST /explain`; as `predict`."""
        return await self._off_the_loop(self._explain, PendingRequest(body, request_id))

    async def _off_the_loop(self, answer: Callable[[PendingRequest], bytes], request: PendingRequest) -> bytes:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, answer, request)
        finally:
            if len(request.body) > LARGE_BYTES:
                self._thread.submit(give_back)

    def _predict_alone(self, request: PendingRequest) -> bytes:
        [outcome] = self._batches.answer([request])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _predicted(self, requests: Sequence[PendingRequest]) -> list[Answered | Exception]:
        metrics.TOGETHER.observe(len(requests))
        batch, spans = parse_together([request.body for request in requests], datetime.now(UTC))
        if not batch:
            return [refused for refused in spans if isinstance(refused, RequestError)]
        _, _, probability = self._scored(batch)
        probabilities, flags = probability.tolist(), self._scorer.flags(probability).tolist()
        return [
            _answered(request.request_id, batch, span, probabilities, flags) if isinstance(span, slice) else span
            for request, span in zip(requests, spans, strict=True)
        ]

    def _logged(self, answered: Sequence[Answered]) -> list[bytes]:
        answers = [_predictions(self._model.tag, one, self._unseen.warnings(one.features)) for one in answered]
        self._keep("predict", answered)
        return answers

    def _explain(self, request: PendingRequest) -> bytes:
        batch, options = parse_explain(request.body, datetime.now(UTC))
        matrix, score, probability = self._scored(batch)
        contributions = self.explainer.contributions(matrix, self._explaining_threads)
        typical = self._model.manifest.typical
        explanations: list[dict[str, Any]] = [
            {
                "customer_id": customer_id,
                "churn_probability": float(probability[row]),
                "score": float(score[row]),
                "contributions": dict(zip(NAMES, contributions[row].tolist(), strict=True)),
                "reasons": reasons(batch.features[row], contributions[row], typical, options.top_k),
            }
            for row, customer_id in enumerate(batch.customer_ids)
        ]
        if options.what_would_help:
            helpful = self._counterfactual.what_would_help(matrix, self._scorer, batch.numbers)
            for explanation, suggestions in zip(explanations, helpful, strict=True):
                explanation["what_would_help"] = [_suggestion(suggestion) for suggestion in suggestions]
        answer = {"model": self._model.tag, "base_value": self.explainer.base_value, "explanations": explanations}
        content = orjson.dumps(_warned(answer, self._unseen.warnings(batch.features)))
        flags = self._scorer.flags(probability).tolist()
        self._keep("explain", [_answered(request.request_id, batch, slice(None), probability.tolist(), flags)])
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
    """The customers of one request in a batch, with their answers."""
    return Answered(
        request_id,
        batch.customer_ids[span],
        batch.as_of[span],
        batch.features[span],
        probabilities[span],
        flags[span],
    )


def _predictions(model: str, answered: Answered, warnings: list[dict[str, Any]]) -> bytes:
    columns = zip(answered.customer_ids, answered.probabilities, answered.flags, strict=True)
    predictions = [{"customer_id": who, "churn_probability": p, "will_churn": flag} for who, p, flag in columns]
    return orjson.dumps(_warned({"model": model, "predictions": predictions}, warnings))


def _warned(answer: dict[str, Any], warnings: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer, with its warnings where there are any."""
    return answer | {"warnings": warnings} if warnings else answer


def _suggestion(suggestion: Suggestion) -> dict[str, Any]:
    return {
        "feature": suggestion.feature,
        "from": suggestion.from_value,
        "to": suggestion.to_value,
        "churn_probability": suggestion.churn_probability,
    }
