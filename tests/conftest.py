"""Fixtures for every test: a sandbox without sockets, one over HTTP, and no way out to the real AWS.

`sandbox`      the in-process account; `sandbox.client("iam")` gives a boto3 client that it answers
`sandbox_url`  the URL of one served over HTTP on loopback
`served`       that account, for commands typed in this process; `shell` types them, `proxy` starts real processes
`refused`      `refused(code, fragment, client.operation, **params)` asserts a refusal

Both are empty at the start of every test. moto's objects belong to the process, so a test uses one or the other.
"""

from __future__ import annotations

import gc
import os
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from botocore.exceptions import ClientError
from hypothesis.internal import charmap
from hypothesis.internal.conjecture import providers

from tests.support import distributed, prepared
from tests.support.alphabets import encodable
from tests.support.long import LONG

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.sandbox.server import Sandbox
    from tests.support.http_proxy import Proxy
    from tests.support.shell import Shell

prepared.install()
# The models of AWS and moto's tables are a large heap that stays; to look through it again and again is an eighth of all.
gc.set_threshold(50_000, 20, 25)
# How long an example takes to make or run is the machine's affair, and examples are random only where there is time.
hypothesis.settings.register_profile(
    "steady",
    deadline=None,
    derandomize=not LONG,
    max_examples=100 if LONG else 30,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("steady")
charmap.intervals_from_codec = encodable(charmap.intervals_from_codec)
if (
    not LONG
):  # what stands in the modules that happen to be loaded makes other examples of every change, and in every worker
    providers._get_local_constants = lambda: providers._local_constants

_FILES_BETWEEN = 8  # collections of what is new since the last, which keep a worker small
_ended: list[str] = []
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def pytest_configure(config: pytest.Config) -> None:
    distributed.configured(config)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """What the tests of some files leave behind is freed together."""
    if nextitem is None or nextitem.path != item.path:
        _ended.append(item.path.name)
        if len(_ended) % _FILES_BETWEEN == 0:
            _collect()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """What pytest and Python collect at the end is what is left since, and not the whole heap three times over."""
    _collect()


def _collect() -> None:
    """Free what nobody holds any more; what somebody does hold stays for good, and is not looked through again."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs an account: `make test-fast` does without."""
    _collect()
    for item in items:
        if {"_attached", "_served"} & {*getattr(item, "fixturenames", ())}:
            item.add_marker("account")


class Attached:
    """A sandbox with a boto3 session whose clients it answers; everything else is the sandbox's own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.session = sandbox.attach()
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        where = region or self.sandbox.region
        if (service, where) not in self._clients:
            self._clients[service, where] = self.session.client(service, region_name=where)
        return self._clients[service, where]

    def advance(self, seconds: float) -> None:
        self.sandbox.clock.advance(seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sandbox, name)


@pytest.fixture(scope="session")
def _environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Nobody's AWS settings and nobody's home directory."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "CI" and not name.startswith(("AWS_", "BOTO_", "RECONCILE_", "XDG_", "PYTEST_CURRENT_TEST"))
    }
    home, cut = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("cut-down-models")
    return {**kept, "HOME": str(home), "RECONCILE_CACHE_DIR": str(cut), "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="session")
def _encoded_environment(_environment: dict[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in _environment.items()}


@pytest.fixture(autouse=True)
def no_environment(_environment: dict[str, str], _encoded_environment: dict[bytes, bytes]) -> None:
    """Every test begins with that, whatever those before it have left."""
    now = os.environ._data.copy()  # as it is encoded: most tests leave it alone
    now.pop(b"PYTEST_CURRENT_TEST", None)
    if now != _encoded_environment:
        os.environ.clear()
        os.environ.update(_environment)


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Only loopback can be reached."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in _LOOPBACK:
            raise OSError(f"a test tried to reach {address[0]}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(scope="session")
def _attached() -> Attached:
    # moto takes half a second to import, and most tests do without.
    from reconciler.sandbox.server import Sandbox

    return Attached(Sandbox())


@pytest.fixture
def sandbox(_attached: Attached) -> Iterator[Attached]:
    fresh(_attached.sandbox)
    yield _attached
    _attached.sandbox.reset()  # moto keeps one account for the whole process: the next sandbox would find what is left


@pytest.fixture(scope="session")
def _served() -> Iterator[tuple[Sandbox, str]]:
    from reconciler.sandbox.clock import Clock
    from reconciler.sandbox.server import Sandbox
    from reconciler.sandbox.transport import Server
    from tests.support.http_proxy import Paced

    account = Sandbox(clock=Clock(speed=0))
    server = Server(Paced(account))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield account, server.url
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


@pytest.fixture
def sandbox_url(_served: tuple[Sandbox, str]) -> Iterator[str]:
    account, url = _served
    fresh(account)
    account.clock.speed = 0
    yield url
    account.reset()  # as above


@pytest.fixture
def served(sandbox_url: str, _served: tuple[Sandbox, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The account that commands typed in this process find, without sockets; its time passes as they sleep."""
    from tests.support.shell import point_at

    account, _ = _served
    point_at(account, sandbox_url, monkeypatch)
    yield account
    account.defaults()


@pytest.fixture
def shell(
    served: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Shell:
    """The command line, in an empty directory and against an empty account; files may give it more to stand on."""
    from tests.support.shell import Shell

    found = Shell(tmp_path, served, capsys, monkeypatch)
    found.go(tmp_path)
    return found


@pytest.fixture
def proxy(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Commands that something happens to, real processes and typed ones, against an empty account."""
    from tests.support.http_proxy import opened
    from tests.support.shell import straight_to

    monkeypatch.setattr(prepared, "digests_like_others", True)
    with opened(shell) as held:
        straight_to(held, held.url, monkeypatch)
        yield held


@pytest.fixture
def refused() -> Any:
    """Checks that a call is refused with a code, and a message that holds a fragment."""

    def check(code: str, fragment: str, call: Any, **params: Any) -> None:
        with pytest.raises(ClientError) as caught:
            call(**params)
        error = caught.value.response["Error"]

        assert code == error["Code"]
        assert fragment in error["Message"]

    return check


def fresh(account: Sandbox) -> None:
    """As new: nothing in it, every setting as it comes."""
    account.reset()
    account.defaults()
