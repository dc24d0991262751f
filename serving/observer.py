"""Counts the requests that the boundary answers, and writes a line for those that are to have one."""

from typing import Final

from serving import metrics
from serving.boundary import Observer
from serving.own_log import tell
from serving.refusals import RequestError

_FAULTS: Final = 500
"""From this status on it is the service's fault."""


class RequestObserver(Observer):
    """Metrics and the service's own log, without anything of a request's content.

    Args:
        lines: which requests get a line: `all`, `errors` or `none`.
    """

    def __init__(self, lines: str) -> None:
        self._lines = lines

    def arrived(self) -> None:
        metrics.IN_FLIGHT.inc()

    def left(self) -> None:
        metrics.IN_FLIGHT.dec()

    def answered(self, path: str, status: int, seconds: float, request_id: str, refusal: RequestError | None) -> None:
        metrics.count_request(path, status, seconds)
        if refusal is not None:
            metrics.count_refusal(refusal)
        if self._lines == "all" or (self._lines == "errors" and status >= _FAULTS):
            error = refusal.error if refusal is not None else None
            tell("request", path=path, status=status, seconds=round(seconds, 6), request_id=request_id, error=error)

    def answered_early(self, refusal: RequestError) -> None:
        metrics.count_request(metrics.OTHER, refusal.status, 0.0)

    def cut_off(self, reason: str) -> None:
        metrics.CUT_OFF.labels(reason).inc()
