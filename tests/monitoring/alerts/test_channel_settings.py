"""Settings of the channels: what is refused, and that no secret is shown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.settings import Setting
from monitoring.alerts.channel_settings import SETTINGS, Channels, Mail

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "report-job.md"
SMTP = {"CHURN_ALERT_SMTP_HOST": "mail", "CHURN_ALERT_SMTP_FROM": "a@b.c", "CHURN_ALERT_SMTP_TO": "d@e.f"}
SECRET = "T0123-hush"


def test_without_settings_there_are_no_channels() -> None:
    assert Channels.read({}) == Channels()
    assert Channels.read({setting.name: " " for setting in SETTINGS}) == Channels()


def test_everything_set(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"https://hooks.example.org/{SECRET}\n")
    (tmp_path / "password").write_text(f"{SECRET}\n")
    channels = Channels.read(
        {
            "CHURN_ALERT_ON": "warning",
            "CHURN_ALERT_WEBHOOK_FILE": str(tmp_path / "url"),
            "CHURN_ALERT_SMTP_HOST": "mail.example.org",
            "CHURN_ALERT_SMTP_PORT": "25",
            "CHURN_ALERT_SMTP_FROM": "churn@example.org",
            "CHURN_ALERT_SMTP_TO": "ops@example.org, crm@example.org",
            "CHURN_ALERT_SMTP_USER": "churn",
            "CHURN_ALERT_SMTP_PASSWORD_FILE": str(tmp_path / "password"),
            "CHURN_METRICS_TEXTFILE": "/metrics/churn.prom",
            "CHURN_PUSHGATEWAY": "http://gateway:9091/",
            "CHURN_NAMESPACE": "churn-staging",
            "CHURN_REPORTS_URL": "https://reports.example.org/churn/",
        }
    )
    assert channels.refused == {}
    assert channels.alert_on == "warning"
    assert channels.webhook is not None
    assert channels.webhook.url == f"https://hooks.example.org/{SECRET}"
    receivers = ("ops@example.org", "crm@example.org")
    assert channels.mail == Mail("mail.example.org", 25, "churn@example.org", receivers, True, "churn", SECRET)
    assert channels.textfile == Path("/metrics/churn.prom")
    assert (channels.pushgateway, channels.reports_url) == ("http://gateway:9091", "https://reports.example.org/churn")
    assert channels.namespace == "churn-staging"
    assert SECRET not in repr(channels)


@pytest.mark.parametrize(
    ("channel", "named", "given"),
    [
        ("webhook", "CHURN_ALERT_WEBHOOK", {"CHURN_ALERT_WEBHOOK": "hooks.example.org/x"}),
        ("webhook", "CHURN_ALERT_WEBHOOK", {"CHURN_ALERT_WEBHOOK": "ftp://hooks.example.org/x"}),
        ("webhook", "CHURN_ALERT_WEBHOOK", {"CHURN_ALERT_WEBHOOK": "https://host/a b"}),
        ("webhook", "only one of", {"CHURN_ALERT_WEBHOOK": "https://h/x", "CHURN_ALERT_WEBHOOK_FILE": "/x"}),
        ("webhook", "CHURN_ALERT_WEBHOOK_FILE", {"CHURN_ALERT_WEBHOOK_FILE": "/nowhere/url"}),
        ("email", "CHURN_ALERT_SMTP_HOST", {"CHURN_ALERT_SMTP_TO": "d@e.f"}),
        ("email", "CHURN_ALERT_SMTP_FROM", {"CHURN_ALERT_SMTP_HOST": "mail", "CHURN_ALERT_SMTP_TO": "d@e.f"}),
        ("email", "CHURN_ALERT_SMTP_TO", SMTP | {"CHURN_ALERT_SMTP_TO": "d@e.f, nobody"}),
        ("email", "CHURN_ALERT_SMTP_FROM", SMTP | {"CHURN_ALERT_SMTP_FROM": "a@b.c\nBcc: x@y.z"}),
        ("email", "CHURN_ALERT_SMTP_PORT", SMTP | {"CHURN_ALERT_SMTP_PORT": "0"}),
        ("email", "CHURN_ALERT_SMTP_STARTTLS", SMTP | {"CHURN_ALERT_SMTP_STARTTLS": "no"}),
        ("email", "CHURN_ALERT_SMTP_USER", SMTP | {"CHURN_ALERT_SMTP_USER": "u"}),
        ("textfile", "CHURN_METRICS_TEXTFILE", {"CHURN_METRICS_TEXTFILE": "/metrics/churn.txt"}),
        ("pushgateway", "CHURN_PUSHGATEWAY", {"CHURN_PUSHGATEWAY": f"http://u:{SECRET}@gateway"}),
        ("pushgateway", "CHURN_PUSHGATEWAY", {"CHURN_PUSHGATEWAY": "gateway:9091"}),
        ("pushgateway", "CHURN_NAMESPACE", {"CHURN_PUSHGATEWAY": "http://g", "CHURN_NAMESPACE": "a/b"}),
        ("alerts", "CHURN_ALERT_ON", {"CHURN_ALERT_ON": "sometimes"}),
        ("links", "CHURN_REPORTS_URL", {"CHURN_REPORTS_URL": "reports"}),
    ],
)
def test_a_wrong_setting_takes_its_own_channel_only(channel: str, named: str, given: dict[str, str]) -> None:
    other = {"CHURN_METRICS_TEXTFILE": "/m/x.prom"} if channel != "textfile" else {"CHURN_PUSHGATEWAY": "http://g"}
    channels = Channels.read(other | given)
    assert set(channels.refused) == {channel}
    assert named in str(channels.refused[channel])
    assert channels.textfile or channels.pushgateway


def test_an_unknown_occasion_sends_everything() -> None:
    assert Channels.read({"CHURN_ALERT_ON": "sometimes"}).alert_on == "always"


@pytest.mark.parametrize("host", ["mail.example.org", "localhost"])
def test_a_password_goes_in_the_clear_to_the_machine_itself_only(tmp_path: Path, host: str) -> None:
    (tmp_path / "password").write_text(SECRET)
    login = {"CHURN_ALERT_SMTP_USER": "u", "CHURN_ALERT_SMTP_PASSWORD_FILE": str(tmp_path / "password")}
    channels = Channels.read(SMTP | login | {"CHURN_ALERT_SMTP_HOST": host, "CHURN_ALERT_SMTP_STARTTLS": "0"})
    assert (channels.mail is not None) == (host == "localhost")


@pytest.mark.parametrize("content", ["", " \n", "\udcff"])
def test_a_file_without_a_secret_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "url").write_text(content, errors="surrogateescape")
    channels = Channels.read({"CHURN_ALERT_WEBHOOK_FILE": str(tmp_path / "url")})
    assert "CHURN_ALERT_WEBHOOK_FILE" in str(channels.refused["webhook"])


@given(st.dictionaries(st.sampled_from([setting.name for setting in SETTINGS]), st.text(max_size=30)))
def test_no_setting_whatever_keeps_the_report_from_being_made(environment: dict[str, str]) -> None:
    channels = Channels.read({name: text for name, text in environment.items() if not name.endswith("_FILE")})
    assert all("CHURN_" in str(error) for error in channels.refused.values())


@pytest.mark.parametrize("value", [f"htp://hooks/{SECRET}", f"http://[{SECRET}/", f"{SECRET}", f"https://h/ {SECRET}"])
def test_a_refused_secret_is_not_shown(tmp_path: Path, value: str) -> None:
    (tmp_path / "url").write_text(value)
    for environment in ({"CHURN_ALERT_WEBHOOK": value}, {"CHURN_ALERT_WEBHOOK_FILE": str(tmp_path / "url")}):
        (error,) = Channels.read(environment).refused.values()
        assert SECRET not in str(error)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented_with_its_default(setting: Setting) -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{setting.name}` ")]
    assert rows == [f"| `{setting.name}` | {setting.default or 'none'} | {setting.meaning} |"]
