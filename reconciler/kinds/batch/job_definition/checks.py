"""Checks of a declared job definition: what AWS would refuse, and what is probably a mistake.

https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from reconciler.kinds.batch import _common as batch
from reconciler.kinds.batch.job_definition import container_checks, retry_strategy
from reconciler.kinds.batch.job_definition.container_checks import EC2, MANAGED_INSTANCES
from reconciler.kinds.batch.job_definition.pod_checks import numbered, pods
from reconciler.kinds.common.declared import as_int, as_text, at, entries, is_given, items, mapping, repeats
from reconciler.kinds.common.normal_forms import bare
from reconciler.model import Finding, Json, Path
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex

BLOCKS = ("containerProperties", "ecsProperties", "eksProperties", "nodeProperties")
PAYLOADS = ("container", "ecsProperties", "eksProperties")
# https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
MOST_BYTES = 24 * 1024
CONDITIONS = ("START", "COMPLETE", "SUCCESS")
ROOT = ("", "0", "root")
_ENCODER = json.JSONEncoder(default=lambda _: "", separators=(",", ":"))
_TARGETS = regex(r"(\d{0,9}):(\d{0,9})|(\d{1,9})")


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about the declared properties; an unknown value (an expression) is not judged."""
    yield from batch.check_name(name, "job definition")
    yield from _check_type(props)
    yield from _check_platform(props)
    yield from _check_scalars(props)
    platform = _platform(props)
    yield from retry_strategy.check(("retryStrategy",), props.get("retryStrategy"), _texts_of(props, platform))
    if isinstance(props.get("containerProperties"), Mapping):
        yield from container_checks.container(("containerProperties",), props["containerProperties"], platform)
    yield from tasks(("ecsProperties",), props.get("ecsProperties"), platform)
    yield from pods(("eksProperties",), props.get("eksProperties"))
    yield from _check_nodes(("nodeProperties",), props.get("nodeProperties"))
    yield from consumables((), props.get("consumableResourceProperties"))


def _platform(props: Json) -> str:
    """The platform; empty where it is not known, so that nothing that depends on it is judged."""
    value = props.get("platformCapabilities")
    first = next(iter(items(value)), EC2) if value is None or isinstance(value, list | tuple) else ""
    return first if first in (EC2, container_checks.FARGATE, MANAGED_INSTANCES) else ""


def _texts_of(props: Json, platform: str) -> str:
    """Whose texts rules are compared with; empty on EKS, whose texts are not known."""
    if is_given(props.get("eksProperties")) or any(
        is_given(node.get("eksProperties")) for _, node in entries(at(props, "nodeProperties", "nodeRangeProperties"))
    ):
        return ""
    family = as_text(at(props, "containerProperties", "runtimePlatform", "operatingSystemFamily")) or ""
    return retry_strategy.WINDOWS if family.startswith(retry_strategy.WINDOWS) else platform


def _check_type(props: Json) -> Iterator[Finding]:
    kind = props.get("type")
    blocks = [block for block in BLOCKS if props.get(block) is not None]
    if kind is None:
        right = "multinode" if "nodeProperties" in blocks else "container"
        yield Finding((), "type is missing", f"add type: {right}", code=codes.MISSING_FIELD)
    if not blocks:
        hint = "add containerProperties (one container), ecsProperties, eksProperties or nodeProperties"
        yield Finding((), "the job definition has no container", hint, code=codes.MISSING_FIELD)
    elif len(blocks) > 1:
        why = f"a job definition has one of {', '.join(BLOCKS)}, and this has {' and '.join(blocks)}"
        yield Finding((blocks[1],), why, "keep one")
    if kind == "multinode" and blocks and "nodeProperties" not in blocks:
        hint = "move it to nodeProperties.nodeRangeProperties, or use type: container"
        yield Finding(("type",), "a multinode job needs nodeProperties", hint)
    if kind == "container" and "nodeProperties" in blocks:
        yield Finding(("type",), "nodeProperties need type: multinode", "use type: multinode")


def _check_platform(props: Json) -> Iterator[Finding]:
    path: Path = ("platformCapabilities",)
    value, platform = props.get("platformCapabilities"), _platform(props)
    if isinstance(value, str):
        yield Finding(path, "platformCapabilities is a list", f"write [{value}]", code=codes.WRONG_TYPE)
    if len(items(value)) > 1:
        yield Finding(path, "a job definition has one platform capability", "keep one: [EC2] or [FARGATE]")
    if is_given(props.get("eksProperties")):
        for member in ("platformCapabilities", "propagateTags"):
            if is_given(props.get(member)) and props[member] is not False:
                why = f"{member} does not apply to jobs on EKS"
                yield Finding((member,), why, "leave it out", code=codes.NOT_APPLICABLE)
    if platform not in ("", EC2) and is_given(props.get("nodeProperties")):
        hint = "leave platformCapabilities out"
        yield Finding(path, f"multi-node jobs do not run on {platform}", hint, code=codes.NOT_APPLICABLE)
    if platform == MANAGED_INSTANCES and is_given(props.get("containerProperties")):
        hint = "move the container to ecsProperties.taskProperties[0].containers"
        yield Finding(("containerProperties",), "jobs on MANAGED_INSTANCES use ecsProperties", hint)


def _check_scalars(props: Json) -> Iterator[Finding]:
    priority = as_int(props.get("schedulingPriority"))
    if priority is not None and not 0 <= priority <= 9999:
        why = f"schedulingPriority {priority} is out of range"
        yield Finding(("schedulingPriority",), why, "it must be from 0 to 9999")
    seconds = as_int(at(props, "timeout", "attemptDurationSeconds"))
    if props.get("timeout") is None:
        why = "no timeout: a job that hangs runs until it is stopped by hand"
        hint = "add timeout: {attemptDurationSeconds: N}"
        yield Finding((), why, hint, code=codes.NO_TIMEOUT, warning=True)
    elif isinstance(props["timeout"], Mapping) and not is_given(props["timeout"].get("attemptDurationSeconds")):
        hint = "add the seconds after which an attempt is stopped, 60 or more"
        yield Finding(("timeout",), "timeout needs attemptDurationSeconds", hint, code=codes.MISSING_FIELD)
    elif seconds is not None and seconds < 60:
        path = ("timeout", "attemptDurationSeconds")
        yield Finding(path, f"{seconds} seconds are too few", "the minimum is 60")
    size = len(_ENCODER.encode(props).encode())
    if size > MOST_BYTES:
        why = f"the job definition has {size} bytes; {MOST_BYTES} (24 KiB) at most"
        yield Finding((), why, "move long scripts and tables to the image, or to a bucket")
    parameters = props.get("parameters")
    if isinstance(parameters, list):
        hint = "write name: value pairs: parameters: {input: s3://...}"
        yield Finding(("parameters",), "parameters is a mapping", hint, code=codes.WRONG_TYPE)
    for name, value in mapping(parameters).items():
        if isinstance(value, bool | int | float):
            plain = str(value).lower() if isinstance(value, bool) else str(value)
            why = f"parameters are text, and {name} is {plain}"
            yield Finding(("parameters", name), why, f'put it in quotes: {name}: "{plain}"', code=codes.WRONG_TYPE)


def consumables(path: Path, value: Any) -> Iterator[Finding]:
    """Findings about ``value``, the ``consumableResourceProperties`` of the mapping at ``path``."""
    here: Path = (*path, "consumableResourceProperties", "consumableResourceList")
    listed = items(at(value, "consumableResourceList"))
    if len(listed) > 5:
        yield Finding((*here, 5), f"{len(listed)} consumable resources; 5 at most", "remove some")
    found = list(entries(listed))
    for place, name in repeats(
        [((*here, i, "consumableResource"), bare(item.get("consumableResource"))) for i, item in found]
    ):
        yield Finding(
            place, f'duplicate entry "{name}"', "keep one, with the sum of the quantities", code=codes.DUPLICATE
        )


# --- ecsProperties ---------------------------------------------------------------------------------------------------


def tasks(path: Path, value: Any, platform: str) -> Iterator[Finding]:
    """Findings about ``ecsProperties`` at ``path``."""
    if not isinstance(value, Mapping):
        return
    here: Path = (*path, "taskProperties")
    listed = value.get("taskProperties")
    if listed is None or (isinstance(listed, list) and len(listed) != 1):
        why = "taskProperties must contain exactly one task"
        yield Finding(here if listed else path, why, "list all containers in one task: [{containers: [...]}]")
    for index, task in entries(listed):
        yield from _check_task((*here, index), task, platform)


def _check_task(path: Path, task: Json, platform: str) -> Iterator[Finding]:
    listed = items(task.get("containers"))
    found = list(entries(listed))
    context = container_checks.TaskContext(
        platform=platform,
        execution_role=is_given(task.get("executionRoleArn")),
        job_role=is_given(task.get("taskRoleArn")),
        volumes=container_checks.volume_names(task.get("volumes")),
        firelens=any(is_given(item.get("firelensConfiguration")) for _, item in found),
        alone=len(listed) == 1,
    )
    yield from container_checks.task(path, task, context, roles=("taskRoleArn", "executionRoleArn"))
    yield from numbered(path, task, listed)
    yield from _check_firelens(path, found)
    if found and all(item.get("essential") is False for _, item in found):
        hint = "the job ends with its essential containers; leave essential out of one"
        yield Finding((*path, "containers"), "no container is essential", hint)
    for index, item in found:
        here: Path = (*path, "containers", index)
        if not is_given(item.get("name")) and len(found) > 1:
            yield Finding(here, "name is missing", "each of several containers needs one", code=codes.MISSING_FIELD)
        for legacy in ("vcpus", "memory"):
            if is_given(item.get(legacy)):
                why = f"{legacy} is not a member of ecsProperties"
                yield Finding((*here, legacy), why, "use resourceRequirements", code=codes.UNKNOWN_FIELD)
        plain = {name: value for name, value in item.items() if name not in ("vcpus", "memory")}
        yield from container_checks.common(here, plain, context)
    yield from _check_dependencies((*path, "containers"), found)
    if platform == container_checks.FARGATE and len(found) > 1:
        yield from _check_sum((*path, "containers"), [item for _, item in found])


def _check_sum(path: Path, found: list[Json]) -> Iterator[Finding]:
    """The finding about containers on Fargate whose requests do not add up to a Fargate size."""
    total = {"VCPU": Decimal(0), "MEMORY": Decimal(0)}
    for item in found:
        if item.get("resourceRequirements") is not None and not isinstance(item["resourceRequirements"], list):
            return
        for _, need in entries(item.get("resourceRequirements")):
            number = container_checks.quantity(need.get("value"))
            if number is None or not isinstance(need.get("type"), str):
                return
            total[need["type"]] = total.get(need["type"], Decimal(0)) + number
    cpus, memory = total["VCPU"].normalize(), total["MEMORY"].normalize()
    if memory not in container_checks.FARGATE_SIZES.get(cpus, ()):
        why = f"the containers together request {cpus:f} vCPU with {memory:f} MiB, which is not a Fargate size"
        yield Finding(path, why, container_checks.nearest(cpus, memory))


def _check_firelens(path: Path, found: list[tuple[int, Json]]) -> Iterator[Finding]:
    """Findings about a log router: a container must write to it, and one must run as root.

    https://docs.aws.amazon.com/batch/latest/userguide/create-job-definition-single-node-multi-container.html
    """
    router = next((index for index, item in found if is_given(item.get("firelensConfiguration"))), None)
    if router is None:
        return
    here: Path = (*path, "containers", router, "firelensConfiguration")
    drivers = [at(item, "logConfiguration", "logDriver") for _, item in found]
    if all(driver is None or isinstance(driver, str) for driver in drivers) and "awsfirelens" not in drivers:
        hint = "give a container logConfiguration: {logDriver: awsfirelens}, or leave firelensConfiguration out"
        yield Finding(here, "no container sends its log to this router; AWS refuses that", hint)
    users = [item.get("user", "root") for _, item in found]
    if all(isinstance(user, str) and user not in ROOT for user in users):
        hint = "leave user out of the router"
        why = "with a log router, at least one container has to run as root"
        yield Finding(here, why, hint, warning=True)


def _check_dependencies(path: Path, found: list[tuple[int, Json]]) -> Iterator[Finding]:
    by_name = {item["name"]: item for _, item in found if isinstance(item.get("name"), str)}
    for index, item in found:
        for number, need in entries(item.get("dependsOn")):
            here: Path = (*path, index, "dependsOn", number)
            name, condition = as_text(need.get("containerName")), as_text(need.get("condition"))
            if name and name not in by_name:
                hint = f"the containers are {', '.join(sorted(by_name))}"
                yield Finding((*here, "containerName"), f'there is no container "{name}"', hint)
            if condition and condition not in CONDITIONS:
                why = f'"{condition}" is not a condition'
                yield Finding((*here, "condition"), why, "it must be START, COMPLETE or SUCCESS")
            essential = mapping(by_name.get(name or "")).get("essential", True) is not False
            if name in by_name and condition in ("COMPLETE", "SUCCESS") and essential:
                why = f"{name} is essential: when it ends, the job ends"
                yield Finding((*here, "condition"), why, f"set essential: false on {name}, or use START")
    needs = {name: [as_text(need.get("containerName")) for _, need in entries(item.get("dependsOn"))]
             for name, item in by_name.items()}  # fmt: skip
    if len(found) == 1 and is_given(found[0][1].get("dependsOn")):
        why = "the only container of a task cannot depend on another"
        yield Finding((*path, found[0][0], "dependsOn"), why, "leave dependsOn out")
        return
    cyclic = next((name for name in sorted(needs) if _depends_on_itself(name, needs)), None)
    if cyclic:
        yield Finding(path, f"dependency cycle: {cyclic} depends on itself", "remove one dependsOn of the cycle")


def _depends_on_itself(start: str, needs: Mapping[str, list[str | None]]) -> bool:
    seen: set[str] = set()
    ahead = [name for name in needs[start] if name]
    while ahead:
        name = ahead.pop()
        if name == start:
            return True
        if name not in seen:
            seen.add(name)
            ahead += [other for other in needs.get(name, []) if other]
    return False


# --- nodeProperties --------------------------------------------------------------------------------------------------


def _check_nodes(path: Path, value: Any) -> Iterator[Finding]:
    if not isinstance(value, Mapping):
        return
    number, main = as_int(value.get("numNodes")), as_int(value.get("mainNode"))
    for member, hint in (("numNodes", "the number of nodes, 1 to 1000"), ("mainNode", "its index: 0 is the first")):
        if value.get(member) is None:
            yield Finding(path, f"{member} is missing", hint, code=codes.MISSING_FIELD)
    if number is not None and not 1 <= number <= 1000:
        yield Finding((*path, "numNodes"), f"numNodes {number} is out of range", "it must be from 1 to 1000")
    if main is not None and (main < 0 or (number is not None and main >= number)):
        last = "its index must be below numNodes" if number is None else f"the nodes are 0 to {number - 1}"
        yield Finding((*path, "mainNode"), f"there is no node {main}", last)
    here: Path = (*path, "nodeRangeProperties")
    ranges = list(entries(value.get("nodeRangeProperties")))
    if not is_given(value.get("nodeRangeProperties")):
        yield Finding(path, "nodeRangeProperties is missing", 'list at least one: targetNodes: "0:"')
    if len(ranges) > 5:
        yield Finding((*here, 5), f"{len(ranges)} node ranges; 5 at most", "join some")
    for index, item in ranges:
        yield from _check_range((*here, index), item)
    yield from _check_cover(here, ranges, number)


def _check_range(path: Path, item: Json) -> Iterator[Finding]:
    payloads = [name for name in PAYLOADS if is_given(item.get(name))]
    if len(payloads) != 1:
        has = f"this has {' and '.join(payloads)}" if payloads else "this has none"
        yield Finding(path, f"a node range has one of {', '.join(PAYLOADS)}; {has}", "keep one")
    if is_given(item.get("instanceTypes")) and "ecsProperties" not in payloads:
        hint = "set container.instanceType instead"
        yield Finding((*path, "instanceTypes"), "instanceTypes of a node range is for ecsProperties only", hint)
    named: list[tuple[Path, Any]] = [(("container", "instanceType"), at(item, "container", "instanceType"))]
    named += [(("instanceTypes", number), one) for number, one in enumerate(items(item.get("instanceTypes")))]
    for place, one in named:
        if isinstance(one, str) and batch.is_burstable(one):
            why = f'no compute environment has "{one}": AWS Batch has no burstable instance types'
            yield Finding((*path, *place), why, "use for example m6i.large", warning=True)
    if len(items(item.get("instanceTypes"))) > 1:
        yield Finding((*path, "instanceTypes"), "a node range takes one instance type", "keep one")
    if isinstance(item.get("container"), Mapping):
        yield from container_checks.container((*path, "container"), item["container"], EC2, node=True)
    yield from tasks((*path, "ecsProperties"), item.get("ecsProperties"), EC2)
    yield from pods((*path, "eksProperties"), item.get("eksProperties"))
    yield from consumables(path, item.get("consumableResourceProperties"))


def _check_cover(path: Path, ranges: list[tuple[int, Json]], number: int | None) -> Iterator[Finding]:
    covered: set[int] = set()
    sure = bool(ranges)
    for index, item in ranges:
        target = as_text(item.get("targetNodes"))
        if target is None:
            sure = False
            if "targetNodes" not in item:
                hint = 'write for example targetNodes: "0:" for all, "1:3" for some'
                yield Finding((*path, index), "targetNodes is missing", hint, code=codes.MISSING_FIELD)
            continue
        found = _TARGETS.fullmatch(target)
        if not found:
            hint = 'write "0:" for all from 0 on, "1:3" for 1 to 3; in quotes, because YAML reads it as a number'
            yield Finding((*path, index, "targetNodes"), f'"{target}" is not a range of nodes', hint)
            sure = False
        elif number is not None:
            first = int(found[1] or found[3] or 0)
            last = int(found[2] or (number - 1 if found[3] is None else found[3]))
            if last >= number or first > last:
                why = f'"{target}" is not within the {number} nodes'
                yield Finding((*path, index, "targetNodes"), why, f"the nodes are 0 to {number - 1}")
            covered |= set(range(first, min(last, number - 1) + 1))
    if sure and number is not None and number <= 1000:
        left = sorted(set(range(number)) - covered)
        if left:
            why = f"no range covers node {left[0]}" + (f" and {len(left) - 1} more" if left[1:] else "")
            yield Finding(path, why, 'every node must be covered; "0:" covers all')
    types = {as_text(at(item, "container", "instanceType")) for _, item in ranges} - {None}
    if len(types) > 1:
        why = f"all nodes must have the same instance type, and these have {', '.join(sorted(map(str, types)))}"
        yield Finding(path, why, "set the same type in every range")
