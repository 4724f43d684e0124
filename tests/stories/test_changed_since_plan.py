"""The world moves between the plan and the write: nothing that is not in the plan is written over, in any kind.

Five resources of a kind stand side by side; a plan is made for all of them; then somebody changes one, deletes one, tags
one, takes one over, and leaves one alone. What is applied is the last one's change, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.applying.executor import Executor
from reconciler.applying.preconditions import AccountRecheck
from reconciler.applying.recent_reads import FRESH
from reconciler.kinds import discover
from reconciler.model import OWNER_TAG, Address, Call, Environment, Live, Outcome, Reply, StepState
from reconciler.operations import pipeline
from reconciler.operations.pipeline import Planned
from tests.support.changes import File, Row, _Account, files
from tests.support.histories import Door, History, Ticking
from tests.support.long import some

# what a container owns has no tags of its own that somebody could change
KINDS = [file for file in files() if not (discover()[file.section].shared or discover()[file.section].container)]
LEAVING = [file for file in KINDS if file.section in ("computeEnvironments", "jobDefinitions", "jobQueues", "roles")]
# their tags need a call of their own, and are all that is read before one is deleted: its settings go with it
BY_TAGS = ("eventRules", "logGroups", "repositories", "topics")
MOVED = ("changed", "deleted", "tagged", "taken")
EVERY = (*MOVED, "alone")


@dataclass
class Stage:
    """One kind's five resources: ``ours`` is the row that the plan makes, ``theirs`` the one that somebody else does."""

    account: _Account
    ours: Row
    theirs: Row | None

    @property
    def file(self) -> File:
        return self.account.file

    def named(self, who: str) -> str:
        return self.file.name.format(id=f"x-{who}")

    def address(self, who: str) -> Address:
        return Address(self.file.section, self.named(who))

    def environment(self, declared: Mapping[str, Mapping[str, Any]]) -> Environment:
        env: Environment = self.account.environment({self.named(who): props for who, props in declared.items()})
        return env

    def before(self) -> dict[str, Any]:
        return {who: self.ours.declared(self.ours.before) for who in EVERY}

    def wanted(self) -> dict[str, Any]:
        return {who: self.ours.declared(self.ours.after) for who in EVERY}

    def moved(self) -> dict[str, Any]:
        """What somebody else makes of them."""
        found = self.before()
        del found["deleted"]
        found["tagged"] = {**found["tagged"], "tags": {**found["tagged"].get("tags", {}), "whose": "somebody"}}
        if self.theirs:
            found["changed"] = self.theirs.declared(self.theirs.after)
        return found


@pytest.fixture(params=some(KINDS, 3), ids=lambda file: file.section)
def stage(request: pytest.FixtureRequest, sandbox: Any, tmp_path: Path) -> Stage:
    file: File = request.param
    sandbox.change({"iam_delay": 0})
    able = [row for row in file.rows if not row.refused and row.effect not in ("replace", "none")]
    of_plan = sorted(able, key=lambda row: row.path.startswith("tags"))
    ours = of_plan[0]
    others = (row for row in of_plan[1:] if row.base == ours.base and row.props == ours.props)
    theirs = next((row for row in others if row.path.partition(".")[0] != ours.path.partition(".")[0]), None)
    account = _Account(file, (), History(sandbox, name="effects"), tmp_path, {})
    return Stage(account, ours, None if theirs and theirs.path.startswith("tags") else theirs)


def planned(history: History, env: Environment, **options: Any) -> Planned:
    made = history.plan(env, allow_deletions=100, **options)
    assert not made.problems, [str(problem) for problem in made.problems]
    return made


def executed(history: History, made: Planned, door: Door | None = None, *, current: bool = True) -> Outcome:
    door, clock = door or Door(history.aws), Ticking(history.sandbox)
    history.events = []
    executor = Executor(
        door,
        clock,
        history.events.append,
        parallelism=0,
        keep_going=True,
        jitter=lambda: 0.0,
        recheck=pipeline.recheck(made, door, lambda: current, clock.now),
    )
    return executor.run(made.plan)


def applied(history: History, env: Environment) -> None:
    outcome = executed(history, planned(history, env))
    assert outcome.ok, history.failures()


def lives(stage: Stage, made: Planned, who: str) -> list[Any]:
    """What is there under the name: all that may be told of it, but for what AWS moves by itself."""
    looking = AccountRecheck(made.plan, discover(), stage.account.history.aws)
    kind = discover()[stage.file.section]
    item = next(item for item in made.plan.resources if item.address == stage.address(who))
    declared = item.want.declared if item.want else item.removed_objects[0].props
    found = looking.read(kind, stage.named(who), declared)
    return [(live.physical, live.revision, dict(live.tags), json.dumps(live.props, default=str)) for live in found]


def taken_over(stage: Stage, made: Planned, owner: str) -> None:
    """Somebody writes another environment's name on it."""
    kind, history = discover()[stage.file.section], stage.account.history
    item = next(item for item in made.plan.resources if item.address == stage.address("taken"))
    live: Live = item.kept_object or item.removed_objects[0]
    for action in kind.tag(live, {OWNER_TAG: owner}, ()):
        assert isinstance(action, Call)
        assert isinstance(history.aws.call(action), Mapping)


def refusals(history: History, outcome: Outcome) -> dict[str, str]:
    """Why the steps that no longer fitted failed, by the resource."""
    failed = {event.step.id: event for event in history.events if event.state is StepState.FAILED}
    assert set(outcome.failed) == set(outcome.changed_since_plan) == set(failed), history.failures()
    return {str(event.step.address): event.detail for event in failed.values()}


def expect_told(told: Mapping[str, str], stage: Stage, who: Sequence[str]) -> None:
    words = {
        "deleted": "was deleted since the plan",
        "tagged": "tags of",
        "taken": "changed its owner to elsewhere since the plan",
        "changed": "",
    }
    assert set(told) == {str(stage.address(one)) for one in who}
    for one in who:
        detail = told[str(stage.address(one))]
        assert words[one] in detail or (one != "taken" and "was registered since the plan" in detail), (one, detail)
        assert "plan again" in detail


def test_what_has_moved_is_left_as_it_is(stage: Stage) -> None:
    history = stage.account.history
    applied(history, stage.environment(stage.before()))
    made = planned(history, stage.environment(stage.wanted()))
    applied(history, stage.environment(stage.moved()))
    taken_over(stage, made, "elsewhere")
    moved = [who for who in MOVED if who != "changed" or stage.theirs]
    as_left = {who: lives(stage, made, who) for who in moved}

    outcome = executed(history, made)

    expect_told(refusals(history, outcome), stage, moved)
    assert {who: lives(stage, made, who) for who in moved} == as_left
    taken_over(stage, made, history.name)
    applied(history, stage.environment(stage.wanted()))
    history.expect_nothing(stage.environment(stage.wanted()))


@pytest.mark.parametrize(
    "stage",
    [*LEAVING, *(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS if kind not in LEAVING)],
    ids=lambda file: file.section,
    indirect=True,
)
def test_what_has_moved_is_not_deleted(stage: Stage) -> None:
    history = stage.account.history
    stays = {"stays": stage.ours.declared(stage.ours.before)}
    applied(history, stage.environment(stage.before() | stays))
    made = planned(history, stage.environment(stays))
    applied(history, stage.environment(stage.moved() | stays))
    taken_over(stage, made, "elsewhere")
    seen = stage.theirs and stage.file.section not in BY_TAGS
    moved = [who for who in ("changed", "tagged", "taken") if who != "changed" or seen]
    as_left = {who: lives(stage, made, who) for who in moved}

    outcome = executed(history, made)

    expect_told(refusals(history, outcome), stage, moved)
    assert {who: lives(stage, made, who) for who in moved} == as_left
    taken_over(stage, made, history.name)
    applied(history, stage.environment(stays))
    history.expect_nothing(stage.environment(stays))


@dataclass
class Meddling(Door):
    """Somebody does something once the first write is made, which is a while before the next."""

    meddle: Callable[[], None] = lambda: None
    pause: Callable[[], None] = lambda: None

    def call(self, call: Call) -> Reply:
        first = not self.writes
        reply = super().call(call)
        if first and self.writes:
            self.meddle()
            self.pause()
        return reply


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param(file, marks=() if file.section in ("jobDefinitions", "schedulingPolicies") else pytest.mark.long)
        for file in KINDS
        if discover()[file.section].read_many or discover()[file.section].read_leaving
    ],
    ids=lambda file: file.section,
    indirect=True,
)
def test_what_is_taken_over_while_others_are_deleted_stays(stage: Stage) -> None:
    """Several are read together before the first of them is deleted, but the last one a second time."""
    history = stage.account.history
    stays = {"stays": stage.ours.declared(stage.ours.before)}
    applied(history, stage.environment(stage.before() | stays))
    made = planned(history, stage.environment(stays))
    door = Meddling(
        history.aws,
        meddle=lambda: taken_over(stage, made, "elsewhere"),
        pause=lambda: history.sandbox.clock.advance(FRESH + 1),
    )

    outcome = executed(history, made, door)

    expect_told(refusals(history, outcome), stage, ["taken"])
    assert [bool(lives(stage, made, who)) for who in EVERY] == [who == "taken" for who in EVERY]


def test_what_somebody_created_since_is_left_as_it_is(stage: Stage) -> None:
    """Also where AWS would let a second creation write over it, or add to it."""
    history = stage.account.history
    env = stage.environment({who: props for who, props in stage.before().items() if who in ("alone", "taken")})
    mine = {stage.address(who): env.resources[stage.address(who)] for who in ("alone", "taken")}
    others = {address: found for address, found in env.resources.items() if address not in mine}
    applied(history, replace(env, resources=others))
    made = planned(history, env)
    elsewhere = History(history.sandbox, name="elsewhere")
    one = {address: found for address, found in mine.items() if address == stage.address("taken")}
    applied(elsewhere, replace(env, name="elsewhere", resources=one))
    as_left = lives(stage, made, "taken")

    outcome = executed(history, made, current=False)

    told = refusals(history, outcome)
    assert set(told) == {str(stage.address("taken"))}
    assert "was created since the plan and belongs to elsewhere; " in told[str(stage.address("taken"))]
    assert lives(stage, made, "taken") == as_left
    assert lives(stage, made, "alone")
