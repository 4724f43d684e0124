"""What SubmitJob changes of a definition's containers, tasks, pods and nodes.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerOverrides.html,
API_TaskContainerOverrides.html, API_EksContainerOverride.html and API_NodePropertyOverride.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from reconciler.sandbox.batch import containers, pods
from reconciler.sandbox.batch.messages import Invalid, refusal
from reconciler.sandbox.batch.store import Json

_DEPRECATED = (
    "This value was submitted in a deprecated key and may conflict with the value provided by the job definition's "
    "resource requirements."
)
_LEGACY = {"vcpus": "VCPU", "memory": "MEMORY"}
_LONGEST = 8192
_BY_PAYLOAD = {
    "container": "containerOverrides",
    "ecsProperties": "ecsPropertiesOverride",
    "eksProperties": "eksPropertiesOverride",
}
"""The member of a request by what it changes."""


def too_long(given: Json) -> bool:
    """Whether ECS refuses to run a task with these overrides, which SubmitJob accepts (the job then goes to FAILED)."""
    return any(
        len(json.dumps(given.get(one, {}))) > _LONGEST for one in ("containerOverrides", "ecsPropertiesOverride")
    )


def payload(given: Json, declared: Json) -> Json:
    """What the job has of its definition, as DescribeJobs shows it; raises `BatchError`."""
    fargate = "FARGATE" in declared.get("platformCapabilities", ())
    for named in _LEGACY if fargate else ():
        if named in given.get("containerOverrides", {}):
            raise refusal(f"{named} is not applicable for Fargate. Use resource requirements instead.")
    changed = _payload(given, declared)
    try:
        _check(changed, fargate=fargate)
    except Invalid as error:  # these are not wrapped: github.com/Netflix/metaflow/issues/749
        raise refusal(error.message) from None
    return changed


def _check(changed: Json, *, fargate: bool) -> None:
    """Raise `Invalid` for amounts that a definition could not have either."""
    if "container" in changed:
        legacy = {kind: str(changed["container"][one]) for one, kind in _LEGACY.items() if one in changed["container"]}
        containers.check_amounts({**legacy, **containers.requirements(changed["container"])}, fargate=fargate)
    elif "ecsProperties" in changed:
        containers.check_task_resources(changed["ecsProperties"]["taskProperties"][0]["containers"], fargate=fargate)
    elif "eksProperties" in changed:
        pods.check(changed["eksProperties"])
    for one in changed.get("nodeProperties", {}).get("nodeRangeProperties", ()):
        _check(one, fargate=False)


def _payload(given: Json, declared: Json) -> Json:
    if "containerProperties" in declared:
        return _changed({"container": declared["containerProperties"]}, given, "jobs with containerProperties")
    if "nodeProperties" in declared:
        _only(given, "", "multi-node jobs, whose nodes have them in nodeOverrides")
        return {"nodeProperties": _nodes(declared["nodeProperties"], given.get("nodeOverrides", {}))}
    kept: Json = {one: declared[one] for one in ("ecsProperties", "eksProperties") if one in declared}
    return _changed(kept, given, f"jobs with {next(iter(kept), 'nothing to override')}")


def _changed(declared: Json, given: Json, kind: str) -> Json:
    member = next((one for one in _BY_PAYLOAD if one in declared), "")
    _only(given, _BY_PAYLOAD.get(member, ""), kind)
    wanted: Json = given.get(_BY_PAYLOAD.get(member, ""), {})
    changes: Mapping[str, Callable[[Json, Json], Json]] = {
        "container": _container,
        "ecsProperties": _task,
        "eksProperties": _pod,
    }
    return {**declared, member: changes[member](declared[member], wanted)} if member else declared


def _only(given: Json, allowed: str, kind: str) -> None:
    for member in (*_BY_PAYLOAD.values(), "nodeOverrides"):
        if given.get(member) and member != allowed and not (member == "nodeOverrides" and not allowed):
            raise Invalid(f"{member} is not applicable for {kind}.")


def _container(declared: Json, wanted: Json) -> Json:
    _check_environment(wanted)
    listed = containers.requirements(declared)
    if listed and ("vcpus" in wanted or "memory" in wanted):
        raise Invalid(_DEPRECATED)
    amounts = {**listed, **containers.requirements(wanted)}
    kept: Json = {one: wanted[one] for one in ("vcpus", "memory", "command", "instanceType") if one in wanted}
    return {
        **declared,
        "resourceRequirements": _amounts(amounts),
        "environment": _by_name(declared["environment"], wanted.get("environment", [])),
        **kept,
    }


def _task(declared: Json, wanted: Json) -> Json:
    listed: Sequence[Json] = wanted.get("taskProperties", [])
    if len(listed) > 1:
        raise Invalid("taskProperties should have 1 entry.")
    changes = [one for task in listed for one in task.get("containers", [])]
    tasks = [{**one, "containers": _each(one["containers"], changes, _part)} for one in declared["taskProperties"]]
    return {**declared, "taskProperties": tasks}


def _part(declared: Json, wanted: Json) -> Json:
    _check_environment(wanted)
    changed = {**declared, **({"command": wanted["command"]} if "command" in wanted else {})}
    if wanted.get("environment"):
        changed["environment"] = _by_name(declared.get("environment", []), wanted["environment"])
    if wanted.get("resourceRequirements"):
        amounts = {**containers.requirements(declared), **containers.requirements(wanted)}
        changed["resourceRequirements"] = _amounts(amounts)
    return changed


def _pod(declared: Json, wanted: Json) -> Json:
    changes: Json = wanted.get("podProperties", {})
    pod: Json = dict(declared.get("podProperties", {}))
    for member in ("containers", "initContainers"):
        if changes.get(member):
            pod[member] = _each(pod.get(member, []), changes[member], _pod_container)
    for member, values in changes.get("metadata", {}).items():
        metadata: Json = pod.get("metadata", {})
        merged = {**metadata.get(member, {}), **values} if isinstance(values, dict) else values
        pod["metadata"] = {**metadata, member: merged}
    return {**declared, "podProperties": pod}


def _pod_container(declared: Json, wanted: Json) -> Json:
    kept: Json = {one: wanted[one] for one in ("image", "command", "args") if one in wanted}
    changed = {**declared, **kept}
    if wanted.get("env"):
        changed["env"] = _by_name(declared.get("env", []), wanted["env"])
    for member, amounts in wanted.get("resources", {}).items():
        resources: Json = changed.get("resources", {})
        changed["resources"] = {**resources, member: {**resources.get(member, {}), **amounts}}
    return changed


def _nodes(declared: Json, wanted: Json) -> Json:
    number = int(declared["numNodes"])
    ranges = list(declared["nodeRangeProperties"])
    if "numNodes" in wanted:
        number = int(wanted["numNodes"])
        _check_number(declared, number)
    for one in wanted.get("nodePropertyOverrides", []):
        ranges = [made for each in ranges for made in _in_range(each, one, number)]
    return {**declared, "numNodes": number, "nodeRangeProperties": ranges}


def _check_number(declared: Json, number: int) -> None:
    """Another number of nodes needs an open range that has some of them, and the main node (API_NodeOverrides)."""
    starts = [one["targetNodes"][:-1] for one in declared["nodeRangeProperties"] if one["targetNodes"].endswith(":")]
    if not any(int(first or 0) < number for first in starts) or declared["mainNode"] >= number:
        raise Invalid(f"numNodes {number} does not fit the node ranges and the main node of the job definition.")


def _check_environment(wanted: Json) -> None:
    if any(one.get("name", "").startswith("AWS_BATCH") for one in wanted.get("environment", [])):
        raise Invalid("Environment variables must not start with AWS_BATCH.")


def _in_range(declared: Json, wanted: Json, number: int) -> list[Json]:
    """A range, and after it, as the later one decides, the part of it that is changed."""
    (first, last), (low, high) = (_bounds(one["targetNodes"], number) for one in (declared, wanted))
    if not low <= high < number:
        raise Invalid(f"targetNodes {wanted['targetNodes']} is not a valid range.")
    shared = (max(first, low), min(last, high))
    if shared[0] > shared[1]:
        return [declared]
    changed = _changed(declared, wanted, f"the nodes {declared['targetNodes']}")
    if "instanceTypes" in wanted:
        changed["instanceTypes"] = wanted["instanceTypes"]
    return [changed] if shared == (first, last) else [declared, {**changed, "targetNodes": f"{shared[0]}:{shared[1]}"}]


def _bounds(text: str, number: int) -> tuple[int, int]:
    first, colon, last = text.partition(":")
    if not all(one.isascii() and one.isdigit() for one in (first, last) if one) or not text.strip(":"):
        raise Invalid(f"targetNodes {text} is not a valid range.")
    low = int(first or 0)
    return low, int(last) if last else number - 1 if colon else low


def _each(declared: Sequence[Json], wanted: Sequence[Json], change: Callable[[Json, Json], Json]) -> list[Json]:
    """Containers with those changed that are named; a name may be left out where there is one."""
    changed = {one.get("name", "default"): one for one in declared}
    for one in wanted:
        name = one.get("name") or (next(iter(changed)) if len(changed) == 1 else "")
        if name not in changed:
            raise Invalid(f"Container {name or '(without a name)'} of the override is not in the job definition.")
        changed[name] = change(changed[name], one)
    return list(changed.values())


def _by_name(declared: Sequence[Json], wanted: Sequence[Json]) -> list[Json]:
    replaced = {one["name"]: one for one in wanted if "name" in one}
    return [*(one for one in declared if one.get("name") not in replaced), *replaced.values()]


def _amounts(amounts: Mapping[str, str]) -> list[Json]:
    return [{"type": kind, "value": value} for kind, value in amounts.items()]
