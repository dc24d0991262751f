"""Each kind of setting: its default, what it takes, and what it refuses by name."""

import os
from pathlib import Path

import pytest

from churn import settings
from churn.errors import SettingError
from churn.settings import Setting

PORT = Setting("CHURN_PORT", "3000", "A port.")
FOLDER = Setting("CHURN_FOLDER", "", "A folder.")
LOG = Setting("CHURN_LOG", "errors", "What is logged.")
SYNC = Setting("CHURN_SYNC", "0", "Wait for the disk.")


def test_an_empty_variable_means_the_default() -> None:
    for environment in ({}, {"CHURN_PORT": ""}):
        assert settings.text(PORT, environment) == "3000"
        assert settings.whole_number(PORT, 1, 65_535, environment) == 3000
    assert settings.path(FOLDER, {}) is None


def test_blanks_are_a_value() -> None:
    assert settings.path(FOLDER, {"CHURN_FOLDER": " "}) == Path(" ")


def test_without_an_environment_it_is_the_process_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_PORT", "3001")
    assert settings.text(PORT) == "3001"


@pytest.mark.parametrize(("given", "expected"), [("1", 1), ("65535", 65_535), ("0080", 80)])
def test_a_whole_number(given: str, expected: int) -> None:
    assert settings.whole_number(PORT, 1, 65_535, {"CHURN_PORT": given}) == expected


@pytest.mark.parametrize("given", ["0", "65536", "-1", "+1", "1.0", "1e3", " 1", "²", "٣", "many", "9" * 5000])
def test_a_number_out_of_range_or_none_is_refused_by_name(given: str) -> None:
    with pytest.raises(SettingError, match=r"CHURN_PORT='.*': expected a whole number from 1 to 65535"):
        settings.whole_number(PORT, 1, 65_535, {"CHURN_PORT": given})


def test_a_choice() -> None:
    assert settings.choice(LOG, ("all", "errors"), {"CHURN_LOG": "all"}) == "all"
    with pytest.raises(SettingError, match="CHURN_LOG='some': expected one of all, errors"):
        settings.choice(LOG, ("all", "errors"), {"CHURN_LOG": "some"})


def test_a_switch() -> None:
    assert [settings.switch(SYNC, {"CHURN_SYNC": given}) for given in ("", "0", "1")] == [False, False, True]
    with pytest.raises(SettingError, match="CHURN_SYNC='yes': expected 0 or 1"):
        settings.switch(SYNC, {"CHURN_SYNC": "yes"})


def test_what_a_library_reads_is_set_or_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_TEST_SET", "theirs")
    monkeypatch.setenv("CHURN_TEST_EMPTY", "")
    settings.set_for_libraries({"CHURN_TEST_SET": "ours", "CHURN_TEST_EMPTY": "ours"}, unless_set=True)
    assert [os.environ[name] for name in ("CHURN_TEST_SET", "CHURN_TEST_EMPTY")] == ["theirs", "ours"]
    settings.set_for_libraries({"CHURN_TEST_SET": "ours"})
    assert os.environ["CHURN_TEST_SET"] == "ours"


def test_another_process_gets_our_environment_with_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_TEST_KEPT", "kept")
    monkeypatch.setenv("CHURN_TEST_GONE", "gone")
    changed = settings.changed_environment({"CHURN_TEST_GONE": None, "CHURN_TEST_NEW": "new"})
    assert (changed["CHURN_TEST_KEPT"], changed["CHURN_TEST_NEW"]) == ("kept", "new")
    assert "CHURN_TEST_GONE" not in changed
    assert os.environ["CHURN_TEST_GONE"] == "gone"
