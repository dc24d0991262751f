"""Micro-batches: who comes at the same moment is answered together, and nobody pays for another's mistake."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from churn.api_models import RequestError
from churn.micro_batches import Asked, MicroBatcher


class Answering:
    """Answers each request with its body in capitals, refuses `wrong` and breaks at `fault`; keeps the batches."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.threads: set[int] = set()

    def __call__(self, asked: Sequence[Asked]) -> list[bytes]:
        bodies = [bytes(one.body) for one in asked]
        self.batches.append(bodies)
        self.threads.add(threading.get_ident())
        if any(body.startswith(b"wrong") for body in bodies):
            raise RequestError(400, f"one of {len(bodies)} is wrong")
        if b"fault" in bodies:
            raise ZeroDivisionError
        return [bytes(one.body).upper() + one.request_id.encode() for one in asked]


async def together(batcher: MicroBatcher, bodies: Sequence[bytes]) -> list[Any]:
    asked = (batcher.ask(body, str(number)) for number, body in enumerate(bodies))
    return await asyncio.gather(*asked, return_exceptions=True)


def test_what_is_there_at_the_same_moment_is_one_batch_and_each_gets_its_own_answer() -> None:
    answering = Answering()
    assert asyncio.run(together(MicroBatcher(answering), [b"a", b"b", b"c"])) == [b"A0", b"B1", b"C2"]
    assert answering.batches == [[b"a", b"b", b"c"]]


def test_nobody_waits_for_more_to_come() -> None:
    answering = Answering()

    async def one_after_the_other() -> list[bytes]:
        batcher = MicroBatcher(answering)
        return [await batcher.ask(body, "") for body in (b"a", b"b")]

    assert asyncio.run(one_after_the_other()) == [b"A", b"B"]
    assert answering.batches == [[b"a"], [b"b"]]


def test_a_batch_is_no_larger_than_it_may_be_and_a_larger_body_is_a_batch_of_its_own() -> None:
    answering = Answering()
    batcher = MicroBatcher(answering, most_bytes=5)
    bodies = [b"aa", b"bb", b"c", b"dddddddd", b"eeeee", b"f"]
    answers = asyncio.run(together(batcher, bodies))
    assert answers == [body.upper() + str(number).encode() for number, body in enumerate(bodies)]
    assert answering.batches == [[b"aa", b"bb", b"c"], [b"dddddddd"], [b"eeeee"], [b"f"]]


@pytest.mark.parametrize("wrong", [{0}, {3}, {6}, {1, 2}, {0, 3, 6}, set(range(7))])
def test_a_refused_request_alone_is_refused_with_its_own_error(wrong: set[int]) -> None:
    bodies = [b"wrong" if number in wrong else b"right" for number in range(7)]
    outcomes = asyncio.run(together(MicroBatcher(Answering()), bodies))
    for number, outcome in enumerate(outcomes):
        if number in wrong:
            assert isinstance(outcome, RequestError)
            assert outcome.error == "one of 1 is wrong"
        else:
            assert outcome == f"RIGHT{number}".encode()


def test_one_refusal_among_many_takes_a_few_batches_and_not_one_for_each() -> None:
    answering = Answering()
    asyncio.run(together(MicroBatcher(answering), [b"wrong", *[b"right"] * 63]))
    assert len(answering.batches) == 1 + 2 * 6


def test_a_fault_that_one_request_causes_does_not_become_its_neighbours() -> None:
    outcomes = asyncio.run(together(MicroBatcher(Answering()), [b"a", b"fault", b"c"]))
    assert outcomes[::2] == [b"A0", b"C2"]
    assert isinstance(outcomes[1], ZeroDivisionError)


def test_too_few_answers_are_a_fault_and_leave_nobody_waiting() -> None:
    outcomes = asyncio.run(together(MicroBatcher(lambda _: []), [b"a", b"b"]))
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError]


def test_in_a_thread_what_arrives_while_a_batch_is_worked_on_is_the_next_batch() -> None:
    answering, go_on = Answering(), threading.Event()

    def slow(asked: Sequence[Asked]) -> list[bytes]:
        go_on.wait(10)
        return answering(asked)

    async def scenario(batcher: MicroBatcher) -> list[bytes]:
        first = asyncio.create_task(batcher.ask(b"a", ""))
        await asyncio.sleep(0.05)
        later = [asyncio.create_task(batcher.ask(body, "")) for body in (b"b", b"c", b"d")]
        await asyncio.sleep(0.05)
        assert not first.done()
        go_on.set()
        return await asyncio.gather(first, *later)

    with ThreadPoolExecutor(1) as executor:
        assert asyncio.run(scenario(MicroBatcher(slow, executor))) == [b"A", b"B", b"C", b"D"]
    assert answering.batches == [[b"a"], [b"b", b"c", b"d"]]
    assert threading.get_ident() not in answering.threads


def test_who_gives_up_does_not_disturb_the_others() -> None:
    async def scenario() -> list[Any]:
        batcher = MicroBatcher(Answering())
        tasks = [asyncio.create_task(batcher.ask(body, "")) for body in (b"a", b"b")]
        await asyncio.sleep(0)
        tasks[0].cancel()
        return [*await asyncio.gather(*tasks, return_exceptions=True), await batcher.ask(b"c", "")]

    cancelled, *answers = asyncio.run(scenario())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert answers == [b"B", b"C"]


class Body(bytearray):
    """Can be watched."""


async def freed(ask: Callable[[Body, str], Awaitable[bytes]], content: bytes) -> bool:
    body = Body(content)
    watched = weakref.ref(body)
    try:
        await ask(body, "")
    except RequestError as refused:
        refused.with_traceback(None)  # as the boundary does
    del body
    await asyncio.sleep(0)
    return watched() is None


@pytest.mark.parametrize("content", [b"right", b"wrong"])
def test_a_body_is_freed_at_once_and_not_when_garbage_is_collected(content: bytes) -> None:
    gc.disable()
    try:
        assert asyncio.run(freed(MicroBatcher(Answering()).ask, content))
    finally:
        gc.enable()
