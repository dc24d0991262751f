"""Retention: old days go, and no wrong clock takes the log with it."""

import os
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.prediction_log import retention
from churn.prediction_log.listing import listing
from churn.prediction_log.names import file_name
from churn.prediction_log.retention import accept, accepted_day, delete_old, present

TODAY = date(2026, 11, 25)
KEEP = 400
DAYS = st.lists(st.dates(date(2020, 1, 1), date(2030, 1, 1)), min_size=1, max_size=30)


def day(ago: int) -> date:
    return TODAY - timedelta(days=ago)


def logged(folder: Path, days: Iterable[date], instance: str = "host_1_1") -> None:
    for one in days:
        (folder / file_name(one, instance, 1)).write_bytes(b"{}\n")


def left(folder: Path) -> list[date]:
    return sorted({file.day for file in listing(folder).files})


def test_a_day_is_deleted_when_it_is_older_than_the_days_kept(tmp_path: Path) -> None:
    logged(tmp_path, map(day, range(402)))
    kept = delete_old(tmp_path, TODAY, KEEP)
    assert (kept.oldest, kept.blocked) == (day(400), "")
    assert left(tmp_path) == sorted(map(day, range(401)))


def test_archives_and_sub_folders_go_with_their_day(tmp_path: Path) -> None:
    logged(tmp_path, map(day, range(402)))
    (tmp_path / "pod").mkdir()
    logged(tmp_path / "pod", [day(401)])
    (tmp_path / (file_name(day(401), "other_1_1", 1) + ".gz")).touch()
    assert delete_old(tmp_path, TODAY, KEEP).oldest == day(400)


def test_a_clock_that_is_ahead_deletes_nothing_however_often_the_service_starts(tmp_path: Path) -> None:
    logged(tmp_path, map(day, range(10)))
    ahead = TODAY + timedelta(days=450)
    kept = delete_old(tmp_path, ahead, KEEP)
    logged(tmp_path, [ahead])  # one request
    for _ in range(5):
        kept = delete_old(tmp_path, ahead, KEEP)
    assert left(tmp_path) == sorted([*map(day, range(10)), ahead])
    assert kept.blocked == (
        f"the log of {tmp_path} ends on 2026-11-25, and this clock says 2028-02-18: nothing newer is believed; "
        "if the clock is right, run `python -m churn.prediction_log accept-time`"
    )


def test_of_two_replicas_the_one_that_is_ahead_deletes_nothing_and_the_other_goes_on(tmp_path: Path) -> None:
    ahead = timedelta(days=450)
    logged(tmp_path, map(day, range(401)))
    for later in range(1, 6):
        today = TODAY + timedelta(days=later)
        logged(tmp_path, [today], "right_1_1")
        logged(tmp_path, [today + ahead], "ahead_1_1")
        assert delete_old(tmp_path, today + ahead, KEEP).blocked
        assert delete_old(tmp_path, today, KEEP).blocked == ""
        assert left(tmp_path)[0] == today - timedelta(days=KEEP)


def test_a_log_that_was_idle_deletes_nothing_until_its_gap_is_accepted(tmp_path: Path) -> None:
    logged(tmp_path, map(day, range(100, 600)))
    logged(tmp_path, map(day, range(3)))
    before = left(tmp_path)
    for _ in range(3):
        assert "ends on 2026-08-17" in delete_old(tmp_path, TODAY, 500).blocked
    assert left(tmp_path)[0] == day(599)
    assert left(tmp_path) == before

    accept(tmp_path, TODAY)
    assert delete_old(tmp_path, TODAY, 500).blocked == ""
    assert left(tmp_path) == before[2:]
    for later in range(1, 4):
        logged(tmp_path, [TODAY + timedelta(days=later)])
        delete_old(tmp_path, TODAY + timedelta(days=later), 500)
    assert left(tmp_path)[0] == before[8]


def test_two_days_at_most_are_deleted_for_each_day_of_the_present(tmp_path: Path) -> None:
    logged(tmp_path, map(day, range(410)))
    for _ in range(5):
        assert delete_old(tmp_path, TODAY, KEEP).oldest == day(407)
    logged(tmp_path, [TODAY + timedelta(days=1)])
    for _ in range(5):
        assert delete_old(tmp_path, TODAY + timedelta(days=1), KEEP).oldest == day(405)


def test_a_file_that_turns_up_for_a_deleted_day_is_deleted_with_it(tmp_path: Path) -> None:
    logged(tmp_path, map(day, range(410)))
    delete_old(tmp_path, TODAY, KEEP)
    logged(tmp_path, [day(409)], "late_1_1")
    assert delete_old(tmp_path, TODAY, KEEP).oldest == day(407)


def test_a_claim_that_a_killed_process_left_empty_counts_as_taken(tmp_path: Path) -> None:
    logged(tmp_path, map(day, range(410)))
    (tmp_path / f".deleted-{TODAY}-0").touch()
    assert delete_old(tmp_path, TODAY, KEEP).oldest == day(408)


def test_claims_are_forgotten_after_a_while(tmp_path: Path) -> None:
    logged(tmp_path, map(day, range(410)))
    delete_old(tmp_path, TODAY, KEEP)
    later = TODAY + timedelta(days=31)
    logged(tmp_path, (TODAY + timedelta(days=days) for days in range(32)))
    delete_old(tmp_path, later, KEEP)
    assert sorted(path.name for path in tmp_path.glob(".*")) == [f".deleted-{later}-{number}" for number in range(2)]


def test_a_clock_that_is_behind_deletes_nothing(tmp_path: Path) -> None:
    logged(tmp_path, map(day, range(402)))
    assert delete_old(tmp_path, date(1970, 1, 1), KEEP).oldest == day(401)


def test_a_day_that_cannot_be_deleted_is_told_and_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged(tmp_path, map(day, range(403)))
    unlink = Path.unlink

    def denied(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith(str(day(402))):
            raise PermissionError(13, "Operation not permitted", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", denied)
    kept = delete_old(tmp_path, TODAY, KEEP)
    stuck = tmp_path / file_name(day(402), "host_1_1", 1)
    assert kept.blocked == f"{stuck} cannot be deleted: Operation not permitted"
    assert left(tmp_path)[:2] == [day(402), day(400)]


@pytest.mark.parametrize(
    ("days", "today", "accepted", "expected"),
    [
        ([], 0, None, 0),
        ([7, 0], 0, None, 0),
        ([8, 0], 0, None, 8),
        ([3], 0, None, 3),
        ([3, 0], 2, None, 2),
        ([100, 99, 1, 0], 0, None, 99),
        ([100, 99, 1, 0], 0, 1, 0),
        ([100, 99, 1, 0], 0, 50, 50),
        ([100, 99], 0, 0, 0),
        ([100, 99, -500], -500, 0, 0),
        ([20_000, 1, 0], 0, None, 20_000),
    ],
)
def test_the_present(days: list[int], today: int, accepted: int | None, expected: int) -> None:
    found = present(map(day, days), day(today), None if accepted is None else day(accepted))
    assert found == day(expected)


@given(DAYS, st.dates(date(2020, 1, 1), date(2040, 1, 1)), st.dates(date(2020, 1, 1), date(2030, 1, 1)))
def test_a_clock_that_is_further_ahead_never_deletes_more(days: list[date], today: date, earlier: date) -> None:
    assert present(days, today) <= min(today, max(days))
    if earlier <= today:
        assert present(days, earlier) <= present(days, today)
    if today - max(days) > timedelta(days=7):
        assert present([*days, today], today) == present(days, today)


def test_what_was_accepted_is_for_the_owner_only_and_can_be_taken_back(tmp_path: Path) -> None:
    assert accepted_day(tmp_path) is None
    accept(tmp_path, TODAY)
    accept(tmp_path, day(3))
    assert accepted_day(tmp_path) == day(3)
    (record,) = tmp_path.iterdir()
    assert (record.name, record.stat().st_mode & 0o777) == (".accepted-day", 0o600)
    record.write_text("soon")
    assert accepted_day(tmp_path) is None


def test_two_processes_at_the_same_moment_delete_the_same_two_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged(tmp_path, map(day, range(410)))
    open_, others = os.open, iter([True])

    def after_another(path: str | os.PathLike[str], *flags: int) -> int:
        if next(others, False):
            retention.delete_old(tmp_path, TODAY, KEEP)
        return open_(path, *flags)

    monkeypatch.setattr(os, "open", after_another)
    delete_old(tmp_path, TODAY, KEEP)
    assert left(tmp_path)[0] == day(407)
