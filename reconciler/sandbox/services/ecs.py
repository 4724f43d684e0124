"""ECS: the clusters of AWS Batch's compute environments, their container instances and tasks, read-only.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeContainerInstances.html and API_DescribeTasks.html
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("ecs")
_DRIVERS = ("awslogs", "fluentd", "gelf", "journald", "json-file", "splunk", "syslog")
_CAPABILITIES = (
    "com.amazonaws.ecs.capability.ecr-auth",
    "com.amazonaws.ecs.capability.privileged-container",
    "com.amazonaws.ecs.capability.task-iam-role",
    "ecs.capability.execution-role-ecr-pull",
    "ecs.capability.execution-role-awslogs",
    "ecs.capability.secrets.asm.environment-variables",
    "ecs.capability.efs",
    "ecs.capability.efsAuth",
)
_MOST = 100
_STARTED_BY = "aws-batch"
_AGENT = {"agentVersion": "1.89.3", "agentHash": "a1b2c3d4", "dockerVersion": "DockerVersion: 25.0.8"}


@RULES.before("DescribeClusters")
def clusters_of_batch_exist(call: ServiceCall) -> Json | None:
    """By name or ARN; other clusters are described by moto."""
    known = call.account.batch_fleet(call.region).clusters
    names = {arn.rsplit("/", 1)[-1]: arn for arn in known}
    asked = call.params.get("clusters") or ["default"]
    ours = [names.get(name, name) for name in asked if name in known or name in names]
    others = [name for name in asked if name not in known and name not in names]
    if not ours:
        return None
    reply = call.forward({**call.params, "clusters": others}) if others else {"clusters": [], "failures": []}
    return {**reply, "clusters": [*(_cluster(call, arn) for arn in ours), *reply["clusters"]]}


@RULES.before("ListClusters")
def clusters_of_batch_are_listed(call: ServiceCall) -> Json:
    """Those of the environments; there are no others."""
    return {"clusterArns": sorted(call.account.batch_fleet(call.region).clusters)}


@RULES.before("ListContainerInstances")
def container_instances_are_listed(call: ServiceCall) -> Json | None:
    """Those that have joined a cluster of AWS Batch; all of them are ACTIVE."""
    cluster = _ours(call)
    if cluster is None:
        return None
    if call.params.get("filter"):
        raise Refusal("NotImplemented", "the sandbox has no filter of ecs:ListContainerInstances", 501)
    hosts = call.account.batch_fleet(call.region).clusters[cluster]
    if call.params.get("status", "ACTIVE") != "ACTIVE":
        hosts = []
    return {"containerInstanceArns": [_instance_arn(cluster, host) for host in hosts]}


@RULES.before("DescribeContainerInstances")
def container_instances_are_described(call: ServiceCall) -> Json | None:
    """By ARN or id; unknown ones are failures."""
    cluster = _ours(call)
    if cluster is None:
        return None
    _check_number(call, "containerInstances", "Container instances")
    hosts = {host.container_instance: host for host in call.account.batch_fleet(call.region).clusters[cluster]}
    found, failures = [], []
    for asked in call.params["containerInstances"]:
        host = hosts.get(asked.rsplit("/", 1)[-1])
        if host is None:
            arn = f"{cluster.replace(':cluster/', ':container-instance/')}/{asked.rsplit('/', 1)[-1]}"
            failures.append({"arn": arn, "reason": "MISSING"})
        else:
            found.append(_container_instance(call, cluster, host))
    return {"containerInstances": found, "failures": failures}


@RULES.before("ListTasks")
def tasks_are_listed(call: ServiceCall) -> Json | None:
    """Running ones, or with `desiredStatus` those that have stopped in the last hour; none is of a service."""
    cluster = _ours(call)
    if cluster is None:
        return None
    if call.params.get("serviceName"):
        return {"taskArns": []}
    stopped = call.params.get("desiredStatus", "RUNNING") == "STOPPED"
    tasks = call.account.batch_fleet(call.region).tasks.values()
    wanted = call.params.get("containerInstance", "").rsplit("/", 1)[-1]
    return {
        "taskArns": [
            task.arn
            for task in tasks
            if task.cluster == cluster
            and (task.stopped is not None) == stopped
            and (not wanted or task.container_instance.endswith(f"/{wanted}"))
            and call.params.get("family", task.definition) == task.definition
            and call.params.get("startedBy", _STARTED_BY) == _STARTED_BY
            and call.params.get("launchType", _launch_type(task)) == _launch_type(task)
        ]
    }


@RULES.before("DescribeTasks")
def tasks_are_described(call: ServiceCall) -> Json | None:
    """By ARN or id; those that stopped more than an hour ago are failures."""
    cluster = _ours(call)
    if cluster is None:
        return None
    _check_number(call, "tasks", "Tasks")
    tasks = {arn.rsplit("/", 1)[-1]: task for arn, task in call.account.batch_fleet(call.region).tasks.items()}
    found, failures = [], []
    for asked in call.params["tasks"]:
        task = tasks.get(asked.rsplit("/", 1)[-1])
        if task is None or task.cluster != cluster:
            arn = f"{cluster.replace(':cluster/', ':task/')}/{asked.rsplit('/', 1)[-1]}"
            failures.append({"arn": arn, "reason": "MISSING"})
        else:
            found.append(_task(call, task))
    return {"tasks": found, "failures": failures}


def _check_number(call: ServiceCall, member: str, what: str) -> None:
    number = len(call.params[member])
    if number == 0:
        raise Refusal("InvalidParameterException", f"{what} cannot be empty.")
    if number > _MOST:
        raise Refusal("InvalidParameterException", f"{what} should be at most {_MOST}.")


def _launch_type(task: Any) -> str:
    return "EC2" if task.container_instance else "FARGATE"


def _ours(call: ServiceCall) -> str | None:
    """The ARN of the cluster that is asked for, if it is one of AWS Batch; other clusters are moto's."""
    asked = call.params.get("cluster", "default").rsplit("/", 1)[-1]
    if not asked.startswith("AWSBatch-"):
        return None
    known = call.account.batch_fleet(call.region).clusters
    found = next((arn for arn in known if arn.rsplit("/", 1)[-1] == asked), None)
    if found is None:
        raise Refusal("ClusterNotFoundException", "Cluster not found.")
    return found


def _cluster(call: ServiceCall, arn: str) -> Json:
    fleet = call.account.batch_fleet(call.region)
    tasks = [task for task in fleet.tasks.values() if task.cluster == arn and task.stopped is None]
    return {
        "clusterArn": arn,
        "clusterName": arn.rsplit("/", 1)[-1],
        "status": "ACTIVE",
        "registeredContainerInstancesCount": len(fleet.clusters[arn]),
        "runningTasksCount": sum(task.started is not None for task in tasks),
        "pendingTasksCount": sum(task.started is None for task in tasks),
        "activeServicesCount": 0,
        "statistics": [],
        "tags": [],
        "settings": [],
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
    }


def _instance_arn(cluster: str, host: Any) -> str:
    return f"{cluster.replace(':cluster/', ':container-instance/')}/{host.container_instance}"


def _container_instance(call: ServiceCall, cluster: str, host: Any) -> Json:
    taken = host.jobs.values()
    cpu, memory = host.machine.vcpus * 1024, host.memory
    gpus = [f"GPU-{host.container_instance[:8]}-{n}" for n in range(host.machine.gpus)]
    used = sum(need.gpus for need in taken)
    tasks = [t for t in call.account.batch_fleet(call.region).tasks.values() if t.host == host.id and t.stopped is None]
    return {
        "containerInstanceArn": _instance_arn(cluster, host),
        "ec2InstanceId": host.id,
        "version": 1,
        "versionInfo": dict(_AGENT),
        "remainingResources": _resources(
            cpu - int(sum(need.vcpus for need in taken) * 1024), memory - int(sum(n.memory for n in taken)), gpus[used:]
        ),
        "registeredResources": _resources(cpu, memory, gpus),
        "status": "ACTIVE",
        "agentConnected": True,
        "runningTasksCount": sum(task.started is not None for task in tasks),
        "pendingTasksCount": sum(task.started is None for task in tasks),
        "attributes": _attributes(host),
        "registeredAt": _time(host.launched),
        "attachments": [],
        "tags": [],
    }


def _resources(cpu: int, memory: int, gpus: Sequence[str]) -> list[Json]:
    def number(name: str, value: int) -> Json:
        return {"name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": value}

    listed = [number("CPU", cpu), number("MEMORY", memory)]
    if gpus:
        listed.append({"name": "GPU", "type": "STRINGSET", "stringSetValue": list(gpus)})
    return listed


def _attributes(host: Any) -> list[Json]:
    drivers = [f"com.amazonaws.ecs.capability.logging-driver.{driver}" for driver in _DRIVERS]
    facts = {
        "ecs.availability-zone": host.zone,
        "ecs.instance-type": host.machine.name,
        "ecs.cpu-architecture": host.machine.architecture,
        "ecs.os-type": "linux",
        "ecs.subnet-id": host.subnet,
    }
    return [{"name": name} for name in (*drivers, *_CAPABILITIES)] + [
        {"name": name, "value": value} for name, value in facts.items()
    ]


def _task(call: ServiceCall, task: Any) -> Json:
    status = "STOPPED" if task.stopped is not None else "RUNNING" if task.started is not None else "PENDING"
    definitions = f"arn:{call.partition}:ecs:{call.region}:{call.account.id}:task-definition"
    facts: Json = {
        "taskArn": task.arn,
        "clusterArn": task.cluster,
        "taskDefinitionArn": f"{definitions}/{task.definition}:1",
        "lastStatus": status,
        "desiredStatus": "STOPPED" if task.stopped is not None else "RUNNING",
        "launchType": _launch_type(task),
        "startedBy": _STARTED_BY,
        "createdAt": _time(task.created),
        "containers": [
            {
                "containerArn": f"{task.arn.replace(':task/', ':container/')}/{one['name']}",
                "taskArn": task.arn,
                "lastStatus": status,
                **one,
            }
            for one in task.containers
        ],
        "attachments": _attachments(task),
        "tags": [],
    }
    optional = {
        "containerInstanceArn": task.container_instance,
        "startedAt": _time(task.started) if task.started is not None else None,
        "stoppedAt": _time(task.stopped) if task.stopped is not None else None,
        "stopCode": task.stop_code,
        "stoppedReason": task.stopped_reason,
    }
    return {**facts, **{name: value for name, value in optional.items() if value}}


def _attachments(task: Any) -> list[Json]:
    """A task with an interface of its own has it as an attachment, with details by name."""
    if task.interface is None:
        return []
    details = {
        "subnetId": task.interface.subnet,
        "networkInterfaceId": task.interface.id,
        "privateIPv4Address": task.interface.private_address,
    }
    return [
        {
            "id": task.arn.rsplit("/", 1)[-1],
            "type": "ElasticNetworkInterface",
            "status": "DELETED" if task.stopped is not None else "ATTACHED",
            "details": [{"name": name, "value": value} for name, value in details.items()],
        }
    ]


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
