"""Fields of the containers of job definitions: which members AWS fills in, drops or reorders.

A container can be in ``containerProperties``, in a node range, or (with small differences) in a task of
``ecsProperties``. So each function takes the path ``at`` which it is declared. What is peculiar:

- A describe shows ``[]`` for every list that was left out. AWS drops environment variables with an empty value, and
  does not keep the order of variables, secrets and requirements.
- ``vcpus`` and ``memory`` are an older notation of two ``resourceRequirements``.
- AWS accepts the name of a role instead of its ARN, and shows what was given.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerProperties.html
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from reconciler.kinds.common.declared import items, mapping
from reconciler.kinds.common.normal_forms import unless
from reconciler.model import Field, Json, Ref
from reconciler.model.paths import values_by

LEGACY = {"vcpus": "VCPU", "memory": "MEMORY"}
FALSE = Field(default=False)
FALSE_IS_ABSENT = Field(normalize=unless(False))
ROLE_MEMBERS = frozenset({"jobRoleArn", "executionRoleArn", "taskRoleArn"})
# where containers, tasks of containers, and pods can be
RANGE = "nodeProperties.nodeRangeProperties[]"
CONTAINERS = ("containerProperties", f"{RANGE}.container")
TASKS = ("ecsProperties.taskProperties[]", f"{RANGE}.ecsProperties.taskProperties[]")
PODS = ("eksProperties.podProperties", f"{RANGE}.eksProperties.podProperties")
_OTHER_CONTAINERS = frozenset(path.split(".")[0] for path in (*TASKS, *PODS))
ECS_TASKS = "ecs-tasks.amazonaws.com"


def number_text(value: Any) -> Any:
    """A number as text in one notation: ``"1"`` for ``"1.0"``, ``"1"`` and ``1``. Other values are unchanged."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return value
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return value
    return format(number.normalize(), "f") if number.is_finite() else value


def filled_variables(value: Any) -> Any:
    """The environment variables that have a value: AWS drops the others."""
    if not isinstance(value, list | tuple):
        return value
    return [item for item in value if not (isinstance(item, Mapping) and item.get("value") in (None, ""))]


def _linux(at: str) -> dict[str, Field]:
    return {
        f"{at}.initProcessEnabled": FALSE_IS_ABSENT,
        f"{at}.devices": Field(key="hostPath"),
        f"{at}.devices[].permissions": Field(unordered=True),
        f"{at}.tmpfs": Field(key="containerPath"),
        f"{at}.tmpfs[].mountOptions": Field(unordered=True),
    }


def volumes(at: str) -> dict[str, Field]:
    """Fields of the ECS volumes at ``at``."""
    efs, s3 = f"{at}[].efsVolumeConfiguration", f"{at}[].s3filesVolumeConfiguration"
    return {
        at: Field(key="name"),
        f"{efs}.rootDirectory": Field(normalize=unless("", "/")),
        f"{efs}.transitEncryption": Field(normalize=unless("DISABLED")),
        f"{efs}.authorizationConfig.iam": Field(normalize=unless("DISABLED")),
        f"{s3}.rootDirectory": Field(normalize=unless("", "/")),
    }


def common(at: str) -> dict[str, Field]:
    """Fields of an ECS container at ``at``, of any task."""
    return {
        f"{at}.environment": Field(key="name", normalize=filled_variables),
        f"{at}.secrets": Field(key="name"),
        f"{at}.mountPoints": Field(key="containerPath"),
        f"{at}.mountPoints[].readOnly": FALSE,
        f"{at}.ulimits": Field(key="name"),
        f"{at}.resourceRequirements": Field(key="type"),
        f"{at}.resourceRequirements[].value": Field(normalize=number_text),
        f"{at}.privileged": FALSE,
        f"{at}.readonlyRootFilesystem": FALSE,
        f"{at}.user": Field(normalize=unless("")),
        f"{at}.logConfiguration.secretOptions": Field(key="name"),
        **_linux(f"{at}.linuxParameters"),
    }


def platform(at: str) -> dict[str, Field]:
    """Fields of the network and platform of a container or task at ``at``."""
    return {
        f"{at}.networkConfiguration.assignPublicIp": Field(normalize=unless("DISABLED")),
        f"{at}.runtimePlatform.operatingSystemFamily": Field(normalize=unless("LINUX")),
        f"{at}.runtimePlatform.cpuArchitecture": Field(normalize=unless("X86_64")),
        f"{at}.enableExecuteCommand": FALSE_IS_ABSENT,
    }


def container(at: str) -> dict[str, Field]:
    """Fields of ``ContainerProperties`` at ``at``."""
    return {
        **common(at),
        **platform(at),
        **volumes(f"{at}.volumes"),
        **{f"{at}.{legacy}": Field(normalize=unless(0)) for legacy in LEGACY},
        f"{at}.fargatePlatformConfiguration.platformVersion": Field(normalize=unless("LATEST")),
    }


def tasks(at: str) -> dict[str, Field]:
    """Fields of ``EcsTaskProperties`` at ``at``."""
    one = f"{at}.containers"
    return {
        one: Field(key="name"),
        **common(f"{one}[]"),
        f"{one}[].essential": Field(default=True),
        f"{one}[].dependsOn": Field(key="containerName"),
        **platform(at),
        **volumes(f"{at}.volumes"),
        f"{at}.platformVersion": Field(normalize=unless("LATEST")),
    }


def _kubernetes_container(at: str) -> dict[str, Field]:
    return {
        f"{at}.env": Field(key="name", normalize=filled_variables),
        f"{at}.volumeMounts": Field(key="mountPath"),
        f"{at}.volumeMounts[].readOnly": FALSE,
        f"{at}.resources.limits.*": Field(normalize=number_text),
        f"{at}.resources.requests.*": Field(normalize=number_text),
        f"{at}.securityContext.privileged": FALSE_IS_ABSENT,
        f"{at}.securityContext.readOnlyRootFilesystem": FALSE_IS_ABSENT,
        f"{at}.securityContext.runAsNonRoot": FALSE_IS_ABSENT,
        f"{at}.securityContext.capabilities.add": Field(unordered=True),
        f"{at}.securityContext.capabilities.drop": Field(unordered=True),
    }


def pod(at: str) -> dict[str, Field]:
    """Fields of ``EksPodProperties`` at ``at``."""
    return {
        f"{at}.hostNetwork": Field(default=True),
        f"{at}.dnsPolicy": Field(normalize=unless("ClusterFirst")),
        f"{at}.imagePullSecrets": Field(key="name"),
        f"{at}.containers": Field(key="name"),
        f"{at}.containers[].name": Field(default="Default"),
        **_kubernetes_container(f"{at}.containers[]"),
        **_kubernetes_container(f"{at}.initContainers[]"),
        f"{at}.volumes": Field(key="name"),
        f"{at}.volumes[].emptyDir.medium": Field(normalize=unless("")),
        f"{at}.volumes[].secret.optional": FALSE,
        f"{at}.volumes[].persistentVolumeClaim.readOnly": FALSE,
        f"{at}.shareProcessNamespace": FALSE_IS_ABSENT,
        f"{at}.securityContext.runAsNonRoot": FALSE_IS_ABSENT,
    }


# --- references ------------------------------------------------------------------------------------------------------

ROLE = Ref(section="roles", holds=False, same_account_and_region=True)
# A name that begins with / is an SSM parameter; other plain names are secrets. Other parameters need their ARN.
SECRET = Ref(section="secrets", literal=r"arn:|/|$", holds=False)
PULL_SECRET = Ref(section="secrets", literal=r"arn:|$", holds=False, optional=True)
LOG_GROUP = Ref(section="logGroups", attr="name", literal=r"$", holds=False, optional=True)


def _container_refs(at: str) -> dict[str, Ref]:
    return {
        f"{at}.secrets[].valueFrom": SECRET,
        f"{at}.logConfiguration.secretOptions[].valueFrom": SECRET,
        f"{at}.logConfiguration.options.awslogs-group": LOG_GROUP,
        f"{at}.repositoryCredentials.credentialsParameter": PULL_SECRET,
    }


def container_refs(at: str) -> dict[str, Ref]:
    """References of ``ContainerProperties`` at ``at``."""
    return {f"{at}.jobRoleArn": ROLE, f"{at}.executionRoleArn": ROLE, **_container_refs(at)}


def task_refs(at: str) -> dict[str, Ref]:
    """References of ``EcsTaskProperties`` at ``at``."""
    return {f"{at}.taskRoleArn": ROLE, f"{at}.executionRoleArn": ROLE, **_container_refs(f"{at}.containers[]")}


REFS = {
    **{path: ref for at in CONTAINERS for path, ref in container_refs(at).items()},
    **{path: ref for at in TASKS for path, ref in task_refs(at).items()},
}
ROLES = {path: ref for path, ref in REFS.items() if ref is ROLE}


# --- comparing both sides --------------------------------------------------------------------------------------------


def same_notation(live: Json, want: Json) -> tuple[Json, Json]:
    """Both containers with their vCPUs and memory in ``resourceRequirements``, if only one has the older notation."""
    for legacy, kind in LEGACY.items():
        if bool(live.get(legacy)) != bool(want.get(legacy)):
            live, want = _as_requirement(live, legacy, kind), _as_requirement(want, legacy, kind)
    return live, want


def _as_requirement(container: Json, legacy: str, kind: str) -> Json:
    side = dict(container)
    value = side.pop(legacy, None)
    listed = items(side.get("resourceRequirements"))
    if not value or any(mapping(item).get("type") == kind for item in listed):
        return side
    return {**side, "resourceRequirements": [*listed, {"type": kind, "value": str(value)}]}


def with_role_arns(live: Json, want: Json) -> Json:
    """``live`` with the ARN of a role instead of its name, if ``want`` has the ARN of a role of that name."""
    one, other = live.get("containerProperties"), want.get("containerProperties")
    if (
        isinstance(one, dict)
        and isinstance(other, dict)
        and _OTHER_CONTAINERS.isdisjoint(live)
        and [*map(one.get, ROLE_MEMBERS)] == [*map(other.get, ROLE_MEMBERS)]
    ):
        return live  # as most are
    if all(role.startswith("arn:") for role in _roles(live)):
        return live
    arns = {arn.rsplit("/", 1)[-1]: arn for arn in _roles(want) if arn.startswith("arn:")}
    renamed: Json = _renamed(live, arns) if arns else live
    return renamed


def _roles(props: Json) -> list[str]:
    """The roles that containers and tasks name."""
    return [role for _, _, role in values_by(props, ROLES) if isinstance(role, str)]


def _renamed(value: Any, arns: Mapping[str, str]) -> Any:
    if isinstance(value, dict | Mapping):
        return {
            name: _renamed(item, arns)
            if type(item) is not str
            else arns.get(item, item)
            if name in ROLE_MEMBERS
            else item
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_renamed(item, arns) for item in value]
    return value
