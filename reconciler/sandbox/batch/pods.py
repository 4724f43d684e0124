"""Kubernetes pods as RegisterJobDefinition accepts them and DescribeJobDefinitions returns them.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_EksPodProperties.html
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.patterns import regex
from reconciler.sandbox.batch.messages import Invalid
from reconciler.sandbox.batch.store import Json

_RESOURCES = ("cpu", "memory", "nvidia.com/gpu")
_RESERVED = ("kubernetes.io/", "k8s.io/", "batch.amazonaws.com/")
_MEMORY = regex(r"\d+Mi")
_CONTAINER_LISTS = ("args", "command", "env", "volumeMounts")
_POD_LISTS = ("initContainers", "imagePullSecrets", "volumes")


def check(given: Json) -> None:
    """Raise `Invalid` for `eksProperties` that the service refuses."""
    pod: Json = given.get("podProperties", {})
    containers = pod.get("containers", [])
    if not containers:
        raise Invalid("podProperties must have at least one container.")
    if pod.get("dnsPolicy", "Default") not in ("Default", "ClusterFirst", "ClusterFirstWithHostNet"):
        raise Invalid("dnsPolicy must be one of Default, ClusterFirst or ClusterFirstWithHostNet.")
    names = [container.get("name", "Default") for container in (*containers, *pod.get("initContainers", []))]
    if len(set(names)) < len(names):
        raise Invalid("Container names must be unique.")
    for container in (*containers, *pod.get("initContainers", [])):
        if container.get("imagePullPolicy", "Always") not in ("Always", "IfNotPresent", "Never"):
            raise Invalid("imagePullPolicy must be one of Always, IfNotPresent or Never.")
        _check_resources(container.get("resources", {}))
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for container in containers:
        for mount in container.get("volumeMounts", []):
            if mount.get("name") not in volumes:
                raise Invalid(f"Unknown volume '{mount.get('name')}' in volumeMounts.")
    _check_enough(containers)
    _check_metadata(pod.get("metadata", {}))


def _check_enough(containers: Sequence[Json]) -> None:
    for container in containers:
        asked = {name for amounts in container.get("resources", {}).values() for name in amounts}
        if not {"cpu", "memory"} <= asked:
            raise Invalid("cpu and memory resources must be provided.")


def filled(given: Json) -> Json:
    """`eksProperties` as Describe returns them."""
    pod: Json = {"hostNetwork": True, **{member: [] for member in _POD_LISTS}, **given["podProperties"]}
    for member in ("containers", "initContainers"):
        pod[member] = [{**{name: [] for name in _CONTAINER_LISTS}, **container} for container in pod[member]]
    return {**given, "podProperties": pod}


def _check_metadata(given: Json) -> None:
    for kind, member, most in (("label", "labels", 63), ("annotation", "annotations", 255)):
        for name, value in given.get(member, {}).items():
            if name.startswith(_RESERVED):
                raise Invalid(
                    f"The prefix {name.split('/')[0]} of the pod {kind} key cannot contain terms from the Kubernetes "
                    "reserved namespaces."
                )
            if len(value) > most:
                raise Invalid(f"Metadata {kind} value {value} cannot be longer than {most} characters.")
    namespace = given.get("namespace", "")
    if namespace == "default":
        raise Invalid("kubernetesNamespace cannot be the default Kubernetes namespace.")
    if namespace.startswith("kube"):
        raise Invalid("kubernetesNamespace cannot be a reserved Kubernetes system namespace.")


def _check_resources(given: Json) -> None:
    limits, requests = given.get("limits", {}), given.get("requests", {})
    for amounts in (limits, requests):
        if "cpu" in amounts and not _quarters(amounts["cpu"]):
            raise Invalid(f"cpu must be a multiple of 0.25, got {amounts['cpu']}.")
        if "memory" in amounts and not _MEMORY.fullmatch(amounts["memory"]):
            raise Invalid(f"memory must be a whole number with Mi, got {amounts['memory']}.")
        gpus = amounts.get("nvidia.com/gpu", "0")
        if not gpus.isdigit():
            raise Invalid(f"nvidia.com/gpu must be a whole number, got {gpus}.")
        for name in amounts:
            if name not in _RESOURCES:
                raise Invalid(f"{name} is not a supported type for resources.")
    if "cpu" in limits and "cpu" in requests and float(requests["cpu"]) > float(limits["cpu"]):
        raise Invalid("cpu request must be <= to cpu limit if both are provided.")
    for resource in ("memory", "nvidia.com/gpu"):
        if resource in limits and resource in requests and limits[resource] != requests[resource]:
            raise Invalid(f"{resource} must be equal in limits and requests.")


def _quarters(text: str) -> bool:
    try:
        amount = float(text)
    except ValueError:
        return False
    return amount > 0 and (amount * 4).is_integer()
