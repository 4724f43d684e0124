"""Whole histories in one process: plan and apply environments against the sandbox, without sockets or waiting."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.account.client import AwsClient, identity
from reconciler.applying.executor import Executor
from reconciler.kinds import discover
from reconciler.model import (
    Address,
    Call,
    Environment,
    Event,
    Lifecycle,
    Options,
    Outcome,
    Refused,
    Reply,
    Resource,
    Scope,
    StepState,
)
from reconciler.operations import pipeline
from reconciler.operations.pipeline import Planned
from tests.support.clients import client_of
from tests.support.long import LONG

READS = ("Describe", "Get", "List")
STRIDE = 1 if LONG else 7  # every call takes minutes; every seventh finds most of it


def moments(first: int = 0) -> range:
    """The writes at which a run is killed, by number."""
    return range(first % STRIDE, 400, STRIDE)


class Killed(BaseException):
    """The process is gone: nobody catches this."""


@dataclass
class Door:
    """Counts calls and dies when told: before the n-th write is made, or after it (the answer is lost)."""

    aws: AwsClient
    dies_at: int | None = None
    after: bool = False
    writes: list[str] = field(default_factory=list)
    reads: int = 0

    def call(self, call: Call) -> Reply:
        if call.operation.startswith(READS):
            self.reads += 1
            return self.aws.call(call)
        self.writes.append(str(call))
        dying = self.dies_at is not None and len(self.writes) > self.dies_at
        if dying and not self.after:
            raise Killed
        reply = self.aws.call(call)
        if dying:
            raise Killed
        return reply


@dataclass
class Ticking:
    """The sandbox's clock as the executor's: sleeping is advancing."""

    sandbox: Any

    def now(self) -> float:
        now: float = self.sandbox.clock.now()
        return now

    def sleep(self, seconds: float) -> None:
        self.sandbox.clock.advance(max(seconds, 0.05))


_CONNECTED: dict[tuple[int, str], tuple[Any, AwsClient]] = {}


def connected(session: Any, region: str) -> AwsClient:
    """A client of its own, with botocore's clients of those before it: to make them takes longer than most histories."""
    if (id(session), region) not in _CONNECTED:
        _CONNECTED[id(session), region] = session, client_of(session, region)
    found = copy.copy(_CONNECTED[id(session), region][1])
    found.requests, found.on_exchange, found.skew = {}, None, 0.0
    return found


@dataclass
class History:
    """One account and what is done to it."""

    sandbox: Any
    name: str = "test"
    scope: Scope | None = None
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.aws = connected(self.sandbox.session, self.sandbox.region)
        self.scope = identity(self.aws, self.name)

    def environment(self, stack: Mapping[str, Mapping[str, Any]], **settings: Any) -> Environment:
        kinds = discover()
        resources = {}
        for section, named in stack.items():
            for name, value in named.items():
                props = dict(value)
                lifecycle, tags = props.pop("lifecycle", Lifecycle()), props.pop("tags", {})
                address = Address(section, name)
                resources[address] = Resource(
                    address=address, props=kinds[section].expanded(name, props), tags=tags, lifecycle=lifecycle
                )
        return Environment(name=self.name, resources=resources, **settings)

    def plan(self, env: Environment, **options: Any) -> Planned:
        assert self.scope
        return pipeline.make_plan(env, self.scope, self.aws, Options(**options), parallelism=0)

    def run(self, env: Environment, door: Door | None = None, **options: Any) -> Outcome:
        planned = self.plan(env, **options)
        assert not planned.problems, [str(problem) for problem in planned.problems]
        self.events = []
        through = door or Door(self.aws)
        executor = Executor(
            through,
            Ticking(self.sandbox),
            self.events.append,
            parallelism=0,
            keep_going=True,
            jitter=lambda: 0.0,
            recheck=pipeline.recheck(planned, through),
        )
        return executor.run(planned.plan)

    def failures(self) -> list[str]:
        return [f"{e.step.id} {e.step.action}: {e.detail}" for e in self.events if e.state is StepState.FAILED]

    def converge(self, env: Environment, **options: Any) -> None:
        """Apply, then plan again and expect nothing."""
        outcome = self.run(env, **options)
        assert outcome.ok, self.failures()
        self.expect_nothing(env)

    def expect_nothing(self, env: Environment) -> None:
        again = self.plan(env)
        assert not again.problems, [str(problem) for problem in again.problems]
        told = [
            (str(r.address), r.reason, [(c.path, c.before, c.after) for c in r.changes]) for r in again.plan.resources
        ]
        assert not again.plan.applyable, [entry for entry in told if entry[1]]

    def destroy(self, env: Environment) -> None:
        outcome = self.run(env, destroy=True)
        assert outcome.ok, self.failures()
        self.expect_empty(env)

    def expect_empty(self, env: Environment) -> None:
        """Nothing that the environment owned is there any more."""
        left = self.plan(env, destroy=True)
        assert not left.plan.steps, [str(r.address) for r in left.plan.resources]


__all__ = ["Door", "History", "Killed", "Refused"]
