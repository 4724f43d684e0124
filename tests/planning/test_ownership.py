"""Who owns what exists once for all Regions, where its tags do not say from which."""

from __future__ import annotations

from typing import Any

from reconciler.kinds import discover
from reconciler.model import Effect, Field, Lifecycle, Replace, Verb
from reconciler.planning import planner
from tests.support.builders import CARS, KINDS, OWNED, SCOPE, env, kind, live, observed, resource

FUEL = {"fuel": Field(effect=Effect.REPLACE)}
SPANNING = kind("engines", fields=FUEL, spans_regions=True, folds_case=True)
HERE = {**OWNED, "reconciler/region": SCOPE.region}


def made(declared: Any, **lives: Any) -> tuple[dict[str, Any], list[str]]:
    plan, problems = planner.make(env(*declared), {"engines": SPANNING, "cars": CARS}, SCOPE, observed(**lives))
    return {str(item.address): item for item in plan.resources}, [problem.code for problem in problems]


def test_every_kind_without_a_region_in_its_arn_spans_regions_or_is_shared() -> None:
    for one in discover().values():
        arn = one.attrs(SCOPE, "q/n" if one.section == "quotaShares" else "n", one.implied("q/n")).get("arn", "")
        everywhere = arn.startswith("arn:") and not arn.split(":")[3]
        assert everywhere == (one.spans_regions or (one.shared and everywhere)), one.section


def test_a_replaced_one_is_kept_where_it_may_serve_another_region() -> None:
    found, problems = made([resource("engines", "v8", fuel="diesel")], engines=[live("v8", fuel="petrol")])

    assert (found["engines.v8"].verb, problems) == (Verb.REPLACE, [])
    assert not found["engines.v8"].removed_objects
    assert "v8 is kept: its tags do not name the Region of test" in found["engines.v8"].notes[0]


def test_it_cannot_be_deleted_before_its_replacement_is_created() -> None:
    first = Lifecycle(replace=Replace.DELETE_FIRST)

    assert made([resource("engines", "v8", first, fuel="diesel")], engines=[live("v8", fuel="petrol")])[1] == [
        "still-used"
    ]


def test_with_something_of_this_region_it_is_replaced_as_ever() -> None:
    declared = [resource("engines", "v8", fuel="diesel")]
    for more in ({"cars": [live("c")]}, {"engines": [live("v8", fuel="petrol"), live("old", HERE)]}):
        found, _ = made(declared, **{"engines": [live("v8", fuel="petrol")], **more})
        assert [one.physical for one in found["engines.v8"].removed_objects] == ["v8"]


def test_one_in_another_case_may_serve_another_region_too() -> None:
    declared = [resource("engines", "V8"), resource("cars", "c")]

    assert made(declared, engines=[live("v8")])[1] == ["exists-unowned"]
    assert made(declared, engines=[live("v8", HERE)])[1] == []


def test_a_tag_with_a_region_means_nothing_on_what_is_regional() -> None:
    elsewhere = {**OWNED, "reconciler/region": "us-east-1"}
    lives = observed(engines=[live("v8", elsewhere)])
    plan, problems = planner.make(env(resource("engines", "v8")), KINDS, SCOPE, lives)

    assert ([item.verb for item in plan.resources], problems) == ([Verb.NOOP], [])
