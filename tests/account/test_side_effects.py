"""What else a plan changes, as kinds find it by a second read: notes that do not block, and problems that do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.account.reader import Reader
from reconciler.account.side_effects import find_side_effects
from reconciler.model import (
    Address,
    Call,
    Declared,
    Diff,
    Environment,
    Finding,
    Kind,
    Live,
    Plan,
    Pos,
    Reads,
    Refused,
    Reply,
    Resource,
    ResourcePlan,
    Unreadable,
    Verb,
    Want,
)
from reconciler.model import problem_codes as codes
from tests.support.builders import SCOPE, kind, live

NOTE = Finding(("power",), "three others use it", code=codes.MISFIT, warning=True)
ADVICE = Finding(("power",), "it could be smaller", code=codes.ADVICE, warning=True)
BLOCKS = Finding(("power",), "it is locked", "unlock it", codes.STILL_USED)
NAMES = ("kept", "changed", "created")
ENV = Environment(
    name="test",
    resources={
        Address("cars", name): Resource(
            address=Address("cars", name), props={}, pos={("power",): Pos("e.yaml", line, 7)}
        )
        for line, name in enumerate(NAMES, start=1)
    },
)


@dataclass
class Account:
    """Answers every call with the same reply."""

    reply: Reply = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def call(self, call: Call) -> Reply:
        self.asked.append(call.params["name"])
        return self.reply


def cars(*findings: Finding, seen: dict[Any, Any] | None = None) -> Kind:
    """A kind that finds these about what changes, with one read."""

    def side_effects(
        live: Live, want: Want, diff: Diff, verbs: Mapping[Address, Verb], declared: Declared
    ) -> Reads[Sequence[Finding]]:
        if seen is not None:
            seen[live.physical] = (dict(verbs), set(declared.resources))
        if live.physical == "kept":
            return ()
        call = Call("test", "Describe", {"name": live.physical})
        (reply,) = yield (call,)
        if isinstance(reply, Refused):
            raise Unreadable(call, reply)
        return findings

    return kind("cars", side_effects=side_effects)


def planned(name: str, verb: Verb) -> ResourcePlan:
    address, there = Address("cars", name), verb is not Verb.CREATE
    want = Want(address=address, physical=name, declared={}, props={}, tags={}, attrs={}, scope=SCOPE)
    found = live(name) if there else None
    return ResourcePlan(
        address=address, verb=verb, physical=name, before=None, after={}, want=want, kept_object=found, notes=("first",)
    )


PLAN = Plan(
    scope=SCOPE,
    resources=(planned("kept", Verb.NOOP), planned("changed", Verb.UPDATE), planned("created", Verb.CREATE)),
)


def found(one: Kind, account: Account, parallelism: int = 0) -> tuple[Plan, list[Any]]:
    reader = Reader(account, parallelism=parallelism)
    try:
        return find_side_effects(reader, {"cars": one}, ENV, PLAN)
    finally:
        reader.close()


@pytest.mark.parametrize("parallelism", [0, 2])
def test_warnings_become_notes_and_those_that_are_no_advice_are_foreseen(parallelism: int) -> None:
    account = Account()
    plan, problems = found(cars(NOTE, ADVICE), account, parallelism)
    kept, changed, created = plan.resources

    assert (changed.notes, changed.side_effects) == (
        ("first", "three others use it", "it could be smaller"),
        ("three others use it",),
    )
    assert (kept, created) == (PLAN.resources[0], PLAN.resources[2])
    assert problems == []
    assert account.asked == ["changed"], "nobody is asked about what stays as it is, or does not exist"


def test_what_stands_in_the_way_is_a_problem_with_its_place() -> None:
    plan, (problem,) = found(cars(BLOCKS, NOTE), Account())

    assert (problem.code, problem.message, problem.hint) == ("still-used", "it is locked", "unlock it")
    assert (problem.address, problem.path, str(problem.pos)) == ("cars.changed", "power", "e.yaml:2:7")
    assert plan.resources[1].notes == ("first", "three others use it")


def test_a_kind_is_told_what_the_plan_does_and_what_is_declared() -> None:
    seen: dict[Any, Any] = {}
    found(cars(seen=seen), Account())
    verbs = {Address("cars", "changed"): Verb.UPDATE, Address("cars", "created"): Verb.CREATE}

    assert seen == dict.fromkeys(("kept", "changed"), (verbs, set(ENV.resources)))


@pytest.mark.parametrize("one", [cars(), kind("cars")], ids=["nothing found", "nothing to find"])
def test_where_nothing_is_found_the_plan_is_the_same(one: Kind) -> None:
    plan, problems = found(one, Account())

    assert plan is PLAN and problems == []


def test_what_a_read_raises_is_raised() -> None:
    with pytest.raises(Unreadable, match="AccessDenied"):
        found(cars(NOTE), Account(Refused("AccessDenied", "no")))
