"""Real listeners on free ports for the channels of the report: HTTP, SMTP, one that never answers, and none."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes
    headers: dict[str, str]


@dataclass
class HttpSink:
    """Answers each request with the next of `statuses`, the last one for ever."""

    statuses: list[int]
    port: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def http_sink(statuses: Sequence[int] = (200,)) -> Iterator[HttpSink]:
    sink = HttpSink(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            sink.requests.append(
                Request(self.command, self.path, body, {k.lower(): v for k, v in self.headers.items()})
            )
            self.send_response(sink.statuses.pop(0) if len(sink.statuses) > 1 else sink.statuses[0])
            self.end_headers()

        do_POST = do_PUT = answer  # noqa: N815  # names of the standard library

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as sink.port:
        yield sink


@dataclass
class SmtpSink:
    """What a mail server was told; `secure` is whether each mail came encrypted."""

    port: int = 0
    mails: list[str] = field(default_factory=list)
    secure: list[bool] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


class SmtpServer(socketserver.ThreadingTCPServer):
    """A mail server of few words: `features` are named after EHLO, `answers` go by command."""

    def __init__(self, features: Sequence[str], answers: dict[str, str], tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), SmtpTalk)
        self.features, self.answers, self.tls = ["sink", *features], answers, tls
        self.sink = SmtpSink()


class SmtpTalk(socketserver.StreamRequestHandler):
    server: SmtpServer

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        self.say("220 sink")
        while line := self.rfile.readline().decode().strip():
            self.server.sink.commands.append(line)
            self.answer(line.split(" ", 1)[0].upper())

    def answer(self, verb: str) -> None:
        if verb == "EHLO":
            *others, last = self.server.features
            for name in others:
                self.say(f"250-{name}")
            self.say(f"250 {last}")
            return
        self.say(self.server.answers.get(verb, "250 ok"))
        if verb == "STARTTLS" and self.server.tls is not None:
            self.encrypt(self.server.tls)
        elif verb == "DATA":
            self.take()

    def encrypt(self, tls: ssl.SSLContext) -> None:
        with contextlib.suppress(OSError):  # the other side may not like the certificate
            self.connection = self.request = tls.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def take(self) -> None:
        lines = []
        while (line := self.rfile.readline().decode()) not in (".\r\n", ""):
            lines.append(line)
        self.server.sink.mails.append("".join(lines))
        self.server.sink.secure.append(isinstance(self.connection, ssl.SSLSocket))
        self.say("250 taken")


@contextlib.contextmanager
def smtp_sink(
    features: Sequence[str] = (), answers: dict[str, str] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[SmtpSink]:
    server = SmtpServer(features, {"DATA": "354 go on", "QUIT": "221 bye"} | (answers or {}), tls)
    with serving(server) as server.sink.port:
        yield server.sink


@contextlib.contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    """Serve until the end of the block, on the port that it gives."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
