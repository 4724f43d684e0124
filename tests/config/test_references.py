"""References: what a resource names, and the values that replace the names."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import pytest

from reconciler.config import links, references
from reconciler.config.references import ResolutionContext
from reconciler.model import Address, Later, Lifecycle, Ref, Resource, Text
from tests.support.builders import SCOPE, kind, parsed, resource

ARN = "arn:aws:x:eu-west-1:123456789012:y"
NODES = kind(
    "nodes",
    refs={
        "next": Ref(section="nodes"),
        "peers[]": Ref(section="nodes", late=True),
        "box": Ref(section="boxes", attr="id", literal="box-"),
        "label": Ref(section="boxes", optional=True),
        "any": Ref(section="boxes", also=("nodes",)),
    },
)
BOXES = kind("boxes", assigned_by_aws=frozenset({"id"}))
SHARED = kind("links", shared=True, arn_forms=(r"arn:aws:x:eu-west-1:\d+:link/(?P<name>\w+)",))
KINDS = {"nodes": NODES, "boxes": BOXES}
A, B, BOX = Address("nodes", "a"), Address("nodes", "b"), Address("boxes", "box")
DECLARED = dict.fromkeys((A, B, BOX), None)
WORLD = ResolutionContext(
    scope=SCOPE,
    declared={
        A: {"name": "a", "arn": "arn:a"},
        B: {"name": "b", "arn": "arn:b"},
        BOX: {"name": "box", "arn": "arn:box", "id": Later(BOX, "id")},
    }.get,
    existing={("boxes", "there"): {"arn": "arn:there", "id": "box-7"}, ("nodes", "gone"): None},
    lookups={"subnets": ["s-1", "s-2"], "vpc": "vpc-1", "number": 7, "on": True},
    names=(A, B, BOX),
    unseen={("boxes", "dark"): "allow test:Describe", ("lookups", "dark"): "allow test:Describe"},
)


def node(lifecycle: Lifecycle | None = None, **props: Any) -> Resource:
    return resource("nodes", "a", lifecycle, **parsed(props))


# --- what is named ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("props", "targets"),
    [
        ({"next": "b"}, [B]),
        ({"next": "a"}, [A]),
        ({"next": "elsewhere"}, []),
        ({"next": ARN}, []),
        ({"next": "${nodes.b.arn}"}, [B]),
        ({"next": "${nodes.elsewhere.arn}"}, []),
        ({"note": "b"}, []),
        ({"note": "x-${nodes.b.arn}-${boxes.box.arn}"}, [B, BOX]),
        ({"note": {"deep": ["${nodes.b.name}"]}}, [B]),
        ({"note": "${lookups.vpc}"}, []),
        ({"peers": ["b", "b"]}, [B, B]),
        ({"label": "box"}, [BOX]),
        ({"any": "b"}, [B]),
        ({"any": "box"}, [BOX]),
    ],
)
def test_what_a_resource_refers_to(props: dict[str, Any], targets: list[Address]) -> None:
    assert [use.target for use in references.dependencies(node(**props), KINDS, DECLARED)] == targets


def test_a_name_means_the_first_that_is_declared() -> None:
    both = {**DECLARED, Address("nodes", "box"): None}
    assert [use.target for use in references.dependencies(node(any="box"), KINDS, both)] == [BOX]


def test_what_is_declared_as_a_dependency_is_one_and_tags_may_name_some() -> None:
    after = node(Lifecycle(depends_on=(BOX, Address("boxes", "elsewhere"))))
    tagged = Resource(address=A, props={}, tags=parsed({"x": "${nodes.b.name}"}))

    assert [use.target for use in references.dependencies(after, KINDS, DECLARED)] == [BOX]
    assert [use.target for use in references.dependencies(tagged, KINDS, DECLARED)] == [B]


@pytest.mark.parametrize(
    ("props", "late", "holds"),
    [({"peers": ["b"]}, True, True), ({"next": "b"}, False, True), ({"note": "${nodes.b.arn}"}, False, False)],
)
def test_a_reference_keeps_what_its_kind_says_of_it(props: dict[str, Any], late: bool, holds: bool) -> None:
    (use,) = references.dependencies(node(**props), KINDS, DECLARED)

    assert (use.ref.late, use.ref.holds) == (late, holds)


def test_plain_names_are_neither_expressions_nor_what_the_api_takes() -> None:
    one = node(next=ARN, peers=["b", "${nodes.b.arn}", ARN], box="box-1", any="x", note="b")

    assert [(path, name) for path, _, name in references.plain_names(one, NODES)] == [
        (("peers", 0), "b"),
        (("any",), "x"),
    ]


def test_what_is_not_declared_is_looked_for_once_in_each_section_it_may_be_in() -> None:
    one, other = node(next="x", any="y", label="z"), resource("nodes", "b", next="x", peers=["a"])
    wanted = references.names_to_find({A: one, B: other}, KINDS)

    assert {key: (found.address, path) for key, (found, path, _) in wanted.items()} == {
        ("nodes", "x"): (A, ("next",)),
        ("boxes", "y"): (A, ("any",)),
        ("nodes", "y"): (A, ("any",)),
    }


def test_only_what_belongs_to_the_account_is_looked_for_by_its_arn() -> None:
    kinds = {**KINDS, "links": SHARED}
    here, abroad = (f"arn:aws:x:eu-west-1:{account}:link/l" for account in ("123456789012", "999999999999"))

    assert [*references.shared_to_find(node(next=here), kinds, SCOPE)] == [(("links", "l"), ("next",))]
    assert [*references.shared_to_find(node(next=abroad), kinds, SCOPE)] == []
    assert [*references.shared_to_find(node(next=ARN), kinds, SCOPE)] == []


def test_what_belongs_to_the_account_is_another_thing_in_another_account() -> None:
    kinds, one = {**KINDS, "links": SHARED}, node(next=f"arn:aws:x:eu-west-1:{SCOPE.account}:link/l")
    assert references.shared_to_find(one, kinds, SCOPE)
    assert references.shared_to_find(one, kinds, replace(SCOPE, account="210987654321")) == []


# --- the values that replace them ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ({"next": "b"}, "arn:b"),
        ({"next": ARN}, ARN),
        ({"next": "${nodes.b.name}"}, "b"),
        ({"box": "box"}, Later(BOX, "id")),
        ({"box": "there"}, "box-7"),
        ({"any": "b"}, "arn:b"),
        ({"any": "there"}, "arn:there"),
        ({"label": "nobody"}, "nobody"),
        ({"note": "b"}, "b"),
        ({"note": "x-${boxes.box.id}"}, Text(("x-", Later(BOX, "id")))),
        ({"note": "${account}/${region}/${partition}"}, "123456789012/eu-west-1/aws"),
        ({"note": "${lookups.subnets}"}, ["s-1", "s-2"]),
        ({"note": ["a", "${lookups.subnets}"]}, ["a", "s-1", "s-2"]),
        ({"note": "${lookups.number}"}, 7),
        ({"note": "n-${lookups.number}-${lookups.on}"}, "n-7-true"),
    ],
)
def test_references_are_replaced(written: dict[str, Any], value: Any) -> None:
    found, problems = references.resolve(node(**written), NODES, KINDS, WORLD)

    assert problems == []
    assert list(found.values()) == [value]


@pytest.mark.parametrize(
    ("written", "code", "message", "hint"),
    [
        ({"next": "bb"}, "unknown-reference", 'there is no node "bb"', 'did you mean "b"?'),
        ({"next": "gone"}, "unknown-reference", 'there is no node "gone"', "looked for nodes.gone in this environment"),
        ({"any": "none"}, "unknown-reference", 'there is no boxe or node "none"', "boxes.none and nodes.none"),
        ({"note": "${nodes.b.arm}"}, "unknown-reference", "${nodes.b.arm} has no value", 'did you mean "arn"?'),
        ({"note": "${lookups.x}"}, "unknown-reference", "${lookups.x} has no value", ""),
        (
            {"note": "x${lookups.subnets}"},
            "not-text",
            "puts a list or mapping inside a text",
            "use the expression alone",
        ),
        ({"box": "dark"}, "unreadable", "boxes.dark, which cannot be read", "allow test:Describe"),
        ({"note": "${lookups.dark}"}, "unreadable", "lookups.dark, which cannot be read", "allow test:Describe"),
    ],
)
def test_what_cannot_be_replaced_is_a_problem(written: dict[str, Any], code: str, message: str, hint: str) -> None:
    _, (problem,) = references.resolve(node(**written), NODES, KINDS, WORLD)

    assert (problem.code, problem.address, problem.path) == (code, "nodes.a", next(iter(written)))
    assert message in problem.message
    assert hint in problem.hint


def test_tags_are_filled_in_as_well() -> None:
    tagged = Resource(address=A, props={}, tags=parsed({"x": "v-${lookups.vpc}", "y": "plain", "z": "${lookups.x}"}))
    tags, (problem,) = references.resolve_tags(tagged, WORLD)

    assert tags == {"x": "v-vpc-1", "y": "plain", "z": ""}
    assert problem.path == "tags.z"


def test_what_is_not_known_yet_stays_as_it_is_written() -> None:
    one = node(note="${lookups.vpc}", other="${lookups.x}", list=["${lookups.subnets}"])

    assert references.resolve_known(one, WORLD) == parsed(
        {"note": "vpc-1", "other": "${lookups.x}", "list": [["s-1", "s-2"]]}
    )
    assert references.fill(parsed({"a": ["${region}", "${lookups.x}"]}), WORLD) == parsed(
        {"a": ["eu-west-1", "${lookups.x}"]}
    )


def test_only_what_is_replaced_is_copied() -> None:
    props = {"a": {"b": 1}, "c": {"d": [1, 2]}}

    assert references.put(props, {}) is props
    done = references.put(props, {("c", "d", 1): 3})
    assert done == {"a": {"b": 1}, "c": {"d": [1, 3]}}
    assert done["a"] is props["a"] and props["c"]["d"] == [1, 2]


def test_linking_makes_no_cycle() -> None:
    """The command line does not collect cycles: what is not used any more must be free without."""

    class Declared(dict[Address, Resource]):
        """A dictionary of which one can tell whether it is still there."""

    declared = Declared({A: resource(*A, next="b"), B: resource(*B, box="box-7")})
    gc.disable()
    try:
        links.link(declared, KINDS, links.Place(environment="e"))
        there = weakref.ref(declared)
        del declared
        assert there() is None
    finally:
        gc.enable()
