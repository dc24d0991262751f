"""Micro-batches: who comes at the same moment is answered together, and nobody gets another's error."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pytest

from serving.micro_batches import MOST_BYTES, MicroBatcher, PendingRequest
from serving.refusals import RequestError


class Panic(BaseException):
    """What a library written in Rust raises at its own faults."""


class Answering:
    """Answers each request with its body in capitals, refuses `wrong`, breaks at others; keeps the batches."""

    def __init__(self) -> None:
        self.prepared: list[list[bytes]] = []
        self.committed: list[list[bytes]] = []
        self.threads: set[int] = set()

    def prepare(self, asked: Sequence[PendingRequest]) -> list[bytes | Exception]:
        bodies = [bytes(one.body) for one in asked]
        self.prepared.append(bodies)
        self.threads.add(threading.get_ident())
        if b"fault" in bodies:
            raise ZeroDivisionError
        if b"panic" in bodies:
            raise Panic
        return [
            RequestError(400, f"{one.request_id} is wrong")
            if one.body == b"wrong"
            else bytes(one.body).upper() + one.request_id.encode()
            for one in asked
        ]

    def commit(self, prepared: Sequence[bytes]) -> list[bytes]:
        self.committed.append(list(prepared))
        if any(one.startswith(b"UNLOGGED") for one in prepared):
            raise RequestError(503, "not logged")
        return list(prepared)

    def batcher(self, executor: Executor | None = None, most_bytes: int = MOST_BYTES) -> MicroBatcher[bytes]:
        return MicroBatcher(self.prepare, self.commit, executor, most_bytes)


@pytest.fixture
def answering() -> Answering:
    return Answering()


async def together(batcher: MicroBatcher[Any], bodies: Sequence[bytes]) -> list[Any]:
    asked = (batcher.ask(body, str(number)) for number, body in enumerate(bodies))
    return await asyncio.gather(*asked, return_exceptions=True)


def answers(batcher: MicroBatcher[Any], *bodies: bytes) -> list[Any]:
    return asyncio.run(asyncio.wait_for(together(batcher, bodies), 10))


def test_what_is_there_at_the_same_moment_is_one_batch_and_each_gets_its_own_answer(answering: Answering) -> None:
    assert answers(answering.batcher(), b"a", b"b", b"c") == [b"A0", b"B1", b"C2"]
    assert answering.prepared == [[b"a", b"b", b"c"]]
    assert answering.committed == [[b"A0", b"B1", b"C2"]]


def test_nobody_waits_for_more_to_come(answering: Answering) -> None:
    async def one_after_the_other() -> list[bytes]:
        batcher = answering.batcher()
        return [await batcher.ask(body, "") for body in (b"a", b"b")]

    assert asyncio.run(one_after_the_other()) == [b"A", b"B"]
    assert answering.prepared == [[b"a"], [b"b"]]


def test_a_batch_is_no_larger_than_it_may_be_and_a_larger_body_is_a_batch_of_its_own(answering: Answering) -> None:
    bodies = [b"aa", b"bb", b"c", b"dddddddd", b"eeeee", b"f"]
    expected = [body.upper() + str(number).encode() for number, body in enumerate(bodies)]
    assert answers(answering.batcher(most_bytes=5), *bodies) == expected
    assert answering.prepared == [[b"aa", b"bb", b"c"], [b"dddddddd"], [b"eeeee"], [b"f"]]


@pytest.mark.parametrize("wrong", [{0}, {3}, {6}, {1, 2}, {0, 3, 6}, set(range(7))])
def test_a_refused_request_gets_its_own_error_and_is_not_committed(answering: Answering, wrong: set[int]) -> None:
    outcomes = answers(answering.batcher(), *(b"wrong" if number in wrong else b"right" for number in range(7)))
    for number, outcome in enumerate(outcomes):
        if number in wrong:
            assert isinstance(outcome, RequestError)
            assert outcome.error == f"{number} is wrong"
        else:
            assert outcome == f"RIGHT{number}".encode()
    assert sum(map(len, answering.committed)) == 7 - len(wrong)


def test_a_fault_that_one_request_causes_does_not_become_its_neighbours(answering: Answering) -> None:
    outcomes = answers(answering.batcher(), b"a", b"fault", b"c")
    assert outcomes[::2] == [b"A0", b"C2"]
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert answering.committed == [[b"A0", b"C2"]]


def test_a_commit_that_fails_is_not_tried_again_and_all_of_it_get_its_error(answering: Answering) -> None:
    outcomes = answers(answering.batcher(), b"a", b"unlogged", b"wrong", b"c")
    assert [(outcome.status, outcome.error) for outcome in outcomes] == [
        (503, "not logged"),
        (503, "not logged"),
        (400, "2 is wrong"),
        (503, "not logged"),
    ]
    assert len(answering.committed) == 1


@pytest.mark.parametrize("missing", ["prepared", "answers"])
def test_too_few_answers_are_a_fault_and_leave_nobody_waiting(answering: Answering, missing: str) -> None:
    prepare = (lambda _: []) if missing == "prepared" else answering.prepare
    outcomes = answers(MicroBatcher(prepare, lambda _: []), b"a", b"b")
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError]


def test_what_ends_the_work_by_force_leaves_nobody_waiting_and_the_next_are_answered(answering: Answering) -> None:
    async def scenario() -> list[Any]:
        batcher = answering.batcher(most_bytes=5)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        outcomes = await together(batcher, [b"panic", b"later"])
        return [*outcomes, await batcher.ask(b"c", "")]

    *ended, answer = asyncio.run(asyncio.wait_for(scenario(), 10))
    assert [type(outcome) for outcome in ended] == [asyncio.CancelledError, asyncio.CancelledError]
    assert answer == b"C"


def test_an_executor_that_takes_no_more_leaves_nobody_waiting(answering: Answering) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    assert [type(outcome) for outcome in answers(answering.batcher(executor), b"a", b"b")] == [
        asyncio.CancelledError,
        asyncio.CancelledError,
    ]


def test_in_a_thread_what_arrives_while_a_batch_is_worked_on_is_the_next_batch(answering: Answering) -> None:
    go_on = threading.Event()

    def slow(asked: Sequence[PendingRequest]) -> list[bytes | Exception]:
        go_on.wait(10)
        return answering.prepare(asked)

    async def scenario(batcher: MicroBatcher[bytes]) -> list[bytes]:
        first = asyncio.create_task(batcher.ask(b"a", ""))
        await asyncio.sleep(0.05)
        later = [asyncio.create_task(batcher.ask(body, "")) for body in (b"b", b"c", b"d")]
        await asyncio.sleep(0.05)
        assert not first.done()
        go_on.set()
        return await asyncio.gather(first, *later)

    with ThreadPoolExecutor(1) as executor:
        assert asyncio.run(scenario(MicroBatcher(slow, answering.commit, executor))) == [b"A", b"B", b"C", b"D"]
    assert answering.prepared == [[b"a"], [b"b", b"c", b"d"]]
    assert threading.get_ident() not in answering.threads


def test_who_gives_up_does_not_disturb_the_others(answering: Answering) -> None:
    async def scenario() -> list[Any]:
        batcher = answering.batcher()
        tasks = [asyncio.create_task(batcher.ask(body, "")) for body in (b"a", b"b")]
        await asyncio.sleep(0)
        tasks[0].cancel()
        return [*await asyncio.gather(*tasks, return_exceptions=True), await batcher.ask(b"c", "")]

    cancelled, *others = asyncio.run(scenario())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert others == [b"B", b"C"]


class Body(bytearray):
    """Can be watched."""


async def freed(batcher: MicroBatcher[bytes], content: bytes) -> bool:
    body = Body(content)
    watched = weakref.ref(body)
    try:
        await batcher.ask(body, "")
    except RequestError as refused:
        refused.with_traceback(None)  # as the boundary does
    del body
    await asyncio.sleep(0)
    return watched() is None


@pytest.mark.parametrize("content", [b"right", b"wrong"])
def test_a_body_is_freed_at_once_and_not_when_garbage_is_collected(answering: Answering, content: bytes) -> None:
    gc.disable()
    try:
        assert asyncio.run(freed(answering.batcher(), content))
    finally:
        gc.enable()
