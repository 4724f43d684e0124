"""The command line as people type it: in this process, in a directory, against the account that is served.

What this process asks of the account goes straight to it, and time passes as commands sleep: nothing depends on how
fast anything is. Processes that tests start find the same account over HTTP.
"""

from __future__ import annotations

import copy
import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.httpsession import URLLib3Session

from reconciler.account import client
from reconciler.cli import main as cli
from reconciler.sandbox import process
from reconciler.sandbox.transport import responder

READS = ("Describe", "Get", "List", "BatchGet")


@dataclass
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def told(self) -> str:
        return self.out + self.err


@dataclass
class Shell:
    """Types commands. ``secrets`` must not show in what any of them prints."""

    home: Path
    account: Any
    capsys: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    secrets: set[str] = field(default_factory=set)

    def __call__(self, *argv: str) -> Result:
        codes: list[int] = []
        cli.main(list(argv), leave=codes.append)
        out, err = self.capsys.readouterr()
        found = Result(codes[0], out, err)
        assert "Traceback" not in found.told and "a bug in reconcile" not in found.told, found.told
        assert not any(secret in found.told for secret in self.secrets)
        return found

    def ok(self, *argv: str) -> Result:
        found = self(*argv)
        assert found.code == 0, found.told
        return found

    def go(self, place: Path) -> Path:
        place.mkdir(parents=True, exist_ok=True)
        self.patch.chdir(place)
        return place

    def writes(self) -> list[str]:
        """What was asked of the account since the last look that was no read."""
        made = [f"{call.service}:{call.operation}" for call in self.account.calls]
        self.account.calls.clear()
        return [call for call in made if not call.partition(":")[2].startswith(READS)]


class Ticking:
    """The account's clock as that of commands: to sleep is to let time pass there."""

    def __init__(self, account: Any) -> None:
        self.account = account

    def __call__(self, _: threading.Event) -> Ticking:
        return self

    def now(self) -> float:
        return float(self.account.clock.now())

    def sleep(self, seconds: float) -> None:
        self.account.clock.advance(max(seconds, 0.05))


def point_at(account: Any, url: str, patch: pytest.MonkeyPatch) -> None:
    """Have this process, and those that it starts, talk to the account; here without sockets, and at its own pace."""
    for name, value in process.environment(url).items():
        patch.setenv(name, value)
    straight_to(account, url, patch)
    patch.setattr(client, "connect", _connected)
    patch.setattr("reconciler.operations.apply.WallClock", Ticking(account))
    patch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=account.clock.advance))  # between two tries
    account.clock.speed = 0


_connect = client.connect
_CONNECTED: dict[tuple[Any, ...], client.AwsClient] = {}


def _connected(*, region: str | None, endpoint: client.Endpoint | None = None, **who: Any) -> client.AwsClient:
    """As a new process connects, with botocore's clients of commands before: to make them takes longer than most plans.
    Only where the environment has the keys itself, and no file has a say.
    """
    settings = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "RECONCILE_"))}
    files = [Path(os.environ["HOME"], ".aws"), *(Path(settings[name]) for name in settings if name.endswith("_FILE"))]
    if any(who.values()) or "AWS_ACCESS_KEY_ID" not in settings or any(path.exists() for path in files):
        return _connect(region=region, endpoint=endpoint, **who)
    key = (region, endpoint, client.service_models.shared, *sorted(settings.items()))
    if key not in _CONNECTED:
        _CONNECTED[key] = _connect(region=region, endpoint=endpoint, **who)
    found = copy.copy(_CONNECTED[key])
    found.requests, found.on_exchange, found.skew = {}, None, 0.0
    return found


def straight_to(account: Any, url: str, patch: pytest.MonkeyPatch) -> None:
    """What botocore would send to ``url`` goes to ``account`` without a socket in between."""
    answer = responder(account)
    send = URLLib3Session.send

    def straight(session: Any, request: Any) -> Any:
        return answer(request) if request.url.startswith(url) else send(session, request)

    patch.setattr(URLLib3Session, "send", straight)
