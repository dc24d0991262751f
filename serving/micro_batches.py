"""Requests that are there at the same moment are answered in one go; none waits for more to come.

Looking at columns, scoring and appending to a file cost little more for ten customers than
for one. BentoML's dispatcher gathers requests too, but waits for them, one batch at a time.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Final, Generic, NamedTuple, TypeVar

from serving.api import Content


class PendingRequest(NamedTuple):
    """A request that waits to be answered."""

    body: Content
    request_id: str


MOST_BYTES: Final = 256 * 1024
"""Bodies of a batch: what is answered in a millisecond or two. Handing less to a thread would take longer."""

Prepared = TypeVar("Prepared")
Prepare = Callable[[Sequence[PendingRequest]], Sequence[Prepared | Exception]]
Commit = Callable[[Sequence[Prepared]], Sequence[bytes]]


class MicroBatcher(Generic[Prepared]):
    """Gathers what arrives in one turn of the event loop, and what arrives while a batch is worked on.

    Args:
        prepare: makes of each request of a batch what is to be committed, or the error that
            it gets. It can be called again: what it raises is a fault, and each request is then
            prepared alone, so that a fault stays with the request that causes it.
        commit: the JSON of each answer, for those that were prepared. It is called once:
            what it raises, all of them get.
        executor: where batches are worked on, one at a time; None is the event loop.
        most_bytes: of the bodies of a batch; a larger body is a batch of its own. It bounds
            how long a batch keeps the event loop from other work.
    """

    def __init__(
        self,
        prepare: Prepare[Prepared],
        commit: Commit[Prepared],
        executor: Executor | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._prepare = prepare
        self._commit = commit
        self._executor = executor
        self._most_bytes = most_bytes
        self._waiting: deque[tuple[PendingRequest, asyncio.Future[bytes]]] = deque()
        self._work: asyncio.Task[None] | None = None

    async def ask(self, body: Content, request_id: str) -> bytes:
        """The answer to one request, or its error."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bytes] = loop.create_future()
        self._waiting.append((PendingRequest(body, request_id), answered))
        if self._work is None:
            self._work = loop.create_task(self._work_off())
        return await answered

    def answer(self, asked: Sequence[PendingRequest]) -> list[bytes | Exception]:
        """The answer to each request of a batch, or its error; at once, on this thread."""
        prepared = self._prepared(asked)
        good = [one for one in prepared if not isinstance(one, Exception)]
        answers = iter(self._committed(good) if good else [])
        return [one if isinstance(one, Exception) else next(answers) for one in prepared]

    async def _work_off(self) -> None:
        batch: list[tuple[PendingRequest, asyncio.Future[bytes]]] = []
        try:
            while self._waiting:
                batch = self._taken()
                outcomes = await self._outcomes([asked for asked, _ in batch])
                for (_, answered), outcome in zip(batch, outcomes, strict=True):
                    _settle(answered, outcome)
        finally:
            self._work = None
            for _, answered in (*batch, *self._waiting):  # nobody may wait for ever, whatever ended this
                answered.cancel()
            self._waiting.clear()

    def _taken(self) -> list[tuple[PendingRequest, "asyncio.Future[bytes]"]]:
        batch = [self._waiting.popleft()]
        size = len(batch[0][0].body)
        while self._waiting and size + len(self._waiting[0][0].body) <= self._most_bytes:
            batch.append(self._waiting.popleft())
            size += len(batch[-1][0].body)
        return batch

    async def _outcomes(self, asked: Sequence[PendingRequest]) -> Sequence[bytes | Exception]:
        if self._executor is not None:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self.answer, asked)
        outcomes = self.answer(asked)
        if self._waiting:
            await asyncio.sleep(0)  # the next batch has its own turn of the loop
        return outcomes

    def _prepared(self, asked: Sequence[PendingRequest]) -> Sequence[Prepared | Exception]:
        try:
            return [one for one, _ in zip(self._prepare(asked), asked, strict=True)]
        except Exception as fault:  # noqa: BLE001  # it is raised where the request is waited for
            if len(asked) == 1:
                return [fault]
        return [self._prepared([one])[0] for one in asked]

    def _committed(self, prepared: Sequence[Prepared]) -> Sequence[bytes | Exception]:
        try:
            return [answer for answer, _ in zip(self._commit(prepared), prepared, strict=True)]
        except Exception as error:  # noqa: BLE001  # as above
            return [error] * len(prepared)


def _settle(answered: "asyncio.Future[bytes]", outcome: bytes | Exception) -> None:
    if answered.done():  # whoever waited for it was cancelled
        return
    if isinstance(outcome, Exception):
        answered.set_exception(outcome)
    else:
        answered.set_result(outcome)
