"""Whether any instance of a compute environment could ever run a job. Only what is certain is said: that none can.

- Batch may exceed maxvCpus by one instance, but places no job that needs more than maxvCpus.
- Of the memory of an instance type, less than all but 32 MiB registers with Amazon ECS; how much less differs.
- A family stands for its sizes, ``optimal`` and ``default_*`` for families that AWS changes without notice: whatever
  these offer is unknown, but none has GPUs.
- EKS nodes and UNMANAGED environments, whose instances Batch does not choose, are not judged.

https://docs.aws.amazon.com/batch/latest/userguide/memory-management.html
https://docs.aws.amazon.com/batch/latest/userguide/instance-type-compute-table.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from reconciler.kinds.batch._instance_offers import BUNDLES, RESERVED
from reconciler.kinds.batch._jobs import Request
from reconciler.kinds.batch.compute_environment import effects
from reconciler.kinds.common.declared import as_int, as_text, at, entries, items, mapping
from reconciler.kinds.common.replies import ok
from reconciler.model import Call, Json, Live, Reads

DESCRIBE: Final = "ec2:DescribeInstanceTypes"


def why_not(request: Request, environment: Live, types: Sequence[Json] | None) -> str:
    """Why the environment can never run a job with this request, in words; empty if it may. ``types`` are the
    descriptions of its instance types, None where they are not known.
    """
    name, resources = environment.attrs["name"], mapping(environment.props.get("computeResources"))
    most = as_int(resources.get("maxvCpus"))
    if most is not None and request.total > most:
        return f"{name} has maxvCpus: {most}"
    family = effects.family(environment.props)
    if request.gpus and family == effects.FARGATE:
        return f"{name} is on Fargate, which has no GPUs"
    if family != effects.INSTANCES or environment.props.get("eksConfiguration"):
        return ""
    if request.gpus and {*_named(environment)} <= {*BUNDLES}:
        return f"{name} has no instance type with GPUs"
    if not types or any(_fits(request, one) for one in types):
        return ""
    return f"{name} has no instance type with {amounts(request)}"


def amounts(request: Request) -> str:
    """``4 vCPUs, 8192 MiB and 1 GPU``."""
    parts = [f"{request.vcpus:g} vCPU{'' if request.vcpus == 1 else 's'}", f"{request.memory} MiB"]
    parts += [f"{request.gpus} GPU{'' if request.gpus == 1 else 's'}"] if request.gpus else []
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def types_of(environments: Iterable[Live]) -> Reads[dict[str, list[Json] | None]]:
    """The descriptions of the instance types of each environment, by its name; None where they are not known."""
    named = {one.attrs["name"]: _named(one) for one in environments}
    sizes = sorted({name for names in named.values() for name in names if "." in name})
    families = sorted({name for names in named.values() for name in names if "." not in name and name not in BUNDLES})
    patterns = [*sizes, *(f"{family}.*" for family in families)]
    # a filter, since a name that does not exist would be refused
    calls = tuple(
        Call("ec2", "DescribeInstanceTypes", {"Filters": [{"Name": "instance-type", "Values": some}]}, all_pages=True)
        for some in (patterns[at : at + 200] for at in range(0, len(patterns), 200))
    )
    replies = (yield calls) if calls else ()
    found = {
        str(item["InstanceType"]): item
        for call, reply in zip(calls, replies, strict=True)
        for item in (ok(call, reply) or {}).get("InstanceTypes", ())
    }
    return {name: _of(names, found) for name, names in named.items()}


def _of(names: Sequence[str], found: dict[str, Json]) -> list[Json] | None:
    if not names or any(name in BUNDLES for name in names):
        return None
    chosen = [[one for each, one in found.items() if each == name or each.startswith(f"{name}.")] for name in names]
    return [one for some in chosen for one in some] if all(chosen) else None


def _named(environment: Live) -> list[str]:
    listed = items(at(environment.props, "computeResources", "instanceTypes"))
    return [name for name in map(as_text, listed) if name]


def _fits(request: Request, described: Json) -> bool:
    vcpus = as_int(at(described, "VCpuInfo", "DefaultVCpus"))
    memory = as_int(at(described, "MemoryInfo", "SizeInMiB"))
    gpus = sum(as_int(item.get("Count")) or 0 for _, item in entries(at(described, "GpuInfo", "Gpus")))
    fractional = any(as_int(item.get("Count")) is None for _, item in entries(at(described, "GpuInfo", "Gpus")))
    return (
        (vcpus is None or request.vcpus <= vcpus)
        and (memory is None or request.memory < memory - RESERVED)
        and (fractional or request.gpus <= gpus)
    )
