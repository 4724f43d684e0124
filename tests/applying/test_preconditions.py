"""What apply reads again: nothing is written over that has changed since the plan, and no lost call is sent twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from reconciler.applying.preconditions import AccountRecheck
from reconciler.model import (
    Address,
    Call,
    Kind,
    Later,
    Live,
    Plan,
    Proof,
    Query,
    Reads,
    Refused,
    Reply,
    ResourcePlan,
    Step,
    Unreadable,
    Verb,
    Want,
)
from tests.support.builders import OWNED, SCOPE, kind, live

AT = Address("cars", "a")
CREATE = Call("test", "Create", captures={"arn": "Arn"}, proof=Proof.EXISTS)
UPDATE = Call("test", "Update", {"name": "a", "power": 2}, proof=Proof.SAME)
THEIRS = {"reconciler/environment": "other"}
DENIED = Refused("AccessDenied", "no")


@dataclass
class Account:
    """Objects by name; lists them all, or finds one."""

    objects: Sequence[Live] = ()
    refuses: frozenset[str] = frozenset()
    calls: list[Call] = field(default_factory=list)

    def call(self, call: Call) -> Reply:
        self.calls.append(call)
        if call.operation in self.refuses:
            return DENIED
        wanted = call.params.get("name")
        return {"items": [one for one in self.objects if wanted in (None, one.attrs["name"])]}

    @property
    def made(self) -> list[str]:
        return [call.operation for call in self.calls]


def read(query: Query) -> Reads[Sequence[Live]]:
    calls = tuple(Call("test", "Describe", {"name": one.name}) for one in query.sought)
    if query.owned:
        calls = (Call("test", "List", {}),)
    replies = yield calls
    for call, reply in zip(calls, replies, strict=True):
        if isinstance(reply, Refused):
            raise Unreadable(call, reply)
    return [one for reply in replies for one in reply["items"]]  # type: ignore[index]


def cars(**facts: Any) -> Kind:
    return kind("cars", read=read, **facts)


def revision(number: int, **props: Any) -> Live:
    attrs = {"name": "a", "arn": f"arn:a:{number}"}
    return Live(physical=f"a:{number}", attrs=attrs, props=props, tags=OWNED, revision=number)


def item(
    verb: Verb, *, name: str = "a", kept: Live | None = None, call: Call | None = None, **facts: Any
) -> ResourcePlan:
    """The plan of one car of power 2, with at most one call."""
    address = Address("cars", name)
    props = {"power": 2}
    want = Want(address=address, physical=name, declared=props, props=props, tags=OWNED, attrs={}, scope=SCOPE)
    steps = (Step(id=f"{address}:up.0", address=address, action=call),) if call else ()
    return ResourcePlan(
        address=address,
        verb=verb,
        physical=name,
        before=None,
        after={},
        steps=steps,
        kept_object=kept,
        **{"want": None if verb is Verb.DELETE else want, **facts},
    )


def recheck(*items: ResourcePlan, account: Account, of: Kind | None = None, **facts: Any) -> AccountRecheck:
    return AccountRecheck(Plan(scope=SCOPE, resources=items), {"cars": of or cars()}, account, **facts)


# --- before the first write ------------------------------------------------------------------------------------------

SINCE = " since the plan was created; plan again"
OLD = live("a", power=1)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (OLD, ""),
        (None, f"a was deleted{SINCE}"),
        (live("a", power=1, deleting=True), f"a was deleted{SINCE}"),
        (live("a", THEIRS, power=1), f"a changed its owner to other{SINCE}"),
        (live("a", {}, power=1), f"a changed its owner to no environment{SINCE}"),
        (live("a", {**OWNED, "x": "y"}, power=1), f"the tags of a changed{SINCE}"),
        (live("a", {**OWNED, "aws:x": "y", "cost-center": "7"}, power=1), ""),
        (live("a", power=3), f"power of a changed{SINCE}"),
        (live("a", power=2), f"power of a changed{SINCE}"),
        (live("a", power=1, doors=5), f"doors of a changed{SINCE}"),
    ],
)
def test_an_update_is_held_against_what_is_there_now(now: Live | None, told: str) -> None:
    account = Account([now] if now else [])
    found = recheck(
        item(Verb.UPDATE, kept=OLD),
        account=account,
        ignore_tags=["cost-*"],
        members=lambda _: {"power": {}, "doors": {}},
    )

    assert found.changed_since_plan(AT, "up") == told
    assert account.made == ["Describe"]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (OLD, ""),
        (None, ""),
        (live("a", power=1, deleting=True), ""),
        (live("a", THEIRS, power=1), f"a changed its owner to other{SINCE}"),
        (live("a", power=3), f"power of a changed{SINCE}"),
    ],
)
def test_a_deletion_too_but_what_is_gone_is_gone(now: Live | None, told: str) -> None:
    found = recheck(item(Verb.DELETE, removed_objects=(OLD,)), account=Account([now] if now else []))

    assert found.changed_since_plan(AT, "down") == told


def test_a_revision_that_somebody_registered_is_told() -> None:
    first, second = revision(1, power=1), revision(2, power=1)
    account = Account([first, second])
    versioned = cars(versioned=True)

    def told(planned: ResourcePlan, phase: str) -> str:
        return recheck(planned, account=account, of=versioned).changed_since_plan(AT, phase)

    assert told(item(Verb.UPDATE, kept=first), "up") == f"a:2 was registered{SINCE}"
    assert told(item(Verb.UPDATE, kept=second), "up") == ""
    assert told(item(Verb.DELETE, removed_objects=(first,)), "down") == f"a:2 was registered{SINCE}"
    beside = item(Verb.DELETE, removed_objects=(first,), remaining=("a:2",))
    assert told(beside, "down") == "", "the plan has it already, as one that remains"
    assert told(item(Verb.UPDATE, kept=second, removed_objects=(first,)), "down") == ""
    account.objects = [first, second, revision(3, power=1)]
    assert told(beside, "down") == f"a:3 was registered{SINCE}"


@pytest.mark.parametrize(
    ("planned", "phase", "facts"),
    [
        (item(Verb.UPDATE, kept=OLD), "up", {"shared": True}),
        (item(Verb.CREATE, call=CREATE), "up", {}),
        (item(Verb.REPLACE, kept=OLD, create_first=False), "up", {}),
        (item(Verb.UPDATE, kept=OLD), "down", {}),
        (item(Verb.CREATE, call=replace(CREATE, proof=Proof.SAME)), "up", {}),
    ],
    ids=["shared", "refused as a duplicate", "deleted first", "nothing to delete", "planned just now"],
)
def test_where_nothing_can_be_overwritten_nothing_is_read(
    planned: ResourcePlan, phase: str, facts: dict[str, Any]
) -> None:
    account = Account([live("a", THEIRS)])

    assert recheck(planned, account=account, of=cars(**facts)).changed_since_plan(AT, phase) == ""
    assert account.calls == []


def test_what_cannot_be_read_is_raised() -> None:
    found = recheck(item(Verb.UPDATE, kept=OLD), account=Account([OLD], refuses=frozenset({"Describe"})))

    with pytest.raises(Unreadable):
        found.changed_since_plan(AT, "up")


# --- created meanwhile -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "whose"),
    [
        (live("a", THEIRS), "belongs to other"),
        (live("a", {}), "belongs to no environment"),
        (live("a"), "this environment"),
        (live("a", THEIRS, deleting=True), None),
        (live("b", THEIRS), None),
        (None, None),
    ],
)
def test_a_name_that_somebody_took_is_told(now: Live | None, whose: str | None) -> None:
    overwrites = item(Verb.CREATE, call=replace(CREATE, proof=Proof.NONE))
    found = recheck(overwrites, account=Account([now] if now else []), current=lambda: False)
    told = found.changed_since_plan(AT, "up")

    assert bool(told) is bool(whose)
    assert found.conflicting_object(overwrites.steps[0]) == told
    if whose:
        assert told.startswith("a was created since the plan") and whose in told


@pytest.mark.parametrize(
    ("many", "refuses", "made"),
    [
        (3, frozenset[str](), ["Describe"] * 3),
        (4, frozenset[str](), ["List"]),
        (4, frozenset({"List"}), ["List", *["Describe"] * 4]),
    ],
)
def test_those_of_a_section_are_read_together_and_once(many: int, refuses: frozenset[str], made: list[str]) -> None:
    names = "abcdef"[:many]
    items = [item(Verb.CREATE, name=name, call=replace(CREATE, proof=Proof.NONE)) for name in names]
    account = Account([live("c", THEIRS)], refuses)
    found = recheck(*items, account=account, current=lambda: False)
    told = {name: found.changed_since_plan(Address("cars", name), "up") for name in names}

    assert [name for name, words in told.items() if words] == ["c"]
    assert account.made == made


def test_who_was_first_keeps_the_name() -> None:
    def rival(want: Want, captured: Mapping[str, Any]) -> Reads[tuple[str, Sequence[Call]]]:
        (reply,) = yield (Call("test", "Describe", {"name": want.physical}),)
        first = bool(reply["items"])  # type: ignore[index]
        return ("other was first", [Call("test", "Undo", {"arn": captured["arn"]})]) if first else ("", [])

    planned = item(Verb.CREATE, call=CREATE)

    def told(account: Account, of: Kind) -> str:
        return recheck(planned, account=account, of=of).rival(planned.steps[0], {"arn": "arn:a"})

    taken, refusing = Account([live("a", THEIRS)]), Account([live("a", THEIRS)], frozenset({"Undo"}))
    assert told(taken, cars(rival=rival)) == "other was first"
    assert taken.calls[-1] == Call("test", "Undo", {"arn": "arn:a"})
    assert told(refusing, cars(rival=rival)) == "other was first (refused: AccessDenied: no)"
    assert told(Account(), cars(rival=rival)) == ""
    assert told(taken, cars()) == ""


# --- after a reply was lost ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (live("a", power=2), {"arn": "arn:a"}),
        (live("a", power=3), None),
        (live("a", THEIRS, power=2), None),
        (live("a", power=2, deleting=True), None),
        (live("b", power=2), None),
        (None, None),
    ],
)
def test_what_was_refused_as_a_duplicate_may_be_ours(now: Live | None, found: dict[str, str] | None) -> None:
    planned = item(Verb.CREATE, call=CREATE)
    account = Account([now] if now else [])

    assert recheck(planned, account=account).found_as_planned(planned.steps[0], {}) == found


def test_what_later_steps_set_may_still_differ() -> None:
    planned = item(Verb.CREATE, call=CREATE)
    later = replace(planned, steps=(*planned.steps, Step(id="cars.a:up.1", address=AT, action=UPDATE)))

    assert recheck(later, account=Account([live("a", power=3)])).found_as_planned(later.steps[0], {}) is not None


@pytest.mark.parametrize(
    ("proof", "before", "now", "took_effect"),
    [
        (Proof.EXISTS, None, live("a", power=3), True),
        (Proof.EXISTS, None, live("a", THEIRS), False),
        (Proof.EXISTS, None, live("a", deleting=True), False),
        (Proof.EXISTS, None, None, False),
        (Proof.SAME, OLD, live("a", power=2), True),
        (Proof.SAME, OLD, OLD, False),
        (Proof.MOVING, OLD, live("a", power=1, settled=False), True),
        (Proof.MOVING, OLD, live("a", power=2), True),
        (Proof.MOVING, OLD, OLD, False),
        (Proof.MOVING, live("a", power=2), live("a", power=2), False),
    ],
)
def test_whether_a_call_took_effect_shows(
    proof: Proof, before: Live | None, now: Live | None, took_effect: bool
) -> None:
    call = replace(UPDATE, proof=proof, captures={"arn": "Arn"})
    planned = item(Verb.UPDATE if before else Verb.CREATE, kept=before, call=call)
    found = recheck(planned, account=Account([now] if now else [])).find_created(planned.steps[0], {})

    assert found == ({"arn": "arn:a"} if took_effect else None)


def test_only_a_newer_revision_shows_that_one_was_registered() -> None:
    old, new = revision(3, power=1), revision(4, power=2)
    planned = item(Verb.UPDATE, kept=old, call=replace(UPDATE, captures={"arn": "Arn"}))

    def found(*lives: Live) -> Any:
        return recheck(planned, account=Account(lives), of=cars(versioned=True)).find_created(planned.steps[0], {})

    assert found(old) is None
    assert found(old, new) == {"arn": "arn:a:4"}
    assert found(old, replace(new, tags={})) == {"arn": "arn:a:4"}, "its tags show late"


def test_what_cannot_be_read_proves_nothing() -> None:
    planned = item(Verb.CREATE, call=CREATE)
    found = recheck(planned, account=Account(refuses=frozenset({"Describe"})))

    assert found.find_created(planned.steps[0], {}) is None
    assert found.found_as_planned(planned.steps[0], {}) is None


def test_what_earlier_steps_captured_counts_as_known() -> None:
    planned = item(Verb.CREATE, call=CREATE)
    assert planned.want
    later = {"power": Later(Address("cars", "b"), "id")}
    waiting = replace(planned, want=replace(planned.want, props=later, declared=later))
    found = recheck(waiting, account=Account([live("a", power="b-1")]))

    assert found.found_as_planned(waiting.steps[0], {}) is None
    assert found.found_as_planned(waiting.steps[0], {(Address("cars", "b"), "id"): "b-1"}) == {"arn": "arn:a"}
