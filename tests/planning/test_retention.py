"""What a plan would delete and somebody else uses: it is kept, with its dependencies, and the plan says for whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model import Call, Dependent, Effect, Field, Live, Plan, Ref, Refused, Replace, Unreadable, Verb
from reconciler.model.problems import Problem
from reconciler.planning import planner
from tests.support.builders import SCOPE, env, kind, live, observed, resource


def nobody(scope: Any, lives: Any, removals: Any) -> Any:
    """No read: what is in use stands in ``Observed.used`` already."""
    yield ()
    return {}


FUELS = kind("fuels", dependents=(nobody,))
ENGINES = kind(
    "engines",
    fields={"fuel": Field(effect=Effect.REPLACE)},
    refs={"fuel": Ref(section="fuels")},
    dependents=(nobody,),
)
CARS = kind("cars", refs={"engine": Ref(section="engines", holds=False)})
KINDS = {"fuels": FUELS, "engines": ENGINES, "cars": CARS}
GAS = live("gas")
V8 = live("v8", fuel="arn:gas")


def plan(*declared: Any, used: Any = None, lives: Any = None, **facts: Any) -> tuple[Plan, list[Problem]]:
    kinds = facts.pop("kinds", KINDS)
    seen = replace(observed(**(lives or {"fuels": [GAS], "engines": [V8]})), used=used or {}, **facts)
    return planner.make(env(*declared), kinds, SCOPE, seen)


def deleted(made: Plan) -> list[str]:
    return [step.action.params["name"] for step in made.steps if getattr(step.action, "operation", "") == "Delete"]


def notes(made: Plan, address: str) -> str:
    return "; ".join(next(item.notes for item in made.resources if str(item.address) == address))


TAXI = Dependent(text="car taxi of somebody else runs on it", hint="let the taxi go first", arn="arn:taxi")


def test_what_nobody_uses_is_deleted():
    made, problems = plan(resource("cars", "bus"))

    assert problems == []
    assert deleted(made) == ["v8", "gas"]


def test_what_somebody_uses_is_kept_together_with_what_it_depends_on():
    made, problems = plan(resource("cars", "bus"), used={("engines", "v8"): (TAXI,)})

    assert problems == []
    assert deleted(made) == []
    assert notes(made, "engines.v8") == "v8 is kept: car taxi of somebody else runs on it; let the taxi go first"
    assert notes(made, "fuels.gas") == "gas is kept: engines.v8 is kept and depends on it"


def test_what_it_depends_on_is_used_and_the_rest_is_deleted():
    made, _ = plan(resource("cars", "bus"), used={("fuels", "gas"): (TAXI,)})

    assert deleted(made) == ["v8"]


@pytest.mark.parametrize(
    ("user", "kept"),
    [
        (Dependent(text="a car that is deleted too", arn="arn:bus"), False),
        (Dependent(text="a car that stays", arn="arn:taxi"), True),
        (Dependent(text="something without a name"), True),
    ],
)
def test_a_dependent_counts_unless_the_plan_deletes_it_too(user: Dependent, kept: bool):
    lives = {"fuels": [GAS], "engines": [V8], "cars": [live("bus", engine="arn:v8")]}
    made, _ = plan(resource("fuels", "gas"), used={("engines", "v8"): (user,)}, lives=lives)

    assert ("v8" in deleted(made)) is not kept


@pytest.mark.parametrize(("engine", "kept"), [("v8", True), ("v6", False)])
def test_a_dependent_that_is_declared_counts_if_it_still_refers_to_it(engine: str, kept: bool):
    """Its declaration says what it will refer to, whatever the account shows now."""
    named = Dependent(text="car bus", arn="arn:bus", words=frozenset({"v8", "arn:v8"}))
    lives = {"fuels": [GAS], "engines": [V8, live("v6")], "cars": [live("bus", engine="arn:v8")]}
    existing = {("engines", "v8"): V8.attrs}
    made, problems = plan(
        resource("engines", "v6"),
        resource("cars", "bus", engine=engine),
        used={("engines", "v8"): (named,)},
        lives=lives,
        existing=existing,
    )

    assert problems == []
    assert ("v8" in deleted(made)) is not kept


def test_a_user_of_the_latest_revision_counts_only_if_all_are_deleted():
    latest = Dependent(text="a rule", arn="arn:rule", others=frozenset({"arn:v8:1", "arn:v8:2"}))
    revisions = [live(f"v8:{number}", revision=number) for number in (1, 2)]
    used = {("engines", one.physical): (latest,) for one in revisions}
    revised = {**KINDS, "engines": kind("engines", versioned=True, dependents=(nobody,))}
    lives = {"engines": [replace(one, attrs={"name": "v8", "arn": f"arn:{one.physical}"}) for one in revisions]}
    made, _ = plan(resource("cars", "bus"), used=used, lives=lives, kinds=revised)

    assert deleted(made) == []


def test_a_replaced_one_in_use_is_kept_beside_its_replacement():
    made, problems = plan(
        resource("engines", "v8", fuel="sun"),
        resource("fuels", "sun"),
        used={("engines", "v8"): (TAXI,)},
    )

    (item,) = [item for item in made.resources if item.address.section == "engines"]
    assert problems == []
    assert item.verb is Verb.REPLACE and item.want is not None
    assert "v8" not in deleted(made)
    assert f"replaced by {item.want.physical}" in notes(made, "engines.v8")


def test_one_that_must_give_its_name_to_its_replacement_cannot_be_kept():
    first = {**KINDS, "engines": replace(ENGINES, replace=Replace.DELETE_FIRST)}
    _, problems = plan(
        resource("engines", "v8", fuel="sun"),
        resource("fuels", "sun"),
        used={("engines", "v8"): (TAXI,)},
        kinds=first,
    )

    assert [(problem.code, problem.address) for problem in problems] == [("still-used", "engines.v8")]
    assert "car taxi of somebody else runs on it" in problems[0].message
    assert "let the taxi go first" in problems[0].hint


def test_who_uses_it_is_listed_up_to_three():
    many = tuple(Dependent(text=f"car {letter}", hint="let it go") for letter in "edcba")
    made, _ = plan(resource("cars", "bus"), used={("engines", "v8"): many})

    assert notes(made, "engines.v8") == "v8 is kept: car a, car b, 3 more; let it go"


def test_where_a_read_was_refused_nothing_is_deleted_but_by_replacements():
    refused = Unreadable(Call("lamps", "ListCars"), Refused("AccessDeniedException", "no"))
    lives: dict[str, list[Live]] = {"fuels": [GAS, live("oil")], "engines": [V8]}
    made, problems = plan(
        resource("fuels", "gas"), resource("engines", "v8", fuel="sun"), resource("fuels", "sun"), lives=lives,
        unanswered=(refused,),
    )  # fmt: skip

    assert deleted(made) == ["v8"]
    assert notes(made, "fuels.oil") == "oil is kept: lamps:ListCars was refused; allow lamps:ListCars"
    assert problems == []  # `visibility` reports the refusal
