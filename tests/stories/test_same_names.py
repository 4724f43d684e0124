"""Requests that are delivered twice, and two environments that create the same names at the same moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks import estate
from reconciler.applying.executor import Executor
from reconciler.applying.preconditions import AccountRecheck
from reconciler.kinds import discover
from reconciler.model import Call, Environment, Outcome, Plan, Reply, StepState
from reconciler.operations import pipeline
from reconciler.operations.pipeline import Planned
from reconciler.schema import registry
from tests.support import changes
from tests.support.changes import File
from tests.support.histories import READS, Door, History, Ticking
from tests.support.long import some

SMALL = 2
AT_ONCE = dict.fromkeys(("environment_create", "environment_scaling", "queue_create", "queue_update", "iam_delay"), 0)


def across_kinds() -> list[File]:
    """The kinds whose changes are tried; job definitions would have one revision too many."""
    return some(
        [file for file in changes.files() if file.section not in ("computeEnvironments", "jobDefinitions")], 9, first=4
    )


@pytest.fixture
def declared(sandbox: Any, tmp_path: Path) -> Environment:
    """A handful of nearly every kind."""
    sandbox.change(AT_ONCE)
    return pipeline.read_environment(estate.write(tmp_path / "estate", SMALL), {}, strict=True)[0]


@dataclass
class Twice(Door):
    """Each write is delivered twice, and the second reply is the one that arrives; ``refused`` are those that differ.

    What is sent again is delivered once: a retry below does not repeat everything for ever.
    """

    refused: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def call(self, call: Call) -> Reply:
        first, key = super().call(call), f"{call} {call.params}"
        if call.operation.startswith(READS) or key in self.seen:
            return first
        self.seen.add(key)
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
    assert {address.split(".")[0] for address in left} == {"jobDefinitions"}
    assert all("revisions beyond those to keep" in reason for reason in left.values())
    history.converge(declared)
    door = Twice(history.aws)
    gone = history.run(declared, door, destroy=True)
    assert gone.ok, history.failures()
    history.expect_empty(declared)


@dataclass
class Checking:
    """The executor as the command uses it: what AWS refuses is looked at again."""

    aws: Any
    clock: Any
    emit: Any
    rest: dict[str, Any]

    def run(self, plan: Plan) -> Outcome:
        recheck = AccountRecheck(plan, discover(), self.aws, registry.members)
        return Executor(self.aws, self.clock, self.emit, recheck=recheck, **self.rest).run(plan)


@pytest.mark.parametrize("file", across_kinds(), ids=lambda file: file.section)
def test_every_change_that_is_delivered_twice_is_made(
    file: File, sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row of the table of changes, there and back."""
    monkeypatch.setattr(changes, "Door", Twice)
    monkeypatch.setattr(changes, "Executor", lambda aws, clock, emit, **rest: Checking(aws, clock, emit, rest))
    told = changes.tried(file, sandbox, tmp_path)

    assert {key: row.wrong for key, row in told.items() if row.wrong} == {}


# --- two environments ------------------------------------------------------------------------------------------------


def executed(history: History, planned: Planned, door: Door) -> Outcome:
    """Apply ``planned`` as the command does it within seconds of planning: nothing counts as changed since."""
    history.events = []
    executor = Executor(
        door,
        Ticking(history.sandbox),
        history.events.append,
        parallelism=0,
        keep_going=True,
        jitter=lambda: 0.0,
        recheck=pipeline.recheck(planned, door, lambda: True),
    )
    return executor.run(planned.plan)


def refusals(history: History) -> dict[str, str]:
    return {str(event.step.address): event.detail for event in history.events if event.state is StepState.FAILED}


@dataclass
class Meanwhile(Door):
    """The first environment is applied when this one is about to send its first ``operation``."""

    operation: str = ""
    first: Any = None

    def call(self, call: Call) -> Reply:
        if call.operation == self.operation and self.first:
            go, self.first = self.first, None
            go()
        return super().call(call)


SAME = {
    "logGroups": {"both": {}},
    "topics": {"both": {}},
    "jobDefinitions": {
        "both": {
            "type": "container",
            "containerProperties": {
                "image": "alpine",
                "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
            },
        }
    },
    "eventRules": {
        "both": {
            "eventPattern": {"source": ["aws.batch"]},
            "targets": [{"id": "one", "arn": "arn:aws:logs:eu-west-1:123456789012:log-group:one"}],
        }
    },
}


MOMENTS = {"logGroups": "CreateLogGroup", "topics": "CreateTopic"}
MOMENTS |= {"jobDefinitions": "RegisterJobDefinition", "eventRules": "PutRule"}


@pytest.mark.parametrize("section", SAME)
@pytest.mark.parametrize("looked", [False, True])
def test_who_comes_second_takes_nothing(sandbox: Any, section: str, looked: bool) -> None:
    """Both were planned when neither existed; the second is applied after the first, or has just looked again."""
    one, two = History(sandbox, "one"), History(sandbox, "two")
    stack = one.environment({section: SAME[section]})
    plans = one.plan(stack), two.plan(two.environment({section: SAME[section]}))

    def first() -> None:
        assert executed(one, plans[0], Door(one.aws)).ok, one.failures()

    if not looked:
        first()
    door = Meanwhile(two.aws, operation=MOMENTS[section], first=first if looked else None)
    outcome = executed(two, plans[1], door)

    (told,) = refusals(two).values()
    assert " one" in told, told
    assert set(outcome.failed) == set(outcome.changed_since_plan)
    left = one.plan(stack)
    assert not left.problems
    (item,) = left.plan.resources
    assert item.kept_object and item.kept_object.owner == "one"
    assert two.plan(stack, destroy=True).plan.resources == (), "it owns nothing"
    if looked and section == "eventRules":
        assert "was created by one at the same moment, and was overwritten: apply one again" in told
        assert "events:PutTargets" not in door.writes
    one.expect_nothing(stack)
