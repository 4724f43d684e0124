"""What a job, or each node of one, takes of its host: vCPUs, memory, GPUs, perhaps a certain instance type."""

from __future__ import annotations

from reconciler.sandbox.batch import containers
from reconciler.sandbox.batch.store import Json, Need


def of(props: Json) -> tuple[Need, ...]:
    """One need for most jobs, one per node for a multi-node job."""
    if "nodeProperties" in props:
        nodes: Json = props["nodeProperties"]
        return tuple(_need(node_payload(nodes, index)) for index in range(int(nodes["numNodes"])))
    return (_need(props),)


def node_payload(nodes: Json, index: int) -> Json:
    """What the last range that has the node declares: `container`, `ecsProperties` or `eksProperties`."""
    payload: Json = {}
    for one in nodes["nodeRangeProperties"]:
        first, colon, last = one["targetNodes"].partition(":")
        if int(first or 0) <= index and (
            (not colon and index == int(first)) or (colon and (not last or index <= int(last)))
        ):
            payload = {key: one[key] for key in ("container", "ecsProperties", "eksProperties") if key in one}
            payload |= {"instanceTypes": one["instanceTypes"]} if one.get("instanceTypes") else {}
    return payload


def _need(props: Json) -> Need:
    if "container" in props:
        container: Json = props["container"]
        listed = {"VCPU": container.get("vcpus", 1), "MEMORY": container.get("memory", 0)}
        listed |= containers.requirements(container)
        types = props.get("instanceTypes") or ([container["instanceType"]] if container.get("instanceType") else [])
        return Need(float(listed["VCPU"]), float(listed["MEMORY"]), int(listed.get("GPU", 0)), tuple(types))
    if "ecsProperties" in props:
        found = [containers.requirements(one) for one in props["ecsProperties"]["taskProperties"][0]["containers"]]
        return Need(
            sum(float(one.get("VCPU", 0)) for one in found),
            sum(float(one.get("MEMORY", 0)) for one in found),
            sum(int(one.get("GPU", 0)) for one in found),
        )
    return _pod_need(props.get("eksProperties", {}))


def _pod_need(properties: Json) -> Need:
    cpus = memory = 0.0
    gpus = 0
    for one in properties.get("podProperties", {}).get("containers", ()):
        asked = {**one.get("resources", {}).get("limits", {}), **one.get("resources", {}).get("requests", {})}
        cpus += _cpus(str(asked.get("cpu", "0")))
        memory += float(str(asked.get("memory", "0")).removesuffix("Mi"))
        gpus += int(asked.get("nvidia.com/gpu", 0))
    return Need(cpus or 1, memory, gpus)


def _cpus(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)
