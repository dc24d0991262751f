"""Requests that are there at the same moment are answered in one go; none waits for more to come.

Looking at columns, scoring and appending to a file cost little more for ten customers than
for one. BentoML's dispatcher gathers requests too, but waits for them, one batch at a time.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Final, NamedTuple

from churn.http_boundary import Content


class Asked(NamedTuple):
    """One request."""

    body: Content
    request_id: str


MOST_BYTES: Final = 256 * 1024
"""Bodies of a batch: what is answered in a millisecond or two. Handing less to a thread would take longer."""

AnswerTogether = Callable[[Sequence[Asked]], Sequence[bytes]]
"""Requests to the JSON of each answer. Raises if it cannot answer all of them, and then has answered none."""


class MicroBatcher:
    """Gathers what arrives in one turn of the event loop, and what arrives while a batch is worked on.

    What a request does wrong stays its own: where a batch cannot be answered, its halves are
    tried, down to the request that is to blame, which alone gets the error.

    Args:
        answer: called with one batch at a time.
        executor: where batches are worked on; None is the event loop.
        most_bytes: of the bodies of a batch; a larger body is a batch of its own. It bounds
            how long a batch keeps the event loop from other work.
    """

    def __init__(self, answer: AnswerTogether, executor: Executor | None = None, most_bytes: int = MOST_BYTES) -> None:
        self._answer = answer
        self._executor = executor
        self._most_bytes = most_bytes
        self._waiting: deque[tuple[Asked, asyncio.Future[bytes]]] = deque()
        self._work: asyncio.Task[None] | None = None

    async def ask(self, body: Content, request_id: str) -> bytes:
        """The answer to one request, or its error."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bytes] = loop.create_future()
        self._waiting.append((Asked(body, request_id), answered))
        if self._work is None:
            self._work = loop.create_task(self._work_off())
        return await answered

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                batch = self._taken()
                outcomes = await self._outcomes_of([asked for asked, _ in batch])
                for (_, answered), outcome in zip(batch, outcomes, strict=True):
                    _settle(answered, outcome)
        finally:
            self._work = None

    def _taken(self) -> list[tuple[Asked, "asyncio.Future[bytes]"]]:
        batch = [self._waiting.popleft()]
        size = len(batch[0][0].body)
        while self._waiting and size + len(self._waiting[0][0].body) <= self._most_bytes:
            batch.append(self._waiting.popleft())
            size += len(batch[-1][0].body)
        return batch

    async def _outcomes_of(self, asked: Sequence[Asked]) -> list[bytes | Exception]:
        if self._executor is not None:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._outcomes, asked)
        outcomes = self._outcomes(asked)
        if self._waiting:
            await asyncio.sleep(0)  # the next batch has its own turn of the loop
        return outcomes

    def _outcomes(self, asked: Sequence[Asked]) -> list[bytes | Exception]:
        try:
            return [answer for _, answer in zip(asked, self._answer(asked), strict=True)]
        except Exception as error:  # noqa: BLE001  # whatever it is, it is raised where the request is waited for
            if len(asked) == 1:
                return [error]
        half = len(asked) // 2
        return self._outcomes(asked[:half]) + self._outcomes(asked[half:])


def _settle(answered: "asyncio.Future[bytes]", outcome: bytes | Exception) -> None:
    if answered.done():  # whoever waited for it was cancelled
        return
    if isinstance(outcome, Exception):
        answered.set_exception(outcome)
    else:
        answered.set_result(outcome)
