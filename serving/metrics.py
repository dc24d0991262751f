"""Prometheus metrics of the service; every label has a bounded set of values. Listed in `docs/api.md`.

In a worker of BentoML the values of all workers add up in `/metrics`.
"""

from collections import Counter as Tally
from collections.abc import Sequence
from functools import cache
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from churn.contract import CONTRACT_VERSION, NAMES
from serving.refusals import RequestError

REQUESTS: Final = Counter("churn_requests", "Requests by path and status.", ["path", "status"])
SECONDS: Final = Histogram(
    "churn_request_seconds",
    "Time from the request's headers to its answer.",
    ["path"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
IN_FLIGHT: Final = Gauge("churn_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum")
PREDICTIONS: Final = Counter("churn_predictions", "Customers scored, by API and answer.", ["api", "will_churn"])
BATCH_SIZE: Final = Histogram(
    "churn_batch_size", "Customers in a request.", ["api"], buckets=(1, 2, 5, 10, 50, 100, 500, 1000, 5000, 10_000)
)
TOGETHER: Final = Histogram(
    "churn_requests_together", "Requests to `/predict` that were scored in one go.", buckets=(1, 2, 4, 8, 16, 32, 64)
)
PROBABILITY: Final = Counter("churn_probability", "Customers scored, by probability from `bin` to 0.1 above.", ["bin"])
REFUSED_FIELDS: Final = Counter(
    "churn_refused_fields", "Problems that answers to wrong requests list, by field and reason.", ["field", "reason"]
)
LOG_FAILURES: Final = Counter("churn_log_failures", "Requests refused because they could not be logged.")
CUT_OFF: Final = Counter("churn_connections_cut_off", "Connections ended without an answer, by reason.", ["reason"])
LOG_FREE: Final = Gauge(
    "churn_prediction_log_free_bytes", "Free bytes of the volume under the log.", multiprocess_mode="livemostrecent"
)
LOG_OLDEST: Final = Gauge(
    "churn_prediction_log_oldest_seconds",
    "Time since the first day that the log still holds.",
    multiprocess_mode="livemostrecent",
)
LOG_BLOCKED: Final = Gauge(
    "churn_prediction_log_retention_blocked",
    "1 while what is too old cannot be deleted from the log.",
    multiprocess_mode="livemostrecent",
)
MODEL: Final = Gauge(
    "churn_model_created_timestamp_seconds",
    "When the model that answers was made.",
    ["model", "contract"],
    multiprocess_mode="mostrecent",
)

METRICS: Final = (
    *(REQUESTS, SECONDS, IN_FLIGHT, PREDICTIONS, BATCH_SIZE, TOGETHER, PROBABILITY),
    *(REFUSED_FIELDS, LOG_FAILURES, LOG_FREE, LOG_OLDEST, LOG_BLOCKED, CUT_OFF, MODEL),
)

OTHER: Final = "other"
_NOT_LOGGED: Final = 503
"""The status of a request that could not be logged, and of no other."""

_INVALID: Final = frozenset({400, 413, 415})
"""Statuses for which the content of a request is to blame."""

_FIELDS: Final = frozenset({"customer_id", "as_of", "customers", "top_k", "what_would_help", *NAMES})
_BINS: Final = [PROBABILITY.labels(f"{index / 10:.1f}") for index in range(10)]


def count_request(path: str, status: int, seconds: float) -> None:
    """One request that was answered, in one way or another."""
    _requests(path, status).inc()
    _seconds(path).observe(seconds)


@cache  # finding a series by its labels takes longer than counting in it; there are a few of them
def _requests(path: str, status: int) -> Counter:
    return REQUESTS.labels(path, status)


@cache
def _seconds(path: str) -> Histogram:
    return SECONDS.labels(path)


def count_predictions(api: str, probabilities: Sequence[Sequence[float]], flagged: int) -> None:
    """Count answered requests: the probabilities of each one's customers, and how many of all were flagged."""
    batch_size = BATCH_SIZE.labels(api)
    for one in probabilities:
        batch_size.observe(len(one))
    bins = Tally(min(int(10 * probability), 9) for one in probabilities for probability in one)
    for index, count in bins.items():
        _BINS[index].inc(count)
    if flagged:
        PREDICTIONS.labels(api, "true").inc(flagged)
    if flagged < bins.total():
        PREDICTIONS.labels(api, "false").inc(bins.total() - flagged)


def count_refusal(refusal: RequestError) -> None:
    """Count the reasons of a refused body; unknown field names are counted as one."""
    if refusal.status == _NOT_LOGGED:
        LOG_FAILURES.inc()
    if refusal.status not in _INVALID:
        return
    for problem in refusal.detail:
        last = problem.loc[-1] if problem.loc else OTHER
        field = last if isinstance(last, str) and last in _FIELDS else OTHER
        REFUSED_FIELDS.labels(field, problem.reason()).inc()


def show_model(tag: str, created: float) -> None:
    """Publish the model that answers, and when it was made, as seconds of the epoch."""
    MODEL.labels(tag, CONTRACT_VERSION).set(created)
