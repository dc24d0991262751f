"""Where the weekly report is told, from the environment. What is wrong with one channel leaves the others."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from churn.errors import SettingError
from churn.settings import LAST_PORT, Environment, Setting, choice, switch, text, whole_number

AlertOn = Literal["page", "ticket", "warning", "always"]
Read = TypeVar("Read")

ALERT_ON: Final = Setting(
    "CHURN_ALERT_ON",
    "ticket",
    "Which reports are sent: `page` (pages, too few customers, no report), `ticket` (tickets as well), `warning` "
    "(warnings as well), `always`.",
)
WEBHOOK: Final = Setting(
    "CHURN_ALERT_WEBHOOK", "", "URL that takes Slack-compatible JSON. It is a secret: better in a file."
)
WEBHOOK_FILE: Final = Setting("CHURN_ALERT_WEBHOOK_FILE", "", "A file that holds this URL.")
SMTP_HOST: Final = Setting("CHURN_ALERT_SMTP_HOST", "", "Mail server; `FROM` and `TO` are needed with it.")
SMTP_PORT: Final = Setting("CHURN_ALERT_SMTP_PORT", "587", "Its port.")
SMTP_STARTTLS: Final = Setting(
    "CHURN_ALERT_SMTP_STARTTLS", "1", "0 sends in the clear; with a password only to the machine itself."
)
SMTP_FROM: Final = Setting("CHURN_ALERT_SMTP_FROM", "", "Address of the sender.")
SMTP_TO: Final = Setting("CHURN_ALERT_SMTP_TO", "", "Addresses of the receivers, separated by commas.")
SMTP_USER: Final = Setting("CHURN_ALERT_SMTP_USER", "", "User to log in as; none sends without.")
SMTP_PASSWORD_FILE: Final = Setting("CHURN_ALERT_SMTP_PASSWORD_FILE", "", "A file that holds the user's password.")
TEXTFILE: Final = Setting(
    "CHURN_METRICS_TEXTFILE", "", "File `*.prom` in the folder of node_exporter's textfile collector."
)
PUSHGATEWAY: Final = Setting("CHURN_PUSHGATEWAY", "", "URL of a Prometheus Pushgateway.")
NAMESPACE: Final = Setting(
    "CHURN_NAMESPACE",
    "",
    "Label `namespace` of the metrics that are pushed. It keeps apart the deployments that share a Pushgateway.",
)
REPORTS_URL: Final = Setting(
    "CHURN_REPORTS_URL",
    "",
    "Where the folder of the reports is published: messages link there, else they name the file.",
)

SETTINGS: Final = (
    ALERT_ON,
    WEBHOOK,
    WEBHOOK_FILE,
    SMTP_HOST,
    SMTP_PORT,
    SMTP_STARTTLS,
    SMTP_FROM,
    SMTP_TO,
    SMTP_USER,
    SMTP_PASSWORD_FILE,
    TEXTFILE,
    PUSHGATEWAY,
    NAMESPACE,
    REPORTS_URL,
)

_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"]+@[^\s@<>,;:\"]+", re.ASCII)
_LABEL_VALUE: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", re.ASCII)
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HIDDEN: Final = "…"
"""Shown in place of a value that may be a secret."""


@dataclass(frozen=True)
class Webhook:
    """`timeout` is in seconds, for connecting and for each read; after each of `pauses`, seconds, comes another try."""

    url: str = field(repr=False)
    timeout: float = 10.0
    pauses: tuple[float, ...] = (1.0, 5.0)


@dataclass(frozen=True)
class Mail:
    """A mail server and whom to write to. Without `user` nobody logs in. `timeout` is in seconds, of each step."""

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    starttls: bool = True
    user: str = ""
    password: str = field(default="", repr=False)
    timeout: float = 10.0


@dataclass(frozen=True)
class Channels:
    """The channels in use; None is one that is not.

    Attributes:
        alert_on: which reports are sent to `webhook` and `mail`. Metrics are always written.
        webhook, mail: who gets a message.
        textfile, pushgateway: where the metrics go.
        namespace: label of the metrics at the Pushgateway; empty for none.
        reports_url: prefix of links, without a slash at its end.
        refused: channels that are meant to be used and cannot be, with what is wrong with their settings.
    """

    alert_on: AlertOn = "ticket"
    webhook: Webhook | None = None
    mail: Mail | None = None
    textfile: Path | None = None
    pushgateway: str | None = None
    namespace: str = ""
    reports_url: str = ""
    refused: Mapping[str, SettingError] = field(default_factory=dict)

    @classmethod
    def read(cls, environment: Environment) -> "Channels":
        """Read from environment variables. A wrong one raises nothing: its channel lands in `refused`.

        A report must not be lost for a mistyped address. When `CHURN_ALERT_ON` itself is wrong,
        everything is sent. Blanks around a value do not count.
        """
        stripped = {name: value.strip() for name, value in environment.items()}
        refused: dict[str, SettingError] = {}

        def attempt(channel: str, read: Callable[[Environment], Read], otherwise: Read) -> Read:
            try:
                return read(stripped)
            except SettingError as error:
                refused[channel] = error
                return otherwise

        return cls(
            alert_on=attempt("alerts", _alert_on, "always"),
            webhook=attempt("webhook", _webhook, None),
            mail=attempt("email", _mail, None),
            textfile=attempt("textfile", _textfile, None),
            pushgateway=attempt("pushgateway", _pushgateway, None),
            namespace=text(NAMESPACE, stripped),
            reports_url=attempt("links", _reports_url, ""),
            refused=refused,
        )


def _alert_on(environment: Environment) -> AlertOn:
    choices: tuple[AlertOn, ...] = get_args(AlertOn)
    return choice(ALERT_ON, choices, environment)


def _webhook(environment: Environment) -> Webhook | None:
    url, file = text(WEBHOOK, environment), text(WEBHOOK_FILE, environment)
    if url and file:
        raise SettingError(WEBHOOK.name, _HIDDEN, f"only one of {WEBHOOK.name} and {WEBHOOK_FILE.name}")
    if file:
        return Webhook(_http_url(_content(WEBHOOK_FILE, file), WEBHOOK_FILE))
    return Webhook(_http_url(url, WEBHOOK)) if url else None


def _content(setting: Setting, path: str) -> str:
    """What a file with a secret holds; the secret is not part of any message."""
    try:
        given = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(setting.name, path, "a file that can be read") from error
    if not given:
        raise SettingError(setting.name, path, "a file that is not empty")
    return given


def _http_url(text: str, setting: Setting) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        raise SettingError(setting.name, _HIDDEN, "a URL such as https://host/path")
    return text


def _mail(environment: Environment) -> Mail | None:
    host, sender, to = (text(setting, environment) for setting in (SMTP_HOST, SMTP_FROM, SMTP_TO))
    if not (host or sender or to):
        return None
    if not host:
        raise SettingError(SMTP_HOST.name, host, f"a host name, since {SMTP_FROM.name} or {SMTP_TO.name} is set")
    user, password = _login(environment)
    starttls = switch(SMTP_STARTTLS, environment)
    if user and not starttls and host not in _LOCAL:
        raise SettingError(SMTP_STARTTLS.name, "0", "1, since a password would be sent in the clear")
    recipients = tuple(_address(one, SMTP_TO) for one in to.split(","))
    return Mail(
        host,
        whole_number(SMTP_PORT, 1, LAST_PORT, environment),
        _address(sender, SMTP_FROM),
        recipients,
        starttls,
        user,
        password,
    )


def _login(environment: Environment) -> tuple[str, str]:
    user, file = text(SMTP_USER, environment), text(SMTP_PASSWORD_FILE, environment)
    if bool(user) != bool(file):
        raise SettingError(SMTP_USER.name, user, f"set together with {SMTP_PASSWORD_FILE.name}")
    return (user, _content(SMTP_PASSWORD_FILE, file)) if user else ("", "")


def _address(text: str, setting: Setting) -> str:
    if not _ADDRESS.fullmatch(text.strip()):
        raise SettingError(setting.name, text.strip(), "an address such as churn@example.org")
    return text.strip()


def _textfile(environment: Environment) -> Path | None:
    given = text(TEXTFILE, environment)
    if given and not given.endswith(".prom"):
        raise SettingError(TEXTFILE.name, given, "a file name that ends in .prom: node_exporter reads no other")
    return Path(given) if given else None


def _pushgateway(environment: Environment) -> str | None:
    given = text(PUSHGATEWAY, environment)
    if not given:
        return None
    _check_namespace(text(NAMESPACE, environment))
    if "@" in given:
        raise SettingError(PUSHGATEWAY.name, _HIDDEN, "a URL without user and password")
    return _http_url(given, PUSHGATEWAY).rstrip("/")


def _check_namespace(given: str) -> None:
    """Without the right one, the figures would land among those of another deployment: nothing is pushed."""
    if given and not _LABEL_VALUE.fullmatch(given):
        raise SettingError(NAMESPACE.name, given, "letters, digits, `-`, `_` and `.`, as the name of a namespace has")


def _reports_url(environment: Environment) -> str:
    given = text(REPORTS_URL, environment)
    return _http_url(given, REPORTS_URL).rstrip("/") if given else ""
