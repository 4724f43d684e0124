"""The ways into the sandbox: HTTP on loopback, WSGI, and straight out of a boto3 session."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from reconciler.sandbox.faults import Died, Lost
from reconciler.sandbox.wire import Reply, Request

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication


class Answers(Protocol):
    """What a door opens on."""

    region: str

    def answer(self, request: Request) -> Reply: ...


def wsgi(sandbox: Answers) -> WSGIApplication:
    """A WSGI application. A reply that must not arrive closes the connection."""

    def app(environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        try:
            reply = sandbox.answer(_request(environ))
        except (Lost, Died):
            _hang_up(environ)
            return []
        headers = [(name, str(value)) for name, value in reply.headers.items() if name.lower() != "content-length"]
        head = environ["REQUEST_METHOD"] == "HEAD"
        length = reply.headers.get("content-length", "0") if head else str(len(reply.body))
        start(f"{reply.status} {'OK' if reply.status < 400 else 'Error'}", [*headers, ("content-length", length)])
        return [] if head else [reply.body]

    return app


class _Handler(WSGIRequestHandler):
    """Keeps connections open, and sends small packets at once: header and body go out as two."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  werkzeug's name
        """Requests are logged by the sandbox itself."""


class _Server(ThreadedWSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Connections that a fault closed are no news."""


def http_server(sandbox: Answers, port: int) -> Any:
    """A server bound to loopback; ``port`` 0 picks a free one (see its ``server_port``)."""
    return _Server("127.0.0.1", port, wsgi(sandbox), handler=_Handler)


def attach(sandbox: Answers, session: Any = None) -> Any:
    """Send what the session's clients would send over the network to ``sandbox`` instead; returns the session.

    botocore still checks parameters, signs, retries and parses. Only clients made afterwards are affected.
    """
    if session is None:
        import boto3

        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=sandbox.region)  # noqa: S106
    botocore_session = getattr(session, "_session", session)
    botocore_session.register("before-send", _sender(sandbox), unique_id="sandbox")
    return session


def _sender(sandbox: Answers) -> Callable[..., AWSResponse]:
    def send(request: Any, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        asked = Request(request.method, url.path or "/", url.query, headers, _body(request.body), url.netloc)
        try:
            reply = sandbox.answer(asked)
        except Lost as lost:
            raise ConnectionClosedError(endpoint_url=request.url) from lost
        return AWSResponse(request.url, reply.status, dict(reply.headers), _Raw(reply.body))

    return send


class _Raw(io.BytesIO):
    """A response body as urllib3 would give it."""

    def stream(self, *_: Any, **__: Any) -> Iterable[bytes]:
        yield self.read()


def _body(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else bytes(body.read())


def _request(environ: dict[str, Any]) -> Request:
    raw = environ.get("REQUEST_URI") or environ.get("RAW_URI") or quote(environ.get("PATH_INFO", "/").encode("latin-1"))
    path = raw.partition("?")[0]
    if "://" in path:
        path = urlsplit(path).path
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    length = environ.get("CONTENT_LENGTH")
    chunked = environ.get("wsgi.input_terminated")
    body = environ["wsgi.input"].read(int(length)) if length else environ["wsgi.input"].read() if chunked else b""
    return Request(
        environ["REQUEST_METHOD"],
        path or "/",
        environ.get("QUERY_STRING", ""),
        headers,
        body,
        environ.get("HTTP_HOST", "localhost"),
    )


def _hang_up(environ: dict[str, Any]) -> None:
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
