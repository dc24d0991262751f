"""The service's settings: defaults, refusals, and that the documentation lists every one."""

import tomllib
from pathlib import Path

import pytest

from churn import VERSION
from churn.errors import SettingError
from churn.settings import Setting
from serving.api_keys import read_keys
from serving.metrics import METRICS
from serving.settings import SETTINGS, ServiceSettings

ROOT = Path(__file__).parent.parent.parent
API_PAGE = (ROOT / "docs" / "api.md").read_text()


def test_defaults() -> None:
    settings = ServiceSettings.read({})
    assert settings.log_folder == Path("data/predictions")
    assert (settings.log_retention_days, settings.log_fsync, settings.workers) == (400, False, 1)
    assert not settings.api_keys


def test_an_empty_variable_means_the_default_and_no_days_means_for_ever() -> None:
    assert ServiceSettings.read({"CHURN_WORKERS": ""}).workers == 1
    assert ServiceSettings.read({"CHURN_LOG_RETENTION_DAYS": "0"}).log_retention_days is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHURN_WORKERS", "0"),
        ("CHURN_WORKERS", "1.5"),
        ("CHURN_WORKERS", "²"),
        ("CHURN_LOG_RETENTION_DAYS", "-1"),
        ("CHURN_LOG_FSYNC", "true"),
        ("CHURN_MAX_IN_FLIGHT", "many"),
        ("CHURN_REQUEST_LOG", "some"),
        ("CHURN_API_KEYS", "short"),
        ("CHURN_API_KEYS", " , "),
        ("CHURN_API_KEYS_FILE", "/nowhere/keys"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        ServiceSettings.read({name: value})


def test_keys_come_from_the_environment_and_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# for the shop\nfile-key-0123456789  # until June\n\n")
    keys = ServiceSettings.read(
        {"CHURN_API_KEYS": "first-key-0123456789, second-key-0123456789", "CHURN_API_KEYS_FILE": str(path)}
    ).api_keys
    for key in (b"first-key-0123456789", b"second-key-0123456789", b"file-key-0123456789"):
        keys.check({b"x-api-key": key})
    for content, said in (("# nothing yet\n", "with a key"), ("sesame\n", "CHURN_API_KEYS_FILE='…': expected keys of")):
        path.write_text(content)
        with pytest.raises(SettingError, match=said):
            ServiceSettings.read({"CHURN_API_KEYS_FILE": str(path)})


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("key-of-a-windows-editor\r\n", encoding="utf-8-sig")
    assert read_keys("", path) == ["key-of-a-windows-editor"]


def test_a_short_key_is_not_shown() -> None:
    with pytest.raises(SettingError) as caught:
        ServiceSettings.read({"CHURN_API_KEYS": "sesame"})
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented_with_its_default(setting: Setting) -> None:
    name, default = setting.name, setting.default
    rows = [line for line in API_PAGE.splitlines() if line.startswith(f"| `{name}` ")]
    assert len(rows) == 1
    assert f"| {default or 'none'} |" in rows[0]


def test_every_metric_is_documented() -> None:
    for metric in METRICS:
        [described] = metric.describe()
        assert f"`{described.name}" in API_PAGE


def test_the_version_is_the_projects() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
