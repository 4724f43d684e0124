"""Groups of EventBridge Scheduler, which own the schedules in them.

What is peculiar about them:

- A schedule cannot be tagged, a group can: so its tags name the owner of the schedules in it. An environment that
  declares schedules has a group of its own name, without declaring it.
- The deletion of a group is asynchronous, and deletes its schedules.
- The group ``default`` always exists; it can neither be tagged nor deleted.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-group.html
https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateScheduleGroup.html
https://docs.aws.amazon.com/scheduler/latest/APIReference/API_DeleteScheduleGroup.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reconciler.kinds.common.listing import listing
from reconciler.kinds.common.normal_forms import without
from reconciler.kinds.scheduler import _common as scheduler
from reconciler.model import (
    Access,
    Action,
    Call,
    CompleteList,
    Diff,
    Finding,
    Json,
    Kind,
    Live,
    OtherTools,
    Proof,
    Query,
    Reads,
    Scope,
    Wait,
    Want,
)
from reconciler.model.recorded import Recorded
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.ownership_index import by_name, index, owned_names, tags_from_index
    from reconciler.kinds.common.replies import ok, tag_list

READ_ONLY = ("arn", "creationDate", "lastModificationDate", "name", "state")
PREFIX = "schedule-group/"


def attrs(scope: Scope, name: str, _props: Json) -> Mapping[str, str]:
    """The name, and the ARN computed from it."""
    return {"name": name, "arn": scope.arn("scheduler", f"{PREFIX}{name}")}


# --- reading ---------------------------------------------------------------------------------------------------------


def read(query: Query) -> Reads[Sequence[Live]]:
    """The groups that are sought or owned. Without the index, all groups of the account are listed."""
    names = set(by_name(query))
    if query.owned and not query.indexed:
        call = Call("scheduler", "ListScheduleGroups", {}, all_pages=True)
        (reply,) = yield (call,)
        names |= {str(item["Name"]) for item in (ok(call, reply) or {}).get("ScheduleGroups", ())}
    else:
        ask = index(query)
        tagged = yield from tags_from_index(ask, (yield ask) if ask else ())
        names |= set(owned_names(tagged, query.scope, "scheduler", PREFIX))
    asked = sorted(names)
    gets = tuple(_get(name) for name in asked)
    lists = tuple(scheduler.list_tags(attrs(query.scope, name, {})["arn"]) for name in asked)
    replies = (yield (*gets, *lists)) if asked else ()
    found = [ok(call, reply, scheduler.MISSING.code) for call, reply in zip(gets, replies, strict=False)]
    tags = scheduler.tags_in(lists, replies[len(gets) :])
    lives = [_live(query.scope, name, item, tags) for name, item in zip(asked, found, strict=True) if item]
    mine = [live for live in lives if query.owned and live.owner == query.scope.environment]
    return [live for live in lives if live in mine or live.physical in by_name(query)]


def _get(name: str) -> Call:
    return Call("scheduler", "GetScheduleGroup", {"Name": name})


def _live(scope: Scope, name: str, item: Json, tags: Mapping[str, Mapping[str, str]]) -> Live:
    known = attrs(scope, name, {})
    state = str(item.get("State") or "ACTIVE")
    return Live(physical=name, attrs=known, props={}, tags=tags[known["arn"]], status=state, deleting=state != "ACTIVE")


def notes(live: Live, want: Want) -> Iterable[str]:
    """A note where a group is adopted: its schedules are adopted with it."""
    if live.owner != want.scope.environment:
        yield "the schedules in this group become this environment's: the next apply deletes those not declared"


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    """CreateScheduleGroup with tags."""
    tags = {"Tags": tag_list(want.tags)} if want.tags else {}
    return [Call("scheduler", "CreateScheduleGroup", {"Name": want.physical, **tags}, proof=Proof.EXISTS)]


def update(_live: Live, _want: Want, _diff: Diff) -> Sequence[Action]:
    """No calls: a group has nothing but tags."""
    return []


def delete(live: Live, _declared: Json) -> Sequence[Action]:
    """DeleteScheduleGroup, and the wait until it is deleted."""
    call = Call(
        "scheduler",
        "DeleteScheduleGroup",
        {"Name": live.physical},
        retry_on=(scheduler.BUSY,),
        ok_if=(scheduler.MISSING,),
    )
    return [call, *wait_until_gone(live)]


def wait_until_gone(live: Live) -> Sequence[Action]:
    """The wait until a group, and the schedules in it, are deleted."""
    return [
        Wait(
            title=f"schedule group {live.physical} deleted",
            read=_get(live.physical),
            items="",
            gone=True,
            absent=(scheduler.MISSING,),
        )
    ]


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """UntagResource and TagResource by ARN."""
    at: Json = {"ResourceArn": live.attrs["arn"]}
    calls: list[Action] = []
    if remove:
        gone = {**at, "TagKeys": sorted(remove)}
        calls.append(Call("scheduler", "UntagResource", gone, retry_on=(scheduler.BUSY,)))
    if add:
        put = {**at, "Tags": tag_list(add)}
        calls.append(Call("scheduler", "TagResource", put, retry_on=(scheduler.BUSY,)))
    return calls


# --- declarations ----------------------------------------------------------------------------------------------------


def expand(props: Json) -> Json:
    """The declaration without read-only members, which pasted output contains."""
    return without(props, *READ_ONLY)


def check(name: str, _props: Json) -> Iterator[Finding]:
    """Findings about the name."""
    yield from scheduler.check_name(name, "schedule group")
    if name == scheduler.DEFAULT_GROUP:
        message = "the group default is AWS's own: it cannot be tagged, so no environment can own it"
        yield Finding((), message, "declare a group of another name")


ACCESS = Access(
    types=("scheduler:schedule-group",),
    reads=("scheduler:GetScheduleGroup", "scheduler:ListTagsForResource"),
    waits=("scheduler:GetScheduleGroup",),
    creates=("scheduler:CreateScheduleGroup",),
    deletes=("scheduler:DeleteScheduleGroup",),
    tags=("scheduler:TagResource", "scheduler:UntagResource"),
)


RECORDED = Recorded(
    service="scheduler",
    named=("name", "resourceArn"),
    create=("CreateScheduleGroup",),
    update=lambda _: ("CreateScheduleGroup",),
    delete=("DeleteScheduleGroup",),
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_scheduler_schedule_group": ("arn", "name")},
    cloudformation={"AWS::Scheduler::ScheduleGroup": "Name"},
)

KIND = Kind(
    name="schedule group",
    section=scheduler.GROUPS,
    file="schedules",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "GetScheduleGroup", frozenset({"Name"}), Call("scheduler", "ListScheduleGroups", {}, all_pages=True)
        ),
        CompleteList(
            "ListTagsForResource",
            frozenset({"ResourceArn"}),
            Call("scheduler", "ListScheduleGroups", {}, all_pages=True),
        ),
    ),
    recorded=RECORDED,
    name_member="name",
    everything=listing(
        Call("scheduler", "ListScheduleGroups", {}, all_pages=True),
        "ScheduleGroups",
        "Name",
        unless=lambda item: item["Name"] == scheduler.DEFAULT_GROUP,
    ),
    read=read,
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    wait_until_gone=wait_until_gone,
    max_name=scheduler.MAX_NAME,
    expand=expand,
    notes=notes,
    check=check,
)
