"""EC2 placement groups.

What is peculiar about them:

- Only their tags can be changed: any other change needs a new group, under a derived name.
- A group that contains instances cannot be deleted. The instances of a compute environment end minutes after it is
  deleted.
- If the partition count is left out, EC2 chooses it. If the spread level is left out, it is rack.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreatePlacementGroup.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeletePlacementGroup.html
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/placement-strategies.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.kinds.common.declared import as_int, as_text, is_given
from reconciler.kinds.common.listing import listing
from reconciler.kinds.common.normal_forms import unless, without
from reconciler.kinds.common.visibility import STILL_IN_USE, not_visible
from reconciler.kinds.ec2 import _common as ec2
from reconciler.model import (
    Access,
    Action,
    Call,
    CompleteList,
    Diff,
    Effect,
    Field,
    Finding,
    Json,
    Kind,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    ReadMany,
    Reads,
    Ref,
    Referrer,
    Replace,
    Scope,
    Wait,
    Want,
)
from reconciler.model import problem_codes as codes
from reconciler.model.recorded import Recorded
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.referrers import referrer
    from reconciler.kinds.common.replies import ok

READ_ONLY = ("groupName", "groupId", "groupArn", "state")
GROUP_REF = Ref(section="placementGroups", attr="id", literal=r"pg-")

FIELDS = {
    "strategy": Field(effect=Effect.REPLACE, default="cluster"),
    "partitionCount": Field(effect=Effect.REPLACE, computed=True),
    "spreadLevel": Field(effect=Effect.REPLACE, normalize=unless("rack")),
    "linkedGroupId": Field(effect=Effect.REPLACE, computed=True),
    "parentGroupId": Field(effect=Effect.REPLACE, computed=True),
}
REFS = {"linkedGroupId": GROUP_REF, "parentGroupId": GROUP_REF}

MEMBERS = {
    "strategy": "Strategy",
    "partitionCount": "PartitionCount",
    "spreadLevel": "SpreadLevel",
    "linkedGroupId": "LinkedGroupId",
    "parentGroupId": "ParentGroupId",
}
NOT_VISIBLE_YET = tuple(
    On(code, because=not_visible("placement group"))
    for code in ("InvalidPlacementGroupId.NotFound", "InvalidPlacementGroup.Unknown")
)
IN_USE = (On("InvalidPlacementGroup.InUse", because=STILL_IN_USE),)
NOT_FOUND = (On("InvalidPlacementGroup.Unknown"),)
IN_USE_PATIENCE = 1200.0
MAX_PARTITIONS = 7
CAPTURES = {"id": "PlacementGroup.GroupId", "state": "PlacementGroup.State"}
DESCRIBE = Call("ec2", "DescribePlacementGroups")


def attrs(scope: Scope, name: str, _: Json) -> Mapping[str, str]:
    """Name and ARN; the ARN is computed from account, Region and name."""
    return {"name": name, "arn": scope.arn("ec2", f"placement-group/{name}")}


def read(query: Query) -> Reads[Sequence[Live]]:
    """DescribePlacementGroups by name and by owner tag; without deleted groups, sorted by name."""
    own = ("GroupName", "placement-group/")
    found = yield from ec2.find_by_name_or_owner(DESCRIBE, "group-name", "PlacementGroups", own, query)
    groups = sorted(found, key=lambda item: str(item["GroupName"]))
    return [_live(query.scope, item) for item in groups if item.get("State") != "deleted"]


def _is_deleted(item: Json) -> bool:
    return item.get("State") == "deleted"


def _live(scope: Scope, item: Json) -> Live:
    name, state = item["GroupName"], item.get("State", "available")
    return Live(
        physical=name,
        attrs={**attrs(scope, name, {}), "id": item["GroupId"]},
        props={name: item[member] for name, member in MEMBERS.items() if item.get(member) is not None},
        tags=ec2.tags_of(item),
        status=state,
        settled=state != "pending",
        deleting=state == "deleting",
    )


def referrers(scope: Scope, _: Mapping[str, Sequence[Live]]) -> Reads[Sequence[Referrer]]:
    """The groups of the account that are linked to another group, or below one."""
    call = replace(DESCRIBE, params={})
    (reply,) = yield (call,)
    groups = [_live(scope, item) for item in (ok(call, reply) or {}).get("PlacementGroups", ())]
    linked = [live for live in groups if live.status != "deleted"]
    return [referrer(scope, "placement group", one.physical, one.identity, one.props, one.tags) for one in linked]


def create(want: Want) -> Sequence[Action]:
    """CreatePlacementGroup, and the wait until the group is available."""
    declared = {member: want.declared.get(name) for name, member in MEMBERS.items()}
    params = {
        "GroupName": want.physical,
        "Strategy": want.props["strategy"],
        **{member: value for member, value in declared.items() if value is not None},
        **ec2.tag_specifications("placement-group", want.tags),
    }
    made = Call("ec2", "CreatePlacementGroup", params, captures=CAPTURES, proof=Proof.EXISTS)
    return [made, replace(_wait_until_available(want.physical), known={"State": "state"})]


def update(_: Live, __: Want, ___: Diff) -> Sequence[Action]:
    """No calls: every property change replaces the group."""
    return []


def delete(live: Live, _: Json) -> Sequence[Action]:
    """DeletePlacementGroup, retried while instances are in the group, and the wait until it is deleted, if that is of
    any matter to others.
    """
    params = {"GroupName": live.physical}
    call = Call("ec2", "DeletePlacementGroup", params, retry_on=IN_USE, ok_if=NOT_FOUND, patience=IN_USE_PATIENCE)
    return [call, *(replace(wait, for_others=True) for wait in wait_until_gone(live))]


def wait_until_settled(live: Live) -> Sequence[Action]:
    """The wait until a pending group is available."""
    return [_wait_until_available(live.physical)]


def wait_until_gone(live: Live) -> Sequence[Wait]:
    """The wait until EC2 no longer shows the group, or shows it as deleted."""
    wait = Wait(
        title=f"placement group {live.physical} deleted",
        read=_describe(live.physical),
        items="PlacementGroups",
        until={"State": frozenset({"deleted"})},
        gone=True,
    )
    return [wait]


def _wait_until_available(name: str) -> Wait:
    return Wait(
        title=f"placement group {name} available",
        read=_describe(name),
        items="PlacementGroups",
        until={"State": frozenset({"available"})},
        fail={"State": frozenset({"deleting", "deleted"})},
        timeout=300.0,
    )


def _describe(name: str) -> Call:
    return Call("ec2", "DescribePlacementGroups", {"Filters": [{"Name": "group-name", "Values": [name]}]})


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """DeleteTags and CreateTags by id."""
    return ec2.tag_calls(live, add, remove, NOT_VISIBLE_YET)


# --- declarations ----------------------------------------------------------------------------------------------------


def expand(props: Json) -> Json:
    """The declaration without read-only members, which pasted describe output contains."""
    return without(props, *READ_ONLY)


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about the name, and members that are only valid with another strategy."""
    if not (name.isascii() and name.isprintable() and 0 < len(name) <= 255 and name == name.strip()):
        yield Finding((), f'"{name}" is not a valid placement group name', "at most 255 ASCII characters")
    strategy = props.get("strategy") or "cluster"
    for member, only in (("partitionCount", "partition"), ("spreadLevel", "spread")):
        if is_given(props.get(member)) and as_text(strategy) not in (None, only):
            why = f"{member} is only valid with strategy {only}; the group has {strategy}"
            yield Finding((member,), why, f"remove it, or set strategy: {only}", code=codes.NOT_APPLICABLE)
    count = as_int(props.get("partitionCount"))
    if count is not None and not 1 <= count <= MAX_PARTITIONS:
        why = f"a placement group has 1 to {MAX_PARTITIONS} partitions per zone, not {count}"
        yield Finding(("partitionCount",), why, f"partitionCount: {MAX_PARTITIONS}", code=codes.OUT_OF_RANGE)


ACCESS = Access(
    types=("ec2:placement-group",),
    reads=("ec2:DescribePlacementGroups",),
    referrers=("ec2:DescribePlacementGroups",),
    creates=("ec2:CreatePlacementGroup",),
    deletes=("ec2:DeletePlacementGroup",),
    tags=("ec2:CreateTags", "ec2:DeleteTags"),
)


RECORDED = Recorded(
    service="ec2",
    named=("groupName", "groupId", ec2.TAGGED),
    create=("CreatePlacementGroup",),
    update=lambda _: ("CreatePlacementGroup",),
    delete=("DeletePlacementGroup",),
    tag=ec2.TAG_EVENTS,
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_placement_group": ("name", "id")},
    cloudformation={"AWS::EC2::PlacementGroup": "GroupName"},
)

KIND = Kind(
    name="placement group",
    section="placementGroups",
    file="network",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribePlacementGroups",
            frozenset({"Filters"}),
            Call("ec2", "DescribePlacementGroups", {}, all_pages=True),
        ),
    ),
    recorded=RECORDED,
    name_member="groupName",
    everything=listing(
        replace(DESCRIBE, all_pages=True), "PlacementGroups", "GroupName", "GroupId", unless=_is_deleted
    ),
    read=read,
    read_many=ReadMany(read),
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    wait_until_settled=wait_until_settled,
    wait_until_gone=wait_until_gone,
    fields=FIELDS,
    refs=REFS,
    referrers=referrers,
    assigned_by_aws=frozenset({"id"}),
    replace=Replace.CREATE_FIRST,
    max_name=255,
    expand=expand,
    check=check,
)
