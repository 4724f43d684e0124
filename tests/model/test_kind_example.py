"""The example in the documentation of ``Kind`` is a kind: what stands there is run here, and planned with."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from reconciler import model
from reconciler.model import Address, Call, Environment, Kind, Observed, Proof, Query, Refused, Resource, Unreadable
from reconciler.model import kind as documented
from reconciler.planning import planner
from tests.support.builders import OWNED, SCOPE

RED = Resource(address=Address("lamps", "desk"), props={"colour": "red"})
THERE = {"name": "desk", "colour": "red", "watts": 40, "tags": OWNED}


@pytest.fixture(scope="module")
def lamps() -> Kind:
    lines = (documented.__doc__ or "").partition("::\n")[2]
    names = {name: getattr(model, name) for name in model.__all__}
    exec(textwrap.dedent(lines), names)
    found: Kind = names["KIND"]
    return found


def read(kind: Kind, reply: Any, *, owned: bool = True) -> Any:
    """What the kind makes of a reply to its only call, and that call."""
    reads = kind.read(Query(SCOPE, (model.Sought("desk"),), owned=owned))
    (call,) = next(reads)
    with pytest.raises(StopIteration) as end:
        reads.send((reply,))
    return call, end.value.value


def planned(kind: Kind, declared: Resource | None, *lamps: Any) -> list[Any]:
    """The actions of a plan, in order."""
    _, lives = read(kind, {"lamps": lamps})
    env = Environment(name="test", resources={declared.address: declared} if declared else {})
    made, problems = planner.make(env, {"lamps": kind}, SCOPE, Observed(lives={"lamps": tuple(lives)}))
    assert problems == []
    return [step.action for item in made.resources for step in item.steps]


def test_it_reads_what_is_sought_and_what_is_owned(lamps):
    call, (live,) = read(lamps, {"lamps": [THERE]})

    assert call == Call("lamps", "DescribeLamps", {"names": ["desk"], "owner": "test"})
    assert (live.physical, live.props, live.owner) == ("desk", {"colour": "red", "watts": 40}, "test")
    assert live.attrs["arn"] == "arn:aws:lamps:eu-west-1:123456789012:lamp/desk"


def test_a_refusal_is_not_taken_for_an_absence(lamps):
    reads = lamps.read(Query(SCOPE, (model.Sought("desk"),)))
    next(reads)

    with pytest.raises(Unreadable):
        reads.send((Refused("AccessDenied", "no"),))


def test_it_is_created(lamps):
    params = {"name": "desk", "colour": "red", "tags": OWNED}

    assert planned(lamps, RED) == [Call("lamps", "CreateLamp", params, proof=Proof.EXISTS)]


def test_what_was_left_out_is_its_default(lamps):
    assert planned(lamps, RED, THERE) == []


def test_it_is_updated_tagged_and_deleted(lamps):
    stronger, untagged = {**THERE, "watts": 60}, {**THERE, "tags": {**OWNED, "team": "hpc"}}

    assert planned(lamps, RED, stronger) == [Call("lamps", "UpdateLamp", {"name": "desk", "watts": 40})]
    assert planned(lamps, RED, untagged) == [
        Call("lamps", "TagLamp", {"name": "desk", "add": {}, "remove": ["team"]}),
    ]
    assert [str(call) for call in planned(lamps, None, THERE)] == ["lamps:DeleteLamp"]


def test_another_colour_is_another_lamp(lamps):
    calls = planned(lamps, RED, {**THERE, "colour": "blue"})

    assert [str(call) for call in calls] == ["lamps:CreateLamp", "lamps:DeleteLamp"]
    assert calls[0].params["name"] != "desk"
