"""Whether a job fits an instance: pure.

An instance registers less memory than its type advertises. How much less differs by hypervisor and kernel, so between
95 % of the advertised size and the whole of it nothing is certain unless an instance of the type is registered.

https://docs.aws.amazon.com/batch/latest/userguide/memory-management.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from reconciler.kinds.batch._diagnosis.facts import Needs
from reconciler.kinds.common.declared import as_int, at, entries, items, mapping
from reconciler.model import Json
from reconciler.model.records import dataclass

RESERVED: Final = 32  # MiB that the agent of AWS Batch's images keeps
SURE, PROPOSED = 0.95, 0.96  # shares of the advertised memory that fit, and that are worth proposing
# What a bundle stands for; the set differs by Region, and AWS changes it
BUNDLES: Final[Mapping[str, tuple[str, ...]]] = {
    "optimal": ("m6i", "c6i", "r6i", "c7i"),
    "default_x86_64": ("m6i", "c6i", "r6i", "c7i"),
    "default_arm64": ("m6g", "c6g", "r6g", "c7g"),
}
MOST_NAMES: Final = 200  # values of one filter


class Fit(Enum):
    """Whether something fits."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What an instance type offers."""

    name: str
    vcpus: int
    memory: int
    gpus: int

    def fits(self, need: Needs) -> Fit:
        """Whether one task fits an empty instance."""
        if need.vcpus > self.vcpus or need.gpus > self.gpus:
            return Fit.NO
        return self.memory_fits(need)

    def memory_fits(self, need: Needs) -> Fit:
        """The same for the memory alone."""
        if need.memory <= SURE * self.memory - RESERVED:
            return Fit.YES
        return Fit.NO if need.memory >= self.memory - RESERVED else Fit.UNKNOWN

    @property
    def proposed(self) -> int:
        """How much memory is worth asking for."""
        return math.floor(PROPOSED * self.memory) - RESERVED


def wanted(environment: Json) -> tuple[str, ...]:
    """The values of the filter ``instance-type`` for the types of an environment."""
    given = [str(one) for one in items(at(environment, "computeResources", "instanceTypes"))]
    families = [name for one in given for name in BUNDLES.get(one, (one,))]
    return tuple(dict.fromkeys(one if "." in one else f"{one}.*" for one in families))


def only_bundles(environment: Json) -> bool:
    """Whether an environment names no type or family, only bundles, none of which has a GPU."""
    given = [str(one) for one in items(at(environment, "computeResources", "instanceTypes"))]
    return bool(given) and all(one in BUNDLES for one in given)


def has_bundle(environment: Json) -> bool:
    """Whether an environment names a bundle, of which it is not quite known what it contains."""
    return any(one in BUNDLES for one in items(at(environment, "computeResources", "instanceTypes")))


def has_other_types(environment: Json) -> bool:
    """Whether an environment may launch instances of more types than one."""
    given = [str(one) for one in items(at(environment, "computeResources", "instanceTypes"))]
    return len(given) > 1 or any("." not in one for one in given)


def machines(reply: Mapping[str, Any]) -> tuple[Machine, ...]:
    """The types of a reply of DescribeInstanceTypes, the smallest first."""
    found = [
        Machine(
            name=str(one.get("InstanceType")),
            vcpus=as_int(at(one, "VCpuInfo", "DefaultVCpus")) or 0,
            memory=as_int(at(one, "MemoryInfo", "SizeInMiB")) or 0,
            gpus=sum(as_int(gpu.get("Count")) or 0 for _, gpu in entries(at(one, "GpuInfo", "Gpus"))),
        )
        for _, one in entries(reply.get("InstanceTypes"))
    ]
    return tuple(sorted(found, key=lambda one: (one.vcpus, one.memory)))


def of_environment(environment: Json, known: Iterable[Machine]) -> tuple[Machine, ...]:
    """Those of the types that an environment may launch."""
    names = wanted(environment)
    return tuple(one for one in known if one.name in names or f"{one.name.partition('.')[0]}.*" in names)


def best(need: Needs, some: Sequence[Machine]) -> Fit:
    """Whether the job fits at least one of the types."""
    found = {one.fits(need) for one in some}
    return Fit.YES if Fit.YES in found else Fit.UNKNOWN if Fit.UNKNOWN in found else Fit.NO


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLarge:
    """What of a job no type has: the type of the resource, what is asked for, the most there is, and what works."""

    resource: str
    asked: float
    most: int
    works: int


def too_large(need: Needs, some: Sequence[Machine]) -> list[TooLarge]:
    """Why a job fits none of the types: each resource that alone is too large, or the memory beside the others."""
    found = []
    most_vcpus, most_gpus = max(one.vcpus for one in some), max(one.gpus for one in some)
    if need.vcpus > most_vcpus:
        found.append(TooLarge(resource="VCPU", asked=need.vcpus, most=most_vcpus, works=most_vcpus))
    if need.gpus > most_gpus:
        found.append(TooLarge(resource="GPU", asked=need.gpus, most=most_gpus, works=most_gpus))
    left = [one for one in some if one.vcpus >= need.vcpus and one.gpus >= need.gpus] or list(some)
    largest = max(left, key=lambda one: one.memory)
    if largest.memory_fits(need) is Fit.NO:
        found.append(TooLarge(resource="MEMORY", asked=need.memory, most=largest.memory, works=largest.proposed))
    return found


def registered(instance: Json, resource: str) -> int:
    """How much of a resource a container instance has registered."""
    found = next(
        (one for _, one in entries(instance.get("registeredResources")) if one.get("name") == resource), mapping(None)
    )
    return as_int(found.get("integerValue")) or len(items(found.get("stringSetValue")))
