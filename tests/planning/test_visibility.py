"""What AWS does not let one read: which resources are not planned for it, what is an error, and what is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model import Address, Call, Lookup, Observed, Options, Pos, Refused, Unreadable
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem
from reconciler.planning import visibility
from tests.support.builders import KINDS, env, observed, resource

DENIED = Refused("AccessDeniedException", "User is not authorized")
ENGINES = Unreadable(Call("test", "ListEngines"), DENIED)
CARS = Unreadable(Call("test", "ListCars"), Refused("InternalFailure", "later", status=500))
STACK = env(
    resource("engines", "v8"),
    resource("engines", "v6"),
    resource("cars", "bus", engines=[{"order": 1, "engine": "v8"}]),
)


def found(seen: Observed, *, destroy: bool = False) -> list[tuple[str, str, str, bool]]:
    told = visibility.problems(seen, STACK.resources, destroy=destroy)
    assert {one.code for one in told} <= {codes.UNREADABLE}
    return [(one.address, one.message, one.hint, one.warning) for one in told]


def test_what_is_declared_and_cannot_be_read_is_an_error_with_the_permission():
    seen = replace(observed(), unreadable={("engines", "v8"): ENGINES, ("cars", "taxi"): CARS})

    assert found(seen) == [
        (
            "engines.v8",
            "not planned: test:ListEngines was refused: AccessDeniedException: User is not authorized",
            "allow test:ListEngines",
            False,
        )
    ]


@pytest.mark.parametrize("destroy", [False, True])
def test_what_only_keeps_orphans_from_being_found_is_a_warning_unless_all_is_to_be_deleted(destroy: bool):
    """One read may be the beginning of several sections': it is reported once."""
    seen = replace(observed(), partial={"engines": (ENGINES,), "cars": (ENGINES, ENGINES)})

    ((address, message, hint, warning),) = found(seen, destroy=destroy)

    assert (address, warning) == ("", not destroy)
    assert message.startswith("cannot list the owned resources of cars, engines: test:ListEngines was refused")
    assert hint == "allow test:ListEngines; until then undeclared resources are not deleted"


@pytest.mark.parametrize("destroy", [False, True])
def test_dependents_that_cannot_be_read_are_reported_once_a_refusal(destroy: bool):
    seen = replace(observed(), unanswered=(CARS, CARS))

    ((_, message, hint, warning),) = found(seen, destroy=destroy)

    assert message.startswith("cannot read the dependents of resources to delete: test:ListCars was refused")
    assert (hint, warning) == ("try again; until then nothing is deleted", not destroy)


def unreadable(address: str) -> Problem:
    return Problem(code=codes.UNREADABLE, message="not planned", address=address)


V8, V6, BUS = Address("engines", "v8"), Address("engines", "v6"), Address("cars", "bus")


@pytest.mark.parametrize(
    ("options", "errors"),
    [
        ({}, {"engines.v8", "engines.v6"}),
        ({"targets": {BUS}}, {"engines.v8"}),  # a dependency of the target
        ({"targets": {V6}}, {"engines.v6"}),
        ({"exclude": {V6}}, {"engines.v8"}),
        ({"exclude": {V8}}, {"engines.v6"}),
        ({"targets": {BUS}, "exclude": {V8}}, set()),  # whose dependency is excluded is excluded itself
    ],
)
def test_what_is_not_planned_anyway_is_no_error(options: dict[str, Any], errors: set[str]):
    lines = visibility.downgrade_untargeted(
        [unreadable("engines.v8"), unreadable("engines.v6")],
        STACK.resources,
        KINDS,
        Options(**{name: frozenset(some) for name, some in options.items()}),
    )

    assert {one.address for one in lines if not one.warning} == errors


def test_a_lookup_that_was_refused_takes_those_that_need_it_along():
    lookups = {
        name: Lookup(name=name, kind="vpc", args={}, pos=Pos("environment.yaml", 1, 1))
        for name in ("vpc", "subnets", "ami")
    }
    stack = env(lookups=lookups)
    refused = [Problem(code=codes.LOOKUP_REFUSED, message="", hint="allow ec2:DescribeVpcs", address="lookups.vpc")]

    assert visibility.unresolved_lookups(stack, {"ami": "ami-1"}, refused) == {
        "vpc": "allow ec2:DescribeVpcs",
        "subnets": "allow ec2:DescribeVpcs",
    }
    assert visibility.unresolved_lookups(stack, {}, []) == {}
