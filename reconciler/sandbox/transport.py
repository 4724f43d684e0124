"""The ways into the sandbox: HTTP on loopback, and straight from a boto3 session.

There is no web framework: a server that keeps connections open, sends a reply in one packet and can drop one is shorter
than the configuration of one that cannot.
"""

from __future__ import annotations

import io
import socket
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError

from reconciler.sandbox.faults import Died, Lost
from reconciler.sandbox.wire import Reply, Request


class Answers(Protocol):
    """What replies to requests: the sandbox."""

    region: str

    def answer(self, request: Request) -> Reply:
        """The reply to a request; raises ``Lost`` or ``Died`` if there is none."""
        ...


class Server(ThreadingHTTPServer):
    """Bound to loopback; ``serve_forever`` and ``shutdown`` are `socketserver`'s."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, sandbox: Answers, port: int = 0) -> None:
        self.sandbox = sandbox
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """The URL that it listens at."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that disconnect, and connections that a fault closed, are not reported."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def _answer(self) -> None:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        host = headers.get("host", "localhost")
        asked = Request(self.command, url.path or "/", url.query, headers, self._body(), host)
        try:
            reply = cast("Server", self.server).sandbox.answer(asked)
        except (Lost, Died):
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        except Exception:  # noqa: BLE001  a bug of ours must not look like the end of the connection
            text = traceback.format_exc()
            print(text, file=sys.stderr, flush=True)  # noqa: T201  the background process's log
            reply = Reply(501, {"content-type": "text/plain"}, b"the sandbox failed; its log says where\n")
        self._send(reply)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _answer  # noqa: N815  http.server's names

    def handle_expect_100(self) -> bool:
        """Flush the buffer, since the client sends the body only after this reply."""
        invited = super().handle_expect_100()
        self.wfile.flush()
        return invited

    def _send(self, reply: Reply) -> None:
        head = self.command == "HEAD"
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "server", "date"):
                self.send_header(name, value)
        length = reply.headers.get("content-length", "0") if head else str(len(reply.body))
        self.send_header("content-length", length)
        self.end_headers()
        if not head:
            self.wfile.write(reply.body)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = bytearray()
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
        """Requests are logged by the sandbox itself."""


def attach(sandbox: Answers, session: Any = None) -> Any:
    """Send the requests of the session's clients to ``sandbox`` in place of the network; returns the session.

    botocore still checks parameters, signs, retries and parses. Only clients created afterwards are affected.
    """
    if session is None:
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=sandbox.region)  # noqa: S106
    botocore_session = getattr(session, "_session", session)
    botocore_session.register("before-send", responder(sandbox), unique_id="sandbox")
    return session


def responder(sandbox: Answers) -> Callable[..., AWSResponse]:
    """Gives the sandbox's reply to a request of botocore's; raises ``ConnectionClosedError`` where it is lost."""

    def send(request: Any, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        asked = Request(request.method, url.path or "/", url.query, headers, _bytes(request.body), url.netloc)
        try:
            reply = sandbox.answer(asked)
        except Lost as lost:
            raise ConnectionClosedError(endpoint_url=request.url) from lost
        headers_sent: Any = dict(reply.headers)
        return AWSResponse(request.url, reply.status, headers_sent, _Raw(reply.body))

    return send


class _Raw(io.BytesIO):
    """A response body with urllib3's interface."""

    def stream(self, *_: Any, **__: Any) -> Iterable[bytes]:
        yield self.read()


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else bytes(body.read())
