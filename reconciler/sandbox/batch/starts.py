"""How the containers of a job start: what AWS Batch makes of a definition for ECS, and why ECS may not start it.

Source: https://docs.aws.amazon.com/batch/latest/userguide/using_awslogs.html (log groups and streams) and
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from reconciler.sandbox.batch.compute_resources import on_fargate
from reconciler.sandbox.batch.settings import Outcome
from reconciler.sandbox.batch.store import Json, Row, Store, Task
from reconciler.sandbox.batch.surroundings import Container, Log, Start

GROUP = "/aws/batch/job"
_LONGEST_NAME = 200
_ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64", "X86_64": "amd64", "ARM64": "arm64"}


def containers(node: Row) -> list[Json]:
    """The containers of a job or node as its definition has them, each with its name."""
    if "ecsProperties" in node.props:
        found: list[Json] = node.props["ecsProperties"]["taskProperties"][0]["containers"]
        return [{"name": "default", **one} for one in found]
    return [{"name": "default", **node.props["container"]}] if "container" in node.props else []


def logs(node: Row, task: Task) -> dict[str, Log]:
    """Where each container of a task writes, by its name."""
    return {one["name"]: _log(one, task) for one in containers(node)}


def _log(container: Json, task: Task) -> Log:
    configured: Json = container.get("logConfiguration") or {}
    driver: str = configured.get("logDriver", "awslogs")
    options: dict[str, str] = dict(configured.get("options") or {})
    secrets = {one["name"]: one["valueFrom"] for one in configured.get("secretOptions") or ()}
    if driver != "awslogs":
        return Log(driver, options, secrets)
    own = bool(options.get("awslogs-group"))
    prefix = options.get("awslogs-stream-prefix") or task.definition[:_LONGEST_NAME]
    stream = f"{prefix}/{container['name']}/{task.arn.rsplit('/', 1)[-1]}"
    return Log(driver, {"awslogs-group": GROUP, **options}, secrets, stream, own)


def refused(store: Store, row: Row, task: Task, *, scripted: bool) -> Outcome | None:
    """How the attempt, or that of the node whose task it is, ends if its containers cannot start; None: they start."""
    node = store.jobs.find(task.job)
    if node is None or task.stopped is not None:
        return None
    failure = store.surroundings.cannot_start(_start(store, row, node, task, scripted=scripted))
    return None if failure is None else Outcome(None, failure.reason, failure.status_reason)


def _start(store: Store, row: Row, node: Row, task: Task, *, scripted: bool) -> Start:
    environment = store.environments.find(store.runs[row.name].environment or "")
    resources: Json = environment.props.get("computeResources", {}) if environment is not None else {}
    fargate = on_fargate(resources)
    declared = shape(node)
    platform: str = (declared.get("runtimePlatform") or {}).get("cpuArchitecture") or "X86_64"
    host = store.hosts.get(task.host)
    return Start(
        tuple(_container(store, one, task) for one in containers(node)),
        fargate,
        host.id if host else task.arn.rsplit("/", 1)[-1],
        _ARCHITECTURES[host.machine.architecture if host else platform],
        declared.get("jobRoleArn") or declared.get("taskRoleArn") or "",
        declared.get("executionRoleArn") or "",
        "" if fargate else resources.get("instanceRole", ""),
        host is not None and host.efa,
        scripted,
    )


def shape(node: Row) -> Json:
    """The part of a definition that has roles and platform."""
    if "ecsProperties" in node.props:
        task: Json = node.props["ecsProperties"]["taskProperties"][0]
        return task
    container: Json = node.props.get("container", {})
    return container


def _container(store: Store, given: Json, task: Task) -> Container:
    image: str = given.get("image", "")
    log = task.logs.get(given["name"]) or _log(given, task)
    secrets = tuple((one["name"], one["valueFrom"]) for one in given.get("secrets") or ())
    missing = any(fnmatchcase(image, pattern) for pattern in store.settings.missing_images)
    devices = (one.get("hostPath", "") for one in (given.get("linuxParameters") or {}).get("devices") or ())
    return Container(given["name"], image, log, secrets, missing, tuple(devices))
