"""Many objects of a kind are read together before they are written to, and none later than shortly before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from reconciler.applying.preconditions import AccountRecheck
from reconciler.applying.recent_reads import FRESH
from reconciler.model import (
    Address,
    Call,
    Kind,
    Live,
    Plan,
    Query,
    ReadMany,
    Reads,
    Refused,
    Reply,
    ResourcePlan,
    Step,
    Unreadable,
    Verb,
)
from tests.support.builders import OWNED, SCOPE, kind, live

NAMES = tuple("abcdef")
SINCE = " since the plan was created; plan again"
DENIED = Refused("AccessDenied", "no")


@dataclass
class Account:
    """Cars by name, on a clock that each call moves on by ``takes`` seconds."""

    cars: dict[str, Live] = field(default_factory=lambda: {name: live(name, power=1) for name in NAMES})
    refuses: frozenset[str] = frozenset()
    takes: float = 0.0
    time: float = 100.0
    asked: list[tuple[str, str]] = field(default_factory=list)

    def call(self, call: Call) -> Reply:
        names = call.params["names"]
        self.asked.append((call.operation, "".join(names)))
        self.time += self.takes
        if call.operation in self.refuses:
            return DENIED
        return {"cars": [self.cars[name] for name in names if name in self.cars]}

    def now(self) -> float:
        return self.time

    def put(self, name: str, tags: Any = OWNED, **props: Any) -> None:
        self.cars[name] = live(name, tags, **props)


def asking(operation: str, names: Sequence[str]) -> Reads[list[Live]]:
    call = Call("test", operation, {"names": list(names)})
    (reply,) = yield (call,)
    if isinstance(reply, Refused):
        raise Unreadable(call, reply)
    return list(reply["cars"])


def read(query: Query) -> Reads[Sequence[Live]]:
    return (yield from asking("Describe", [one.name for one in query.sought]))


def read_many(query: Query) -> Reads[Sequence[Live] | None]:
    return (yield from asking("List", [one.name for one in query.sought]))


def too_many(query: Query) -> Reads[Sequence[Live] | None]:
    yield from asking("List", [one.name for one in query.sought])
    return None


def with_tags(one: Live) -> Reads[Live | None]:
    found = yield from asking("Tags", [one.physical])
    return found[0] if found else None


def cars(read: Any = read_many, **facts: Any) -> Kind:
    return replace(kind("cars"), read=globals()["read"], read_many=ReadMany(read, **facts))


def deletion(name: str) -> ResourcePlan:
    address = Address("cars", name)
    step = Step(id=f"{address}:down.0", address=address, action=Call("test", "Delete", {"name": name}))
    return ResourcePlan(
        address=address,
        verb=Verb.DELETE,
        physical=name,
        before=None,
        after=None,
        steps=(step,),
        removed_objects=(live(name, power=1),),
    )


def recheck(account: Account, of: Kind) -> Any:
    """What has changed of a car since the plan, which deletes all."""
    plan = Plan(scope=SCOPE, resources=tuple(map(deletion, NAMES)))
    made = AccountRecheck(plan, {"cars": of}, account, now=account.now)
    return lambda name: made.changed_since_plan(Address("cars", name), "down")


def test_each_is_held_against_one_read_of_all() -> None:
    account = Account()
    told = recheck(account, cars())
    account.put("b", {"reconciler/environment": "other"}, power=1)
    account.put("c", power=2)
    del account.cars["d"]

    assert [told(name) for name in "cafbed"] == [
        f"power of c changed{SINCE}",
        "",
        "",
        f"b changed its owner to other{SINCE}",
        "",
        "",
    ]
    # from the one that is written to first, in the order of the plan; what seems gone is looked for by its name
    assert account.asked == [("List", "cdefab"), ("Describe", "d")]


def test_what_changes_while_others_are_written_to_is_not_written_over() -> None:
    """The read counts for a short time from when it was begun, and once for each."""
    account = Account(takes=0.5)
    told = recheck(account, cars())
    assert told("a") == told("b") == ""

    account.put("c", {"reconciler/environment": "other"}, power=1)
    account.put("e", power=2)
    account.time += FRESH
    assert told("c") == f"c changed its owner to other{SINCE}"
    assert told("d") == ""
    account.time += FRESH
    account.put("f", power=3)
    assert told("f") == f"power of f changed{SINCE}"
    assert told("e") == f"power of e changed{SINCE}"
    assert told("a") == "", "asked twice, it is read twice"
    assert account.asked == [("List", "abcdef"), ("List", "cdef"), ("List", "fe"), ("List", "a")]


def test_what_a_list_lacks_is_not_taken_to_be_gone() -> None:
    account = Account()

    def lacking(query: Query) -> Reads[Sequence[Live] | None]:
        return [one for one in (yield from read_many(query)) or () if one.physical != "b"]

    told = recheck(account, cars(lacking))
    account.put("b", {"reconciler/environment": "other"}, power=1)

    assert [told("a"), told("b")] == ["", f"b changed its owner to other{SINCE}"]
    assert account.asked == [("List", "abcdef"), ("Describe", "b")]


def test_as_many_are_asked_for_as_a_call_takes() -> None:
    account = Account()
    told = recheck(account, cars(most=4))

    assert [told(name) for name in NAMES] == [""] * 6
    assert account.asked == [("List", "abcd"), ("List", "ef")]


@pytest.mark.parametrize(
    ("facts", "of"),
    [({"refuses": frozenset({"List"})}, cars()), ({"takes": FRESH + 1}, cars()), ({}, cars(too_many))],
    ids=["refused", "too slow", "too many calls"],
)
def test_where_reading_together_is_of_no_use_each_is_read_by_its_name(facts: dict[str, Any], of: Kind) -> None:
    account = Account(**facts)
    told = recheck(account, of)
    assert told("a") == ""
    account.put("b", power=2)

    assert told("b") == f"power of b changed{SINCE}"
    assert account.asked == [("List", "abcdef"), ("Describe", "a"), ("Describe", "b")]


def test_what_only_each_by_itself_shows_is_read_by_itself() -> None:
    account = Account()
    told = recheck(account, cars(rest=with_tags))
    assert told("a") == ""
    account.put("b", {**OWNED, "x": "y"}, power=1)
    del account.cars["c"]

    assert [told("b"), told("c")] == [f"the tags of b changed{SINCE}", ""]
    assert account.asked == [("List", "abcdef"), ("Tags", "a"), ("Tags", "b"), ("Tags", "c"), ("Describe", "c")]

    account.takes = FRESH + 1  # meanwhile what was read of all has become too old
    account.put("e", power=2)
    assert told("e") == f"power of e changed{SINCE}"
    assert account.asked[5:] == [("Tags", "e"), ("Describe", "e")]

    account.takes = 0
    account.refuses = frozenset({"Tags"})
    with pytest.raises(Unreadable):
        told("d")
