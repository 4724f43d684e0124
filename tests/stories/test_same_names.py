"""Requests that are delivered twice, and two environments that create the same names at the same moment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import estate
from reconciler.applying.executor import Executor
from reconciler.model import Call, Environment, Outcome, Reply, StepState
from reconciler.operations import pipeline
from reconciler.operations.pipeline import Planned
from tests.support.histories import READS, Door, History, Ticking

SMALL = 2
AT_ONCE = dict.fromkeys(("environment_create", "environment_scaling", "queue_create", "queue_update", "iam_delay"), 0)


@pytest.fixture
def declared(sandbox: Any, tmp_path: Path) -> Environment:
    """A handful of nearly every kind."""
    sandbox.change(AT_ONCE)
    return pipeline.read_environment(estate.write(tmp_path / "estate", SMALL), {}, strict=True)[0]


@dataclass
class Twice(Door):
    """Every write is delivered twice, and the second reply is the one that arrives; ``refused`` are those that differ."""

    refused: list[str] = field(default_factory=list)

    def call(self, call: Call) -> Reply:
        first = super().call(call)
        if call.operation.startswith(READS):
            return first
        second = self.aws.call(call)
        if type(first) is not type(second):
            self.refused.append(str(call))
        return second


def test_what_is_delivered_twice_is_done_once(declared: Environment, sandbox: Any) -> None:
    history = History(sandbox, "estate")
    door = Twice(history.aws)
    outcome = history.run(declared, door)

    assert outcome.ok, history.failures()
    assert len(set(door.refused)) >= 8, set(door.refused)
    again = history.plan(declared)
    left = {str(item.address): item.reason for item in again.plan.resources if item.verb.value != "noop"}
    print(left)
    assert {address.split(".")[0] for address in left} == {"jobDefinitions"}
    assert all("revisions beyond those to keep" in reason for reason in left.values())
    history.converge(declared)
    door = Twice(history.aws)
    gone = history.run(declared, door, destroy=True)
    assert gone.ok, history.failures()
    history.expect_empty(declared)
