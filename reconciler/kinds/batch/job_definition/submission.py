"""How jobs of a declared definition are submitted: where SubmitJob takes the overrides for its containers.

A definition has its containers in one of four members, and each has an override of its own:
``containerOverrides`` for ``containerProperties``, ``ecsPropertiesOverride`` and ``eksPropertiesOverride``, which name
containers, and ``nodeOverrides`` for ``nodeProperties``, which have one of the three for each range of nodes.

https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_EksContainerResourceRequirements.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from reconciler.kinds.batch.job_definition import retries
from reconciler.kinds.common.declared import at, entries, is_given, items
from reconciler.model import Json
from reconciler.model.jobs import Overrides, Submission
from reconciler.model.patterns import regex
from reconciler.model.problems import one_of

CONTAINER, TASKS, PODS, NODES = (
    "containerOverrides",
    "ecsPropertiesOverride",
    "eksPropertiesOverride",
    "nodeOverrides",
)
# The members of each override, by which a file that has only its content is recognized.
CONTENTS: Final = {
    CONTAINER: frozenset({"command", "environment", "instanceType", "resourceRequirements", "vcpus", "memory"}),
    TASKS: frozenset({"taskProperties"}),
    PODS: frozenset({"podProperties"}),
    NODES: frozenset({"numNodes", "nodePropertyOverrides"}),
}
_PLACEHOLDER: Final = regex(r"Ref::(?P<name>[\w-]+)")
MEMBERS: Final = frozenset(
    {
        *CONTENTS,
        *("jobName", "jobQueue", "jobDefinition", "shareIdentifier", "schedulingPriorityOverride", "arrayProperties"),
        *("dependsOn", "parameters", "retryStrategy", "propagateTags", "timeout", "tags"),
        "consumableResourcePropertiesOverride",
    }
)


def submission(props: Json) -> Submission:
    """How jobs of a definition with these properties are submitted."""
    nodes = is_given(props.get("nodeProperties"))
    return Submission(
        platform=retries.platform(props),
        multinode=nodes,
        needed=frozenset(_placeholders(props)) - frozenset(props.get("parameters") or ()),
        request=partial(_request, props),
        from_file=partial(_from_file, props),
    )


def _request(props: Json, wanted: Overrides) -> Json:
    if not wanted.given:
        return {}
    if is_given(props.get("nodeProperties")):
        ranges = [(node.get("targetNodes"), _override(node, wanted)) for node in _parts(props)]
        if not any(override for _, override in ranges):
            raise ValueError(_unknown(props, wanted))
        listed = [{"targetNodes": targets, **override} for targets, override in ranges if override]
        return {NODES: {"nodePropertyOverrides": listed}}
    found = _override(props, wanted)
    if not found:
        raise ValueError(_unknown(props, wanted))
    return found


def _override(part: Json, wanted: Overrides) -> Json:
    """The member that overrides a container of ``part``; empty if it has none of that name."""
    names = _names(part)
    if wanted.container is not None and wanted.container not in names:
        return {}
    if len(names) > 1 and wanted.container is None:
        raise ValueError(f"the definition has several containers: add --container with {one_of(names)}")
    name = wanted.container or (names[0] if names else "")
    if is_given(part.get("ecsProperties")):
        return {TASKS: {"taskProperties": [{"containers": [{"name": name, **_container(wanted)}]}]}}
    if is_given(part.get("eksProperties")):
        return {PODS: {"podProperties": {"containers": [{**({"name": name} if name else {}), **_pod(wanted)}]}}}
    return {CONTAINER: _container(wanted)}


def _unknown(props: Json, wanted: Overrides) -> str:
    names = list(dict.fromkeys(name for part in _parts(props) for name in _names(part) if name))
    there = f"its containers are {', '.join(names)}" if names else "its container has no name"
    return f'the definition has no container "{wanted.container}": {there}'


def _parts(props: Json) -> Iterator[Json]:
    """The definition, or the ranges of nodes of a multi-node one."""
    if is_given(props.get("nodeProperties")):
        yield from (node for _, node in entries(at(props, "nodeProperties", "nodeRangeProperties")))
    else:
        yield props


def _listed(part: Json) -> list[Json]:
    """The containers that have names."""
    tasks = [task for _, task in entries(at(part, "ecsProperties", "taskProperties"))]
    listed = [one for task in tasks for _, one in entries(task.get("containers"))]
    return listed + [one for _, one in entries(at(part, "eksProperties", "podProperties", "containers"))]


def _names(part: Json) -> list[str]:
    return [str(one.get("name", "")) for one in _listed(part)]


def _placeholders(props: Json) -> Iterator[str]:
    """The names of the parameters that stand for whole words of a command."""
    for part in _parts(props):
        blocks = (at(part, block) for block in ("containerProperties", "container"))
        for container in (*_listed(part), *(block for block in blocks if isinstance(block, Mapping))):
            for word in (word for member in ("command", "args") for word in items(container.get(member))):
                if isinstance(word, str) and (found := _PLACEHOLDER.fullmatch(word)):
                    yield found["name"]


def _container(wanted: Overrides) -> dict[str, Any]:
    amounts = (("VCPU", wanted.vcpus), ("MEMORY", wanted.memory), ("GPU", wanted.gpus))
    needed = [{"type": kind, "value": value} for kind, value in amounts if value is not None]
    return {
        **({} if wanted.command is None else {"command": list(wanted.command)}),
        **({"environment": _variables(wanted)} if wanted.environment else {}),
        **({"resourceRequirements": needed} if needed else {}),
    }


def _pod(wanted: Overrides) -> dict[str, Any]:
    """A pod's container: the amounts are limits and requests, which must be equal for memory and GPUs."""
    memory = None if wanted.memory is None else f"{wanted.memory}Mi"
    amounts = (("cpu", wanted.vcpus), ("memory", memory), ("nvidia.com/gpu", wanted.gpus))
    needed = {kind: value for kind, value in amounts if value is not None}
    return {
        **({} if wanted.command is None else {"command": list(wanted.command)}),
        **({"env": _variables(wanted)} if wanted.environment else {}),
        **({"resources": {"limits": needed, "requests": needed}} if needed else {}),
    }


def _variables(wanted: Overrides) -> list[Json]:
    return [{"name": name, "value": value} for name, value in wanted.environment.items()]


def _from_file(props: Json, content: Json) -> Json:
    """Members of SubmitJob, or the content of one override, which must fit the definition."""
    right = _member(props)
    found = next((member for member, known in CONTENTS.items() if content.keys() & known), None)
    if found is not None and not content.keys() & MEMBERS:
        content = {found: content}
    unknown = [name for name in content if name not in MEMBERS]
    if unknown:
        raise ValueError(f"{unknown[0]} is not a member of SubmitJob, nor of an override")
    wrong = [name for name in CONTENTS if name in content and name != right and isinstance(content[name], Mapping)]
    if wrong:
        raise ValueError(f"{wrong[0]} does not fit this definition: AWS Batch takes {right} for it")
    return content


def _member(props: Json) -> str:
    blocks = {"nodeProperties": NODES, "ecsProperties": TASKS, "eksProperties": PODS}
    return next((member for block, member in blocks.items() if is_given(props.get(block))), CONTAINER)
