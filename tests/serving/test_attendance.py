"""The last worker closes the door, and no other."""

from pathlib import Path

from serving.attendance import Attendance


def closed(attendance: Attendance) -> bool:
    calls: list[bool] = []
    attendance.if_last(lambda: calls.append(True))
    return bool(calls)


def test_the_last_of_several_closes_whoever_left_first(tmp_path: Path) -> None:
    first, second = Attendance(tmp_path), Attendance(tmp_path)
    first.leave()
    assert not closed(first)
    second.leave()
    assert closed(second)
    assert closed(first)


def test_one_that_comes_back_is_counted_again(tmp_path: Path) -> None:
    first = Attendance(tmp_path)
    first.leave()
    again = Attendance(tmp_path)
    assert not closed(first)
    again.leave()
    assert closed(first)


def test_without_others_it_is_always_the_last() -> None:
    assert closed(Attendance(None))
