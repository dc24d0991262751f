"""The memory that requests share: whoever is slow makes room, and nobody else does."""

import pytest

from serving.budget import ByteBudget, Pace, Share
from serving.refusals import RequestError

RATE = 1000


class Stub:
    """Moves as fast as it is told to."""

    def __init__(self, *, slow: bool) -> None:
        self.slow = slow
        self.ended = False

    def is_slow(self) -> bool:
        return self.slow

    def cut_off(self) -> None:
        self.ended = True


def share(budget: ByteBudget, size: int, mover: Stub | None = None) -> Share:
    taken = budget.share()
    taken.take(size)
    taken.mover = mover
    return taken


def test_more_than_there_is_gets_429_and_takes_nothing() -> None:
    budget = ByteBudget(10)
    first = share(budget, 6)
    with pytest.raises(RequestError) as refused:
        share(budget, 5)
    assert refused.value.status == 429
    share(budget, 4)
    first.release()
    share(budget, 6)


def test_the_oldest_slow_ones_make_room_and_only_as_many_as_needed() -> None:
    budget = ByteBudget(10)
    movers = [Stub(slow=False), Stub(slow=True), Stub(slow=True), Stub(slow=True)]
    held = [share(budget, 2, mover) for mover in movers]
    share(budget, 5)
    assert [mover.ended for mover in movers] == [False, True, True, False]
    assert [one.size for one in held] == [2, 0, 0, 2]


def test_whoever_rests_or_asks_is_not_cut_off() -> None:
    budget, slow = ByteBudget(10), Stub(slow=True)
    share(budget, 5)
    asking = share(budget, 5, slow)
    with pytest.raises(RequestError):
        asking.take(1)
    assert not slow.ended


def test_a_share_shrinks_from_a_body_to_its_answer_and_grows_only_where_there_is_room() -> None:
    budget = ByteBudget(10)
    one = share(budget, 8)
    one.resize(3)
    other = share(budget, 7)
    with pytest.raises(RequestError):
        one.resize(4)
    other.release()
    one.resize(10)
    one.release()
    one.release()
    share(budget, 10)


def test_a_pace_is_known_after_a_second_and_keeps_to_the_last_one() -> None:
    pace = Pace(RATE, now=0.0)
    assert not pace.is_slow(0.9)
    assert pace.is_slow(1.5)
    pace.moved(5 * RATE, 2.0)
    assert not pace.is_slow(2.5)
    for second in (3.0, 4.0, 5.0):
        pace.moved(RATE // 2, second)
        assert pace.is_slow(second + 0.5)
    pace.moved(RATE, 6.0)
    assert not pace.is_slow(6.5)
