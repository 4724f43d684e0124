"""Plans, as data: what is decided for each resource, and in which order its steps come."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from reconciler.model import (
    Address,
    Call,
    Effect,
    Field,
    Lifecycle,
    Observed,
    Options,
    Plan,
    Ref,
    Reference,
    Refused,
    Replace,
    Template,
    Unreadable,
    Verb,
)
from reconciler.model.problems import Problem
from reconciler.planning import live_objects, planner
from tests.support.builders import KINDS, OWNED, SCOPE, env, kind, live, observed, resource


def make(declared: Any, seen: Observed, **options: Any) -> tuple[Plan, list[Problem]]:
    kinds = options.pop("kinds", KINDS)
    return planner.make(declared, kinds, SCOPE, seen, options=Options(**options))


def verbs(made: Plan) -> dict[str, str]:
    return {str(r.address): r.verb.value for r in made.resources}


def sequence(made: Plan) -> list[str]:
    """The steps in an order the graph allows, always the same one."""
    steps, done, told = list(made.steps), set[str](), list[str]()
    while steps:
        ready = [s for s in steps if s.after <= done]
        assert ready, f"no order for {[s.id for s in steps]}"
        for step in ready:
            action = step.action
            told.append(f"{action.operation} {action.params['name']}" if hasattr(action, "operation") else action.title)
            done.add(step.id)
        steps = [s for s in steps if s.id not in done]
    return told


def before(made: Plan, first: str, second: str) -> bool:
    """Whether the graph forces the step `first` before `second`, whatever the timing."""
    by_id = {s.id: s for s in made.steps}

    def name(step: Any) -> str:
        action = step.action
        return f"{action.operation} {action.params['name']}" if hasattr(action, "operation") else action.title

    ends = [s for s in made.steps if name(s) == second]
    assert ends and any(name(s) == first for s in made.steps)
    todo = [parent for end in ends for parent in end.after]
    seen = set()
    while todo:
        current = todo.pop()
        if name(by_id[current]) == first:
            return True
        if current not in seen:
            seen.add(current)
            todo += by_id[current].after
    return False


CAR = resource("cars", "bus", engines=[{"order": 1, "engine": "v8"}])
ENGINE = resource("engines", "v8", fuel="gas")
V8 = live("v8", fuel="gas", power=1)
BUS = live("bus", engines=[{"order": 1, "engine": "arn:v8"}])


def test_creates_what_is_missing_and_reaches_what_it_needs_first() -> None:
    made, problems = make(env(CAR, ENGINE), observed())

    assert problems == []
    assert verbs(made) == {"cars.bus": "create", "engines.v8": "create"}
    assert before(made, "engines v8 ready", "Create bus")
    create = next(s for s in made.steps if s.id == "cars.bus:up.0")
    assert create.action.params["engines"] == [{"order": 1, "engine": "arn:v8"}]
    assert create.action.params["tags"] == OWNED


def test_finds_nothing_to_do_when_all_is_as_declared() -> None:
    made, problems = make(env(CAR, ENGINE), observed(engines=[V8], cars=[BUS]))

    assert problems == []
    assert not made.applyable
    assert made.steps == ()


def test_absent_means_the_default_and_the_update_sends_it() -> None:
    made, _ = make(env(ENGINE), observed(engines=[live("v8", fuel="gas", power=9)]))

    assert verbs(made) == {"engines.v8": "update"}
    assert made.steps[0].action.params == {"name": "v8", "power": 1}


def test_replaces_under_a_user_without_a_gap() -> None:
    diesel = resource("engines", "v8", fuel="diesel")
    made, problems = make(env(CAR, diesel), observed(engines=[V8], cars=[BUS]))

    assert problems == []
    assert verbs(made) == {"cars.bus": "update", "engines.v8": "replace"}
    new = next(r.physical for r in made.resources if r.verb is Verb.REPLACE)
    assert new.startswith("v8-") and new != "v8"
    assert before(made, f"engines {new} ready", "Update bus")  # rule 1
    assert before(made, "Update bus", "Delete v8")  # rule 3
    assert before(made, f"engines {new} ready", "Delete v8")  # rule 4
    again, _ = make(env(CAR, diesel), observed(engines=[V8], cars=[BUS]))
    assert again == made


def test_users_go_before_what_they_use() -> None:
    made, problems = make(env(resource("engines", "other")), observed(engines=[V8, live("other")], cars=[BUS]))

    assert problems == []
    assert verbs(made)["engines.v8"] == verbs(made)["cars.bus"] == "delete"
    assert before(made, "Delete bus", "Delete v8")  # rule 2


def test_delete_first_falls_before_it_stands_again() -> None:
    kinds = {"engines": kind("engines", fields={"fuel": Field(effect=Effect.REPLACE)}, replace=Replace.DELETE_FIRST)}
    made, problems = make(env(resource("engines", "v8", fuel="diesel")), observed(engines=[V8]), kinds=kinds)

    assert problems == []
    assert before(made, "Delete v8", "Create v8")  # rule 5
    assert next(s.id for s in made.resources[0].steps) == "engines.v8:down.0"


def test_delete_first_under_a_user_that_holds_it_is_a_problem() -> None:
    first = Lifecycle(replace=Replace.DELETE_FIRST)
    diesel = resource("engines", "v8", first, fuel="diesel")
    _, problems = make(env(CAR, diesel), observed(engines=[V8], cars=[BUS]))

    assert [p.code for p in problems] == ["still-used"]
    assert "cars.bus" in problems[0].message


def test_what_is_still_used_is_not_deleted_for_not_being_declared() -> None:
    seen = replace(observed(engines=[V8], cars=[BUS]), existing={("engines", "v8"): V8.attrs})
    _, problems = make(env(CAR), seen)

    assert [p.code for p in problems] == ["still-used"]
    assert "no longer declared" in problems[0].message


def test_a_killed_replacement_is_finished() -> None:
    """Both objects are there; the one that is as wanted stays, the other goes once its user has moved."""
    new = live("v8-abc123", {**OWNED, "reconciler/name": "v8"}, fuel="diesel", power=1)
    diesel = resource("engines", "v8", fuel="diesel")
    made, problems = make(env(CAR, diesel), observed(engines=[V8, new], cars=[BUS]))

    assert problems == []
    assert made.resources[1].physical == "v8-abc123"
    assert "left over: v8" in made.resources[1].reason
    assert before(made, "Update bus", "Delete v8")


def test_what_is_dying_is_never_the_heir_and_its_name_is_waited_for() -> None:
    made, _ = make(env(ENGINE), observed(engines=[live("v8", fuel="gas", power=1, deleting=True)]))

    assert verbs(made) == {"engines.v8": "create"}
    assert before(made, "v8 gone", "Create v8")


def test_an_unsettled_object_is_waited_for_before_it_is_touched() -> None:
    made, _ = make(env(ENGINE), observed(engines=[replace(V8, settled=False, props={"fuel": "gas", "power": 2})]))

    assert sequence(made) == ["engines v8 ready", "Update v8"]


def test_status_alone_is_no_change_but_is_waited_for_since_it_may_end_badly() -> None:
    unsettled = replace(V8, settled=False, status="CREATING")
    made, _ = make(env(CAR, ENGINE), observed(engines=[unsettled]))

    assert verbs(made)["engines.v8"] == "noop"
    assert made.resources[1].notes == ("is CREATING; apply waits until this has ended",)
    assert before(made, "engines v8 ready", "Create bus")
    alone, _ = make(env(CAR, ENGINE), observed(engines=[unsettled], cars=[BUS]))
    assert not alone.applyable
    assert sequence(alone) == ["engines v8 ready"]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, "exists and is adopted"),
        (
            {"invalid": True, "status": "INVALID", "reason": "no role"},
            "exists and is adopted; it is INVALID: no role",
        ),
        ({"settled": False, "status": "UPDATING"}, "exists and is adopted; it is UPDATING"),
    ],
)
def test_adopting_says_what_it_found(state: dict[str, Any], reason: str) -> None:
    found = live("v8", {}, fuel="gas", power=1, **state)
    made, problems = make(env(ENGINE), observed(engines=[found]), adopt=True)
    assert problems == [] and made.resources[0].reason == reason
    other, _ = make(env(resource("engines", "v8", fuel="diesel")), observed(engines=[found]), adopt=True)
    assert "v8 exists, no environment owns it, and it is replaced" in other.resources[0].notes
    assert [note for note in other.resources[0].notes if state.get("status", "exists") in note]
    _, refused = make(env(ENGINE), observed(engines=[found]))
    assert state.get("reason", state.get("status", "exists")) in refused[0].message


def test_what_makes_it_work_again_is_explained_beside_a_difference_or_without() -> None:
    engines = {"engines": kind("engines", repair=lambda live, want: [Call("test", "Update", {"name": live.physical})])}
    broken = {"invalid": True, "status": "INVALID", "reason": "no role"}
    again = "its settings are sent again, so that AWS checks it again"
    for seen, adopt, notes in (
        (live("v8", fuel="gas", **broken), False, (again,)),
        (live("v8", {}, fuel="gas", **broken), True, (again,)),
        (live("v8", fuel="oil", **broken), False, ("is INVALID: no role",)),
    ):
        made, _ = make(env(resource("engines", "v8", fuel="gas")), observed(engines=[seen]), kinds=engines, adopt=adopt)
        assert made.resources[0].notes == notes


def test_a_name_that_is_being_given_up_is_no_missing_object() -> None:
    for tags in (OWNED, {}):
        dying = live("v8", tags, fuel="gas", power=1, deleting=True, status="DELETING")
        made, _ = make(env(ENGINE), observed(engines=[dying]))
        assert made.resources[0].reason == "v8 is DELETING; it is created after that one is deleted"


COPY = {**OWNED, "reconciler/name": "v8"}


@pytest.mark.parametrize("name", ["v8-copy", "a8", "v8-abc12"])
def test_a_copy_never_takes_the_place_of_what_is_in_service(name: str) -> None:
    """It has the same tags, and is as wanted, while what the queue uses is not."""
    copy = live(name, COPY, fuel="gas", power=2)
    wanted = resource("engines", "v8", fuel="gas", power=2)
    made, problems = make(env(CAR, wanted), observed(engines=[copy, V8], cars=[BUS]))

    assert problems == []
    assert made.resources[1].physical == "v8"
    assert sequence(made) == ["Update v8", f"Delete {name}"]
    (note,) = made.resources[1].notes
    assert note.startswith(f"{name} has the same tags, and is deleted: owned by tag only; not created under this name")


def test_of_two_that_this_tool_may_have_made_the_one_in_service_is_kept() -> None:
    old, new = (live(name, COPY, fuel="gas", power=power) for name, power in (("v8-abc123", 1), ("v8-abc124", 2)))
    wanted = resource("engines", "v8", fuel="gas", power=2)
    bus = live("bus", engines=[{"order": 1, "engine": "arn:v8-abc123"}])
    made, _ = make(env(CAR, wanted), observed(engines=[old, new], cars=[bus]))

    assert made.resources[1].physical == "v8-abc123"
    assert made.resources[1].notes == ("v8-abc124 is another engine with the same tags, and is deleted",)


def test_a_copy_with_its_own_name_is_called_one_before_it_is_deleted() -> None:
    made, _ = make(env(CAR, ENGINE), observed(engines=[V8, live("v9", fuel="gas", power=1)], cars=[BUS]))

    assert verbs(made) == {"cars.bus": "noop", "engines.v8": "noop", "engines.v9": "delete"}
    assert made.resources[2].notes == (
        "v9 has the same settings and tags as engines.v8: a copy of it, or declared before",
    )


def test_two_that_are_declared_alike_are_no_copies_of_each_other() -> None:
    both = env(ENGINE, resource("engines", "v9", fuel="gas", power=1))
    made, _ = make(both, observed(engines=[V8, live("v9", fuel="gas", power=1)]), destroy=True)

    assert [(item.verb.value, item.notes) for item in made.resources] == [("delete", ()), ("delete", ())]


def test_what_others_tagged_as_ours_is_told_when_it_is_deleted() -> None:
    foreign = live("theirs", {**OWNED, "reconciler/name": "v9"})
    made, _ = make(env(ENGINE), observed(engines=[V8, foreign]))

    assert verbs(made)["engines.v9"] == "delete"
    assert made.resources[1].notes == ("theirs is owned by tag only; not created under this name by this tool",)


JOBS = {"jobs": kind("jobs", versioned=True, replace=Replace.FORBIDDEN, attrs=lambda s, n, p: {"name": n})}


def revision(number: int, name: str = "j", tags: Any = OWNED, **props: Any) -> Any:
    return replace(live(f"{name}:{number}", tags, revision=number, **props), attrs={"name": name})


def test_of_two_equal_revisions_in_a_row_one_is_superfluous() -> None:
    wanted = resource("jobs", "j", image="a")
    twice = [revision(4, image="a"), revision(5, image="a")]
    made, _ = make(env(wanted), observed(jobs=twice), kinds=JOBS)
    assert sequence(made) == ["Delete j:4"]
    assert made.resources[0].reason == "revisions beyond those to keep: j:4"
    assert made.resources[0].notes == ("revision 4 is a duplicate of the next one",)
    for others in (
        [revision(3, image="a"), revision(4, image="b"), revision(5, image="a")],  # taken back
        [revision(3, image="a"), revision(5, image="a")],
        [revision(4, image="a"), revision(5, tags={**OWNED, "reconciler/registered-after": "4"}, image="a")],
        [revision(4, tags={}, image="a"), revision(5, image="a")],
    ):
        made, _ = make(env(wanted), observed(jobs=others[-2:]), kinds=JOBS)
        assert not made.applyable


def test_a_copied_definition_is_not_taken_for_the_latest_revision() -> None:
    copy = revision(9, "j-copy", {**OWNED, "reconciler/name": "j"}, image="b")
    made, _ = make(env(resource("jobs", "j", image="a")), observed(jobs=[revision(1, image="a"), copy]), kinds=JOBS)

    assert sequence(made) == ["Delete j-copy:9"]
    assert "owned by tag only" in made.resources[0].notes[0]


def test_a_forced_replacement_of_a_revision_registers_one() -> None:
    jobs = kind("jobs", versioned=True, replace=Replace.FORBIDDEN, attrs=lambda s, n, p: {"name": n})
    there = [replace(live("j:1", revision=1, image="a"), attrs={"name": "j"})]
    address = Address("jobs", "j")
    made, problems = make(
        env(resource("jobs", "j", image="a")), observed(jobs=there), kinds={"jobs": jobs}, replace=(address,)
    )

    assert problems == []
    assert sequence(made) == ["Update j:1"]


@pytest.mark.parametrize(
    ("tags", "code"),
    [({}, "exists-unowned"), ({"reconciler/environment": "other"}, "owned-elsewhere")],
)
def test_what_is_not_ours_is_not_touched(tags: dict[str, str], code: str) -> None:
    made, problems = make(env(ENGINE), observed(engines=[replace(V8, tags=tags)]))

    assert [p.code for p in problems] == [code]
    assert made.steps == ()


def test_adopts_when_told_and_shows_what_differs() -> None:
    made, problems = make(env(ENGINE), observed(engines=[replace(V8, tags={"mine": "yes"})]), adopt=True)

    assert problems == []
    (entry,) = made.resources
    assert entry.verb is Verb.ADOPT and entry.importing == "arn:v8"
    assert sequence(made) == ["Tag v8"]
    assert made.steps[0].action.params["put"] == OWNED
    assert made.steps[0].action.params["remove"] == ["mine"]


def test_never_adopts_what_another_environment_owns() -> None:
    other = replace(V8, tags={"reconciler/environment": "other"})
    _, problems = make(env(ENGINE), observed(engines=[other]), adopt=True)

    assert [p.code for p in problems] == ["owned-elsewhere"]


def test_tags_of_aws_and_ignored_ones_are_not_ours() -> None:
    tagged = replace(V8, tags={**OWNED, "aws:cloudformation:stack-name": "x", "auto:team": "y"})
    made, _ = make(env(ENGINE, ignore_tags=("auto:*",)), observed(engines=[tagged]))

    assert not made.applyable


def test_destroy_takes_everything_owned_in_order_and_nothing_else() -> None:
    foreign = live("foreign", {})
    made, problems = make(env(CAR, ENGINE), observed(engines=[V8, foreign], cars=[BUS]), destroy=True)

    assert problems == []
    assert verbs(made) == {"cars.bus": "delete", "engines.v8": "delete"}
    assert sequence(made) == ["Delete bus", "Delete v8"]


def test_an_expression_orders_a_deletion_as_well() -> None:
    ref = Template((Reference("resource", "${engines.v8.arn}", Address("engines", "v8"), "arn"),))
    noted = resource("cars", "bus", plate=ref)
    made, _ = make(env(noted, ENGINE), observed(engines=[V8], cars=[live("bus", plate="arn:v8")]), destroy=True)

    assert sequence(made) == ["Delete bus", "Delete v8"]


def test_forbidden_replacement_is_a_problem_with_a_way_out() -> None:
    kinds = {"engines": kind("engines", fields={"fuel": Field(effect=Effect.REPLACE)}, replace=Replace.FORBIDDEN)}
    _, problems = make(env(resource("engines", "v8", fuel="diesel")), observed(engines=[V8]), kinds=kinds)

    assert [p.code for p in problems] == ["cannot-replace"]
    assert "declare a second engine" in problems[0].hint


def test_an_id_that_only_aws_can_say_is_known_later_and_only_while_it_must_be() -> None:
    groups = kind("groups", assigned_by_aws=frozenset({"id"}), attrs=lambda s, n, p: {"name": n})
    cars = kind("cars", refs={"group": Ref(section="groups", attr="id")})
    kinds = {"groups": groups, "cars": cars}
    declared = env(resource("groups", "g"), resource("cars", "bus", group="g"))
    fresh, _ = make(declared, observed(), kinds=kinds)
    there = replace(live("g"), attrs={"name": "g", "id": "sg-1"})
    known, _ = make(declared, observed(groups=[there]), kinds=kinds)

    assert str(fresh.resources[0].after["group"]) == "(known after apply)"
    assert known.resources[0].after["group"] == "sg-1"


def test_groups_may_name_each_other_and_themselves() -> None:
    groups = kind(
        "groups",
        assigned_by_aws=frozenset({"id"}),
        attrs=lambda s, n, p: {"name": n},
        refs={"peers[]": Ref(section="groups", attr="id", late=True)},
        fields={"peers": Field(unordered=True)},
    )
    declared = env(resource("groups", "a", peers=["b", "a"]), resource("groups", "b", peers=["a"]))
    _made, problems = make(declared, observed(), kinds={"groups": groups})

    # Creating sends the peers at once in this test kind, so the two need each other: an order cycle, told as one.
    assert [p.code for p in problems] == ["order-cycle"]
    ids = {"a": "sg-a", "b": "sg-b"}
    there = [
        replace(live(n, peers=p), attrs={"name": n, "id": ids[n]})
        for n, p in (("a", ["sg-a", "sg-b"]), ("b", ["sg-a"]))
    ]
    quiet, problems = make(declared, observed(groups=there), kinds={"groups": groups})
    assert problems == []
    assert not quiet.applyable


def test_what_needs_something_that_a_late_reference_shows_to_be_unreadable_is_not_planned() -> None:
    made_by_aws = {"assigned_by_aws": frozenset({"id"}), "attrs": lambda s, n, p: {"name": n}}
    kinds = {
        "cars": kind("cars", refs={"group": Ref(section="groups", attr="id")}, **made_by_aws),
        "groups": kind("groups", refs={"peers[]": Ref(section="groups", attr="id", late=True)}, **made_by_aws),
        "drivers": kind("drivers", refs={"car": Ref(section="cars", attr="id")}),
    }
    looked_up = Template((Reference("lookups", "${lookups.vpc}", None, "vpc"),))
    declared = env(
        resource("groups", "a", peers=["b"]),
        resource("groups", "b", network=looked_up),
        resource("cars", "bus", group="a"),
        resource("drivers", "ann", car="bus"),
    )
    seen = replace(observed(), unresolved_lookups={"vpc": "allow ec2:DescribeVpcs"})

    for names in permutations(sorted(declared.resources)):
        ordered = replace(declared, resources={name: declared.resources[name] for name in names})
        made, problems = make(ordered, seen, kinds=kinds)
        assert verbs(made) == {}
        assert {p.address for p in problems} == {"groups.a", "groups.b", "cars.bus", "drivers.ann"}


def test_a_name_that_is_nowhere_says_where_it_was_looked_for() -> None:
    _, problems = make(env(CAR), observed())

    assert [p.code for p in problems] == ["unknown-reference"]
    assert "engines.v8" in problems[0].hint and "123456789012" in problems[0].hint


def test_targets_bring_what_they_need_and_delete_nothing() -> None:
    made, _ = make(env(CAR, ENGINE, resource("engines", "x")), observed(engines=[live("old")]), targets=(CAR.address,))

    assert verbs(made) == {"cars.bus": "create", "engines.v8": "create"}
    assert not made.complete


def test_excluding_leaves_out_what_needs_it_too() -> None:
    made, _ = make(env(CAR, ENGINE, resource("engines", "x")), observed(), exclude=(ENGINE.address,))

    assert verbs(made) == {"engines.x": "create"}


def test_what_is_destroyed_goes_with_what_stands_on_it_and_leaves_the_rest() -> None:
    both = observed(engines=[V8, live("x")], cars=[BUS])
    declared = env(CAR, ENGINE, resource("engines", "x"))

    car, _ = make(declared, both, destroy=True, targets=(CAR.address,))
    engine, _ = make(declared, both, destroy=True, targets=(ENGINE.address,))
    undeclared, _ = make(env(), both, destroy=True, targets=(ENGINE.address,))

    assert verbs(car) == {"cars.bus": "delete"}
    assert verbs(engine) == verbs(undeclared) == {"cars.bus": "delete", "engines.v8": "delete"}


def test_what_is_left_out_of_a_destruction_keeps_what_it_stands_on() -> None:
    both = observed(engines=[V8, live("x")], cars=[BUS])

    made, _ = make(env(CAR, ENGINE, resource("engines", "x")), both, destroy=True, exclude=(CAR.address,))
    all_but_engine, _ = make(env(CAR, ENGINE), both, destroy=True, exclude=(ENGINE.address,))

    assert verbs(made) == {"engines.x": "delete"}
    assert verbs(all_but_engine) == {"cars.bus": "delete", "engines.x": "delete"}


def test_what_is_no_longer_declared_stays_under_what_is_left_out() -> None:
    moved = resource("cars", "bus", engines=[{"order": 1, "engine": "w12"}])
    seen = observed(engines=[V8], cars=[BUS])

    made, _ = make(env(moved, resource("engines", "w12")), seen, exclude=(CAR.address,))

    assert verbs(made) == {"engines.w12": "create"}


def test_ignored_changes_are_not_seen() -> None:
    quiet = resource("engines", "v8", Lifecycle(ignore_changes=("power",)), fuel="gas")
    made, _ = make(env(quiet), observed(engines=[live("v8", fuel="gas", power=9)]))

    assert not made.applyable


def test_revisions_are_registered_kept_and_let_go() -> None:
    jobs = kind(
        "jobs",
        versioned=True,
        replace=Replace.FORBIDDEN,
        assigned_by_aws=frozenset({"arn"}),
        attrs=lambda s, n, p: {"name": n},
    )
    old = [replace(live(f"j:{n}", revision=n, image="a"), attrs={"name": "j", "arn": f"arn:j:{n}"}) for n in (1, 2, 3)]
    changed, problems = make(env(resource("jobs", "j", image="b")), observed(jobs=old), kinds={"jobs": jobs})

    assert problems == []
    assert sequence(changed)[0] == "Update j:3"
    assert sorted(sequence(changed)[1:]) == ["Delete j:1", "Delete j:2"]  # the new one and j:3 are the two to keep
    assert changed.resources[0].changes[0].effect is Effect.NEW_REVISION


def test_planning_changes_nothing_it_was_given() -> None:
    declared, seen = env(CAR, ENGINE), observed(engines=[V8], cars=[])
    first, _ = make(declared, seen)
    second, _ = make(declared, seen)

    assert first == second


def test_a_section_that_cannot_be_read_deletes_nothing() -> None:
    refused = Unreadable(Call("test", "Describe"), Refused("AccessDenied", "no"))
    seen = Observed(lives={"cars": (BUS,)}, unreadable={("engines", "v8"): refused})
    made, _ = make(env(ENGINE), seen)

    assert made.count(Verb.DELETE) == 0
    assert not made.complete


def test_on_partial_sight_leftovers_stay() -> None:
    new = live("v8-abc123", {**OWNED, "reconciler/name": "v8"}, fuel="diesel", power=1)
    diesel = env(resource("engines", "v8", fuel="diesel"))
    seen = observed(engines=[V8, new])
    refused = Unreadable(Call("test", "Describe"), Refused("AccessDenied", "no"))

    assert sequence(make(diesel, seen)[0]) == ["Delete v8"]
    assert make(diesel, replace(seen, unreadable={("cars", "bus"): refused}))[0].steps == ()


def test_what_an_update_makes_anew_is_not_known_before() -> None:
    engines = replace(KINDS["engines"], assigned_by_aws=frozenset({"latest"}), changed_by_update=frozenset({"latest"}))
    kinds = {**KINDS, "engines": engines}
    latest = Template((Reference("resource", "${engines.e.latest}", Address("engines", "e"), "latest"),))
    seen = observed(engines=[replace(live("e", power=1), attrs={"name": "e", "latest": "4"})], cars=[live("c", v="4")])

    same, _ = make(env(resource("engines", "e", power=1), resource("cars", "c", v=latest)), seen, kinds=kinds)
    changed, _ = make(env(resource("engines", "e", power=2), resource("cars", "c", v=latest)), seen, kinds=kinds)

    assert verbs(same) == {"engines.e": "noop", "cars.c": "noop"}
    assert verbs(changed) == {"engines.e": "update", "cars.c": "update"}
    assert [c.unknown for r in changed.resources if str(r.address) == "cars.c" for c in r.changes] == [True]
    assert before(changed, "Update e", "Update c")


HORSES = kind("horses", attrs=lambda scope, name, props: {"name": name, "arn": f"arn:horse:{name}"})
CARTS = kind("carts", refs={"pulled": Ref(section="engines", also=("horses",))})


def test_a_name_may_be_of_several_sections() -> None:
    kinds = {**KINDS, "horses": HORSES, "carts": CARTS}
    cart = resource("carts", "c", pulled="h")

    made, problems = make(env(cart, resource("horses", "h")), observed(), kinds=kinds)
    assert not problems and before(made, "Create h", "Create c")
    assert next(r for r in made.resources if r.address.section == "carts").after["pulled"] == "arn:horse:h"

    seen = replace(
        observed(), existing={("engines", "h"): None, ("horses", "h"): {"name": "h", "arn": "arn:horse:far"}}
    )
    made, problems = make(env(cart), seen, kinds=kinds)
    assert not problems and made.resources[0].after["pulled"] == "arn:horse:far"

    _, problems = make(env(cart), observed(), kinds=kinds)
    assert "there is no engine or horse" in str(problems[0]) and "engines.h and horses.h" in problems[0].hint


def test_what_is_still_used_under_its_other_section_is_not_deleted() -> None:
    kinds = {**KINDS, "horses": HORSES, "carts": CARTS}
    horse = replace(live("h"), attrs={"name": "h", "arn": "arn:horse:h"})
    there = observed(horses=[horse], carts=[live("c", pulled="arn:horse:h")])
    _, problems = make(env(resource("carts", "c", pulled="arn:horse:h")), there, kinds=kinds)

    assert [p.code for p in problems] == ["still-used"]


@pytest.mark.parametrize(
    ("name", "logical", "facts", "ours"),
    [
        ("v8", None, {}, True),
        ("v8-abc123", "v8", {}, True),
        ("v8-abc123-2", "v8", {}, True),
        ("v8_abc123", "v8", {}, True),
        (f"{'v' * 21}-abc123", "v" * 28, {"max_name": 28}, True),
        ("V8", "v8", {"folds_case": True}, True),
        ("V8", "v8", {}, False),
        ("v8", "v8", {}, False),  # this tool sets no such tag
        ("v8", "v8", {"versioned": True}, True),
        ("v8-abc123", "v8", {"versioned": True}, False),
        ("v9-abc123", "v8", {}, False),
        ("v8-copy", "v8", {}, False),
    ],
)
def test_which_names_this_tool_gives(name: str, logical: str | None, facts: dict[str, Any], ours: bool) -> None:
    tags = OWNED if logical is None else {**OWNED, "reconciler/name": logical}

    assert live_objects.is_named_as_created(live(name, tags), kind("engines", **facts)) is ours


def test_a_copy_that_alone_is_left_is_called_one_when_it_is_replaced() -> None:
    made, _ = make(env(resource("engines", "v8", fuel="gas")), observed(engines=[live("v9", COPY, fuel="diesel")]))

    assert verbs(made) == {"engines.v8": "replace"}
    assert made.resources[0].notes == ("v9 is replaced: owned by tag only; not created under this name by this tool",)
