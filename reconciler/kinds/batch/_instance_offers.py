"""What instance types offer a job, and which zones have them.

The memory that an instance registers is below the advertised size by what the kernel and the agent take, a share that
differs by type and kernel: most register .96 of it. So a request up to .95 fits, one of the advertised size less the
32 MiB of the agent never does, and between these only an instance that is registered now shows it.

https://docs.aws.amazon.com/batch/latest/userguide/memory-management.html
https://docs.aws.amazon.com/batch/latest/userguide/instance-type-compute-table.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from reconciler.kinds.common.declared import items, mapping
from reconciler.kinds.common.replies import chunks
from reconciler.model import Call, Json, Reads, Refused
from reconciler.model.records import dataclass

RESERVED: Final = 32  # MiB of every instance that the agent of Batch's images keeps for itself
SURE, USUAL, ON_EKS = (
    0.95,
    0.96,
    0.85,
)  # of the advertised memory: what is free for certain, mostly, and beside a kubelet
X86, ARM = "x86_64", "arm64"
# AWS Batch's own groups of types: they differ by Region, and change without notice
BUNDLES: Final[Mapping[str, tuple[str, ...]]] = {
    "optimal": ("m6i", "c6i", "r6i", "c7i"),
    "default_x86_64": ("m6i", "c6i", "r6i", "c7i"),
    "default_arm64": ("m6g", "c6g", "r6g", "c7g"),
}
_VALUES = 100  # of one filter


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one instance type offers; ``gpus`` is None where it has a part of one. ``registered`` is the memory in MiB
    of an instance of the environment that is registered now.
    """

    type: str
    vcpus: int
    memory: int
    gpus: int | None
    architectures: frozenset[str]
    efa: bool
    registered: int | None = None

    @property
    def usual_memory(self) -> int:
        """What most of these instances register, in MiB."""
        return self.registered if self.registered is not None else math.floor(USUAL * self.memory) - RESERVED


def memory_fits(wanted: float, offer: Offer, *, eks: bool = False) -> bool | None:
    """Whether an instance has this memory in MiB for a job; None if that depends on the instance."""
    if eks:
        return True if wanted <= ON_EKS * offer.memory else None if wanted < offer.memory else False
    if offer.registered is not None:
        return wanted <= offer.registered
    if wanted <= SURE * offer.memory - RESERVED:
        return True
    return False if wanted >= offer.memory - RESERVED else None


def patterns(names: Iterable[str]) -> list[str]:
    """The values of a filter for types, families and groups of them: ``m5.*``."""
    families = [family for name in names for family in BUNDLES.get(name, (name,))]
    return sorted({one if "." in one else f"{one}.*" for one in families})


def belongs(type_name: str, name: str) -> bool:
    """Whether ``name`` (a type, a family or a group) includes an instance type."""
    family = type_name.partition(".")[0]
    return name in (type_name, family) or family in BUNDLES.get(name, ())


def read(names: Iterable[str]) -> Reads[list[Offer] | Refused]:
    """What EC2 offers of these types, families and groups in the Region, or why that could not be read."""
    calls = tuple(_calls("DescribeInstanceTypes", {}, patterns(names)))
    listed = yield from _listed(calls, "InstanceTypes")
    return listed if isinstance(listed, Refused) else [_offer(item) for item in listed]


def read_zones(names: Iterable[str]) -> Reads[Mapping[str, frozenset[str]] | Refused]:
    """The zones that offer each of these types, or why that could not be read."""
    params = {"LocationType": "availability-zone"}
    calls = tuple(_calls("DescribeInstanceTypeOfferings", params, patterns(names)))
    listed = yield from _listed(calls, "InstanceTypeOfferings")
    if isinstance(listed, Refused):
        return listed
    found: dict[str, set[str]] = {}
    for item in listed:
        found.setdefault(str(item["InstanceType"]), set()).add(str(item["Location"]))
    return {name: frozenset(zones) for name, zones in found.items()}


def _calls(operation: str, params: Json, values: Sequence[str]) -> Iterable[Call]:
    for some in chunks(list(values), _VALUES):
        filters = [{"Name": "instance-type", "Values": list(some)}]
        yield Call("ec2", operation, {**params, "Filters": filters}, all_pages=True)


def _listed(calls: Sequence[Call], member: str) -> Reads[list[Any] | Refused]:
    replies = (yield tuple(calls)) if calls else ()
    refused = next((reply for reply in replies if isinstance(reply, Refused)), None)
    if refused is not None:
        return refused
    return [item for reply in replies for item in items(mapping(reply).get(member))]


def _offer(item: Json) -> Offer:
    gpus = [mapping(one) for one in items(mapping(item.get("GpuInfo")).get("Gpus"))]
    partial = any(one.get("GpuPartitionSize", 1) < 1 for one in gpus)
    return Offer(
        type=str(item["InstanceType"]),
        vcpus=int(mapping(item.get("VCpuInfo")).get("DefaultVCpus", 0)),
        memory=int(mapping(item.get("MemoryInfo")).get("SizeInMiB", 0)),
        gpus=None if partial else sum(int(one.get("Count", 0)) for one in gpus),
        architectures=frozenset(map(str, items(mapping(item.get("ProcessorInfo")).get("SupportedArchitectures")))),
        efa=bool(mapping(item.get("NetworkInfo")).get("EfaSupported")),
    )
