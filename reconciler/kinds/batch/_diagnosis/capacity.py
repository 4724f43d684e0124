"""What EC2, Auto Scaling and the ECS clusters say of compute environments: launches, instances, and what they offer.

Errors of launches, quotas among them, stand in the scaling activities only: AWS Batch does not repeat them.

https://docs.aws.amazon.com/systems-manager-automation-runbooks/latest/userguide/automation-aws-troubleshoot-aws-batch-job.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from typing import Any, Final

from reconciler.kinds.batch._diagnosis import around, causes, facts, sizes
from reconciler.kinds.batch._diagnosis.desk import ENVIRONMENTS, Desk, evidence, seconds, suspect
from reconciler.kinds.batch._diagnosis.facts import Needs
from reconciler.kinds.batch._diagnosis.sizes import Machine
from reconciler.kinds.common.declared import as_int, entries, items, mapping
from reconciler.kinds.common.replies import chunks
from reconciler.model import Call, Json, Reads
from reconciler.model.diagnosis import Certainty, Suspect
from reconciler.model.records import dataclass

GROUPS: Final = "autoscaling:DescribeAutoScalingGroups"
ACTIVITIES: Final = "autoscaling:DescribeScalingActivities"
FLEETS: Final = "ec2:DescribeSpotFleetRequestHistory"
INSTANCES: Final = "ecs:DescribeContainerInstances"
TYPES: Final = "ec2:DescribeInstanceTypes"
RECENT: Final = 100  # instances of a cluster that are described
MOST_ACTIVITIES: Final = 20
HISTORY: Final = 3600  # seconds of a fleet's history that are read, and in which launches fail for one reason
JOINING: Final = 300.0  # seconds in which an instance joins its cluster
_EC2: Final = frozenset({"EC2", "SPOT"})
_BY_ASG: Final = {"AWSBatchServiceTag": "batch"}


@dataclass(slots=True)
class State:
    """What was read of one environment; None for what was not read, or does not exist."""

    environment: Json
    group: Json | None = None
    activities: Sequence[Json] | None = None
    instances: Sequence[Json] | None = None
    registered: int | None = None  # how many instances the cluster has
    machines: tuple[Machine, ...] | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The environment's name."""
        return str(self.environment.get("computeEnvironmentName"))

    @property
    def launched(self) -> list[Json]:
        """The instances of the Auto Scaling group that run."""
        some = [one for _, one in entries(mapping(self.group).get("Instances"))]
        return [one for one in some if str(one.get("LifecycleState") or "InService") == "InService"]

    @property
    def wants_more(self) -> bool:
        """Whether the group still asks for instances that it does not have; so, too, where that is not known."""
        desired = as_int(mapping(self.group).get("DesiredCapacity"))
        return desired is None or desired > len(items(mapping(self.group).get("Instances")))

    def joined(self) -> list[Json]:
        """The container instances whose agent is connected."""
        return [one for one in self.instances or () if one.get("agentConnected") is not False]


def types(desk: Desk, states: Iterable[State]) -> Reads[None]:
    """Read what the instance types of the environments offer."""
    some = [one for one in states if around.kind_of(one.environment) in _EC2]
    names = list(dict.fromkeys(name for one in some for name in sizes.wanted(one.environment)))
    if not names:
        return
    calls = [
        Call(
            "ec2",
            "DescribeInstanceTypes",
            {"Filters": [{"Name": "instance-type", "Values": list(part)}]},
            all_pages=True,
        )
        for part in chunks(names, sizes.MOST_NAMES)
    ]
    replies = yield from desk.ask(*calls)
    known = [machine for reply in replies for machine in sizes.machines(reply or {})]
    if known:
        for one in (each for each in some if sizes.wanted(each.environment)):
            one.machines = sizes.of_environment(one.environment, known)


def launches_and_instances(desk: Desk, states: Sequence[State]) -> Reads[None]:
    """Read the groups and the clusters of the environments, in two rounds."""
    managed = [one for one in states if around.kind_of(one.environment) in _EC2]
    clustered = [one for one in (*managed, *_unmanaged(states)) if one.environment.get("ecsClusterArn")]
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in _BY_ASG.items()]
    first = [Call("autoscaling", "DescribeAutoScalingGroups", {"Filters": filters}, all_pages=True)] if managed else []
    listed = [
        Call("ecs", "ListContainerInstances", {"cluster": str(one.environment["ecsClusterArn"])}) for one in clustered
    ]
    replies = yield from desk.ask(*first, *listed)
    groups = [one for _, one in entries(mapping(replies[0]).get("AutoScalingGroups"))] if first else []
    for one in managed:
        one.group = next((group for group in groups if _is_of(group, one.name)), None)
    arns = [items(reply.get("containerInstanceArns")) if reply is not None else None for reply in replies[len(first) :]]
    for one, some in zip(clustered, arns, strict=True):
        one.registered = None if some is None else len(some)
        one.instances = [] if some == [] else None
    yield from _second_round(desk, [one for one in managed if one.group], list(zip(clustered, arns, strict=True)))


def _second_round(
    desk: Desk, grouped: Sequence[State], clustered: Sequence[tuple[State, list[Any] | None]]
) -> Reads[None]:
    history = [
        Call(
            "autoscaling",
            "DescribeScalingActivities",
            {"AutoScalingGroupName": str(mapping(one.group)["AutoScalingGroupName"]), "MaxRecords": MOST_ACTIVITIES},
        )
        for one in grouped
    ]
    some = [(one, arns) for one, arns in clustered if arns]
    described = [
        Call(
            "ecs",
            "DescribeContainerInstances",
            {
                "cluster": str(one.environment["ecsClusterArn"]),
                "containerInstances": [str(arn) for arn in arns[:RECENT]],
            },
        )
        for one, arns in some
    ]
    replies = yield from desk.ask(*history, *described)
    for one, reply in zip(grouped, replies[: len(history)], strict=True):
        one.activities = None if reply is None else [each for _, each in entries(reply.get("Activities"))]
    for (one, _), reply in zip(some, replies[len(history) :], strict=True):
        one.instances = None if reply is None else [each for _, each in entries(reply.get("containerInstances"))]


def failed_launches(desk: Desk, states: Iterable[State]) -> list[Suspect]:
    """Why instances are not launched: by the failures since the last launch that succeeded.

    Failures of a group that has stopped to try are only likely to be still so.
    """
    found = []
    for one in states:
        texts = [(ACTIVITIES, text) for text in _failures(one)] + [
            (FLEETS, text) for text in one.facts.get("fleet", ())
        ]
        match = causes.match("activity", texts)
        about = f"environment {one.name}"
        if match is not None:
            row, call, text = match
            member = "Activities[].StatusMessage" if call == ACTIVITIES else "HistoryRecords[].EventInformation"
            told = suspect(row, [evidence(call, member, text)], around.names_of(one.environment), about=about)
            past = call == ACTIVITIES and over(desk, one) and told.certainty is Certainty.certain
            found.append(replace(told, certainty=Certainty.likely) if past else told)
    return found


def unexplained(states: Iterable[State]) -> list[Suspect]:
    """The environments whose launches fail with a text that no row has, each with the text."""
    says = "Launches of instances fail, and AWS's text is not a known one."
    return [
        Suspect(
            id=causes.UNKNOWN,
            certainty=Certainty.hint,
            message=says,
            evidence=(evidence(ACTIVITIES, "Activities[].StatusMessage", texts[0]),),
            about=f"environment {one.name}",
        )
        for one in states
        if (texts := _failures(one)) and causes.match("activity", [("", text) for text in texts]) is None
    ]


def over(desk: Desk, one: State) -> bool:
    """Whether the newest launch failed long ago, and the group does not try again."""
    newest = next(iter(_launches(one)), None)
    age = desk.age(newest.get("StartTime")) if newest is not None else None
    return age is not None and age > HISTORY and not one.wants_more


def starting(desk: Desk, one: State) -> Json | None:
    """The newest launch, if it is in progress or its instance may still join the cluster."""
    newest = next(iter(_launches(one)), None)
    if newest is None or newest.get("StatusCode") in ("Failed", "Cancelled"):
        return None
    age = desk.age(newest.get("EndTime") or newest.get("StartTime"))
    done = newest.get("StatusCode") == "Successful"
    return None if done and (age is None or age > JOINING) else newest


def nothing_joined(desk: Desk, one: State) -> Suspect | None:
    """That instances run and none is in the cluster, or that no agent is connected."""
    names, about = around.names_of(one.environment), f"environment {one.name}"
    if one.instances and not one.joined():
        ids = ", ".join(str(each.get("ec2InstanceId")) for each in one.instances[:5])
        seen = [evidence(INSTANCES, "containerInstances[].agentConnected", f"false ({ids})")]
        return suspect(causes.row("agent-disconnected"), seen, names, about=about)
    if one.registered == 0 and around.kind_of(one.environment) == "UNMANAGED":
        seen = [evidence("ecs:ListContainerInstances", "containerInstanceArns", [])]
        says = "The environment is UNMANAGED, and no instance is in its cluster."
        advice = "start instances that join the cluster of the environment: AWS Batch starts none"
        row = causes.row("nothing-joined")
        return suspect(row, seen, {}, message=says, advice=advice, about=about)
    if one.registered != 0 or not one.launched or starting(desk, one) is not None:
        return None
    ids = ", ".join(str(each.get("InstanceId")) for each in one.launched[:5])
    seen = [
        evidence(GROUPS, "AutoScalingGroups[].Instances", ids),
        evidence("ecs:ListContainerInstances", "containerInstanceArns", []),
    ]
    return suspect(causes.row("nothing-joined"), seen, names, about=about)


def check_sizes(need: Needs, states: Sequence[State], job: Json, names: dict[str, str]) -> list[Suspect]:
    """What the instances that are registered, or the types, can never offer the job; nothing while one of them can."""
    registered = [one for state in states for one in state.joined()]
    if registered and any(offers(one, need) for one in registered):
        return []
    if any(state.machines is None for state in states) or any(
        around.kind_of(one.environment) not in _EC2 for one in states
    ):
        found = _registered_too_small(need, states, job, names) if len(states) == 1 else []
        larger = any(map(sizes.has_other_types, (state.environment for state in states)))
        return [replace(one, certainty=Certainty.hint) if larger else one for one in found]
    every = [machine for state in states for machine in state.machines or ()]
    if not every:
        return []
    fit = sizes.best(need, every)
    if fit is sizes.Fit.NO:
        one = _too_large(need, every, job, names)
        open_ended = any(sizes.has_bundle(state.environment) for state in states) and not need.gpus
        return [replace(one, certainty=Certainty.likely) if open_ended else one]
    if fit is sizes.Fit.UNKNOWN:
        return _registered_too_small(need, states, job, names) or [_at_the_edge(need, every, job, names)]
    return []


def _too_large(need: Needs, every: Sequence[Machine], job: Json, names: dict[str, str]) -> Suspect:
    found = sizes.too_large(need, every)
    if not found:  # each resource fits some type, and no type has all of them
        says = "No instance type of the environments has all that the job requests."
        seen = [evidence(TYPES, "InstanceTypes[].InstanceType", ", ".join(one.name for one in every[-5:]))]
        return suspect(causes.row("nothing-fits"), seen, names, job, message=says)
    first = found[0]
    if first.resource == "GPU" and first.most == 0:
        says = f"The job requests {_plain(first.asked)} GPU, and no instance type of the environments has one."
        advice = f"use instance types with GPUs in {ENVIRONMENTS}, or remove GPU from the job"
        seen = [evidence(TYPES, "InstanceTypes[].GpuInfo", None)]
        row = causes.row("nothing-fits")
        return suspect(row, seen, names, job, message=says, advice=advice)
    unit = " MiB" if first.resource == "MEMORY" else ""
    says = (
        f"The job requests {first.resource} {_plain(first.asked)}{unit}, and the largest instance type of the "
        f"environments has {first.most}{unit}."
    )
    seen = [
        evidence("batch:DescribeJobs", f"resourceRequirements[{first.resource}]", _plain(first.asked)),
        evidence(TYPES, f"InstanceTypes[].{_MEMBERS[first.resource]}", first.most),
    ]
    advice = f"lower {first.resource} to {first.works}, or allow larger instance types"
    row = causes.row("nothing-fits")
    return _of_resource(
        suspect(row, seen, names, job, message=says, advice=advice),
        first.resource,
        first.works,
        facts.asked(job, first.resource),
    )


def _registered_too_small(need: Needs, states: Sequence[State], job: Json, names: dict[str, str]) -> list[Suspect]:
    registered = [one for state in states for one in state.joined()]
    able = [one for one in registered if offers(one, replace(need, memory=0))]
    most = max((sizes.registered(one, "MEMORY") for one in able), default=0)
    if not most or most >= need.memory:
        return []
    says = f"The job requests {need.memory} MiB of memory, and the instances register {most} MiB."
    seen = [
        evidence("batch:DescribeJobs", "resourceRequirements[MEMORY]", str(need.memory)),
        evidence(INSTANCES, "containerInstances[].registeredResources[MEMORY]", most),
    ]
    change = "jobDefinitions.resourceRequirements.MEMORY"
    return [suspect(causes.row("memory-edge"), seen, names, job, message=says, values={change: str(most)})]


def _at_the_edge(need: Needs, every: Sequence[Machine], job: Json, names: dict[str, str]) -> Suspect:
    able = [one for one in every if one.vcpus >= need.vcpus and one.gpus >= need.gpus]
    largest = max(able, key=lambda one: one.memory)
    says = (
        f"The job requests {need.memory} MiB of memory; {largest.name} advertises {largest.memory} MiB, and registers "
        "less."
    )
    seen = [
        evidence("batch:DescribeJobs", "resourceRequirements[MEMORY]", str(need.memory)),
        evidence(TYPES, "InstanceTypes[].MemoryInfo.SizeInMiB", largest.memory),
    ]
    change = "jobDefinitions.resourceRequirements.MEMORY"
    row = causes.row("memory-edge")
    values = {change: str(largest.proposed)}
    return replace(suspect(row, seen, names, job, message=says, values=values), certainty=Certainty.hint)


def lacking(job_driver: str, states: Sequence[State], names: dict[str, str], job: Json) -> list[Suspect]:
    """That no registered instance supports the job's log driver."""
    registered = [one for state in states for one in state.joined()]
    if not registered or not job_driver:
        return []
    wanted = f"com.amazonaws.ecs.capability.logging-driver.{job_driver}"
    if any(wanted in {each.get("name") for _, each in entries(one.get("attributes"))} for one in registered):
        return []
    if not any(items(one.get("attributes")) for one in registered):
        return []
    seen = [evidence(INSTANCES, "containerInstances[].attributes", f"no {wanted}")]
    says = f"The instances do not support the log driver {job_driver}."
    return [suspect(causes.row("log-driver"), seen, names, job, message=says)]


_MEMBERS: Final = {"VCPU": "VCpuInfo.DefaultVCpus", "MEMORY": "MemoryInfo.SizeInMiB", "GPU": "GpuInfo.Gpus[].Count"}


def _of_resource(one: Suspect, resource: str, works: int, asked: str) -> Suspect:
    """The suspect with the entry of resourceRequirements of one resource, and a value that works."""
    settings = tuple(
        replace(each, of_type=resource, value=str(works), asked=asked)
        if each.path.endswith("resourceRequirements")
        else each
        for each in one.settings
    )
    return replace(one, settings=settings)


def offers(instance: Json, need: Needs) -> bool:
    """Whether an instance registered enough for one task of a job."""
    return (
        sizes.registered(instance, "CPU") >= need.vcpus * 1024
        and sizes.registered(instance, "MEMORY") >= need.memory
        and sizes.registered(instance, "GPU") >= need.gpus
    )


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _unmanaged(states: Iterable[State]) -> list[State]:
    return [one for one in states if around.kind_of(one.environment) == "UNMANAGED"]


def _is_of(group: Json, environment: str) -> bool:
    return str(group.get("AutoScalingGroupName")).startswith(f"AWSBatch-{environment}-asg-")


def _launches(one: State) -> list[Json]:
    some = [each for each in one.activities or () if not str(each.get("Description")).startswith("Terminating")]
    return sorted(some, key=lambda each: _time(each.get("StartTime")), reverse=True)


def _failures(one: State) -> list[str]:
    """The messages of the launches that failed after the last that succeeded, the newest first, of an hour."""
    found, launches = [], _launches(one)
    for each in launches:
        if (
            each.get("StatusCode") == "Successful"
            or _time(launches[0].get("StartTime")) - _time(each.get("StartTime")) > HISTORY
        ):
            break
        if each.get("StatusCode") in ("Failed", "Cancelled"):
            found.append(str(each.get("StatusMessage") or each.get("Description") or ""))
    return found


def _time(at: Any) -> float:
    return seconds(at) or 0.0
