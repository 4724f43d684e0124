"""A launch template by id on one side and by name on the other: looked up, and the same where it is the same."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kinds.batch.compute_environment.kind import KIND
from reconciler.model import Call, Diff, Effect, Query, Reference, Refused, Sought, Template, Unreadable
from reconciler.planning.diff import difference
from reconciler.schema import registry
from tests.support.batch_kinds import SCOPE, SLR, arn, want

ID, NAME = "launchTemplateId", "launchTemplateName"
IDS = {"lt": "lt-0a", "other": "lt-0b", "big": "lt-0c"}


def declaration(template: Any, **more: Any) -> dict[str, Any]:
    resources = {"type": "EC2", "maxvCpus": 4, "instanceTypes": ["m5", "c5"], "launchTemplate": template}
    return {"type": "MANAGED", "computeResources": {"allocationStrategy": "BEST_FIT_PROGRESSIVE", **resources}, **more}


def shown(template: Any, **more: Any) -> dict[str, Any]:
    return {
        **declaration(template, **more),
        "computeEnvironmentName": "x",
        "computeEnvironmentArn": arn("compute-environment/x"),
        "status": "VALID",
        "serviceRole": more.get("serviceRole", SLR),
    }


def lookup(call: Call, *, refused: bool = False) -> Any:
    assert call.action == "ec2:DescribeLaunchTemplates"
    if refused:
        return Refused("UnauthorizedOperation", "no")
    names = [name for one in call.params.get("Filters", ()) for name in one["Values"]]
    ids = call.params.get("LaunchTemplateIds", ())
    if ids and not {*ids} & {*IDS.values()}:
        return Refused("InvalidLaunchTemplateId.NotFound", "gone")
    found = [(name, one) for name, one in IDS.items() if name in names or one in ids]
    return {"LaunchTemplates": [{"LaunchTemplateId": one, "LaunchTemplateName": name} for name, one in found]}


def compared(live: Any, declared: Any, *, sought: Any = None, refused: bool = False) -> tuple[Diff, int]:
    """The differences, and how many look-ups were made; ``sought`` is the declaration with its references."""
    reads = KIND.read(Query(SCOPE, (Sought("x", sought or declared),)))
    made = next(reads)
    replies: tuple[Any, ...] = tuple({"computeEnvironments": [live]} for _ in made)
    count = 0
    while True:
        try:
            made = reads.send(replies)
        except StopIteration as end:
            (found,) = end.value
            return difference(KIND, found, want(KIND, declared), registry.members(KIND.section))[0], count
        count += len(made)
        replies = tuple(lookup(call, refused=refused) for call in made)


def targets(*types: str, **named: str) -> dict[str, Any]:
    return {"targetInstanceTypes": list(types), **named}


# live, declared, and how many look-ups tell that they are the same
SAME = {
    "both by name": ({NAME: "lt"}, {NAME: "lt"}, 0),
    "both by id": ({ID: "lt-0a"}, {ID: "lt-0a"}, 0),
    "id live": ({ID: "lt-0a", "version": "$Default"}, {NAME: "lt"}, 1),
    "name live": ({NAME: "lt", "version": "$Latest"}, {ID: "lt-0a", "version": "$Latest"}, 1),
    "both given back": ({ID: "lt-0a", NAME: "lt"}, {ID: "lt-0a"}, 0),
    "in overrides": (
        {ID: "lt-0a", "overrides": [targets("m5", **{ID: "lt-0b"}), targets("c5", **{ID: "lt-0c"})]},
        {NAME: "lt", "overrides": [targets("c5", **{NAME: "big"}), targets("m5", **{NAME: "other"})]},
        1,
    ),
    "overrides only, mixed": (
        {"overrides": [targets("m5", **{ID: "lt-0b"}), targets("c5", **{NAME: "big"})]},
        {"overrides": [targets("c5", **{NAME: "big"}), targets("m5", **{NAME: "other"})]},
        1,
    ),
}
OTHERS = {
    "another name": ({ID: "lt-0b"}, {NAME: "lt"}, "launchTemplate"),
    "another id": ({NAME: "other"}, {ID: "lt-0a"}, "launchTemplate"),
    "deleted": ({ID: "lt-0d"}, {NAME: "lt"}, "launchTemplate"),
    "same template, pin taken out": ({ID: "lt-0a", "version": "2"}, {NAME: "lt"}, "launchTemplate.version"),
    "same template, pinned": ({ID: "lt-0a"}, {NAME: "lt", "version": "3"}, "launchTemplate.version"),
    "another in overrides": (
        {ID: "lt-0a", "overrides": [targets("m5", **{ID: "lt-0b"})]},
        {NAME: "lt", "overrides": [targets("m5", **{NAME: "big"})]},
        "overrides",
    ),
}


@pytest.mark.parametrize(
    "role", [{}, {"serviceRole": "arn:aws:iam::123456789012:role/ordinary"}], ids=["slr", "ordinary"]
)
@pytest.mark.parametrize("case", SAME)
def test_the_same_template_is_no_change(case: str, role: dict[str, str]) -> None:
    live, declared, lookups = SAME[case]
    if "overrides" not in live:
        live = {**live, "overrides": []}
    assert compared(shown(live, **role), declaration(declared, **role)) == (Diff(), lookups)


@pytest.mark.parametrize(
    "written", ["templates", Template((Reference("resource", "${launchTemplates.templates.name}"),))]
)
def test_a_declared_template_under_another_name(written: Any) -> None:
    """Its name is known only when its reference is resolved (``lt`` here), which is after the read."""
    live, declared = shown({ID: "lt-0a", "overrides": []}), declaration({NAME: "lt"})
    found, _ = compared(live, declared, sought=declaration({NAME: written}))
    assert found == Diff()


@pytest.mark.parametrize("case", OTHERS)
def test_another_template_or_version_is_one(case: str) -> None:
    live, declared, path = OTHERS[case]
    found, _ = compared(shown(live), declaration(declared))
    assert found.changes
    assert all(path in ".".join(map(str, change.path)) for change in found.changes)
    assert {change.effect for change in found.changes} == {Effect.INFRASTRUCTURE}


def test_a_refused_lookup_is_said_and_not_taken_for_another_template() -> None:
    with pytest.raises(Unreadable):
        compared(shown({ID: "lt-0a"}), declaration({NAME: "lt"}), refused=True)


def test_taking_a_pin_out_sends_the_default() -> None:
    """An update may keep what it leaves out: so the version is sent."""
    live, declared = shown({NAME: "lt", "version": "2"}), declaration({NAME: "lt"})
    reads = KIND.read(Query(SCOPE, (Sought("x", declared),)))
    next(reads)
    with pytest.raises(StopIteration) as end:
        reads.send(({"computeEnvironments": [live]},))
    (found,) = end.value.value
    wanted = want(KIND, declared)
    diff, _, _ = difference(KIND, found, wanted, registry.members(KIND.section))
    call, _ = KIND.update(found, wanted, diff)
    assert call.params["computeResources"] == {"launchTemplate": {NAME: "lt", "version": "$Default"}}
