"""EventBridge Scheduler, which fires by the sandbox clock: groups, their tags, and schedules that submit jobs.

moto does not fire schedules, overwrites groups of the same name, accepts any expression and forgets what an update
leaves out, so nothing of it is used. Of what schedules start only jobs of AWS Batch arrive.

https://docs.aws.amazon.com/scheduler/latest/APIReference/API_Operations.html
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.sandbox.services._hooks import Account, Rules, ServiceCall
from reconciler.sandbox.services._moto import partition_of
from reconciler.sandbox.services._schedule_times import moments
from reconciler.sandbox.services.iam import changed_at
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("scheduler")

PRINCIPAL = "scheduler.amazonaws.com"
_DELETION = 5.0
_MOST_RUNS = 500  # of one schedule after a leap of the clock
_SUBMIT = regex(r"arn:[a-z-]+:scheduler:::aws-sdk:batch:submitJob")
_DEFAULTS: Json = {"State": "ENABLED", "ScheduleExpressionTimezone": "UTC", "ActionAfterCompletion": "NONE"}
_RETRIES = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
_OPTIONAL = ("Description", "StartDate", "EndDate", "KmsKeyArn")


@dataclass
class Schedule:
    """A schedule; ``since`` is when it was written, ``seen`` until when its runs are started."""

    arn: str
    values: Json
    created: float
    since: float
    seen: float


@dataclass
class Group:
    """A group of schedules; ``gone_at`` is when its deletion ends."""

    arn: str
    name: str
    created: float
    tags: dict[str, str] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    gone_at: float | None = None


def groups(account: Account, region: str) -> dict[str, Group]:
    """The groups of a Region by name. The group ``default`` always exists."""
    found: dict[str, Group] = account.memory["scheduler"].setdefault(region, {})
    for group in list(found.values()):
        if group.gone_at is not None and group.gone_at <= account.clock.now():
            del found[group.name]
    if "default" not in found:
        found["default"] = Group(_arn(account, region, "schedule-group/default"), "default", account.clock.now())
    return found


def _arn(account: Account, region: str, path: str) -> str:
    return f"arn:{partition_of(region)}:scheduler:{region}:{account.id}:{path}"


# --- groups ----------------------------------------------------------------------------------------------------------


@RULES.before("CreateScheduleGroup")
def create_group(call: ServiceCall) -> Json:
    """A group of a new name; that of a group in deletion is taken."""
    name, there = call.params["Name"], groups(call.account, call.region)
    if name in there:
        raise Refusal("ConflictException", f"Schedule group {name} already exists.", 409)
    tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags") or []}
    there[name] = Group(_arn(call.account, call.region, f"schedule-group/{name}"), name, call.now, tags)
    return {"ScheduleGroupArn": there[name].arn}


@RULES.before("GetScheduleGroup")
def get_group(call: ServiceCall) -> Json:
    """One group."""
    return _shown(_group(call, call.params["Name"]))


@RULES.before("ListScheduleGroups")
def list_groups(call: ServiceCall) -> Json:
    """The groups of a Region."""
    prefix = call.params.get("NamePrefix") or ""
    found = [_shown(one) for name, one in sorted(groups(call.account, call.region).items()) if name.startswith(prefix)]
    return _page(call, "ScheduleGroups", found)


@RULES.before("DeleteScheduleGroup")
def delete_group(call: ServiceCall) -> Json:
    """A group is in deletion for some seconds, and its schedules with it."""
    group = _group(call, call.params["Name"])
    if group.name == "default":
        raise Refusal("ValidationException", "The default schedule group cannot be deleted.")
    if group.gone_at is not None:
        raise Refusal("ConflictException", f"Schedule group {group.name} is being deleted.", 409)
    group.gone_at = call.now + _DELETION
    group.schedules.clear()
    return {}


def _shown(group: Group) -> Json:
    state = "ACTIVE" if group.gone_at is None else "DELETING"
    dates = {
        name: datetime.fromtimestamp(group.created).astimezone() for name in ("CreationDate", "LastModificationDate")
    }
    return {"Arn": group.arn, "Name": group.name, "State": state, **dates}


def _group(call: ServiceCall, name: str) -> Group:
    found = groups(call.account, call.region).get(name)
    if found is None:
        raise Refusal("ResourceNotFoundException", f"Schedule group {name} does not exist.", 404)
    return found


def _page(call: ServiceCall, member: str, items: list[Json]) -> Json:
    size = int(call.params.get("MaxResults") or call.account.settings.page_size or 100)
    try:
        start = int(call.params.get("NextToken") or 0)
    except ValueError as error:
        raise Refusal("ValidationException", "Invalid token") from error
    more = {"NextToken": str(start + size)} if start + size < len(items) else {}
    return {member: items[start : start + size], **more}


# --- tags ------------------------------------------------------------------------------------------------------------


def _tagged(call: ServiceCall) -> Group:
    arn = call.params["ResourceArn"]
    found = next((one for one in groups(call.account, call.region).values() if one.arn == arn), None)
    if found is None:
        raise Refusal("ResourceNotFoundException", f"Resource {arn} does not exist.", 404)
    return found


@RULES.before("ListTagsForResource")
def list_tags(call: ServiceCall) -> Json:
    """The tags of a group."""
    return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(_tagged(call).tags.items())]}


@RULES.before("TagResource")
def tag(call: ServiceCall) -> Json:
    """Adds tags to a group, but not to the default one."""
    group = _tagged(call)
    if group.name == "default":
        raise Refusal("ValidationException", "The default schedule group cannot be tagged.")
    group.tags |= {one["Key"]: one["Value"] for one in call.params["Tags"]}
    return {}


@RULES.before("UntagResource")
def untag(call: ServiceCall) -> Json:
    """Removes tags from a group."""
    group = _tagged(call)
    for name in call.params["TagKeys"]:
        group.tags.pop(name, None)
    return {}


# --- schedules -------------------------------------------------------------------------------------------------------


@RULES.before("CreateSchedule")
def create_schedule(call: ServiceCall) -> Json:
    """A schedule of a new name in its group."""
    group, name = _group(call, call.params.get("GroupName") or "default"), call.params["Name"]
    if group.gone_at is not None:
        raise Refusal("ConflictException", f"Schedule group {group.name} is being deleted.", 409)
    if name in group.schedules:
        raise Refusal("ConflictException", f"Schedule {name} already exists.", 409)
    values = _values(call, group.name)
    arn = _arn(call.account, call.region, f"schedule/{group.name}/{name}")
    group.schedules[name] = Schedule(arn, values, call.now, call.now, call.now - 0.001)
    return {"ScheduleArn": arn}


@RULES.before("UpdateSchedule")
def update_schedule(call: ServiceCall) -> Json:
    """Replaces every value: what is left out gets its default."""
    group, schedule = _schedule(call)
    schedule.values = _values(call, group.name)
    schedule.since = schedule.seen = call.now
    return {"ScheduleArn": schedule.arn}


@RULES.before("GetSchedule")
def get_schedule(call: ServiceCall) -> Json:
    """One schedule."""
    _, schedule = _schedule(call)
    created, changed = (datetime.fromtimestamp(one).astimezone() for one in (schedule.created, schedule.since))
    return {**schedule.values, "Arn": schedule.arn, "CreationDate": created, "LastModificationDate": changed}


@RULES.before("DeleteSchedule")
def delete_schedule(call: ServiceCall) -> Json:
    """One schedule is gone at once."""
    group, schedule = _schedule(call)
    del group.schedules[schedule.values["Name"]]
    return {}


@RULES.before("ListSchedules")
def list_schedules(call: ServiceCall) -> Json:
    """Summaries, without roles, inputs and expressions."""
    named, prefix, state = (call.params.get(name) for name in ("GroupName", "NamePrefix", "State"))
    there = [_group(call, named)] if named else groups(call.account, call.region).values()
    found = [
        {
            "Arn": one.arn,
            "Name": name,
            "GroupName": group.name,
            "State": one.values["State"],
            "Target": {"Arn": one.values["Target"]["Arn"]},
            "CreationDate": datetime.fromtimestamp(one.created).astimezone(),
            "LastModificationDate": datetime.fromtimestamp(one.since).astimezone(),
        }
        for group in there
        for name, one in sorted(group.schedules.items())
        if name.startswith(prefix or "") and state in (None, one.values["State"])
    ]
    return _page(call, "Schedules", found)


def _schedule(call: ServiceCall) -> tuple[Group, Schedule]:
    name, group = call.params["Name"], call.params.get("GroupName") or "default"
    there = groups(call.account, call.region).get(group)
    found = there.schedules.get(name) if there else None
    if there is None or found is None:
        raise Refusal("ResourceNotFoundException", f"Schedule {name} does not exist.", 404)
    return there, found


def _values(call: ServiceCall, group: str) -> Json:
    asked = {name: value for name, value in call.params.items() if value is not None}
    target, window = asked.get("Target") or {}, asked.get("FlexibleTimeWindow") or {}
    for member, value in (("ScheduleExpression", asked), ("Arn", target), ("RoleArn", target), ("Mode", window)):
        if member not in value:
            raise Refusal("ValidationException", f"1 validation error detected: {member} must not be null")
    zone = asked.get("ScheduleExpressionTimezone") or "UTC"
    try:
        list(islice(moments(asked["ScheduleExpression"], zone, call.now, call.now, call.now), 1))
    except (ValueError, IndexError) as error:
        where = "Timezone" if str(error) == zone else ""
        message = f"Invalid Schedule Expression{where} {zone if where else asked['ScheduleExpression']}."
        raise Refusal("ValidationException", message) from error
    flexible = window["Mode"] == "FLEXIBLE"
    if flexible != ("MaximumWindowInMinutes" in window):
        message = "MaximumWindowInMinutes is required with a flexible window, and must be left out without one."
        raise Refusal("ValidationException", message)
    _require_target(call, target)
    return {
        "Name": asked["Name"],
        "GroupName": group,
        "ScheduleExpression": asked["ScheduleExpression"],
        "FlexibleTimeWindow": window,
        "Target": {**target, "RetryPolicy": {**_RETRIES, **(target.get("RetryPolicy") or {})}},
        **{name: asked.get(name) or default for name, default in _DEFAULTS.items()},
        **{name: asked[name] for name in _OPTIONAL if name in asked},
    }


def _require_target(call: ServiceCall, target: Json) -> None:
    arn = target["Arn"]
    if len(arn.split(":", 5)) < 6 or arn.split(":")[2] == "batch":
        raise Refusal("ValidationException", f"Provided Arn {arn} is not in correct format or not a supported target.")
    if ":aws-sdk:" in arn:
        try:
            given = json.loads(target.get("Input") or "")
        except ValueError as error:
            raise Refusal("ValidationException", "Provided Input is not valid JSON.") from error
        if _SUBMIT.fullmatch(arn) and not {"JobName", "JobQueue", "JobDefinition"} <= set(given):
            raise Refusal("ValidationException", "JobName, JobQueue and JobDefinition are required in the Input.")
    role = target["RoleArn"]
    if role.split(":")[4] == call.account.id and not _assumed(call, role):
        message = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
        raise Refusal("ValidationException", message)


def _assumed(call: ServiceCall, arn: str) -> bool:
    """Whether the role exists, trusts the scheduler, and was last changed more than ``iam_delay`` ago."""
    roles = call.account.moto.backend("iam", call.region).roles.values()
    role = next((one for one in roles if one.arn == arn), None)
    if role is None or PRINCIPAL not in role.assume_role_policy_document:
        return False
    return bool(call.now - changed_at(call.account, "role", role.id) >= call.account.settings.iam_delay)


# --- firing ----------------------------------------------------------------------------------------------------------


def due(account: Account) -> Iterator[tuple[str, str, Json]]:
    """The requests of SubmitJob of the schedules that were due since this was last asked, each with its Region and the
    role that sends it.
    """
    now = account.clock.now()
    for region, there in list(account.memory["scheduler"].items()) if "scheduler" in account.memory else ():
        for group in list(there.values()):
            for name, schedule in list(group.schedules.items()):
                role = schedule.values["Target"]["RoleArn"]
                yield from ((region, role, params) for params in _runs(schedule, now))
                if _is_over(schedule, now):
                    group.schedules.pop(name, None)


def identity(role: str, account: str, service: str = PRINCIPAL) -> Json:
    """The identity of EventBridge, or its Scheduler, in CloudTrail, with the role that a rule or schedule names."""
    name = role.rpartition("/")[2]
    arn = role.replace(":iam:", ":sts:").partition(":role/")[0] + f":assumed-role/{name}/{service.partition('.')[0]}"
    issuer = {"type": "Role", "arn": role, "accountId": account, "userName": name}
    return {
        "type": "AssumedRole",
        "arn": arn,
        "accountId": account,
        "sessionContext": {"sessionIssuer": issuer},
        "invokedBy": service,
    }


def _runs(schedule: Schedule, now: float) -> Iterator[Json]:
    values, begin = schedule.values, schedule.seen
    schedule.seen = now
    if values["State"] != "ENABLED" or now <= begin or not _SUBMIT.fullmatch(values["Target"]["Arn"]):
        return
    start, end = (_seconds(values.get(name)) for name in ("StartDate", "EndDate"))
    since = max(schedule.since, start or 0)
    until = min(now, end) if end is not None else now
    zone = values["ScheduleExpressionTimezone"]
    found = moments(values["ScheduleExpression"], zone, since, max(begin, (start or 0) - 0.001), until)
    yield from (_lowered(json.loads(_input(schedule, moment)), "") for moment in islice(found, _MOST_RUNS))


def _input(schedule: Schedule, moment: float) -> str:
    """The input of the run of this time, with what EventBridge Scheduler fills in.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    values = {
        "schedule-arn": schedule.arn,
        "scheduled-time": datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": hashlib.sha256(f"{schedule.arn} {moment}".encode()).hexdigest()[:16],
        "attempt-number": "1",
    }
    found: str = schedule.values["Target"]["Input"]
    for name, value in values.items():
        found = found.replace(f"<aws.scheduler.{name}>", value)
    return found


def _is_over(schedule: Schedule, now: float) -> bool:
    """Whether AWS deletes the schedule after its last run."""
    values = schedule.values
    if values["ActionAfterCompletion"] != "DELETE":
        return False
    end = _seconds(values.get("EndDate"))
    once = values["ScheduleExpression"].startswith("at(")
    zone = values["ScheduleExpressionTimezone"]
    passed = once and any(moments(values["ScheduleExpression"], zone, 0, 0, now))
    return passed or (end is not None and end < now)


def _seconds(value: Any) -> float | None:
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if value is not None else None


_DATA = frozenset({"parameters", "tags", "labels", "annotations", "limits", "requests"})


def _lowered(value: Any, name: str) -> Any:
    """The request in AWS Batch's own spelling; the keys of maps are data."""
    if isinstance(value, dict):
        spelt: Callable[[str], str] = (lambda key: key) if name in _DATA else (lambda key: key[:1].lower() + key[1:])
        return {spelt(key): _lowered(item, "" if name in _DATA else spelt(key)) for key, item in value.items()}
    return [_lowered(item, "") for item in value] if isinstance(value, list) else value
