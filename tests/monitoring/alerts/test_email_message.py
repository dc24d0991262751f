"""E-mail, against a real listener: its form, STARTTLS, login, and every way to be turned away."""

import datetime
import email
import ipaddress
import ssl
from email import policy
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from churn.errors import ChannelError
from monitoring.alerts import email_message
from monitoring.alerts.alert_message import Message
from monitoring.alerts.channel_settings import Mail
from tests.support.listeners import closed_port, silent, smtp_sink

MESSAGE = Message("Churn, week 1: drift – naïve", ("os ＜b＞ 12 %", ".", "Report: https://reports/1"))


def mail(port: int, starttls: bool = False, user: str = "", password: str = "") -> Mail:
    receivers = ("ops@example.org", "crm@example.org")
    return Mail("127.0.0.1", port, "churn@example.org", receivers, starttls, user, password, timeout=0.5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, in one file; nobody has signed it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sink")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "sink.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_everybody_gets_a_plain_text() -> None:
    with smtp_sink() as sink:
        email_message.send(mail(sink.port), MESSAGE)
    (text,) = sink.mails
    received = email.message_from_string(text, policy=policy.default)
    assert received["Subject"] == MESSAGE.title
    assert (received["From"], received["To"]) == ("churn@example.org", "ops@example.org, crm@example.org")
    assert received["Auto-Submitted"] == "auto-generated"
    assert received["Message-ID"].endswith("@example.org>")
    assert received.get_content_type() == "text/plain"
    assert [line for line in sink.commands if line.startswith("rcpt")] == [
        "rcpt TO:<ops@example.org>",
        "rcpt TO:<crm@example.org>",
    ]
    assert "https://reports/1" in received.get_content()


def test_a_title_cannot_become_a_header() -> None:
    with pytest.raises(ValueError, match="linefeed"):
        email_message.email(mail(1), Message("x\r\nBcc: evil@example.org", ()))


def test_starttls_encrypts_login_and_mail(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with smtp_sink(["STARTTLS", "AUTH PLAIN"], {"STARTTLS": "220 go", "AUTH": "235 welcome"}, tls) as sink:
        email_message.send(mail(sink.port, starttls=True, user="churn", password="hush"), MESSAGE)
    assert sink.secure == [True]
    verbs = [line.split(" ")[0].upper() for line in sink.commands]
    assert verbs.index("STARTTLS") < verbs.index("AUTH") < verbs.index("DATA")


def test_a_certificate_that_nobody_knows_is_not_trusted(tls: ssl.SSLContext) -> None:
    with (
        smtp_sink(["STARTTLS"], {"STARTTLS": "220 go"}, tls) as sink,
        pytest.raises(ChannelError, match="certificate is not trusted"),
    ):
        email_message.send(mail(sink.port, starttls=True), MESSAGE)
    assert sink.mails == []


def test_without_starttls_nothing_goes_in_the_clear() -> None:
    with smtp_sink(["AUTH PLAIN"]) as sink, pytest.raises(ChannelError, match="no STARTTLS"):
        email_message.send(mail(sink.port, starttls=True, user="churn", password="hush"), MESSAGE)
    assert not any(line.upper().startswith(("AUTH", "MAIL", "DATA")) for line in sink.commands)


def test_a_wrong_password_is_told_but_not_shown() -> None:
    with (
        smtp_sink(["AUTH PLAIN"], {"AUTH": "535 wrong password hush"}) as sink,
        pytest.raises(ChannelError, match="CHURN_ALERT_SMTP_USER") as caught,
    ):
        email_message.send(mail(sink.port, user="churn", password="hush"), MESSAGE)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_a_server_that_refuses(verb: str) -> None:
    with smtp_sink(answers={verb: "550 no"}) as sink, pytest.raises(ChannelError, match=f"127.0.0.1:{sink.port}: SMTP"):
        email_message.send(mail(sink.port), MESSAGE)


def test_nobody_there() -> None:
    port = closed_port()
    with pytest.raises(ChannelError, match=f"127.0.0.1:{port}: Connection refused"):
        email_message.send(mail(port), MESSAGE)


def test_one_that_never_answers_is_given_up() -> None:
    with silent() as port, pytest.raises(ChannelError, match="no answer in time"):
        email_message.send(mail(port), MESSAGE)


def test_what_cannot_be_a_host_is_a_failed_channel() -> None:
    with pytest.raises(ChannelError, match="CHURN_ALERT_SMTP_HOST"):
        email_message.send(Mail("a..b", 25, "a@b.c", ("d@e.f",), timeout=0.5), MESSAGE)
