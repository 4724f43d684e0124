"""What a job takes of its host: vCPUs, memory, GPUs, an instance type, a platform, an architecture.

All containers of a task or pod share one host. Of a multi-node job each range of nodes has needs of its own.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeRangeProperty.html
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import field
from decimal import Decimal
from typing import Any, Final

from reconciler.kinds.batch.job_definition.container_checks import EC2, FARGATE, MANAGED_INSTANCES, quantity
from reconciler.kinds.common.declared import as_int, as_text, at, entries, items, mapping
from reconciler.model import Json, Path
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass

EKS: Final = "EKS"
VCPU, MEMORY, GPU = "VCPU", "MEMORY", "GPU"
_PAYLOADS: Final = ("containerProperties", "container", "ecsProperties", "eksProperties")
_LEGACY: Final = {"vcpus": VCPU, "memory": MEMORY}
_PODS: Final = {"cpu": VCPU, "memory": MEMORY, "nvidia.com/gpu": GPU}
_TARGETS: Final = regex(r"(\d*)(:?)(\d*)")
_EFA: Final = "/dev/infiniband/uverbs"
_MI: Final = {"Ki": Decimal(1) / 1024, "Mi": Decimal(1), "Gi": Decimal(1024), "M": Decimal(10**6) / 2**20}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one host must offer; None for what is not known. ``paths`` has the place of each amount, ``nodes`` how many
    hosts of this need a job has.
    """

    vcpus: Decimal | None
    memory: Decimal | None
    gpus: Decimal | None
    paths: Mapping[str, Path]
    path: Path = ()
    nodes: int | None = 1
    instance_type: str = ""
    images: tuple[tuple[Path, Any], ...] = ()
    efa: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a job needs. ``platform`` is EC2, FARGATE, EKS or MANAGED_INSTANCES, empty where it is not known;
    ``architecture`` what Fargate runs it on.
    """

    platform: str
    multinode: bool
    hosts: tuple[Need, ...]
    architecture: str = ""
    spot_refused: str = ""
    public_address: bool | None = field(default=None)

    @property
    def key(self) -> Hashable:
        """Equal for those about which every environment says the same."""
        hosts = [
            (
                *(one.vcpus, one.memory, one.gpus, tuple(one.paths.items()), one.path, one.nodes, one.instance_type),
                *(len(one.images), one.images[0][0] if one.images else (), one.efa),
            )
            for one in self.hosts
        ]
        return self.platform, self.multinode, self.architecture, self.spot_refused, self.public_address, tuple(hosts)


def of(props: Json) -> Needs:
    """What a job of a definition with these properties needs."""
    ranges = list(entries(at(props, "nodeProperties", "nodeRangeProperties")))
    multinode = props.get("nodeProperties") is not None
    platform = EKS if _on_eks(props, ranges) else _platform(props)
    if multinode:
        total = as_int(at(props, "nodeProperties", "numNodes"))
        path: Path = ("nodeProperties", "nodeRangeProperties")
        hosts = [
            need
            for index, item in ranges
            for need in _hosts(item, (*path, index), _nodes(item.get("targetNodes"), total))
        ]
    else:
        hosts = list(_hosts(props, (), 1))
    container = _first_container_holder(props)
    runtime = mapping(container.get("runtimePlatform"))
    windows = str(runtime.get("operatingSystemFamily") or "LINUX").startswith("WINDOWS")
    public = at(container, "networkConfiguration", "assignPublicIp")
    return Needs(
        platform=platform,
        multinode=multinode,
        hosts=tuple(hosts),
        architecture="arm64" if runtime.get("cpuArchitecture") == "ARM64" else "x86_64",
        spot_refused="Windows containers do not run on FARGATE_SPOT" if windows and platform == FARGATE else "",
        public_address=None if public is not None and as_text(public) is None else public == "ENABLED",
    )


def _platform(props: Json) -> str:
    value = props.get("platformCapabilities")
    first = EC2 if value is None else next(iter(items(value)), EC2)
    return first if first in (EC2, FARGATE, MANAGED_INSTANCES) else ""


def _on_eks(props: Json, ranges: list[tuple[int, Json]]) -> bool:
    return "eksProperties" in props or any("eksProperties" in item for _, item in ranges)


def _first_container_holder(props: Json) -> Mapping[str, Any]:
    """What has the network and the platform of a container job: its container, or its task."""
    task = next(iter(items(at(props, "ecsProperties", "taskProperties"))), None)
    return mapping(props.get("containerProperties")) or mapping(task)


def _nodes(targets: Any, total: int | None) -> int | None:
    """How many nodes ``0:3`` are; None if that is not known."""
    found = _TARGETS.fullmatch(targets) if isinstance(targets, str) else None
    if found is None:
        return None
    first, colon, last = found.groups()
    if not colon:
        return 1
    end = int(last) if last else None if total is None else total - 1
    return None if end is None else end - int(first or 0) + 1


def _hosts(holder: Json, path: Path, nodes: int | None) -> Iterator[Need]:
    for member in _PAYLOADS:
        payload = holder.get(member)
        if not isinstance(payload, Mapping):
            continue
        here = (*path, member)
        listed = list(_containers(member, payload, here))
        totals = [_amounts(item, place) for place, item in listed]
        known = items(holder.get("instanceTypes")) or [payload.get("instanceType")]
        yield Need(
            vcpus=_sum(totals, VCPU),
            memory=_sum(totals, MEMORY),
            gpus=_sum(totals, GPU),
            paths={kind: place for _, places in reversed(totals) for kind, place in places.items()},
            path=here,
            nodes=nodes,
            instance_type=as_text(next(iter(known), None)) or "",
            images=tuple(((*place, "image"), item.get("image")) for place, item in listed),
            efa=any(_has_efa(item) for _, item in listed),
        )


def _containers(member: str, payload: Json, path: Path) -> Iterator[tuple[Path, Json]]:
    if member in ("containerProperties", "container"):
        yield path, payload
        return
    if member == "eksProperties":
        here = (*path, "podProperties", "containers")
        listed = at(payload, "podProperties", "containers")
    else:
        here = (*path, "taskProperties", 0, "containers")
        listed = mapping(next(iter(items(payload.get("taskProperties"))), None)).get("containers")
    yield from (((*here, index), item) for index, item in entries(listed))


def _amounts(item: Json, path: Path) -> tuple[Mapping[str, Decimal | None], Mapping[str, Path]]:
    """The amounts that a container asks for, None where one is not known yet, and their places."""
    found: dict[str, Decimal | None] = {}
    places: dict[str, Path] = {}
    for legacy, kind in _LEGACY.items():
        if item.get(legacy) is not None:
            found[kind], places[kind] = quantity(item[legacy]), (*path, legacy)
    for index, need in entries(item.get("resourceRequirements")):
        kind = str(need.get("type"))
        found[kind], places[kind] = quantity(need.get("value")), (*path, "resourceRequirements", index, "value")
    for block in ("limits", "requests"):
        for name, value in mapping(at(item, "resources", block)).items():
            if (pod := _PODS.get(name)) is not None:
                found[pod], places[pod] = _pod_amount(name, value), (*path, "resources", block, name)
    return found, places


def _pod_amount(name: str, value: Any) -> Decimal | None:
    """``500m`` vCPUs, or ``2Gi`` in MiB; None if it is not known."""
    text = str(value).strip() if isinstance(value, str | int) else ""
    if name == "cpu" and text.endswith("m"):
        number = quantity(text[:-1])
        return None if number is None else number / 1000
    unit = next((unit for unit in _MI if name == "memory" and text.endswith(unit)), "")
    number = quantity(text.removesuffix(unit))
    if number is None or (name == "memory" and not unit):
        return None
    return number * _MI[unit] if unit else number


def _sum(totals: list[tuple[Mapping[str, Decimal | None], Mapping[str, Path]]], kind: str) -> Decimal | None:
    found = [amounts.get(kind, Decimal(0)) for amounts, _ in totals]
    return None if any(one is None for one in found) else sum((one for one in found if one), Decimal(0))


def _has_efa(item: Json) -> bool:
    listed = items(at(item, "linuxParameters", "devices"))
    return any(str(mapping(one).get("hostPath", "")).startswith(_EFA) for one in listed)
