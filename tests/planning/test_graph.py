"""The rules of docs/ordering.md that are about more than who refers to whom: what makes a rule apply, or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model import Call, Effect, Field, Live, On, Plan, Ref, Replace, Wait
from reconciler.model.problems import Problem
from reconciler.planning import planner
from tests.support.builders import OWNED, SCOPE, env, kind, live, observed, resource


def make(*declared: Any, kinds: Any, **lives: Any) -> tuple[Plan, list[Problem]]:
    return planner.make(env(*declared), {one.section: one for one in kinds}, SCOPE, observed(**lives))


def waits_for(made: Plan, later: str, earlier: str) -> bool:
    """Whether the step ``later`` waits for ``earlier``, directly or through others."""
    after = {step.id: step.after for step in made.steps}
    todo, seen = [later], set[str]()
    while todo:
        for step in after[todo.pop()] - seen:
            seen.add(step)
            todo.append(step)
    return earlier in seen


LINES = kind("lines", takes_out_of_service=lambda _live, want, diff: diff.under("on") and not want.props.get("on"))
CARS = kind("cars", refs={"lines[]": Ref(section="lines")})
OFF, BUS = resource("lines", "l", on=False), resource("cars", "bus", lines=["l"])


@pytest.mark.parametrize(
    ("line", "cars", "first"),
    [
        (live("l", on=True), [], "cars.bus"),
        (live("l", on=True), [live("bus", lines=[], old=True)], "cars.bus"),
        (live("l", on=True, invalid=True), [], "lines.l"),
        (live("l", on=True, invalid=True), [live("bus", lines=["arn:l"], old=True)], "lines.l"),
        (live("l", on=True, settled=False), [], "lines.l"),
        (live("l", on=True, settled=False), [live("bus", lines=[], old=True)], "lines.l"),
        (live("l", on=True, settled=False), [live("bus", lines=["arn:l"], old=True)], "cars.bus"),
    ],
)
def test_only_what_works_is_taken_out_of_service_last(line: Live, cars: list[Live], first: str) -> None:
    """Who needs what does not work yet waits for it, and it for nobody: a circle of waits would never end."""
    made, problems = make(OFF, BUS, kinds=(LINES, CARS), lines=[line], cars=cars)

    assert problems == []
    ends = {str(r.address): (r.steps[0].id, r.steps[-1].id) for r in made.resources}
    (second,) = ends.keys() - {first}
    assert waits_for(made, ends[second][0], ends[first][1])
    assert not waits_for(made, ends[first][0], ends[second][1])


KEYS = kind("keys", fields={"text": Field(effect=Effect.REPLACE)}, replace=Replace.DELETE_FIRST)
ROOMS = kind("rooms", refs={"key": Ref(section="keys", holds=False)}, fields={"size": Field(effect=Effect.REPLACE)})
HOUSES = kind("houses", refs={"room": Ref(section="rooms")})
PLANS = kind(
    "plans", refs={"key": Ref(section="keys", holds=False)}, versioned=True, assigned_by_aws=frozenset({"arn"})
)
BUILDING = (KEYS, ROOMS, HOUSES, PLANS)
NEW_KEY, OLD_KEY = resource("keys", "k", text="new"), live("k", text="old")


def test_what_aws_does_not_hold_is_made_anew_while_what_names_it_is_replaced() -> None:
    """The new room needs the new key, and the old key goes first: it must not wait for the old room."""
    room = resource("rooms", "r", key="k", size=2)
    made, problems = make(NEW_KEY, room, kinds=BUILDING, keys=[OLD_KEY], rooms=[live("r", key="arn:k", size=1)])

    assert problems == []
    assert waits_for(made, "rooms.r:up.0", "keys.k:up.1")
    assert not waits_for(made, "keys.k:down.0", "rooms.r:down.0")


def test_what_aws_does_not_hold_is_made_anew_while_users_move() -> None:
    """The old room goes after the house has moved into one with the new key."""
    house, room = resource("houses", "h", room="s"), resource("rooms", "s", key="k")
    rooms = [live("r", key="arn:k")]
    made, problems = make(
        NEW_KEY, house, room, kinds=BUILDING, keys=[OLD_KEY], rooms=rooms, houses=[live("h", room="arn:r")]
    )

    assert problems == []
    assert waits_for(made, "rooms.r:down.0", "houses.h:up.0")
    assert waits_for(made, "houses.h:up.0", "keys.k:up.1")


def test_a_revision_that_is_let_go_binds_nothing_that_is_made_anew() -> None:
    revisions = [
        Live(
            physical=f"p:{n}",
            attrs={"name": "p", "arn": f"arn:p:{n}"},
            props={"key": "arn:k", "size": n},
            tags=OWNED,
            revision=n,
        )
        for n in (1, 2)
    ]
    plan = resource("plans", "p", key="k", size=3)
    made, problems = make(NEW_KEY, plan, kinds=BUILDING, keys=[OLD_KEY], plans=revisions)

    assert problems == []
    assert waits_for(made, "plans.p:up.0", "keys.k:up.1")
    assert waits_for(made, "plans.p:down.0", "plans.p:up.0")


def test_what_goes_for_good_still_goes_after_those_that_named_it() -> None:
    made, problems = make(kinds=BUILDING, keys=[OLD_KEY], rooms=[live("r", key="arn:k", size=1)])

    assert problems == []
    assert waits_for(made, "keys.k:down.0", "rooms.r:down.0")


def leaving(car: Any, line: Any, **facts: Any) -> Call:
    return Call("test", "Leave", {"car": car, "line": line}, **{"ok_if": (On("Gone"),), **facts})


@pytest.mark.parametrize(
    ("cars", "made", "facts", "left"),
    [
        ([live("a", lines=["l"]), live("b", lines=["l"])], ["a", "b"], {}, []),
        ([live("a", lines=["l"])], ["a", "b"], {}, ["Leave b"]),
        ([], ["a"], {}, ["Leave a"]),  # it stays, or somebody else's
        ([live("a", lines=["l"])], ["a"], {"ok_if": ()}, ["Leave a"]),
        ([live("a", lines=["m"])], ["a"], {}, ["Leave a"]),  # in no order
        ([live("a", lines=["l"])], ["a"], {"line": "m"}, ["Leave a"]),
    ],
    ids=["all are gone before", "but one", "none", "who says nothing of it", "not before", "another line"],
)
def test_what_an_earlier_deletion_does_is_not_done_again(
    cars: list[Live], made: list[str], facts: Any, left: list[str]
) -> None:
    line = facts.get("line")
    going = kind(
        "cars",
        refs={"lines[]": Ref(section="lines")},
        delete=lambda car, _: [leaving(car.physical, line or car.props["lines"][0]), Call("test", "Scrap", {})],
    )
    ends = [*(leaving(car, "l", **{k: v for k, v in facts.items() if k == "ok_if"}) for car in made)]
    lines = kind("lines", delete=lambda _, __: [*ends, Call("test", "End", {})])

    plan, problems = make(kinds=[going, lines], cars=cars, lines=[live("l")])

    assert problems == []
    steps = [step for step in plan.steps if step.address.section == "lines"]
    assert [f"{step.action}".partition(":")[2] for step in steps] == [*["Leave"] * len(left), "End"]
    assert [f"Leave {step.action.params['car']}" for step in steps[:-1]] == left  # type: ignore[union-attr]
    for car in (car for car in cars if car.props["lines"] == ["l"]):
        assert waits_for(plan, steps[-1].id, f"cars.{car.physical}:down.1")
        assert waits_for(plan, steps[0].id, f"cars.{car.physical}:down.1")


def test_what_ends_in_any_case_is_waited_for_by_others_alone() -> None:
    end, gone = Call("test", "End", {}), Wait(title="gone", read=Call("test", "Describe", {}), items="all", gone=True)

    def ending(alone: bool, gone: Wait, **facts: Any) -> Any:
        """How the deletion of a line ends: of one that nothing needs, or before another is made under its name."""
        lines = kind("lines", delete=lambda _, __: [end, gone], fields={"on": Field(effect=Effect.REPLACE)}, **facts)
        declared = () if alone else (resource("lines", "l", on=False),)
        plan, problems = make(*declared, kinds=[lines], lines=[live("l", on=True)])
        assert problems == []
        return [type(step.action) for step in plan.steps if ":down" in step.id]

    quiet = replace(gone, for_others=True)
    assert ending(True, gone) == [Call, Wait]
    assert ending(True, quiet) == [Call]
    assert ending(False, quiet, replace=Replace.CREATE_FIRST) == [Call]
    assert ending(False, quiet, replace=Replace.DELETE_FIRST) == [Call, Wait]
