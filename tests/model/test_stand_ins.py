"""Values that are not settled: whatever walks, changes or shows them knows every class, and shows no secret."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.account.client import Exchange
from reconciler.applying.parameters import render_parameters
from reconciler.model import (
    MISSING,
    Address,
    Base64,
    Call,
    Change,
    Diff,
    Digest,
    Effect,
    JsonText,
    Later,
    Listed,
    Plan,
    Reference,
    ResourcePlan,
    Secret,
    Step,
    Template,
    Text,
    Verb,
    stand_ins,
    values,
)
from reconciler.model.stand_ins import (
    STAND_INS,
    any_of,
    convert,
    has_secret,
    has_unknown,
    known,
    replace,
    unknown_values,
    unsettled,
    walk,
)
from reconciler.operations.journal import Journal
from reconciler.planning.canonical import sort_key
from reconciler.render import checksum
from reconciler.render import json as as_json
from reconciler.render.mask import Mask
from tests.support.builders import SCOPE
from tests.support.shown import as_text

STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # however busy the machine is
HIDDEN = "s3cr3t-that-nobody-may-see"
A = Address("things", "a")
LATER = Later(A, "id")
FACTS = {(A, "id"): "sg-1", (A, "x"): "sg-2"}
PLAIN_FIELDS = {"str": "x", "Address": A, "Address | None": A}  # those that can hold no other value


def fields(cls: type) -> Iterator[tuple[str, str]]:
    """The fields of a class that hold values, with their types as written."""
    for field in dataclasses.fields(cls):
        if field.type not in PLAIN_FIELDS:
            yield field.name, str(field.type)


def made(cls: type, given: Any = "x", into: str = "") -> Any:
    """One of a class with ``given`` in the field ``into``, and something plain in the others."""
    members: dict[str, Any] = {
        field.name: PLAIN_FIELDS[str(field.type)] for field in dataclasses.fields(cls) if field.type in PLAIN_FIELDS
    }
    for name, of in fields(cls):
        item = given if name == into else "x"
        members[name] = ("a", item, "b") if of.startswith("tuple") else item
    return cls(**members)


def around(cls: type, name: str) -> Callable[[Any], Any]:
    return lambda value: made(cls, value, name)


HOLDERS = [around(cls, name) for cls in STAND_INS for name, _ in fields(cls)]
CONTAINERS: list[Callable[[Any], Any]] = [
    lambda value: [value],
    lambda value: ("a", value),
    lambda value: {"m": value, "z": 1},
    lambda value: [{"name": "n", "value": value}],
]
SCALARS = st.none() | st.booleans() | st.integers(0, 99) | st.floats(0, 9) | st.text("ab$ {}", max_size=4)
ENDS = SCALARS | st.sampled_from([*map(made, STAND_INS), LATER, Text(("a", LATER)), MISSING])
VALUES = st.recursive(
    ENDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=2).map(tuple)
        | st.dictionaries(st.sampled_from(["a", "b", "name", "value"]), inner, max_size=3)
        | st.tuples(st.sampled_from(HOLDERS), inner).map(lambda pair: pair[0](pair[1]))
    ),
    max_leaves=12,
)
SECRETS = st.sampled_from(
    [Secret(HIDDEN), Secret({"k": [HIDDEN]}), Secret(JsonText({"k": HIDDEN})), Digest(Secret(HIDDEN), "s")]
)


@st.composite
def with_secrets(draw: st.DrawFn) -> Any:
    """A value with a secret somewhere inside, in up to five others."""
    value = draw(SECRETS)
    for wrap in draw(st.lists(st.sampled_from(HOLDERS + CONTAINERS), max_size=5)):
        value = wrap(value)
    return draw(st.sampled_from([value, [draw(VALUES), value], {"other": draw(VALUES), "p": value}]))


def sendable(value: Any) -> Any:
    """What may be left in a plan: every expression is filled in."""
    return replace(value, lambda node: "t" if isinstance(node, Template | Reference) or node is MISSING else node)


def planned(value: Any) -> Plan:
    """A plan that shows ``value`` wherever one can stand."""
    change = Change(path=("p",), before=value, after=value, effect=Effect.IN_PLACE)
    listed = Listed(path=("q",), before=[value], after=[{"other": value}, value, value])
    element = Change(path=("q", 0), before=value, after=value, effect=Effect.IN_PLACE, within=listed)
    step = Step(id="things.a:up.0", address=A, action=Call("batch", "CreateThing", {"P": value}))
    shown = {"before": {"p": value}, "after": {"p": value}}
    item = ResourcePlan(address=A, verb=Verb.UPDATE, physical="a", diff=Diff((change, element)), steps=(step,), **shown)
    return Plan(scope=SCOPE, resources=(item,), lookups={"l": value})


# --- every class is known --------------------------------------------------------------------------------------------


def test_every_class_of_values_is_among_the_stand_ins() -> None:
    found = {
        cls for _, cls in inspect.getmembers(values, dataclasses.is_dataclass) if cls.__module__ == values.__name__
    }
    assert found - {values.Address, values.Scope, values.Pos} == set(STAND_INS)


@pytest.mark.parametrize(("cls", "name"), [(cls, name) for cls in STAND_INS for name, _ in fields(cls)])
def test_every_field_that_holds_values_is_looked_into_and_rebuilt(cls: type, name: str) -> None:
    inside = object()
    holder = made(cls, inside, name)
    assert any(node is inside for node in walk(holder))
    assert any_of(holder, lambda node: node is inside)
    other = replace(holder, lambda node: "new" if node is inside else node)
    assert other == made(cls, "new", name)


@pytest.mark.parametrize(
    "use",
    [
        has_secret,
        has_unknown,
        known,
        sort_key,
        Mask().value,
        Mask().hides,
        lambda value: list(walk(value)),
        lambda value: replace(value, lambda node: node),
        lambda value: render_parameters(value, FACTS, masked=True),
        lambda value: checksum.checksum(planned(value), Mask()),
    ],
)
def test_a_class_that_nothing_knows_yet_is_refused_and_never_passed_over(
    use: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclasses.dataclass(frozen=True)
    class Sealed:
        value: Any

    monkeypatch.setattr(stand_ins, "STAND_INS", (*STAND_INS, Sealed))
    with pytest.raises(AssertionError, match="Sealed"):
        use({"a": [Sealed(Secret(HIDDEN))]})


# --- no secret is shown ----------------------------------------------------------------------------------------------


@given(with_secrets())
@STEADY
def test_a_secret_is_found_and_not_shown(value: Any) -> None:
    assert has_secret(value)
    mask = Mask()  # knows no text: what hides the secret is that every class is known
    assert mask.hides(value)
    seen = [
        mask.value(value),
        checksum._plain_json(value, mask),
        render_parameters(sendable(value), FACTS, masked=True),
    ]
    assert HIDDEN not in repr([*seen, sort_key(value), value]) + as_json.dumps(seen)


@given(with_secrets())
@settings(STEADY, max_examples=20)  # checksums of secrets are slow digests
def test_no_document_shows_a_secret(value: Any) -> None:
    plan = planned(value)
    document = as_json.dumps(as_json.plan(plan, timestamp="", mask=Mask()))
    assert HIDDEN not in document + as_text(plan, Mask())


def test_no_journal_shows_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "journal"

    @given(with_secrets())
    @STEADY
    def told(value: Any) -> None:
        journal.record_exchange(Exchange(Call("batch", "CreateThing", {"P": value}), {"p": value}, "1", 0.1))

    with Journal(path, Mask(), lambda: "", pytest.fail) as journal:
        told()
    written = path.read_text("utf-8")
    assert '"P"' in written
    assert HIDDEN not in written


@pytest.mark.parametrize("end", [Secret(HIDDEN), Digest(Secret(HIDDEN), "s")])
@pytest.mark.parametrize("wrap", HOLDERS + CONTAINERS)
def test_another_secret_is_another_plan(wrap: Callable[[Any], Any], end: Any) -> None:
    other = replace(end, lambda node: "another" if node == HIDDEN else node)
    one, two = (checksum._plain_json(wrap(value), None) for value in (end, other))
    seen = [checksum._plain_json(wrap(value), Mask()) for value in (end, other)]
    assert one != two or isinstance(wrap(end), Template)
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "given", [Text(("a", "b")), JsonText({"a": 1}), Base64("a"), Template(("a", Reference("account", "${account}")))]
)
def test_text_under_a_name_like_a_secrets_is_not_shown_however_it_is_sent(given: Any) -> None:
    shown = Mask().value([{"password": given}, {"name": "DB_PASSWORD", "value": given}])
    assert shown == [{"password": "(sensitive)"}, {"name": "DB_PASSWORD", "value": "(sensitive)"}]


# --- walking and replacing agree -------------------------------------------------------------------------------------


@given(VALUES)
@STEADY
def test_what_is_asked_agrees_with_what_is_walked(value: Any) -> None:
    nodes = list(walk(value))
    assert nodes[0] is value
    assert [*unknown_values(value)] == [node for node in nodes if isinstance(node, Later)]
    assert has_unknown(value) == any(isinstance(node, Later) for node in nodes)
    assert has_secret(value) == any(isinstance(node, Secret | Digest) for node in nodes)
    assert known(value) == (not [*unsettled(value)])
    for cls in STAND_INS:
        assert any_of(value, lambda node, cls=cls: isinstance(node, cls)) == any(
            isinstance(node, cls) for node in nodes
        )


@given(VALUES)
@STEADY
def test_what_does_not_change_is_the_same_object(value: Any) -> None:
    assert replace(value, lambda node: node) is value


@given(VALUES)
@STEADY
def test_what_is_put_in_the_place_of_something_is_there_and_the_rest_stays(value: Any) -> None:
    done = replace([value, "beside"], lambda node: "new" if isinstance(node, Later) else node)
    assert not has_unknown(done)
    assert (done[0] is value) == (not has_unknown(value))
    assert done[1] == "beside"
    assert sum(node == "new" for node in walk(done) if isinstance(node, str)) == len([*unknown_values(value)])


def test_the_order_is_that_in_which_it_is_written() -> None:
    value = {"b": [1, Text(("x", LATER))], "a": Digest(Secret(2), "salt")}
    assert list(walk(value)) == [
        value, value["b"], 1, Text(("x", LATER)), "x", LATER, Digest(Secret(2), "salt"), Secret(2), 2, "salt",
    ]  # fmt: skip


def test_what_is_taken_as_a_whole_is_given_and_not_looked_into() -> None:
    value = [Text(("x", LATER)), LATER]
    assert list(walk(value, whole=(Text,)))[1:] == value
    assert not any_of(value[:1], lambda node: node == LATER, whole=(Text,))


@given(VALUES)
@STEADY
def test_what_is_written_out_is_plain(value: Any) -> None:
    done = convert(value, lambda item: f"<{type(item).__name__}>", lambda item: None if item is MISSING else item)
    assert not any_of(done, lambda node: isinstance(node, STAND_INS))
    json.dumps(done)
