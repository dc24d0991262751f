"""A message as plain-text e-mail over SMTP."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from churn.errors import ChannelError
from monitoring.alerts.alert_message import Message
from monitoring.alerts.channel_settings import Mail


def email(mail: Mail, message: Message) -> EmailMessage:
    """What is sent. A logged text cannot become a header: `EmailMessage` takes no line break in one."""
    content = EmailMessage()
    content["Subject"] = message.title
    content["From"] = mail.sender
    content["To"] = ", ".join(mail.recipients)
    content["Date"] = formatdate()
    content["Message-ID"] = make_msgid(domain=mail.sender.rpartition("@")[2])
    content["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    content.set_content("\n".join(message.lines) + "\n")
    return content


def send(mail: Mail, message: Message) -> None:
    """Hand a message to the server, for all receivers or none.

    Raises:
        ChannelError: it was not taken.
    """
    try:
        with smtplib.SMTP(mail.host, mail.port, timeout=mail.timeout) as server:
            if mail.starttls:
                server.starttls(context=ssl.create_default_context())
            if mail.user:
                server.login(mail.user, mail.password)
            refused = server.send_message(email(mail, message))
    except (OSError, smtplib.SMTPException, ValueError) as error:  # ValueError: what cannot be a host name
        raise ChannelError(f"{mail.host}:{mail.port}: {_reason(error)}; {_remedy(error)}") from error
    if refused:
        raise ChannelError(f"{mail.host}:{mail.port} refused {', '.join(sorted(refused))}; check CHURN_ALERT_SMTP_TO")


def _reason(error: Exception) -> str:
    """A server's text may quote the message: only its code is shown."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__}, code {error.smtp_code}"
    if isinstance(error, (TimeoutError, smtplib.SMTPServerDisconnected)):
        return "no answer in time, or it hung up"
    if isinstance(error, smtplib.SMTPException):
        return type(error).__name__
    return getattr(error, "strerror", None) or type(error).__name__


def _remedy(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "check CHURN_ALERT_SMTP_USER and the file of its password"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "it has no STARTTLS or no login; see CHURN_ALERT_SMTP_STARTTLS"
    if isinstance(error, ssl.SSLError):
        return "its certificate is not trusted; name the authority (SSL_CERT_FILE)"
    return "check CHURN_ALERT_SMTP_HOST and CHURN_ALERT_SMTP_PORT, and that it can be reached"
