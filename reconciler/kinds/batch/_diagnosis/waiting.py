"""Why a job is RUNNABLE, in the order of AWS's own runbook: states, sizes, launches, instances, network and roles.

What is read stops as soon as a cause is certain. A job without a statusReason is not healthy: AWS Batch writes a reason
only for the job at the head of a queue, and none at all for quotas and launch errors.

https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from reconciler.kinds.batch._diagnosis import around as surroundings
from reconciler.kinds.batch._diagnosis import capacity, causes, facts, fleets, network, placements, sizes
from reconciler.kinds.batch._diagnosis.around import Around
from reconciler.kinds.batch._diagnosis.capacity import State
from reconciler.kinds.batch._diagnosis.desk import DEFINITIONS, Desk, evidence, sure, suspect
from reconciler.kinds.batch._diagnosis.facts import Needs
from reconciler.kinds.common.declared import as_int, at, entries
from reconciler.model import Call, Json, Reads
from reconciler.model.diagnosis import Certainty, Evidence, Suspect

JOBS: Final = "batch:DescribeJobs"
PATIENCE: Final = 600.0  # seconds in which a job may wait for instances
_SIZES: Final = frozenset({"max-vcpus", "nothing-fits"})
_NOT_FOR_NODES: Final = frozenset({"SPOT", "FARGATE", "FARGATE_SPOT", "EKS", "UNMANAGED"})


def why_waiting(desk: Desk, job: Json, around: Around) -> Reads[list[Suspect]]:
    """The causes of a RUNNABLE job; empty where none is known."""
    found = surroundings.blocked_by_states(around)
    if found or not around.usable:
        return found
    need, states = facts.needs(job), [State(one) for one in around.usable]
    names = around.names(job=job)
    found = _by_declared_sizes(need, around, job)
    if found:
        return (yield from _with_types(desk, found, need, states, job))
    blocked = _blocked(job, names)
    if blocked is not None and blocked.certainty is Certainty.certain and blocked.id not in _SIZES:
        return [blocked]
    yield from capacity.types(desk, states)
    found = capacity.check_sizes(need, states, job, names) + _between_instances(need, around, states, job)
    if blocked is not None and (sure(found) or blocked.id in _SIZES):
        return _with_values(blocked, found)
    if sure(found):
        return found
    found = yield from _of_hosts(desk, states)
    found += capacity.check_sizes(need, states, job, names)
    driver = str(at(facts.container(job), "logConfiguration", "logDriver") or "")
    found += capacity.lacking(driver, states, names, job)
    if not sure(found):
        found += yield from _consumables(desk, job)
    fargate = any(surroundings.kind_of(one) in surroundings.FARGATE for one in around.usable)
    if not sure(found) and (fargate or any(state.registered for state in states)):
        found += yield from placements.refused(desk, job, around, names)
    if not sure(found):
        found += yield from _turn(desk, need, job, around, states, names)
    return found if blocked is None or sure(found) else [*found, blocked]


def _of_hosts(desk: Desk, states: Sequence[State]) -> Reads[list[Suspect]]:
    """What launches and instances say."""
    yield from capacity.launches_and_instances(desk, states)
    yield from fleets.read(desk, states)
    found = [*capacity.failed_launches(desk, states), *capacity.unexplained(states)]
    found += [one for state in states if (one := capacity.nothing_joined(desk, state))]
    for state in states:
        if any(one.id == "nothing-joined" and one.about == f"environment {state.name}" for one in found):
            found = [*(yield from network.why_not_joined(desk, state)), *found]
    return found


def _blocked(job: Json, names: dict[str, str]) -> Suspect | None:
    text = str(job.get("statusReason") or "")
    found = causes.match("blocked", [("statusReason", text)])
    if found is None:
        return None
    return suspect(found[0], [evidence(JOBS, "statusReason", text)], names, job)


def _with_values(blocked: Suspect, found: Sequence[Suspect]) -> list[Suspect]:
    """What AWS says, with the sentence and the value that the sizes give."""
    same = next((one for one in found if one.id == blocked.id and one.certainty is Certainty.certain), None)
    if same is None:
        return [blocked, *(one for one in found if one.id != blocked.id)]
    return [replace(same, evidence=(*blocked.evidence, *same.evidence))]


def _by_declared_sizes(need: Needs, around: Around, job: Json) -> list[Suspect]:
    """What the environments' types and sizes alone say: nothing needs to be read for it."""
    usable = around.usable
    if found := _by_platform(around, job):
        return found
    if need.nodes > 1:
        kinds = {surroundings.kind_of(one) for one in usable}
        if kinds <= _NOT_FOR_NODES:
            seen = [_of(one, "computeResources.type", surroundings.kind_of(one)) for one in usable]
            return [suspect(causes.row("multi-node-on-spot"), seen, around.names(job=job), job)]
    if need.gpus and all(map(sizes.only_bundles, usable)):
        return [_without_gpus(need, around, job)]
    managed = [one for one in usable if surroundings.kind_of(one) not in ("EKS", "UNMANAGED")]
    if not managed or len(managed) < len(usable):
        return []
    largest = max(managed, key=surroundings.most_vcpus)
    most, wanted = surroundings.most_vcpus(largest), need.vcpus * need.nodes
    said = causes.match("blocked", [("statusReason", str(job.get("statusReason") or ""))])
    kept = most == 0 or all(map(_within_limit, managed)) or (said is not None and said[0].id == "max-vcpus")
    if wanted <= most or not kept:
        return []
    row = causes.row("max-vcpus") if need.nodes == 1 else causes.row("multi-node-size")
    name = largest.get("computeEnvironmentName")
    asked = f"{wanted:g} vCPUs" if need.nodes == 1 else f"{need.nodes} times {need.vcpus:g} vCPUs"
    says = f"The job needs {asked}, and the environment {name} may have {most}."
    seen = [
        evidence(JOBS, "resourceRequirements[VCPU]", f"{need.vcpus:g}"),
        _of(largest, "computeResources.maxvCpus", most),
    ]
    seen = [*_reason(job), *seen]
    change = "computeEnvironments.computeResources.maxvCpus"
    values = {change: _whole(wanted), "jobDefinitions.resourceRequirements.VCPU": str(most)}
    return [suspect(row, seen, around.names(largest, job), job, message=says, values=values)]


def _by_platform(around: Around, job: Json) -> list[Suspect]:
    """That the job is for AWS Fargate and the environments are not, or the other way about."""
    wanted = set(job.get("platformCapabilities") or ())
    theirs = {"FARGATE" if kind in surroundings.FARGATE else "EC2" for kind in map(surroundings.kind_of, around.usable)}
    if not wanted or wanted & theirs or not wanted <= {"EC2", "FARGATE"}:
        return []
    asked, there = wanted.pop(), theirs.pop()
    message = f"The job is for {asked}, and the environments of its queue are for {there}."
    advice = (
        f"submit it to a queue with environments for {asked}, or make platformCapabilities of the definition [{there}]"
    )
    seen = [
        *_reason(job),
        evidence(JOBS, "platformCapabilities", list(job["platformCapabilities"])),
        *(_of(one, "computeResources.type", surroundings.kind_of(one)) for one in around.usable),
    ]
    found = suspect(causes.row("nothing-fits"), seen, around.names(job=job), job, message=message, advice=advice)
    where = tuple(replace(one, path="platformCapabilities") for one in found.settings if one.section == DEFINITIONS)
    return [replace(found, settings=where)]


def _without_gpus(need: Needs, around: Around, job: Json) -> Suspect:
    """That the environments name bundles of types only, none of which has a GPU."""
    named = [(one, surroundings.value_of(one, "instanceTypes")) for one in around.usable]
    types = ", ".join(str(name) for _, some in named for name in some)
    message = f"The job requests {need.gpus} GPU, and no instance type of {types} has one."
    advice = "name instance types with GPUs in the environment, or remove GPU from the job"
    seen = [*_reason(job), *(_of(one, "computeResources.instanceTypes", some) for one, some in named)]
    row = causes.row("nothing-fits")
    found = suspect(row, seen, around.names(job=job), job, message=message, advice=advice)
    return replace(found, settings=found.settings[1:])


def _with_types(
    desk: Desk, found: list[Suspect], need: Needs, states: Sequence[State], job: Json
) -> Reads[list[Suspect]]:
    """That the environments are too small, with the values that work by what the instance types offer."""
    (first,) = found
    if first.id != "max-vcpus":
        return found
    yield from capacity.types(desk, states)
    fitting = [one for state in states for one in state.machines or () if one.fits(need) is not sizes.Fit.NO]
    if fitting:
        return [_set(first, "computeEnvironments", min(one.vcpus for one in fitting))]
    names = {setting.section: setting.name for setting in first.settings}
    too_small = capacity.check_sizes(need, states, job, names)
    if not too_small:
        return found
    advice = "lower what the job requests, or allow larger instance types and raise maxvCpus"
    return [replace(first, settings=(), advice=advice), *too_small]


def _set(one: Suspect, section: str, value: object) -> Suspect:
    settings = (replace(each, value=value) if each.section == section else each for each in one.settings)
    return replace(one, settings=tuple(settings))


def _between_instances(need: Needs, around: Around, states: Sequence[State], job: Json) -> list[Suspect]:
    """That the smallest instance for the job has more vCPUs than the environment may have."""
    found = []
    for state in states:
        fitting = [one for one in state.machines or () if one.fits(need) is not sizes.Fit.NO]
        most = surroundings.most_vcpus(state.environment)
        if not fitting or min(one.vcpus for one in fitting) <= most or not _within_limit(state.environment):
            return []
        smallest = min(fitting, key=lambda one: one.vcpus)
        says = (
            f"The smallest instance type for the job, {smallest.name}, has {smallest.vcpus} vCPUs, and the environment "
            f"{state.name} may have {most}."
        )
        seen = [
            *_reason(job),
            _of(state.environment, "computeResources.maxvCpus", most),
            evidence(capacity.TYPES, f"InstanceTypes[{smallest.name}].VCpuInfo.DefaultVCpus", smallest.vcpus),
        ]
        values = {"computeEnvironments.computeResources.maxvCpus": smallest.vcpus}
        names = around.names(state.environment, job)
        found.append(suspect(causes.row("max-vcpus"), seen, names, job, message=says, values=values))
    return found[:1]


def _within_limit(environment: Json) -> bool:
    """Whether an environment keeps to maxvCpus: with other strategies than BEST_FIT one instance may exceed it."""
    fargate = surroundings.kind_of(environment) in surroundings.FARGATE
    return fargate or surroundings.value_of(environment, "allocationStrategy") in (None, "BEST_FIT")


def _consumables(desk: Desk, job: Json) -> Reads[list[Suspect]]:
    listed = [one for _, one in entries(at(job, "consumableResourceProperties", "consumableResourceList"))]
    calls = [
        Call("batch", "DescribeConsumableResource", {"consumableResource": str(one.get("consumableResource"))})
        for one in listed
    ]
    replies = yield from desk.ask(*calls)
    found = []
    for one, reply in zip(listed, replies, strict=True):
        wanted, there = as_int(one.get("quantity")) or 0, as_int((reply or {}).get("availableQuantity"))
        if there is None or there >= wanted:
            continue
        name = facts.name_of(one.get("consumableResource"))
        says = f"The job needs {wanted} of {name}, and {there} are available."
        seen = [evidence("batch:DescribeConsumableResource", "availableQuantity", there)]
        names = {"consumableResources": name}
        found.append(suspect(causes.row("consumable-resource"), seen, names, job, message=says))
    return found


def _turn(
    desk: Desk, need: Needs, job: Json, around: Around, states: Sequence[State], names: dict[str, str]
) -> Reads[list[Suspect]]:
    """That the job waits for others, or for instances that are starting."""
    found: list[Suspect] = []
    position = _position(job, around)
    if position:
        found += yield from _behind(desk, job, around, position, names)
    else:
        found += _at_the_head(need, job, around, states)
    launch = next(((state, one) for state in states if (one := capacity.starting(desk, state))), None)
    if launch is not None:
        state, activity = launch
        seen = [evidence(capacity.ACTIVITIES, "Activities[].StatusCode", activity.get("StatusCode"))]
        found.append(suspect(causes.row("still-scaling"), seen, names, job, about=f"environment {state.name}"))
    elif (age := desk.age(job.get("createdAt"))) is not None and age < PATIENCE and not found:
        says = f"The job was submitted {_duration(age)} ago; instances take some minutes to start."
        seen = [evidence(JOBS, "createdAt", job.get("createdAt"))]
        found.append(suspect(causes.row("still-scaling"), seen, names, job, message=says))
    return found


def _at_the_head(need: Needs, job: Json, around: Around, states: Sequence[State]) -> list[Suspect]:
    """That the job is the next, or may be, and the environments run as many vCPUs as they may.

    That is certain where an instance that has joined would be large enough: then others keep it busy.
    """
    full = [one for one in around.usable if _full(one)]
    if not full or len(full) < len(around.usable):
        return []
    seen = [_of(one, "computeResources.desiredvCpus", surroundings.value_of(one, "desiredvCpus")) for one in full]
    says = "The environment runs as many vCPUs as it may; the job starts when others end."
    more = surroundings.most_vcpus(full[0]) + _whole(need.vcpus * need.nodes)
    values = {"computeEnvironments.computeResources.maxvCpus": more}
    names = around.names(full[0], job)
    one = suspect(causes.row("waiting-turn"), seen, names, job, message=says, values=values)
    busy = any(capacity.offers(each, need) for state in states for each in state.joined())
    return [one if busy else replace(one, certainty=Certainty.likely)]


def _behind(desk: Desk, job: Json, around: Around, position: int, names: dict[str, str]) -> Reads[list[Suspect]]:
    head = (around.front or [""])[0]
    seen = [evidence(surroundings.SNAPSHOT, "frontOfQueue.jobs", f"{position + 1}, behind {head}")]
    found: list[Suspect] = []
    full = [one for one in around.usable if _full(one)]
    if full and len(full) == len(around.usable):
        one = full[0]
        seen.append(_of(one, "computeResources.desiredvCpus", surroundings.most_vcpus(one)))
        return [suspect(causes.row("waiting-turn"), seen, around.names(one, job), job)]
    reply = yield from desk.one(Call("batch", "DescribeJobs", {"jobs": [head]}))
    first = next((one for _, one in entries((reply or {}).get("jobs"))), None)
    blocked = _blocked(first, around.names(job=first)) if first is not None else None
    if blocked is not None:
        found.append(about(blocked, f"job {head}"))
    if around.queue.get("schedulingPolicyArn") and job.get("shareIdentifier"):
        others = f"the share {job['shareIdentifier']} waits for others" if full else f"job {head} is ahead"
        says = f"The queue shares its capacity fairly, and {others}."
        policy = facts.name_of(around.queue["schedulingPolicyArn"])
        names = {**names, "schedulingPolicies": policy}
        return [*found, suspect(causes.row("share-waiting"), seen, names, job, message=says)]
    says = f"The job is number {position + 1} in its queue; job {head} starts before it."
    advice = f"ask why of job {head}, the first of the queue"
    return [*found, suspect(causes.row("waiting-turn"), seen, {}, job, message=says, advice=advice)]


def _position(job: Json, around: Around) -> int | None:
    """How many jobs are before this one; None where that is not known."""
    if around.front is None or not around.front:
        return None
    ids = [str(job.get("jobId")), str(job.get("jobId")).partition(":")[0]]
    return next((index for index, one in enumerate(around.front) if one in ids), len(around.front))


def _full(environment: Json) -> bool:
    desired = as_int(surroundings.value_of(environment, "desiredvCpus"))
    return desired is not None and desired >= surroundings.most_vcpus(environment)


def about(one: Suspect, whose: str) -> Suspect:
    """The suspect as one of ``whose``."""
    return replace(one, about=whose)


def _reason(job: Json) -> list[Evidence]:
    text = job.get("statusReason")
    return [evidence(JOBS, "statusReason", text)] if text else []


def _of(environment: Json, member: str, value: object) -> Evidence:
    name = environment.get("computeEnvironmentName")
    return evidence(surroundings.DESCRIBE_ENVIRONMENTS, f"computeEnvironments[{name}].{member}", value)


def _whole(number: float) -> int:
    return int(-(-number // 1))


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes else f"{int(max(seconds, 0))} s"
