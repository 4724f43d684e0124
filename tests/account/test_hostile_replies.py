"""Whoever answers in AWS's place: what parses and cannot be AWS's, what never ends, and what grows."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session

from reconciler.account import bounds, client
from reconciler.account.client import AwsClient, Endpoint
from reconciler.account.lookups import resolve
from reconciler.account.reader import Reader
from reconciler.model import Call, Lookup, Pos, Reads, Refused, Reply, Scope, Unreadable
from reconciler.sandbox.transport import _Raw
from tests.support.tables import cases

CASES = cases(Path(__file__).parents[1] / "data" / "hostile_replies.yaml")
QUEUES = Call("batch", "DescribeJobQueues", {})
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@cache
def aws(url: str = "http://127.0.0.1:9") -> AwsClient:
    return client.connect(region="eu-west-1", endpoint=Endpoint(url, "eu-west-1", "a", "b"))


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MOST_UNPARSEABLE", 1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"].replace(" ", "-"))
def test_a_reply_that_cannot_be(case: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    body = case["body"].encode()
    monkeypatch.setattr(URLLib3Session, "send", lambda _, sent: AWSResponse(sent.url, 200, {}, _Raw(body)))  # type: ignore[arg-type]

    reply = aws().call(Call(*case["call"].split(":"), case.get("params", {})))

    if case.get("taken"):
        assert not isinstance(reply, Refused), reply
        return
    assert isinstance(reply, Refused)
    assert str(reply).startswith("NotAwsReply: http://127.0.0.1:9 did not answer like AWS: ")
    assert case["why"] in str(reply)
    assert reply.unknown_outcome


def test_a_page_of_a_server_in_trouble_is_its_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    page = b"<!DOCTYPE html><html><body>Service Unavailable</body></html>"
    monkeypatch.setattr(URLLib3Session, "send", lambda _, sent: AWSResponse(sent.url, 503, {}, _Raw(page)))  # type: ignore[arg-type]

    reply = aws().call(Call("iam", "CreateRole", {"RoleName": "a", "AssumeRolePolicyDocument": "{}"}))

    assert isinstance(reply, Refused)
    assert (reply.status, reply.unknown_outcome) == (503, True)


# --- over sockets -----------------------------------------------------------------------------------------------------


@contextmanager
def saying(first: bytes, then: bytes = b"", every: float = 0.01) -> Iterator[str]:
    """A server that answers each request with ``first``, and for ever with ``then``."""
    listening, done = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def answer(talking: socket.socket) -> None:
        with suppress(OSError), talking:
            asked = b""
            while not asked.endswith(b"{}"):
                more = talking.recv(1 << 16)
                if not more:  # who asked has gone: on a busy machine before it has asked
                    return
                asked += more
            talking.sendall(first)
            while then and not done.wait(every):
                talking.sendall(then)

    def listen() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        done.set()
        listening.shutdown(socket.SHUT_RDWR)  # without which whoever listens would do so for ever
        listening.close()


ENDLESS = {
    "a body that drips": (OK + b"content-length: 100000\r\n\r\n{", b" "),
    "a body without a length": (OK + b"connection: close\r\n\r\n{", b" "),
    "chunks that drip": (OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a line of headers that drips": (b"HTTP/1.1 200 OK\r\nx: ", b"x"),
    "100 for ever": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "silence after a beginning": (OK, b""),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_reply_that_does_not_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_SECONDS", 0.15)
    first, then = ENDLESS[name]
    began = time.monotonic()

    with saying(first, then or b" ", 0.01 if then else 5) as url:
        reply = aws(url).call(QUEUES)

    assert str(reply).startswith(f"EndlessReply: {url} did not answer like AWS: the reply did not end within")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "first", [b"HTTP/1.1 100 Continue\r\n\r\n" * 5000, OK + b"content-length: 99999\r\n\r\n" + b" " * 99999]
)
def test_a_reply_that_is_too_long(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_BYTES", 1 << 16)

    with saying(first, b" ", 5) as url:
        reply = aws(url).call(QUEUES)

    assert "did not answer like AWS: the reply is longer than" in str(reply)


def test_a_small_reply_that_would_be_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was asked for in gzip, so nothing is unpacked."""
    bomb = gzip.compress(b" " * 10_000_000)
    head = OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)

    with saying(head + bomb) as url:
        reply = aws(url).call(QUEUES)

    assert f"{url} did not answer like AWS" in str(reply)


def test_pages_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = iter(range(10**6))
    monkeypatch.setattr(client, "MOST_PAGES", 20)
    monkeypatch.setattr(
        URLLib3Session,
        "send",
        lambda _, sent: AWSResponse(sent.url, 200, {}, _Raw(b'{"nextToken": "%d", "jobQueues": []}' % next(tokens))),  # type: ignore[arg-type]
    )

    reply = aws().call(Call("batch", "DescribeJobQueues", all_pages=True))

    assert "more than 20 pages" in str(reply)


@pytest.mark.parametrize(
    ("bound", "why"), [("MOST_BYTES_OF_PAGES", "have more than 0 MB"), ("MOST_SECONDS_OF_PAGES", "within -1 seconds")]
)
def test_pages_that_are_long_together(bound: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = iter(range(10**6))
    monkeypatch.setattr(client, bound, 100 if "BYTES" in bound else -1.0)
    monkeypatch.setattr(
        URLLib3Session,
        "send",
        lambda _, sent: AWSResponse(sent.url, 200, {}, _Raw(b'{"nextToken": "%d", "jobQueues": []}' % next(tokens))),  # type: ignore[arg-type]
    )

    reply = aws().call(Call("batch", "DescribeJobQueues", all_pages=True))

    assert str(reply).startswith("EndlessReply: ")
    assert why in str(reply)


def test_a_refusal_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"__type": "%b", "message": "%b"}' % (b"C" * 5000, b"m" * 1_000_000)
    monkeypatch.setattr(URLLib3Session, "send", lambda _, sent: AWSResponse(sent.url, 400, {}, _Raw(body)))  # type: ignore[arg-type]

    reply = aws().call(QUEUES)

    assert isinstance(reply, Refused)
    assert reply.message == "m" * client.LONGEST_MESSAGE + "..."
    assert len(reply.code) < 300


# --- what the model does not say --------------------------------------------------------------------------------------


class Answering:
    def __init__(self, reply: Reply) -> None:
        self.reply = reply

    def call(self, _: Call) -> Reply:
        return self.reply


def _loop() -> Reads[None]:
    while True:
        yield (QUEUES,)


def _name() -> Reads[str]:
    (reply,) = yield (QUEUES,)
    assert not isinstance(reply, Refused)
    return str(reply["jobQueueName"])


@pytest.mark.parametrize(("read", "why"), [(_loop, "its pages never end"), (_name, "its reply has no jobQueueName")])
def test_a_read_of_replies_that_are_not_aws(read: Callable[[], Reads[Any]], why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        Reader(Answering({"nextToken": "again"}), parallelism=0).drive(read())


@pytest.mark.parametrize(
    ("kind", "args", "reply"),
    [
        ("vpc", {"default": True}, {"Vpcs": [{"State": "available"}]}),
        ("subnets", {"vpcId": "vpc-1"}, {"Subnets": [{"VpcId": "vpc-1"}]}),
        ("image", {"name": "a"}, {"Images": [{"CreationDate": "2024"}]}),
        ("ssmParameter", {"name": "a"}, {"Parameter": {"Name": "a"}}),
    ],
)
def test_a_look_up_without_its_id(kind: Any, args: Any, reply: Any) -> None:
    lookup = Lookup(name="a", kind=kind, args=args, pos=Pos("environment.yaml", 1, 1))

    found, problems = resolve(
        {"a": lookup}, Scope("123456789012", "eu-west-1", "aws", "e"), lambda calls: (reply,) * len(calls)
    )

    assert not found
    assert "did not answer like AWS" in problems[0].message
