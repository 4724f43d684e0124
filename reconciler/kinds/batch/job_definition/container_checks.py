"""Checks of a container of a job definition: what AWS would refuse, and what is probably a mistake.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerProperties.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html (the sizes on Fargate)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from reconciler.kinds.batch.job_definition import container_advice, log_checks
from reconciler.kinds.batch.job_definition.container_fields import LEGACY
from reconciler.kinds.common.declared import as_int, as_text, at, entries, is_given, items, mapping, repeats
from reconciler.kinds.common.repeated import once_for_each
from reconciler.model import Finding, Json, Path
from reconciler.model import problem_codes as codes
from reconciler.model.masking import private_name, without_tokens
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.model.secrets_in_text import is_itself_a_secret, is_number_or_path, secrets_in
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.model.units import amount_in

EC2, FARGATE, MANAGED_INSTANCES = "EC2", "FARGATE", "MANAGED_INSTANCES"
_STEPS = ((1, range(2, 9)), (2, range(4, 17)), (4, range(8, 31)), (8, range(16, 61, 4)), (16, range(32, 121, 8)))
FARGATE_SIZES: Mapping[Decimal, tuple[int, ...]] = {
    Decimal("0.25"): (512, 1024, 2048),
    Decimal("0.5"): (1024, 2048, 3072, 4096),
    **{Decimal(cpus): tuple(gib * 1024 for gib in sizes) for cpus, sizes in _STEPS},
}
ONLY_ON_FARGATE = ("networkConfiguration", "fargatePlatformConfiguration", "runtimePlatform", "ephemeralStorage")
LINUX_NOT_ON_FARGATE = ("devices", "maxSwap", "sharedMemorySize", "swappiness", "tmpfs")
VOLUME_KINDS = ("host", "efsVolumeConfiguration", "s3filesVolumeConfiguration")
_SECRET_NAME = regex(r"passw(or)?d|secret|token|api_?key|access_?key|private_?key|credential", re.IGNORECASE)
_NOT_SECRET_NAME = regex(r"(_|^)(arn|name|id|path|file|url|uri|endpoint|ttl|expiry|region)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContext:
    """The facts about a task that the checks of its containers use.

    ``platform`` is EC2, FARGATE or MANAGED_INSTANCES, or empty where it is not known; ``execution_role`` and
    ``job_role``: whether the task has one; ``volumes``: their names, None if not all are known; ``firelens``: whether a
    container is a log router; ``alone``: whether the task has one container.
    """

    platform: str = EC2
    execution_role: bool = False
    job_role: bool = False
    volumes: frozenset[str] | None = frozenset()
    firelens: bool = False
    alone: bool = True


def container(path: Path, props: Json, platform: str, *, node: bool = False) -> Iterator[Finding]:
    """Findings about ``ContainerProperties`` at ``path``; ``node``: of a multi-node job."""
    context = TaskContext(
        platform=platform,
        execution_role=is_given(props.get("executionRoleArn")),
        job_role=is_given(props.get("jobRoleArn")),
        volumes=volume_names(props.get("volumes")),
    )
    yield from common(path, props, context)
    yield from task(path, props, context, roles=("jobRoleArn", "executionRoleArn"))
    if is_given(props.get("instanceType")) and not node:
        why = "instanceType is for the nodes of a multi-node job"
        hint = "leave it out, and choose instance types in the compute environment"
        yield Finding((*path, "instanceType"), why, hint, code=codes.NOT_APPLICABLE, warning=platform != FARGATE)


def volume_names(value: Any) -> frozenset[str] | None:
    """The names of the volumes; None if not all of them are known."""
    names = [mapping(item).get("name") for item in items(value)]
    plain = [name for name in names if isinstance(name, str)]
    known = isinstance(value, list | tuple | None) and len(plain) == len(names)
    return frozenset(plain) if known else None


def common(path: Path, props: Json, context: TaskContext) -> Iterator[Finding]:
    """Findings about a container at ``path``, of any task."""
    if not is_given(props.get("image")):
        hint = "for example image: public.ecr.aws/docker/library/alpine:latest"
        yield Finding(path, "image is missing", hint, code=codes.MISSING_FIELD)
    if isinstance(props.get("command"), str):
        hint = f'write a list: ["sh", "-c", "{props["command"]}"]'
        yield Finding((*path, "command"), "command is a list of words", hint, code=codes.WRONG_TYPE)
    yield from variables(path, "environment", props.get("environment"))
    log = props.get("logConfiguration")
    yield from _check_secrets(path, _secrets_of(props, log), context)
    yield from container_advice.image((*path, "image"), as_text(props.get("image")))
    yield from container_advice.command(path, container_advice.command_of(props))
    yield from _machine(path, _repeated(props), context)
    if isinstance(log, Mapping):
        here, fargate = (*path, "logConfiguration"), context.platform == FARGATE
        yield from log_checks.check(here, log, fargate=fargate, firelens=context.firelens)


# What differs from container to container; the rest is the same in many of them, and its checks are made once
_OWN = frozenset(
    {
        "name",
        "image",
        "command",
        "environment",
        "secrets",
        "logConfiguration",
        "jobRoleArn",
        "taskRoleArn",
        "executionRoleArn",
        "containers",
    }
)


def _repeated(props: Json) -> dict[str, Any]:
    return {name: value for name, value in props.items() if name not in _OWN}


@once_for_each
def _machine(path: Path, props: Json, context: TaskContext) -> Iterator[Finding]:
    """Findings about what a container needs and may do, and where it writes."""
    yield from _check_resources(path, props, context)
    yield from _check_mounts(path, props, context)
    yield from _check_linux(path, props, context)
    yield from container_advice.limits(path, props)
    if props.get("privileged") is True:
        here = (*path, "privileged")
        if context.platform == FARGATE:
            yield Finding(
                here, "privileged containers cannot run on Fargate", "leave it out", code=codes.NOT_APPLICABLE
            )
        else:
            why = "a privileged container has the rights of root on its host"
            hint = "if it needs a device only, linuxParameters.devices is enough"
            yield Finding(here, why, hint, code=codes.PRIVILEGED, warning=True)
    if context.platform == FARGATE and is_given(props.get("ulimits")):
        hint = "leave it out, or run the job on EC2"
        yield Finding((*path, "ulimits"), "ulimits does not apply to Fargate", hint, code=codes.NOT_APPLICABLE)


def task(path: Path, props: Json, context: TaskContext, *, roles: tuple[str, ...]) -> Iterator[Finding]:
    """Findings about a task at ``path``: its ``roles`` (names of members), volumes, storage and platform."""
    fargate = context.platform == FARGATE
    if fargate and not context.execution_role:
        hint = "use a role that trusts ecs-tasks.amazonaws.com and has service-role/AmazonECSTaskExecutionRolePolicy"
        yield Finding(path, "Fargate needs executionRoleArn", hint, code=codes.MISSING_FIELD)
    for role in roles:
        value = as_text(props.get(role)) or ""
        if ":instance-profile/" in value:
            why = f"{role} takes a role, and this is the ARN of an instance profile"
            yield Finding((*path, role), why, "give the name or ARN of the role in it")
    yield from _place(path, _repeated(props), context)


@once_for_each
def _place(path: Path, props: Json, context: TaskContext) -> Iterator[Finding]:
    """Findings about the volumes, the storage and the platform of a task."""
    if context.platform == EC2:
        for member in ONLY_ON_FARGATE:
            if is_given(props.get(member)):
                hint = "add platformCapabilities: [FARGATE], or leave it out"
                yield Finding((*path, member), f"{member} does not apply to EC2", hint, code=codes.NOT_APPLICABLE)
    size = as_int(at(props, "ephemeralStorage", "sizeInGiB"))
    if size is not None and not 21 <= size <= 200:
        hint = "from 21 to 200; left out it is 20"
        yield Finding((*path, "ephemeralStorage", "sizeInGiB"), f"sizeInGiB {size} is out of range", hint)
    yield from _check_volumes(path, props, context)
    yield from _check_runtime(path, props, context)
    yield from container_advice.volumes(path, props)


def _check_runtime(path: Path, props: Json, context: TaskContext) -> Iterator[Finding]:
    """Findings about the platform version and the operating system of Fargate and managed instances.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_RuntimePlatform.html
    """
    place: Path = ("fargatePlatformConfiguration", "platformVersion")
    if "platformVersion" in props:
        place = ("platformVersion",)
    version = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", as_text(at(props, *map(str, place))) or "")
    on_efs = any(is_given(volume.get("efsVolumeConfiguration")) for _, volume in entries(props.get("volumes")))
    if context.platform == FARGATE and on_efs and version and tuple(map(int, version.groups())) < (1, 4, 0):
        hint = "use 1.4.0 or LATEST, or leave it out"
        yield Finding((*path, *place), f"volumes on EFS need platform version 1.4.0, not {version[0]}", hint)
    family = as_text(at(props, "runtimePlatform", "operatingSystemFamily")) or ""
    here: Path = (*path, "runtimePlatform")
    if not family.startswith("WINDOWS"):
        return
    if context.platform == MANAGED_INSTANCES:
        yield Finding((*here, "operatingSystemFamily"), "managed instances run LINUX only", "leave it out")
    if at(props, "runtimePlatform", "cpuArchitecture") == "ARM64":
        yield Finding((*here, "cpuArchitecture"), "Windows runs on X86_64 only", "leave cpuArchitecture out")
    for index, item in entries(props.get("resourceRequirements")):
        number = quantity(item.get("value"))
        if item.get("type") == "VCPU" and number is not None and number < 1:
            why = f"a Windows container needs at least 1 vCPU, not {number}"
            yield Finding((*path, "resourceRequirements", index, "value"), why, 'write "1", or more')


# --- variables and secrets -------------------------------------------------------------------------------------------


def variables(path: Path, member: str, value: Any) -> Iterator[Finding]:
    """Findings about ``value``, the environment variables in ``member``: ``environment`` (ECS) or ``env`` (EKS)."""
    here = (*path, member)
    if isinstance(value, Mapping):
        first = next(iter(value.items()), ("NAME", "VALUE"))
        hint = f'write each as an item: - {{name: {first[0]}, value: "{first[1]}"}}'
        yield Finding(here, f"{member} is a list of name and value, not a mapping", hint, code=codes.WRONG_TYPE)
    found = list(entries(value))
    for index, item in found:
        name, given_value = as_text(item.get("name")), item.get("value")
        if not is_given(item.get("name")):
            hint = "write {name: NAME, value: ...}"
            yield Finding((*here, index), "name is missing", hint, code=codes.MISSING_FIELD)
        if name and name.startswith("AWS_BATCH"):
            hint = "names that begin with AWS_BATCH are reserved for AWS Batch; choose another"
            yield Finding((*here, index, "name"), f'"{name}" cannot be set', hint)
        if isinstance(given_value, bool | int | float):
            plain = str(given_value).lower() if isinstance(given_value, bool) else str(given_value)
            why = f"the value of {name} is {plain}, and must be text"
            yield Finding((*here, index, "value"), why, f'put it in quotes: "{plain}"', code=codes.WRONG_TYPE)
        if given_value == "" and member == "environment":
            why = f"an empty value never reaches the container: AWS Batch drops {name}"
            yield Finding((*here, index, "value"), why, "remove the entry, or give it a value", warning=True)
        if name and isinstance(given_value, str) and looks_secret(name, given_value):
            why = f"{name} looks like a secret, and is in plain text here"
            hint = "store it in a secret, and refer to that: secrets: [{name: ..., valueFrom: NAME-OF-SECRET}]"
            yield Finding((*here, index, "value"), why, hint, code=codes.CLEAR_TEXT_SECRET, warning=True)
    for place, name in repeats([((*here, index, "name"), item.get("name")) for index, item in found]):
        yield Finding(place, f'duplicate "{name}"', "keep one", code=codes.DUPLICATE)


@lru_cache(1000)
def looks_secret(name: str, value: str) -> bool:
    """Whether the value of an environment variable of this name is most likely a secret in plain text."""
    if without_tokens(value) != value or secrets_in(value):
        return True
    if (value.isdecimal() and "token" in name.lower()) or "tokeniz" in name.lower():
        return False  # MAX_TOKENS counts those of a language model, which TOKENIZERS_PARALLELISM is about too
    plain = value and not value.startswith(("arn:", "/", "Ref::")) and value.lower() not in ("true", "false")
    if is_number_or_path(value):
        return False
    named = _SECRET_NAME.search(name) or private_name(name)
    return bool(plain and named and not _NOT_SECRET_NAME.search(name))


def _secrets_of(props: Json, log: Any) -> tuple[Any, Any, list[Any]]:
    """The secrets of a container, those of its log, and the names of its other variables."""
    names = [as_text(item.get("name")) for _, item in entries(props.get("environment"))]
    return props.get("secrets"), at(log, "secretOptions"), names


@once_for_each
def _check_secrets(path: Path, given: tuple[Any, Any, list[Any]], context: TaskContext) -> Iterator[Finding]:
    secrets, options, names = given
    lists: tuple[tuple[Path, Any], ...] = (
        ((*path, "secrets"), secrets),
        ((*path, "logConfiguration", "secretOptions"), options),
    )
    for here, value in lists:
        if isinstance(value, Mapping):
            hint = "write each as an item: - {name: NAME, valueFrom: NAME-OF-SECRET}"
            yield Finding(
                here, f"{here[-1]} is a list of name and valueFrom, not a mapping", hint, code=codes.WRONG_TYPE
            )
        found = list(entries(value))
        for index, item in found:
            for needed in ("name", "valueFrom"):
                if not is_given(item.get(needed)):
                    hint = "write {name: NAME, valueFrom: NAME-OF-SECRET}"
                    yield Finding((*here, index), f"{needed} is missing", hint, code=codes.MISSING_FIELD)
        for place, name in repeats([((*here, index, "name"), item.get("name")) for index, item in found]):
            yield Finding(place, f'duplicate "{name}"', "keep one", code=codes.DUPLICATE)
        yield from _check_references(here, found)
        if is_given(value) and not context.execution_role and context.platform not in ("", FARGATE):
            hint = "use a role that trusts ecs-tasks.amazonaws.com and may read the secret"
            yield Finding(here, f"{here[-1]} needs executionRoleArn", hint, code=codes.MISSING_FIELD)
    plain = {*names} - {None}
    for index, item in entries(secrets):
        if as_text(item.get("name")) in plain:
            why = f'"{item["name"]}" is set both in environment and in secrets'
            yield Finding((*path, "secrets", index, "name"), why, "keep one", code=codes.DUPLICATE)


def _check_references(path: Path, found: list[tuple[int, Json]]) -> Iterator[Finding]:
    for index, item in found:
        if isinstance(item.get("valueFrom"), str) and is_itself_a_secret(item["valueFrom"]):
            why = "valueFrom is the name or ARN of a secret, and this looks like the secret itself (not shown)"
            hint = "store it in a secret, and write the name of that here"
            yield Finding((*path, index, "valueFrom"), why, hint, code=codes.CLEAR_TEXT_SECRET, warning=True)


# --- resources -------------------------------------------------------------------------------------------------------


def _check_resources(path: Path, props: Json, context: TaskContext) -> Iterator[Finding]:
    here: Path = (*path, "resourceRequirements")
    listed = props.get("resourceRequirements")
    if isinstance(listed, Mapping):
        hint = 'write each as an item: - {type: VCPU, value: "1"}'
        yield Finding(here, "resourceRequirements is a list of type and value", hint, code=codes.WRONG_TYPE)
        return
    if listed is not None and not isinstance(listed, list | tuple):
        return
    found = list(entries(listed))
    for index, item in found:
        value = item.get("value")
        if isinstance(value, bool | int | float):
            why = f"the value of {item.get('type')} is a number, and must be text"
            yield Finding((*here, index, "value"), why, f'put it in quotes: "{value}"', code=codes.WRONG_TYPE)
    for place, kind in repeats([((*here, index, "type"), item.get("type")) for index, item in found]):
        yield Finding(place, f"duplicate {kind}", "keep one", code=codes.DUPLICATE)
    yield from _check_legacy(path, props, context, {str(item.get("type")) for _, item in found})
    for index, item in found:
        yield from _check_amount((*here, index, "value"), item, context)
    if context.platform == FARGATE and context.alone:
        yield from _check_size(here, found)


def _check_legacy(path: Path, props: Json, context: TaskContext, kinds: set[str]) -> Iterator[Finding]:
    for legacy, kind in LEGACY.items():
        value = props.get(legacy)
        if value is None and kind not in kinds:
            wanted = "vCPU" if kind == "VCPU" else "memory"
            hint = f'add {{type: {kind}, value: "{1 if kind == "VCPU" else 2048}"}} to resourceRequirements'
            yield Finding(path, f"{wanted} is missing", hint, code=codes.MISSING_FIELD)
        elif value is not None and context.platform not in ("", EC2):
            hint = f'use resourceRequirements: [{{type: {kind}, value: "{value}"}}]'
            yield Finding((*path, legacy), f"{legacy} does not apply to Fargate", hint, code=codes.NOT_APPLICABLE)
        elif value is not None and kind in kinds:
            hint = f"leave {legacy} out; resourceRequirements is the newer form"
            yield Finding((*path, legacy), f"{legacy} cannot be combined with a resourceRequirement {kind}", hint)
        else:
            number, least = as_int(value), 1 if legacy == "vcpus" else 4
            if number is not None and number < least:
                yield Finding((*path, legacy), f"{legacy} {number} is too little", f"it must be at least {least}")


def quantity(value: Any) -> Decimal | None:
    """The amount of a resource requirement; None if it is not a finite number."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _check_amount(path: Path, item: Json, context: TaskContext) -> Iterator[Finding]:
    kind, value = item.get("type"), item.get("value")
    number = quantity(value)
    if isinstance(value, str) and number is None and "${" not in value:
        amount = amount_in(value, "MiB") if kind == "MEMORY" else None
        hint = "MEMORY is a number of MiB, VCPU and GPU are counts, without a unit"
        hint = hint if amount is None else f'MEMORY is a number of MiB: write "{amount}"'
        yield Finding(path, f'"{value}" is not a number', hint)
    if kind == "GPU" and context.platform == FARGATE:
        yield Finding(path, "Fargate has no GPUs", "run the job on EC2", code=codes.NOT_APPLICABLE)
    elif number is not None and not (kind == "VCPU" and context.platform in ("", FARGATE)):
        least = {"VCPU": 1, "MEMORY": 4}.get(str(kind), 1)
        whole_text = str(value).strip().isdigit()
        if number < least:
            yield Finding(path, f"{kind} {value} is too little", f"it must be at least {least}")
        elif not whole_text:
            hint = f'write "{math.ceil(number)}"'
            yield Finding(path, f"{kind} must be a whole number, and {value} is not written as one", hint)


def _check_size(path: Path, found: list[tuple[int, Json]]) -> Iterator[Finding]:
    """The finding about a pair of vCPU and memory that is not a Fargate size."""
    amounts = {as_text(item.get("type")): (index, quantity(item.get("value"))) for index, item in found}
    (cpu_at, cpus), (memory_at, memory) = amounts.get("VCPU", (0, None)), amounts.get("MEMORY", (0, None))
    if cpus is None or memory is None:
        return
    if cpus not in FARGATE_SIZES:
        every = ", ".join(str(size) for size in FARGATE_SIZES)
        near = nearest(cpus, memory)
        yield Finding((*path, cpu_at, "value"), f"Fargate has no size of {cpus} vCPU", f"it has {every}; {near}")
    elif memory not in FARGATE_SIZES[cpus]:
        sizes = FARGATE_SIZES[cpus]
        step = sizes[-1] - sizes[-2]
        few = len(sizes) <= 4
        row = ", ".join(map(str, sizes)) if few else f"{sizes[0]} to {sizes[-1]} in steps of {step}"
        why = f"Fargate has no size of {cpus} vCPU with {memory} MiB"
        yield Finding((*path, memory_at, "value"), why, f"{cpus} vCPU takes {row}; {nearest(cpus, memory)}")


def nearest(cpus: Decimal, memory: Decimal) -> str:
    """The hint with the smallest Fargate size that has at least ``cpus`` vCPU and ``memory`` MiB."""
    fits = [(size, mib) for size, sizes in FARGATE_SIZES.items() for mib in sizes if size >= cpus and mib >= memory]
    best = min(fits, default=(Decimal(16), FARGATE_SIZES[Decimal(16)][-1]))
    return f'the smallest that is large enough is VCPU "{best[0]}", MEMORY "{best[1]}"'


# --- volumes, mounts, Linux ------------------------------------------------------------------------------------------


def _check_volumes(path: Path, props: Json, context: TaskContext) -> Iterator[Finding]:
    found = list(entries(props.get("volumes")))
    for index, volume in found:
        here: Path = (*path, "volumes", index)
        if not is_given(volume.get("name")):
            yield Finding(
                here, "name is missing", "mountPoints refer to a volume by its name", code=codes.MISSING_FIELD
            )
        kinds = [kind for kind in VOLUME_KINDS if kind in volume and volume[kind] is not None]
        if len(kinds) > 1:
            yield Finding(here, f"a volume has one type, and this has {' and '.join(kinds)}", "declare two volumes")
        if context.platform == FARGATE and is_given(at(volume, "host", "sourcePath")):
            hint = "leave host out, or use efsVolumeConfiguration"
            yield Finding((*here, "host", "sourcePath"), "Fargate has no host to mount a path of", hint)
        efs = mapping(volume.get("efsVolumeConfiguration"))
        yield from _check_efs((*here, "efsVolumeConfiguration"), efs, context)
        if is_given(volume.get("s3filesVolumeConfiguration")) and not context.job_role:
            hint = "add jobRoleArn (taskRoleArn in ecsProperties), a role that may use the file system"
            why = "an S3 Files volume needs a job role"
            yield Finding((*here, "s3filesVolumeConfiguration"), why, hint, code=codes.MISSING_FIELD)
    for place, name in repeats([((*path, "volumes", i, "name"), volume.get("name")) for i, volume in found]):
        yield Finding(place, f'two volumes are named "{name}"', "rename one", code=codes.DUPLICATE)


def _check_efs(path: Path, efs: Json, context: TaskContext) -> Iterator[Finding]:
    if not efs:
        return
    point, iam = at(efs, "authorizationConfig", "accessPointId"), at(efs, "authorizationConfig", "iam")
    encrypted = efs.get("transitEncryption")
    if (is_given(point) or iam == "ENABLED") and encrypted in (None, "DISABLED"):
        why = "an access point or IAM authorisation needs encryption in transit"
        yield Finding(path, why, "add transitEncryption: ENABLED")
    if is_given(point) and as_text(efs.get("rootDirectory")) not in (None, "", "/"):
        hint = "leave rootDirectory out: the access point has its own"
        why = (
            "AWS Batch has been observed to refuse rootDirectory with an access point, although its examples have both"
        )
        yield Finding((*path, "rootDirectory"), why, hint, warning=True)
    if iam == "ENABLED" and not context.job_role:
        hint = "add jobRoleArn (taskRoleArn in ecsProperties)"
        yield Finding(path, "IAM authorisation needs a job role", hint, warning=True)


def _check_mounts(path: Path, props: Json, context: TaskContext) -> Iterator[Finding]:
    here: Path = (*path, "mountPoints")
    for index, mount in entries(props.get("mountPoints")):
        name = as_text(mount.get("sourceVolume"))
        if name and context.volumes is not None and name not in context.volumes:
            known = (
                f"the volumes are {', '.join(sorted(context.volumes))}" if context.volumes else "there are no volumes"
            )
            hint = f"{known}; add {{name: {name}}} to volumes"
            yield Finding(
                (*here, index, "sourceVolume"), f'there is no volume "{name}"', hint, code=codes.UNKNOWN_VOLUME
            )


def _check_linux(path: Path, props: Json, context: TaskContext) -> Iterator[Finding]:
    linux, here = mapping(props.get("linuxParameters")), (*path, "linuxParameters")
    if context.platform == FARGATE:
        for member in LINUX_NOT_ON_FARGATE:
            if is_given(linux.get(member)):
                hint = "leave it out, or run the job on EC2"
                yield Finding((*here, member), f"{member} does not apply to Fargate", hint, code=codes.NOT_APPLICABLE)
        return
    swappiness, swap = as_int(linux.get("swappiness")), linux.get("maxSwap")
    if swappiness is not None and not 0 <= swappiness <= 100:
        yield Finding((*here, "swappiness"), f"swappiness {swappiness} is out of range", "it must be from 0 to 100")
    elif swappiness is not None and swap is None:
        yield Finding((*here, "swappiness"), "swappiness has no effect without maxSwap", "add maxSwap (in MiB)")
    most = as_int(swap)
    if most and "swappiness" not in linux:
        why = "AWS Batch has been observed to refuse maxSwap without swappiness (documented default: 60)"
        yield Finding((*here, "maxSwap"), why, "add swappiness: 60", warning=True)
    if most is not None and most < 0:
        yield Finding((*here, "maxSwap"), f"maxSwap {most} is negative", "0 turns swap off")
