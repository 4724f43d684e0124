"""A plan that is written and read again is rendered as before, without its secrets in between."""

from __future__ import annotations

import dataclasses
import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reconciler.model import (
    MISSING,
    Address,
    Base64,
    Call,
    Change,
    Diff,
    Digest,
    Disruption,
    Effect,
    JsonText,
    Later,
    Listed,
    Options,
    Plan,
    Pos,
    Reference,
    Resource,
    ResourcePlan,
    Secret,
    Step,
    Template,
    Text,
    Verb,
    Wait,
)
from reconciler.planning import planner
from reconciler.render import html, markdown, stored, text, view
from reconciler.render import json as as_json
from reconciler.render.mask import Mask
from tests.render.test_render import KINDS, rich
from tests.support.builders import OWNED, SCOPE, env, live, observed, resource

A = Address("things", "a")
PLAIN = text.Paint(colour=False)
LATER = Later(A, "id")
SEED = "5eed5eed5eed"
HIDDEN = "s3cr3t-that-nobody-may-see"
LINES = f"first line of it\n{HIDDEN}\nlast line of it"


def shown(plan: Plan, mask: Mask) -> list[str]:
    viewed = view.of(plan, mask)
    texts = [text.plan(viewed, PLAIN, verbose=True), markdown.plan(viewed, verbose=True), html.plan(viewed)]
    return [*texts, repr(viewed)]


def again(plan: Plan, mask: Mask) -> tuple[Plan, Mask, str]:
    written = json.dumps(stored.write(plan, mask, SEED))
    return *stored.read(json.loads(written)), written


def script(one: str, two: str = "end") -> str:
    return f"#!/bin/sh\nexport DB_PASSWORD={one}\necho {two}\ncurl https://u:{one}@host/\n"


def planned(before: dict[str, Any], after: dict[str, Any]) -> Plan:
    declared = env(resource("engines", "v8", **after), resource("engines", "new", **after))
    made, _ = planner.make(
        declared, KINDS, SCOPE, observed(engines=[live("v8", **before), live("old", **before)]), options=Options()
    )
    return made


SECRETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "scripts": ({"userData": script("oldone-pw")}, {"userData": script("newone-pw", "done")}),
    "base64": (
        {"userData": b64encode(script("oldone-pw").encode()).decode()},
        {"userData": b64encode(script("newone-pw").encode()).decode()},
    ),
    "names": (
        {"environment": [{"name": "DB_PASSWORD", "value": "oldone-pw"}, {"name": "A", "value": "1"}], "token": "x"},
        {"environment": [{"name": "A", "value": "2"}, {"name": "DB_PASSWORD", "value": "newone-pw"}], "token": "yy"},
    ),
    "commands": ({"command": ["x", "--password", "oldone-pw"]}, {"command": ["x", "--password", "newone-pw", "y"]}),
    "inside": ({"text": f"a {HIDDEN} b"}, {"text": f"a {HIDDEN} c {HIDDEN[::-1]}", "other": f'"{HIDDEN}"'}),
    "of several lines": ({"text": f"a\n{LINES}\nb"}, {"text": f"a\n{LINES}\nc"}),
    "that differ alone": ({"text": f"a\nx {HIDDEN}\nb"}, {"text": f"a\nx {HIDDEN[::-1]}\nb"}),
    "short": ({"pin": "abc", "text": 'a "abc" abc'}, {"pin": "xyz", "text": 'a "xyz" abc'}),
}


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_rendered_as_they_were_and_are_not_written(name: str) -> None:
    plan = planned(*SECRETS[name])
    mask = Mask({HIDDEN, HIDDEN[::-1], LINES, "abc", "xyz"}, {"abc", "xyz"}).learnt(plan)

    after, its_mask, written = again(plan, mask)

    before = shown(plan, mask)
    assert shown(after, its_mask) == before
    told = json.dumps([*before, as_json.plan(plan, timestamp="", mask=mask)]).replace("\\\\n", "\\n")
    for secret in ("oldone-pw", "newone-pw", HIDDEN, HIDDEN[::-1], b64encode(b"oldone-pw").decode()[:8], '"abc"'):
        assert secret not in written or secret in told, secret


def every_field() -> Plan:
    """Every field of a plan that is rendered is not what it is by default."""
    listed = Listed(path=("l",), before=[1], after=[1, {"a": 2}], ordered=False)
    leaves = [
        Change(path=("l", index), before=MISSING, after=2, effect=Effect.REPLACE, because="so", within=listed)
        for index in range(2)
    ]
    hidden = Change(
        path=("code",), before="old", after=HIDDEN, effect=Effect.IN_PLACE, because="so", secret=True, unknown=True
    )
    item = ResourcePlan(
        address=A,
        verb=Verb.UPDATE,
        physical="a:3",
        before={"l": [1], "$odd": {"$later": 1}, "code": HIDDEN, "same": None},
        after={"l": Later(A, "id"), "t": Text(("x", Later(A, "id"))), "j": JsonText({"a": Base64("b")}), "n": 1.5},
        diff=Diff((*leaves, hidden)),
        steps=(
            Step(id="a:up.0", address=A, action=Call("s", "Put", {"a": Secret(HIDDEN), "d": Digest(HIDDEN, "x")})),
            Step(
                id="a:up.1", address=A, action=Wait("a VALID", Call("s", "Get"), "items"), after=frozenset({"a:up.0"})
            ),
        ),
        reason="l differs",
        disruption=Disruption("jobs end"),
        notes=("a note",),
        side_effects=("a note",),
        create_first=False,
        importing="a",
        depends_on=(Address("things", "b"),),
        pos=Pos("a.yaml", 1, 2),
        secret_paths=frozenset({"code"}),
        by_tag_only=("b",),
        not_compared=("c",),
        declared=Resource(
            address=A, props={"l": [Template((Reference("lookups", "${lookups.x}", attr="x"), "y"))], "z": HIDDEN}
        ),
    )
    return Plan(
        scope=SCOPE,
        resources=(item, dataclasses.replace(item, verb=Verb.NOOP, after=item.before, declared=None)),
        lookups={"token": "arn:aws:x"},
        complete=False,
        limited_by="--target",
        destroy=True,
    )


def test_all_that_is_rendered_is_kept() -> None:
    """A field that is new is, too: it need only be a type that is known."""
    plan = every_field()
    for one in (plan, plan.resources[0], plan.resources[0].changes[-1]):
        for field in dataclasses.fields(one):
            assert not field.compare or getattr(one, field.name) != field.default, field.name
    after, mask, written = again(plan, Mask({HIDDEN}))

    one, other = plan.resources[0], after.resources[0]
    left = {"before", "after", "diff", "steps", "declared", "want", "kept_object", "removed_objects"}
    assert all(getattr(one, f.name) == getattr(other, f.name) for f in dataclasses.fields(one) if f.name not in left)
    assert shown(after, mask) == shown(plan, Mask({HIDDEN}))
    assert after.resources[1].after == after.resources[1].before == other.before
    assert other.interrupts and other.disruption == "jobs end"
    assert other.changes[0].within is other.changes[1].within
    assert other.after == one.after
    assert other.declared and other.declared.props == {"l": [[Reference("lookups", "${lookups.x}", attr="x")]]}
    assert (after.scope, after.lookups, after.complete, after.limited_by, after.destroy) == (
        *(plan.scope, plan.lookups, plan.complete, plan.limited_by, plan.destroy),
    )
    assert HIDDEN not in written


def test_a_whole_plan() -> None:
    assert shown(*again(rich(), Mask())[:2]) == shown(rich(), Mask())


def test_what_was_not_written_by_it_is_refused() -> None:
    true = json.loads(json.dumps(stored.write(every_field(), Mask(), SEED)))
    names = [("plan",), ("lists",), ("hidden",), *(("plan", name) for name in ("scope", "resources"))]
    names += [("plan", "resources", 0, name) for name in true["plan"]["resources"][0] if name != "declared"]
    for *path, last in names:
        for wrong in (7, None, {"$text": 3}, [[[]]]):
            broken = json.loads(json.dumps(true))
            holder = broken
            for part in path:
                holder = holder[part]
            holder[last] = wrong
            try:
                shown(*stored.read(broken))
            except (ValueError, TypeError, KeyError, AttributeError, IndexError):
                continue


LEAVES = st.sampled_from([1, None, True, "plain", f"with {HIDDEN}", LINES, "x --password hunter22", "$text", ""])
VALUES = st.recursive(
    LEAVES | LEAVES.map(Secret) | LEAVES.map(str).map(Base64) | st.just(LATER),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "password", "name", "value", "$json", "userData"]), inner, max_size=3)
        | inner.map(JsonText)
        | st.lists(LEAVES.map(str) | st.just(Secret(HIDDEN)), max_size=3).map(lambda parts: Text((*parts, LATER)))
    ),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@given(before=VALUES, after=VALUES)
def test_any_two_values(before: Any, after: Any) -> None:
    assume(before != after)
    change = Change(path=("x",), before=before, after=after, effect=Effect.IN_PLACE)
    props = {"x": after, **OWNED}
    item = ResourcePlan(
        address=A,
        verb=Verb.UPDATE,
        physical="a",
        before={"x": before},
        after=props,
        diff=Diff((change,)),
        steps=(Step(id="a:up.0", address=A, action=Call("s", "Put", props)),),
    )
    plan = Plan(scope=SCOPE, resources=(item, dataclasses.replace(item, verb=Verb.CREATE)))
    mask = Mask({HIDDEN, LINES})

    read, its_mask, written = again(plan, mask)

    assert view.of(read, its_mask) == view.of(plan, mask)
    assert HIDDEN not in written and "hunter22" not in written
