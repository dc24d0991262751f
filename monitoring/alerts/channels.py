"""Telling everybody who is to know: a channel that fails hides no other, and is told on stderr and in the metrics."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from churn.command import say
from churn.errors import ChannelError, ChurnError
from monitoring.alerts import email_message, report_metrics, webhook
from monitoring.alerts.alert_message import Message
from monitoring.alerts.channel_settings import Channels
from monitoring.alerts.report_metrics import Families

Measured = Callable[[Mapping[str, bool]], Families]
"""The metrics, given which channels failed."""

Attempt = tuple[str, Callable[[], None]]


def deliver(channels: Channels, message: Message | None, measured: Measured, keep: bool = False) -> dict[str, bool]:
    """Send the message and write the metrics; returns for each channel in use whether it failed.

    Args:
        channels: where to.
        message: None when it is not due.
        measured: called for each channel that takes metrics; they come last, so as to tell of the others.
        keep: leave those metrics as they are that `measured` does not name.
    """
    failed = dict.fromkeys(channels.refused, True)
    failed |= _attempted(_messages(channels, message))
    writing = list(_metrics(channels, measured, failed, keep))
    failed |= _attempted(writing)
    if any(failed[channel] for channel, _ in writing):  # those that work tell of those that do not
        failed |= _attempted([attempt for attempt in writing if not failed[attempt[0]]])
    return failed


def warn_of_settings(channels: Channels) -> None:
    """Say at once which channels cannot be used."""
    for channel, error in channels.refused.items():
        _say_failed(channel, error)


def _say_failed(channel: str, error: ChurnError) -> None:
    say(f"channel failed: {channel}: {error}")


def _attempted(attempts: Iterable[Attempt]) -> dict[str, bool]:
    failed = {}
    for channel, send in attempts:
        failed[channel] = False
        try:
            send()
        except ChannelError as error:
            failed[channel] = True
            _say_failed(channel, error)
    return failed


def _messages(channels: Channels, message: Message | None) -> Iterator[Attempt]:
    """A channel without a message to send has not failed."""
    post, mail = channels.webhook, channels.mail
    if post is not None:
        yield "webhook", lambda: None if message is None else webhook.send(post, message)
    if mail is not None:
        yield "email", lambda: None if message is None else email_message.send(mail, message)


def _metrics(channels: Channels, measured: Measured, failed: Mapping[str, bool], keep: bool) -> Iterator[Attempt]:
    path, gateway = channels.textfile, channels.pushgateway

    def metrics() -> Families:
        """Each takes itself for working: where it does not, nobody reads this."""
        used = {"textfile": path, "pushgateway": gateway}
        return measured({channel: False for channel, place in used.items() if place is not None} | dict(failed))

    if path is not None:
        yield "textfile", lambda: report_metrics.write_textfile(path, metrics(), keep)
    if gateway is not None:
        yield "pushgateway", lambda: report_metrics.push(gateway, metrics(), channels.namespace, keep)
