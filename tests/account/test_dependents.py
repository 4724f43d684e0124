"""Who uses what a plan would delete is asked of the account, and only then; what cannot be asked is taken to be in use."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.account.dependents import find_dependents, kept_by_saved_plan, removed_objects
from reconciler.account.reader import Reader
from reconciler.model import Call, Dependent, Plan, Refused, Reply, Unreadable
from reconciler.planning import planner
from tests.support.builders import SCOPE, env, kind, live, observed, resource

DENIED = Refused("AccessDeniedException", "no")


class Account:
    """Answers every call with ``reply`` and counts them."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.calls: list[str] = []

    def call(self, call: Call) -> Reply:
        self.calls.append(call.operation)
        return self.reply


def asking(operation: str) -> Any:
    """A source of dependents: one call, whose reply names the users of each object."""

    def source(scope: Any, lives: Any, removals: Any) -> Any:
        call = Call("test", operation, {"names": [one.physical for one in lives]})
        (reply,) = yield (call,)
        if isinstance(reply, Refused):
            raise Unreadable(call, reply)
        return {name: tuple(Dependent(text=text) for text in users) for name, users in reply["users"].items()}

    return source


ENGINES = kind("engines", dependents=(asking("ListCars"), asking("ListBoats")))
KINDS = {"engines": ENGINES, "cars": kind("cars")}
LIVES = observed(engines=[live("v8"), live("v6")], cars=[live("bus")])


def made(*declared: Any) -> Plan:
    return planner.make(env(*declared, resource("cars", "other")), KINDS, SCOPE, LIVES)[0]


def found(reply: Reply, plan: Plan) -> tuple[Any, Any, Account]:
    account = Account(reply)
    used, refused = find_dependents(Reader(account, parallelism=0), KINDS, SCOPE, plan)
    return used, refused, account


def test_nothing_is_asked_where_nothing_of_the_kind_is_deleted():
    used, refused, account = found({"users": {}}, made(resource("engines", "v8"), resource("engines", "v6")))

    assert (used, refused, account.calls) == ({}, (), [])


def test_each_source_is_asked_once_for_all_that_is_deleted():
    used, refused, account = found({"users": {"v8": ["a car"]}}, made())

    assert sorted(account.calls) == ["ListBoats", "ListCars"]
    assert used == {("engines", "v8"): (Dependent(text="a car"), Dependent(text="a car"))}
    assert refused == ()


def test_what_cannot_be_asked_may_be_in_use_and_the_permission_is_named():
    used, refused, _ = found(DENIED, made())

    assert set(used) == {("engines", "v8"), ("engines", "v6")}
    assert {user.text for user in used["engines", "v6"]} == {
        "test:ListCars was refused (AccessDeniedException), so it may be in use",
        "test:ListBoats was refused (AccessDeniedException), so it may be in use",
    }
    assert {user.hint for user in used["engines", "v6"]} == {"allow test:ListCars", "allow test:ListBoats"}
    assert {failed.call.operation for failed in refused} == {"ListCars", "ListBoats"}


def test_any_other_fault_is_no_answer():
    def broken(scope: Any, lives: Any, removals: Any) -> Any:
        yield (Call("test", "ListCars", {}),)
        raise ValueError("a fault of our own")

    kinds = {**KINDS, "engines": kind("engines", dependents=(broken,))}
    with pytest.raises(ValueError, match="of our own"):
        find_dependents(Reader(Account({}), parallelism=0), kinds, SCOPE, made())


def test_what_a_saved_plan_keeps_is_kept_by_who_applies_it():
    kept = kept_by_saved_plan([("engines", "v8")])

    assert kept_by_saved_plan(None) == {}
    assert [user.text for user in kept["engines", "v8"]] == ["in use when the plan was saved"]
    assert removed_objects(made(resource("engines", "v8"))) == {("engines", "v6"), ("cars", "bus")}
