"""What the plans of tests are made against: the sandbox in this process, without sockets or waiting, or a snapshot."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from reconciler.model import Call, Event, Options, Refused, Reply, StepState
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.model.values import SANDBOX
from reconciler.operations import pipeline, session
from reconciler.operations.session import Loaded, Session
from reconciler.sandbox.clock import Clock

if TYPE_CHECKING:  # 0.1 s to import
    from reconciler.account.client import AwsClient

NOWHERE: Final = "https://sandbox.invalid"  # is never connected to
_FILES: Final = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
PLACES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")


@contextmanager
def without_aws_settings() -> Iterator[None]:
    """Hides the user's AWS settings from the sandbox in this process, which would look for a profile."""
    names = [name for name in os.environ if name.startswith(("AWS_", "MOTO_")) and name != "AWS_DATA_PATH"]
    before = {name: os.environ.pop(name) for name in names}
    os.environ |= dict.fromkeys(_FILES, os.devnull)
    try:
        yield
    finally:
        for name in _FILES:
            del os.environ[name]
        os.environ |= before


@dataclass(slots=True)
class _Clock:
    """The sandbox's clock as the executor's: sleeping is advancing."""

    clock: Clock

    def now(self) -> float:
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        self.clock.advance(max(seconds, 0.05))


class _Remembered:
    """Sends each call once: plans of one account, which nothing changes, ask for the same."""

    def __init__(self, client: AwsClient) -> None:
        from reconciler.account.recording import Recorder  # noqa: PLC0415  (see above)

        self._client = client
        self._recorder = Recorder(client)

    def call(self, call: Call) -> Reply:
        from reconciler.account.recorded import json_copy  # noqa: PLC0415  (see above)

        reply = self._recorder.call(call)
        return reply if isinstance(reply, Refused) else dict(json_copy(reply))

    def elsewhere(self) -> str:
        return self._client.elsewhere()


class SandboxAccount:
    """An account of the sandbox in this process; what it has is kept while the key of what was applied is the same."""

    def __init__(self) -> None:
        self._sandbox: Any = None
        self._place: tuple[str, str] = ("", "")
        self._has: Any = None
        self._clients: dict[tuple[str, str], AwsClient] = {}
        self._remembered: dict[tuple[str, str], _Remembered] = {}

    def with_nothing(self, loaded: Loaded, environ: Mapping[str, str]) -> Session:
        """The environment with an account without resources."""
        return self._planned_only(self._fresh(loaded, environ))

    def with_applied(
        self, base: Loaded, loaded: Loaded, environ: Mapping[str, str], known: Mapping[str, Any], key: Any
    ) -> Session:
        """The environment ``loaded`` with an account in which ``base`` was applied. ``known`` are values of look-ups.

        Raises Problems where that cannot be applied.
        """
        if self._has != key:
            self._apply(self._fresh(base, environ), known)
            self._remembered.clear()
            self._has = key
        return self._planned_only(self._connect(loaded, environ))

    def _planned_only(self, account: Session) -> Session:
        place = (account.scope.account, account.scope.region)
        client = self._remembered.setdefault(place, _Remembered(account.client))
        # it is asked for replies only; nothing that a plan calls needs more of a client
        return replace(account, client=cast("AwsClient", client))

    def close(self) -> None:
        """Delete everything: other sandboxes in this process have the same memory."""
        if self._sandbox is not None:
            self._sandbox.reset()

    def _fresh(self, loaded: Loaded, environ: Mapping[str, str]) -> Session:
        try:
            from reconciler.sandbox import server  # noqa: PLC0415  (a second to import, and an extra)
        except ImportError as error:
            message = "this test needs the sandbox, which is not installed"
            hint = "pip install 'batch-reconcile[sandbox]', or use account: {snapshot: FILE}"
            raise Problems([Problem(code=codes.NO_SANDBOX, message=message, hint=hint)]) from error
        region = loaded.env.region or next(filter(None, map(environ.get, PLACES)), server.REGION)
        place = (loaded.env.account or server.ACCOUNT, region)
        if self._sandbox is None or self._place != place:  # a new one is empty
            self._clients.clear()
            self._sandbox, self._place = server.Sandbox(account=place[0], region=region, clock=Clock(speed=0)), place
        else:
            self._sandbox.reset()
        self._remembered.clear()
        self._has = None
        return self._connect(loaded, environ)

    def _connect(self, loaded: Loaded, environ: Mapping[str, str]) -> Session:
        from reconciler.account import client as aws  # noqa: PLC0415  (0.1 s to import)
        from reconciler.sandbox import process  # noqa: PLC0415

        account, region = place = (self._place[0], loaded.env.region or self._place[1])
        if place not in self._clients:  # they take longer to make than most plans
            found = process.environment(NOWHERE, region, account)
            endpoint = aws.Endpoint(NOWHERE, region, account, found["AWS_SECRET_ACCESS_KEY"], SANDBOX)
            self._clients[place] = aws.connect(region=region, endpoint=endpoint)
            self._sandbox.attach(self._clients[place].session.core)
        client = self._clients[place]
        return Session(loaded, aws.identity(client, loaded.env.name), client, environ)

    def _apply(self, base: Session, known: Mapping[str, Any]) -> None:
        planned = session.make_plan(base, Options(), parallelism=0, facts_known=known)
        if planned.problems:
            raise Problems(planned.problems)
        events: list[Event] = []
        outcome = pipeline.execute(
            planned,
            base.client,
            _Clock(self._sandbox.clock),
            events.append,
            parallelism=0,
            keep_going=False,
            stop=threading.Event(),
        )
        failed = [event for event in events if event.state is StepState.FAILED]
        if not outcome.ok or failed:
            problems = [_failed(event) for event in failed]
            message = "the environment cannot be applied in the sandbox"
            raise Problems(problems or [Problem(code=codes.AWS_REFUSED, message=message)])


def _failed(event: Event) -> Problem:
    message = f"the environment cannot be applied in the sandbox: {event.detail}"
    hint = "give values of look-ups in lookups, or plan against a snapshot: account: {snapshot: FILE}"
    return Problem(code=codes.AWS_REFUSED, message=message, hint=hint, address=str(event.step.address))
