"""What EC2's instance types offer: vCPUs, memory, GPUs, architecture, and the zones that have them.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

from reconciler.sandbox.batch.surroundings import Machine

_X86_64 = ("m6i", "c6i", "r6i", "c7i")
_ARM64 = ("m6g", "c6g", "r6g", "c7g")
BUNDLES = {"optimal": _X86_64, "default_x86_64": _X86_64, "default_arm64": _ARM64}
"""The families of AWS Batch's own groups of types, which differ by Region and time (API_ComputeResource)."""


@lru_cache(maxsize=64)
def machines(names: Sequence[str]) -> tuple[Machine, ...]:
    """The instance types of a list of types, families and groups, in the order of the list, smaller ones first."""
    found: dict[str, Machine] = {}
    for name in names:
        for family in BUNDLES.get(name, (name,)):
            listed = _families().get(family, ()) if "." not in family else (_types().get(family),)
            found.update({one.name: one for one in listed if one is not None})
    return tuple(found.values())


@cache
def zones(region: str) -> dict[str, frozenset[str]]:
    """The zones of a Region that offer an instance type, by its name."""
    from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS  # noqa: PLC0415  (slow to load)

    found: dict[str, set[str]] = {}
    for one in INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, ()):
        found.setdefault(one["InstanceType"], set()).add(one["Location"])
    return {name: frozenset(listed) for name, listed in found.items()}


def offered(region: str, every: Sequence[str]) -> dict[str, frozenset[str]]:
    """The zones that offer each instance type; a Region without data has all types in ``every`` zone."""
    return zones(region) or dict.fromkeys(_types(), frozenset(every))


@cache
def _types() -> dict[str, Machine]:
    from moto.ec2.models.instance_types import INSTANCE_TYPES  # noqa: PLC0415  (slow to load)

    return {
        name: Machine(
            name,
            int(facts["VCpuInfo"]["DefaultVCpus"]),
            int(facts["MemoryInfo"]["SizeInMiB"]),
            sum(int(gpu.get("Count", 0)) for gpu in facts.get("GpuInfo", {}).get("Gpus", ())),
            "arm64" if "arm64" in facts["ProcessorInfo"]["SupportedArchitectures"] else "x86_64",
            bool(facts.get("NetworkInfo", {}).get("EfaSupported")),
        )
        for name, facts in INSTANCE_TYPES.items()
    }


@cache
def _families() -> dict[str, tuple[Machine, ...]]:
    found: dict[str, list[Machine]] = {}
    for name, machine in _types().items():
        family, _, size = name.partition(".")
        if not size.startswith("metal"):
            found.setdefault(family, []).append(machine)
    return {family: tuple(sorted(listed, key=lambda one: (one.vcpus, one.name))) for family, listed in found.items()}
