"""Containers as RegisterJobDefinition accepts them and DescribeJobDefinitions returns them.

The reply differs from the request: empty lists are added, environment entries without a value are removed, and the
order of the environment is not kept.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerProperties.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.batch.messages import Invalid
from reconciler.sandbox.batch.store import Json
from reconciler.sandbox.batch.validate import between

LISTS = ("command", "volumes", "environment", "mountPoints", "ulimits", "resourceRequirements", "secrets")
FARGATE_DRIVERS = frozenset({"awslogs", "splunk", "awsfirelens"})
AWSLOGS_OPTIONS = frozenset(
    {
        "awslogs-create-group",
        "awslogs-datetime-format",
        "awslogs-group",
        "awslogs-multiline-pattern",
        "awslogs-region",
        "awslogs-stream-prefix",
        "max-buffer-size",
        "mode",
    }
)
_FARGATE_MEMORY: Mapping[float, Sequence[int]] = {
    0.25: (512, 1024, 2048),
    0.5: range(1024, 4097, 1024),
    1: range(2048, 8193, 1024),
    2: range(4096, 16385, 1024),
    4: range(8192, 30721, 1024),
    8: range(16384, 61441, 4096),
    16: range(32768, 122881, 8192),
}
_NOT_ON_FARGATE = ("devices", "maxSwap", "sharedMemorySize", "swappiness", "tmpfs")
_VOLUME_KINDS = ("host", "efsVolumeConfiguration", "s3filesVolumeConfiguration")


def check(given: Json, *, fargate: bool) -> None:
    """Raise `Invalid` for `containerProperties`, of a definition or of a range of nodes, that the service refuses."""
    if not given.get("image"):
        raise Invalid("Image is required.")
    check_resources(given, fargate=fargate)
    check_common(given, fargate=fargate)
    check_volumes(given.get("volumes", []), [given], fargate=fargate, job_role=given.get("jobRoleArn"))
    check_platform(given, fargate=fargate)
    _check_secrets([given], given.get("executionRoleArn"))
    _check_log_router([given])


def check_platform(given: Json, *, fargate: bool) -> None:
    """Raise `Invalid` for members that are only valid on EC2, or only on Fargate."""
    if not fargate:
        for member in ("networkConfiguration", "fargatePlatformConfiguration", "runtimePlatform", "ephemeralStorage"):
            if member in given:
                raise Invalid(f"{member} not applicable for EC2.")
        return
    if not given.get("executionRoleArn"):
        raise Invalid("executionRoleArn is required for Fargate.")
    runtime = given.get("runtimePlatform", {})
    if runtime.get("operatingSystemFamily", "LINUX") != "LINUX" and runtime.get("cpuArchitecture") == "ARM64":
        raise Invalid("Windows supported only by X86_64 cpuArchitecture")
    for member in ("instanceType",):
        if given.get(member):
            raise Invalid(f"{member} is not applicable for Fargate.")
    storage = given.get("ephemeralStorage", {}).get("sizeInGiB", 21)
    between(storage, 21, 200, "ephemeralStorage sizeInGiB must be between 21 and 200.")


def check_common(given: Json, *, fargate: bool) -> None:
    """Raise `Invalid` for what the service refuses in every container."""
    for entry in given.get("environment", []):
        if entry.get("name", "").startswith("AWS_BATCH"):
            raise Invalid("Environment variables must not start with AWS_BATCH.")
    if fargate:
        if given.get("ulimits"):
            raise Invalid("ulimits is not applicable for Fargate.")
        if given.get("privileged"):
            raise Invalid("privileged is not applicable for Fargate.")
    _check_linux(given.get("linuxParameters", {}), fargate=fargate)
    if "logConfiguration" in given:
        _check_log(given["logConfiguration"], fargate=fargate)


def _check_log(log: Json, *, fargate: bool) -> None:
    if fargate and log["logDriver"] not in FARGATE_DRIVERS:
        raise Invalid(f"Log driver for Fargate is not valid: {log['logDriver']}")
    if log["logDriver"] == "awslogs":
        for option in log.get("options", {}):
            if option not in AWSLOGS_OPTIONS:
                raise Invalid(f"Log driver awslogs disallows options: {option}")


def check_resources(given: Json, *, fargate: bool) -> None:
    """Raise `Invalid` for resource requirements that are duplicate, missing or out of range."""
    wanted = requirements(given)
    for legacy, kind in (("vcpus", "VCPU"), ("memory", "MEMORY")):
        if legacy not in given:
            continue
        if fargate:
            raise Invalid(f"{legacy} is not applicable for Fargate. Use resource requirements instead.")
        if kind in wanted:
            raise Invalid(f"Cannot use both ECS containerProperties {legacy} and resourceRequirement {kind}.")
        wanted[kind] = str(given[legacy])
    if "VCPU" not in wanted:
        raise Invalid("vCPU is required.")
    if "MEMORY" not in wanted:
        raise Invalid("Memory is required.")
    check_amounts(wanted, fargate=fargate)


def requirements(given: Mapping[str, Any]) -> dict[str, str]:
    """The resource requirements by type."""
    listed = [(one["type"], one["value"]) for one in given.get("resourceRequirements", [])]
    if len(dict(listed)) < len(listed):
        raise Invalid("Cannot provide duplicates in resourceRequirements.")
    return dict(listed)


def check_amounts(wanted: Mapping[str, str], *, fargate: bool) -> None:
    """Raise `Invalid` for amounts that are not numbers, too small, or not a pair of Fargate."""
    if fargate:
        if "GPU" in wanted:
            raise Invalid("GPU is not applicable for Fargate.")
        if "VCPU" in wanted and "MEMORY" in wanted:
            _check_pair(_number("VCPU", wanted["VCPU"]), _number("MEMORY", wanted["MEMORY"]))
        return
    for kind, value in wanted.items():
        if not value.isascii() or not value.lstrip("-").isdigit():
            raise _not_numeric(kind, value)
    if "VCPU" in wanted and int(wanted["VCPU"]) < 1:
        raise Invalid(f"vCPU must be at least 1, got {wanted['VCPU']}.")
    if "MEMORY" in wanted and int(wanted["MEMORY"]) < 4:
        raise Invalid(f"Memory must be at least 4, got {wanted['MEMORY']}.")


def _number(kind: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise _not_numeric(kind, value) from None


def _not_numeric(kind: str, value: str) -> Invalid:
    return Invalid(
        f"Value {value} for type {kind} in resourceRequirement is not valid. Please provide a numeric value."
    )


def _check_pair(vcpus: float, memory: float) -> None:
    if memory not in _FARGATE_MEMORY.get(vcpus, ()):
        raise Invalid(f"Fargate resource requirements ({vcpus:.2f} vCPU, {memory:.0f} MiB) not valid.")


def _check_linux(given: Json, *, fargate: bool) -> None:
    if fargate:
        for member in _NOT_ON_FARGATE:
            if given.get(member) not in (None, []):
                raise Invalid(f"linuxParameter.{member} is not allowed for Fargate.")
    if "swappiness" in given:
        between(given["swappiness"], 0, 100, "swappiness must be between 0 and 100.")
        if "maxSwap" not in given:
            raise Invalid("swappiness can only be used together with maxSwap.")
    if given.get("maxSwap", 0) < 0:
        raise Invalid("maxSwap must be 0 or a positive integer.")


def check_volumes(
    volumes: Sequence[Json], containers: Sequence[Json], *, fargate: bool, job_role: str | None = None
) -> None:
    """Raise `Invalid` for volumes and mount points that the service refuses."""
    for volume in volumes:
        if sum(kind in volume for kind in _VOLUME_KINDS) > 1:
            raise Invalid(f"Only one type of volume is allowed in volume {volume.get('name')}.")
        if volume.get("s3filesVolumeConfiguration") and not job_role:
            raise Invalid("A jobRoleArn/taskRoleArn is required when using s3filesVolumeConfiguration.")
        if fargate and volume.get("host", {}).get("sourcePath"):
            raise Invalid("host.sourcePath should not be set for volumes in Fargate.")
    names = {volume.get("name") for volume in volumes}
    for container in containers:
        for point in container.get("mountPoints", []):
            if point.get("sourceVolume") not in names:
                raise Invalid(f"Unknown volume '{point.get('sourceVolume')}' in mountPoints.")


def _check_secrets(containers: Sequence[Json], execution_role: str | None) -> None:
    for container in containers:
        options = container.get("logConfiguration", {}).get("secretOptions")
        if (container.get("secrets") or options) and not execution_role:
            raise Invalid("executionRoleArn cannot be empty when using secrets or secretOptions")


def _check_log_router(containers: Sequence[Json]) -> None:
    """The log driver awsfirelens and a container with firelensConfiguration need each other, on EC2 and Fargate.

    The second is quoted in https://github.com/badmintoncryer/cdk-preflight (pf-batch-jd-ecs-firelens-log-driver).
    """
    router = any(container.get("firelensConfiguration") for container in containers)
    sends = any(container.get("logConfiguration", {}).get("logDriver") == "awsfirelens" for container in containers)
    if sends and not router:
        raise Invalid("The log driver awsfirelens requires a container with a firelensConfiguration object.")
    if router and not sends:
        raise Invalid(
            "When a firelensConfiguration object is specified, at least one container has to be configured with the"
            " awsfirelens log driver"
        )


def filled(given: Json, *, fargate: bool) -> Json:
    """`containerProperties` as Describe returns them."""
    container = filled_common({**{member: [] for member in LISTS}, **given})
    if fargate:
        container.setdefault("fargatePlatformConfiguration", {"platformVersion": "LATEST"})
    if "networkConfiguration" in container:
        container["networkConfiguration"] = {"interfaceConfigurations": [], **container["networkConfiguration"]}
    return container


def filled_common(given: Json) -> Json:
    """The defaults that every container gets."""
    container = dict(given)
    if "environment" in container:
        kept = [entry for entry in container["environment"] if entry.get("value")]
        container["environment"] = sorted(kept, key=lambda entry: str(entry.get("name", "")))
    if "logConfiguration" in container:
        container["logConfiguration"] = {"options": {}, "secretOptions": [], **container["logConfiguration"]}
    if "linuxParameters" in container:
        linux = {"devices": [], "tmpfs": [], **container["linuxParameters"]}
        linux["devices"] = [{"permissions": [], **device} for device in linux["devices"]]
        linux["tmpfs"] = [{"mountOptions": [], **one} for one in linux["tmpfs"]]
        container["linuxParameters"] = linux
    return container


def check_tasks(given: Json, *, fargate: bool) -> None:
    """Raise `Invalid` for `ecsProperties` without exactly one task, of up to ten containers."""
    tasks = given["taskProperties"]
    if len(tasks) != 1:
        raise Invalid("ecsProperties must have exactly one taskProperties entry.")
    task = tasks[0]
    containers = task["containers"]
    if not 1 <= len(containers) <= 10:
        raise Invalid("taskProperties must have between 1 and 10 containers.")
    names = [container.get("name", "default") for container in containers]
    if len(set(names)) < len(names):
        raise Invalid("Container names must be unique.")
    if not any(container.get("essential", True) for container in containers):
        raise Invalid("At least one container must be set as essential")
    for container in containers:
        check_common(container, fargate=fargate)
    check_task_resources(containers, fargate=fargate)
    _check_dependencies(containers)
    check_volumes(task.get("volumes", []), containers, fargate=fargate, job_role=task.get("taskRoleArn"))
    _check_secrets(containers, task.get("executionRoleArn"))
    _check_log_router(containers)
    if task.get("ipcMode", "none") not in ("host", "task", "none"):
        raise Invalid("ipcMode must be one of host, task or none.")
    if task.get("pidMode", "task") not in ("host", "task"):
        raise Invalid("pidMode must be one of host or task.")
    platform = {key: value for key, value in task.items() if fargate or key != "networkConfiguration"}
    check_platform(platform, fargate=fargate)


def check_task_resources(containers: Sequence[Json], *, fargate: bool) -> None:
    """Raise `Invalid` for amounts of a task; on Fargate the sum of the containers must be one of the pairs."""
    wanted = [requirements(container) for container in containers]
    for one in wanted if not fargate else ():
        check_amounts(one, fargate=False)
    for kind, text in (("VCPU", "vCPU is required."), ("MEMORY", "Memory is required.")):
        if not any(kind in one for one in wanted):
            raise Invalid(text)
    if fargate:
        _check_pair(
            sum(_number("VCPU", one.get("VCPU", "0")) for one in wanted),
            sum(_number("MEMORY", one.get("MEMORY", "0")) for one in wanted),
        )


def _check_dependencies(containers: Sequence[Json]) -> None:
    waits: dict[str, list[str]] = {}
    for container in containers:
        needed = container.get("dependsOn", [])
        for one in needed:
            if one.get("condition") not in ("START", "COMPLETE", "SUCCESS"):
                raise Invalid("The condition of a container dependency must be START, COMPLETE or SUCCESS.")
        if needed and len(containers) == 1:
            raise Invalid("Container dependency can not be used in a single-container job.")
        waits[container.get("name", "default")] = [one.get("containerName", "") for one in needed]
    left = dict(waits)
    while left:
        free = [name for name, needed in left.items() if not any(one in left for one in needed)]
        if not free:
            raise Invalid("Container dependencies must not have cycles.")
        for name in free:
            del left[name]
    if any(one not in waits for needed in waits.values() for one in needed):
        raise Invalid("A container dependency must name a container of the task.")


def filled_tasks(given: Json, *, fargate: bool) -> Json:
    """`ecsProperties` as Describe returns them."""
    tasks = []
    for task in given["taskProperties"]:
        lists: Json = {member: [] for member in LISTS if member != "volumes"}
        containers = [
            filled_common({**lists, "dependsOn": [], "essential": True, **container})
            for container in task["containers"]
        ]
        filled_task = {"volumes": [], **task, "containers": containers}
        if fargate:
            filled_task.setdefault("platformVersion", "LATEST")
        tasks.append(filled_task)
    return {**given, "taskProperties": tasks}
