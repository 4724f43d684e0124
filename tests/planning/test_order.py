"""The rules of docs/ordering.md that are about more than who refers to whom: what makes a rule apply, or not."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model import Live, Plan, Ref
from reconciler.model.problems import Problem
from reconciler.planning import planner
from tests.support.builders import SCOPE, env, kind, live, observed, resource


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
