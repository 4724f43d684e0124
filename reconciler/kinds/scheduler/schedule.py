"""Schedules of EventBridge Scheduler.

What is peculiar about them:

- A schedule is identified by its group and its name. It cannot be tagged: the tags of its group name its owner.
- UpdateSchedule replaces the whole schedule: what the request does not contain gets its default. So every member is
  always sent.
- A job of AWS Batch is started by a universal target, which ``submitJob`` is the short form of.
- A role that was just created, or whose trust policy was just changed, is refused at first.
- With ``actionAfterCompletion: DELETE`` AWS deletes a schedule after its last run.

https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from reconciler.kinds.common.declared import at, mapping
from reconciler.kinds.common.normal_forms import unless, without
from reconciler.kinds.common.visibility import not_visible
from reconciler.kinds.scheduler import _common as scheduler
from reconciler.kinds.scheduler import _targets as targets
from reconciler.model import (
    OWNER_TAG,
    Access,
    Action,
    Api,
    Call,
    CompleteList,
    Container,
    Declared,
    Diff,
    Disruption,
    Effect,
    Existing,
    Field,
    Finding,
    Json,
    Kind,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    Reads,
    Ref,
    Referrer,
    Replace,
    Reply,
    Resource,
    Scope,
    Sought,
    Want,
)
from reconciler.model.recorded import Recorded
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.dates import canonical
    from reconciler.kinds.common.ownership_index import index, owned_names, tags_from_index
    from reconciler.kinds.common.referrers import referrer
    from reconciler.kinds.common.replies import lowered, ok, raised
    from reconciler.kinds.scheduler._schedule_checks import check

GROUP = "groupName"
READ_ONLY = ("arn", "creationDate", "lastModificationDate", "name")
NEW_ROLE = On(
    "ValidationException", "must allow AWS EventBridge Scheduler to assume the role", because=not_visible("role")
)
# what the API takes beside name, group and target, in its spelling
MEMBERS = {
    "scheduleExpression": "ScheduleExpression",
    "scheduleExpressionTimezone": "ScheduleExpressionTimezone",
    "startDate": "StartDate",
    "endDate": "EndDate",
    "state": "State",
    "description": "Description",
    "kmsKeyArn": "KmsKeyArn",
    "actionAfterCompletion": "ActionAfterCompletion",
}

Place: TypeAlias = tuple[str, str]
"""Group and name of a schedule."""


def _date(value: Any) -> Any:
    """A date of a reply as text, as it is declared."""
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value


def _group(_live: Json, _want: Json) -> tuple[Effect, str]:
    return Effect.REPLACE, "a schedule cannot be moved to another group"


FIELDS = {
    GROUP: Field(effect=_group, computed=True),
    "scheduleExpressionTimezone": Field(default="UTC"),
    "state": Field(default="ENABLED"),
    "actionAfterCompletion": Field(default="NONE"),
    "description": Field(normalize=unless("")),
    "startDate": Field(normalize=canonical),
    "endDate": Field(normalize=canonical),
    "flexibleTimeWindow.mode": Field(normalize=unless("OFF")),
    **targets.FIELDS,
}
REFS = {GROUP: Ref(section=scheduler.GROUPS, attr="name", same_account_and_region=True), **targets.REFS}
PASSES_ROLES = {"target.roleArn": "scheduler.amazonaws.com"}


# --- reading ---------------------------------------------------------------------------------------------------------


def attrs(scope: Scope, name: str, props: Json) -> Mapping[str, str]:
    """Name and ARN; the ARN is computed from account, Region, group and name."""
    return {"name": name, "arn": _arn(scope, _group_name(scope, props), name)}


def _arn(scope: Scope, group: str, name: str) -> str:
    return scope.arn("scheduler", f"schedule/{group}/{name}")


def _group_name(scope: Scope, props: Json) -> str:
    given = props.get(GROUP)
    return given if isinstance(given, str) and given else scheduler.group_of(scope.environment)


def read(query: Query) -> Reads[Sequence[Live]]:
    """The schedules that are sought, and those in the groups that the environment owns."""
    sought = {(_group_name(query.scope, one.props), one.name) for one in query.sought}
    groups = {group for group, _ in sought}
    if query.owned:
        groups |= yield from _owned_groups(query)
    lists = tuple(_list(group) for group in sorted(groups)) if query.owned else ()
    tags = tuple(scheduler.list_tags(_group_arn(query.scope, group)) for group in sorted(groups))
    gets = () if query.owned else tuple(map(_get, sorted(sought)))
    replies: tuple[Reply, ...] = (yield (*tags, *lists, *gets)) if groups else ()
    owners = scheduler.tags_in(tags, replies[: len(tags)])
    if query.owned:
        listed = _listed(lists, replies[len(tags) :])
        ours = {g for g in groups if owners[_group_arn(query.scope, g)].get(OWNER_TAG) == query.scope.environment}
        gets = tuple(_get(place) for place in sorted(listed) if place in sought or place[0] in ours)
        replies = (yield gets) if gets else ()
    else:
        replies = replies[len(tags) :]
    found = [ok(call, reply, scheduler.MISSING.code) for call, reply in zip(gets, replies, strict=True)]
    return [_live(query.scope, item, owners) for item in found if item]


def everything(_: Scope) -> Reads[Sequence[Existing]]:
    """The schedules of every group."""
    call = Call("scheduler", "ListSchedules", {}, all_pages=True)
    (reply,) = yield (call,)
    found = (ok(call, reply) or {}).get("Schedules", ())
    return [Existing(Sought(str(item["Name"]), {GROUP: str(item["GroupName"])})) for item in found]


def _owned_groups(query: Query) -> Reads[set[str]]:
    """The groups that the environment may own; without the index, every group of the account."""
    if not query.indexed:
        call = Call("scheduler", "ListScheduleGroups", {}, all_pages=True)
        (reply,) = yield (call,)
        return {str(item["Name"]) for item in (ok(call, reply) or {}).get("ScheduleGroups", ())}
    ask = index(query)
    tagged = yield from tags_from_index(ask, (yield ask))
    return set(owned_names(tagged, query.scope, "scheduler", "schedule-group/"))


def _group_arn(scope: Scope, group: str) -> str:
    return scope.arn("scheduler", f"schedule-group/{group}")


def _list(group: str) -> Call:
    return Call("scheduler", "ListSchedules", {"GroupName": group}, all_pages=True)


def _get(place: Place) -> Call:
    group, name = place
    return Call("scheduler", "GetSchedule", {"GroupName": group, "Name": name})


def _listed(calls: Sequence[Call], replies: Sequence[Reply]) -> set[Place]:
    return {
        (str(call.params["GroupName"]), str(item["Name"]))
        for call, reply in zip(calls, replies, strict=True)
        for item in (ok(call, reply, scheduler.MISSING.code) or {}).get("Schedules", ())
    }


def _live(scope: Scope, item: Json, owners: Mapping[str, Mapping[str, str]]) -> Live:
    group, name = str(item["GroupName"]), str(item["Name"])
    owner = owners[_group_arn(scope, group)].get(OWNER_TAG)
    return Live(
        physical=name,
        attrs={"name": name, "arn": _arn(scope, group, name)},
        props=_props(item),
        tags={OWNER_TAG: owner} if owner else {},
    )


def _props(item: Json) -> Json:
    props = {
        GROUP: item.get("GroupName"),
        **{name: item.get(member) for name, member in MEMBERS.items()},
        "flexibleTimeWindow": lowered(item.get("FlexibleTimeWindow") or {}),
        "target": targets.from_api(item.get("Target") or {}),
    }
    dates = {name: _date(props[name]) for name in ("startDate", "endDate")}
    return {name: value for name, value in {**props, **dates}.items() if value}


def referrers(scope: Scope, _: Mapping[str, Sequence[Live]]) -> Reads[Sequence[Referrer]]:
    """The schedules of the account, in any group. The list has neither roles nor inputs, so each is read."""
    call = Call("scheduler", "ListSchedules", {}, all_pages=True)
    (reply,) = yield (call,)
    places = [(item["GroupName"], item["Name"]) for item in (ok(call, reply) or {}).get("Schedules", ())]
    gets = tuple(map(_get, places))
    replies = (yield gets) if gets else ()
    found = [ok(one, answer, scheduler.MISSING.code) for one, answer in zip(gets, replies, strict=True)]
    return [
        referrer(scope, "schedule", item["Name"], _arn(scope, item["GroupName"], item["Name"]), _props(item))
        for item in found
        if item
    ]


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    """CreateSchedule."""
    return [_send("CreateSchedule", want, proof=Proof.EXISTS)]


def update(_live: Live, want: Want, _diff: Diff) -> Sequence[Action]:
    """UpdateSchedule with the whole schedule."""
    return [_send("UpdateSchedule", want, retry_on=(scheduler.BUSY,))]


def _send(operation: str, want: Want, *, retry_on: tuple[On, ...] = (), proof: Proof = Proof.NONE) -> Call:
    window = mapping(want.props.get("flexibleTimeWindow"))
    params = {
        "Name": want.physical,
        "GroupName": want.props.get(GROUP) or scheduler.group_of(want.scope.environment),
        **{member: want.props[name] for name, member in MEMBERS.items() if want.props.get(name)},
        "FlexibleTimeWindow": raised({"mode": "OFF", **{name: item for name, item in window.items() if item}}),
        "Target": targets.to_api(mapping(want.props.get("target")), want.scope),
    }
    return Call("scheduler", operation, params, retry_on=(NEW_ROLE, *retry_on), proof=proof)


def delete(live: Live, _declared: Json) -> Sequence[Action]:
    """DeleteSchedule."""
    params = {"GroupName": live.props[GROUP], "Name": live.physical}
    return [
        Call("scheduler", "DeleteSchedule", params, retry_on=(scheduler.BUSY,), ok_if=(scheduler.MISSING,)),
    ]


def tag(_live: Live, _add: Mapping[str, str], _remove: Sequence[str]) -> Sequence[Action]:
    """No calls: schedules cannot be tagged."""
    return []


# --- declarations ----------------------------------------------------------------------------------------------------


def expand(props: Json) -> Json:
    """The declaration with the target in plain form, without read-only members, which pasted output contains."""
    done = dict(without(props, *READ_ONLY))
    if "target" in done:
        done["target"] = targets.from_yaml(done["target"])
    return done


def relations(schedule: Resource, declared: Declared) -> Iterator[Finding]:
    """Findings for a group that is not declared (no environment would own the schedule), and for a queue as target."""
    group = schedule.props.get(GROUP)
    if isinstance(group, str) and group and group not in declared.names.get(scheduler.GROUPS, ()):
        message = f"the schedule group {group} is not declared, and the tags of a group name the owner of its schedules"
        hint = f"leave out {GROUP}, for the environment's own group"
        if group != scheduler.DEFAULT_GROUP:  # which nobody can own
            hint += f"; or declare {scheduler.GROUPS}: {{{group}: {{}}}}"
        yield Finding((GROUP,), message, hint)
    arn = at(schedule.props, "target", "arn")
    if not declared.resource("topics", arn) and declared.resource("jobQueues", arn):
        yield targets.queue_as_target(("target", "arn"))


def disruption(_live: Live, want: Want, diff: Diff) -> str:
    """Jobs that the schedule has started continue."""
    if diff.under("state") and want.props.get("state") == "DISABLED":
        return Disruption("no further jobs are started by it; those already started continue")
    return "not affected; the change counts from the next run"


ACCESS = Access(
    types=("scheduler:schedule",),
    reads=("scheduler:GetSchedule",),
    looks=("scheduler:ListSchedules",),
    referrers=("scheduler:ListSchedules", "scheduler:GetSchedule"),
    creates=("scheduler:CreateSchedule",),
    changes=("scheduler:UpdateSchedule",),
    deletes=("scheduler:DeleteSchedule",),
)


RECORDED = Recorded(
    service="scheduler",
    named=("groupName/name",),
    create=("CreateSchedule",),
    update=lambda _: ("UpdateSchedule",),
    delete=("DeleteSchedule",),
    also=lambda attrs: [attrs["arn"].partition(":schedule/")[2]] if "arn" in attrs else [],
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_scheduler_schedule": ("arn", "name")},
    cloudformation={"AWS::Scheduler::Schedule": "Name"},
)

KIND = Kind(
    name="schedule",
    section="schedules",
    file="schedules",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "GetSchedule", frozenset({"GroupName", "Name"}), Call("scheduler", "ListSchedules", {}, all_pages=True)
        ),
    ),
    recorded=RECORDED,
    name_member="name",
    everything=everything,
    read=read,
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    refs=REFS,
    lookups=targets.LOOKUPS,
    passes_roles=PASSES_ROLES,
    api=Api(
        service="scheduler",
        create=("CreateSchedule",),
        update=("UpdateSchedule",),
        reply="GetSchedule",
        below=("target",),
    ),
    referrers=referrers,
    container=Container(section=scheduler.GROUPS, member=GROUP, name=scheduler.group_of),
    replace=Replace.DELETE_FIRST,
    max_name=scheduler.MAX_NAME,
    expand=expand,
    check=check,
    check_looks_around=True,
    relations=relations,
    disruption=disruption,
)
