"""What the plans of tests are made against: the sandbox in this process, without sockets or waiting, or a snapshot."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.model import Event, Options, StepState
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.model.values import SANDBOX
from reconciler.operations import pipeline, session
from reconciler.operations.session import Loaded, Session
from reconciler.sandbox.clock import Clock

NOWHERE: Final = "https://sandbox.invalid"  # is never connected to
PLACES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(slots=True)
class _Clock:
    """The sandbox's clock as the executor's: sleeping is advancing."""

    clock: Clock

    def now(self) -> float:
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        self.clock.advance(max(seconds, 0.05))


class SandboxAccount:
    """An account of the sandbox in this process; what it has is kept while the key of what was applied is the same."""

    def __init__(self) -> None:
        self._sandbox: Any = None
        self._place: tuple[str, str] = ("", "")
        self._has: Any = None

    def with_nothing(self, loaded: Loaded, environ: Mapping[str, str]) -> Session:
        """The environment with an account without resources."""
        return self._fresh(loaded, environ)

    def with_applied(
        self, base: Loaded, loaded: Loaded, environ: Mapping[str, str], known: Mapping[str, Any], key: Any
    ) -> Session:
        """The environment ``loaded`` with an account in which ``base`` was applied. ``known`` are values of look-ups.

        Raises Problems where that cannot be applied.
        """
        if self._has != key:
            self._apply(self._fresh(base, environ), known)
            self._has = key
        return self._connect(loaded, environ)

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
        if self._sandbox is None or self._place != place:
            self.close()
            self._sandbox, self._place = server.Sandbox(account=place[0], region=region, clock=Clock(speed=0)), place
        self._sandbox.reset()
        self._has = None
        return self._connect(loaded, environ)

    def _connect(self, loaded: Loaded, environ: Mapping[str, str]) -> Session:
        from reconciler.account import client as aws  # noqa: PLC0415  (0.1 s to import)
        from reconciler.sandbox import process  # noqa: PLC0415

        account, region = self._place[0], loaded.env.region or self._place[1]
        found = process.environment(NOWHERE, region, account)
        endpoint = aws.Endpoint(NOWHERE, region, account, found["AWS_SECRET_ACCESS_KEY"], SANDBOX)
        client = aws.connect(region=region, endpoint=endpoint)
        self._sandbox.attach(client.session)
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
