"""How replies are read: within bounds of time and size, where botocore bounds only the pause between two pieces.

A reply that drips, or an endless row of ``100 Continue``, would else keep a run for ever. The bounds are at the socket,
so they hold for all that belongs to a reply: interim replies, headers and body.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any, Final

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.exceptions import HTTPClientError

from reconciler.account.json_replies import Parsers

MOST_BYTES: Final = 64 << 20  # 700 times a full page of DescribeJobDefinitions
MOST_SECONDS: Final = 120.0


class Unbounded(Exception):
    """A reply that does not end within the bounds."""


class _Bounded(io.RawIOBase):
    """What a socket receives, until a reply is too long or takes too long."""

    def __init__(self, sock: Any, raw: io.RawIOBase) -> None:
        self._sock, self._raw = sock, raw
        self._left, self._until = MOST_BYTES, time.monotonic() + MOST_SECONDS
        self._patience: float | None = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._until - time.monotonic()
        if remaining <= 0:
            raise Unbounded(f"the reply did not end within {MOST_SECONDS:.0f} seconds")
        if self._patience is None or remaining < self._patience:
            self._sock.settimeout(remaining)
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            if time.monotonic() < self._until:
                raise
            raise Unbounded(f"the reply did not end within {MOST_SECONDS:.0f} seconds") from None
        self._left -= count or 0
        if self._left < 0:
            raise Unbounded(f"the reply is longer than {MOST_BYTES >> 20} MB")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Bounded(sock, self.fp.detach()))


class _Plain(AWSHTTPConnection):
    response_class = _Response  # type: ignore[assignment]


class _Secure(AWSHTTPSConnection):
    response_class = _Response  # type: ignore[assignment]


class _PlainPool(AWSHTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(AWSHTTPSConnectionPool):
    ConnectionCls = _Secure


def bound(client: Any) -> None:
    """Have a client of boto3, which has sent nothing yet, read replies within the bounds; what it sends raises
    :class:`Unbounded` for others, which botocore would send again.

    botocore has no public way to say which connections and parsers a client makes.
    """
    client._endpoint._response_parser_factory = Parsers()  # noqa: SLF001
    session = client._endpoint.http_session  # noqa: SLF001
    session._pool_classes_by_scheme.update(http=_PlainPool, https=_SecurePool)  # noqa: SLF001

    def send(request: Any) -> Any:
        try:
            return type(session).send(session, request)
        except HTTPClientError as error:
            if isinstance(cause := error.kwargs.get("error"), Unbounded):
                raise cause from None
            raise

    session.send = send
