"""Checks of the pod of a job definition for Amazon EKS: what AWS would refuse, and what is probably a mistake.

https://docs.aws.amazon.com/batch/latest/APIReference/API_EksPodProperties.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_EksContainerResourceRequirements.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from reconciler.kinds.batch.job_definition import container_checks
from reconciler.kinds.common.declared import as_text, at, entries, is_given, items, mapping, repeats
from reconciler.model import Finding, Json, Path
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex

AMOUNTS = ("cpu", "memory", "nvidia.com/gpu")
NEEDED = ("cpu", "memory")
MOST_OF_LABEL, MOST_OF_ANNOTATION = 63, 255
_NAME = regex(r"[0-9A-Za-z]([0-9A-Za-z._-]{0,61}[0-9A-Za-z])?")
_RESERVED = ("kubernetes.io", "k8s.io", "batch.amazonaws.com")
_NAMESPACE = regex(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def numbered(path: Path, holder: Json, listed: list[Any]) -> Iterator[Finding]:
    """Findings about the number and the names of ``listed``, the containers of a task or pod ``holder`` at ``path``."""
    here = (*path, "containers")
    if "containers" not in holder or holder["containers"] == []:
        yield Finding(path, "containers is missing", "list one to ten", code=codes.MISSING_FIELD)
    if len(listed) > 10:
        yield Finding((*here, 10), f"{len(listed)} containers; 10 at most", "remove some")
    names = [((*here, index, "name"), item.get("name")) for index, item in entries(listed)]
    for place, name in repeats(names):
        yield Finding(place, f'two containers are named "{name}"', "rename one", code=codes.DUPLICATE)


def pods(path: Path, value: Any) -> Iterator[Finding]:
    """Findings about ``eksProperties`` at ``path``."""
    if not isinstance(value, Mapping):
        return
    pod, here = value.get("podProperties"), (*path, "podProperties")
    if pod is None:
        yield Finding(path, "podProperties is missing", "add it, with containers", code=codes.MISSING_FIELD)
    if not isinstance(pod, Mapping):
        return
    yield from numbered(here, pod, items(pod.get("containers")))
    volumes = container_checks.volume_names(pod.get("volumes"))
    for member in ("containers", "initContainers"):
        for index, item in entries(pod.get(member)):
            yield from _check_pod_container((*here, member, index), item, volumes)
    yield from _check_enough((*here, "containers"), list(entries(pod.get("containers"))))
    for index, volume in entries(pod.get("volumes")):
        limit = as_text(at(volume, "emptyDir", "sizeLimit"))
        if limit and re.search(r"[A-Za-z]", limit) and not limit.endswith("Mi"):
            place = (*here, "volumes", index, "emptyDir", "sizeLimit")
            why = f'AWS Batch has been observed to refuse "{limit}"'
            yield Finding(place, why, 'give the size in Mi, for example "1024Mi"', warning=True)
    yield from _check_metadata((*here, "metadata"), mapping(pod.get("metadata")))


def _check_pod_container(path: Path, item: Json, volumes: frozenset[str] | None) -> Iterator[Finding]:
    if not is_given(item.get("image")):
        yield Finding(path, "image is missing", "name the image to run", code=codes.MISSING_FIELD)
    if is_given(item.get("environment")):
        why = "environment is named env on EKS"
        yield Finding((*path, "environment"), why, "write env: [{name: ..., value: ...}]", code=codes.UNKNOWN_FIELD)
    yield from container_checks.variables(path, "env", item.get("env"))
    for index, mount in entries(item.get("volumeMounts")):
        name = as_text(mount.get("name"))
        if name and volumes is not None and name not in volumes:
            why, hint = f'there is no volume "{name}"', "add it to podProperties.volumes"
            yield Finding((*path, "volumeMounts", index, "name"), why, hint, code=codes.UNKNOWN_VOLUME)
    limits, requests = mapping(at(item, "resources", "limits")), mapping(at(item, "resources", "requests"))
    for side, amounts in (("limits", limits), ("requests", requests)):
        for name, value in amounts.items():
            yield from _check_quantity((*path, "resources", side, name), name, value)
    one, other = _plain(limits.get("cpu")), _plain(requests.get("cpu"))
    if one is not None and other is not None and other > one:
        why = f"cpu is {other} in requests, and {one} in limits"
        yield Finding((*path, "resources", "requests", "cpu"), why, "request no more than the limit")
    for name in ("memory", "nvidia.com/gpu"):
        limit, request = limits.get(name), requests.get(name)
        if isinstance(limit, str) and isinstance(request, str) and limit != request:
            why = f"{name} differs: {limit} in limits, {request} in requests"
            yield Finding((*path, "resources", "requests", name), why, "give the same amount in both")


def _plain(value: Any) -> Decimal | None:
    amount = as_text(value)
    return Decimal(amount) if amount and re.fullmatch(r"\d+(\.\d+)?", amount) else None


def _check_enough(path: Path, found: list[tuple[int, Json]]) -> Iterator[Finding]:
    """Findings about containers that request no cpu or no memory, neither in limits nor in requests.

    Only warnings, if another container of the pod requests it.
    """
    asked = {index: _asked(item.get("resources")) for index, item in found}
    sure = [names for names in asked.values() if names is not None]
    if len(sure) < len(found):
        return
    for index, item in found:
        missing = [name for name in NEEDED if name not in (asked[index] or ())]
        if not missing:
            continue
        hint = 'resources: {limits: {cpu: "1", memory: 2048Mi}}'
        place: Path = (*path, index, "resources") if "resources" in item else (*path, index)
        others = all(any(name in names for names in sure) for name in missing)
        yield Finding(
            place,
            f"{' and '.join(missing)} {'are' if missing[1:] else 'is'} missing",
            hint,
            code=codes.MISSING_FIELD,
            warning=others,
        )


def _asked(resources: Any) -> frozenset[str] | None:
    """The names in limits and requests; None if not all of them are known."""
    sides = [mapping(resources).get(side) for side in ("limits", "requests")]
    plain = all(value is None or isinstance(value, Mapping) for value in (resources, *sides))
    return frozenset(name for side in sides for name in mapping(side)) if plain else None


def _check_metadata(path: Path, metadata: Json) -> Iterator[Finding]:
    """Findings about labels, annotations and the namespace.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_EksMetadata.html
    """
    for member, most in (("labels", MOST_OF_LABEL), ("annotations", MOST_OF_ANNOTATION)):
        for name, value in mapping(metadata.get(member)).items():
            here: Path = (*path, member, name)
            prefix, slash, last = name.rpartition("/")
            if not _NAME.fullmatch(last):
                hint = "letters, digits, dots, - and _, up to 63, a letter or digit first and last"
                yield Finding(here, f'"{name}" is not a valid Kubernetes name', hint)
            elif slash and any(prefix == one or prefix.endswith(f".{one}") for one in _RESERVED):
                why = f'names that begin with "{prefix}/" are reserved for Kubernetes and AWS Batch'
                yield Finding(here, why, "choose a prefix of your own, or none", warning=prefix not in _RESERVED)
            length = len(as_text(value) or "")
            if length > most:
                yield Finding(here, f"the value has {length} characters; {most} at most", "shorten it")
    namespace, place = as_text(metadata.get("namespace")), (*path, "namespace")
    if namespace is None:
        return
    if len(namespace) > 63 or not _NAMESPACE.fullmatch(namespace):
        hint = "1 to 63 lower-case letters, digits and -, not at the ends"
        yield Finding(place, f'"{namespace}" is not a Kubernetes namespace', hint)
    elif namespace == "default" or namespace.startswith("kube"):
        yield Finding(place, f'the namespace "{namespace}" is reserved', "create a separate namespace for AWS Batch")


def _check_quantity(path: Path, name: str, value: Any) -> Iterator[Finding]:
    if isinstance(value, bool | int | float):
        yield Finding(path, f"amounts are text, and {name} is {value}", f'put it in quotes: "{value}"')
        return
    amount = as_text(value)
    if name not in AMOUNTS:
        yield Finding(path, f'"{name}" cannot be requested', f"AWS Batch takes {', '.join(AMOUNTS)}")
    if amount is None:
        return
    if name == "memory" and not re.fullmatch(r"\d+Mi", amount):
        yield Finding(path, f'"{amount}" is not an amount of memory', 'give whole Mi, for example "2048Mi"')
    if name == "nvidia.com/gpu" and not amount.isdigit():
        yield Finding(path, f'"{amount}" is not a number of GPUs', 'give a whole number, for example "1"')
    if name == "cpu":
        try:
            fits = Decimal(amount) % Decimal("0.25") == 0
        except InvalidOperation:
            fits = False
        if not fits:
            yield Finding(path, f'"{amount}" is not an amount of cpu', 'give a multiple of 0.25, for example "0.5"')
