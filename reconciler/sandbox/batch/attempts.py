"""What a job shows of its attempts: the ECS task and its host while one runs, and exit codes and reasons afterwards.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html, API_AttemptDetail.html, and
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html for the stop codes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from reconciler.sandbox.batch import job_logs, starts
from reconciler.sandbox.batch.compute_resources import on_fargate
from reconciler.sandbox.batch.settings import Outcome
from reconciler.sandbox.batch.store import Json, Row, Store, Task

_TASK_KEPT = 3600.0
SPOT_TASK = "Your Spot Task was interrupted."
_LONGEST_REASON = 255
_OF_AN_ATTEMPT = frozenset({"exitCode", "reason", "logStreamName", "networkInterfaces"})


def definition_name(row: Row) -> str:
    """The name of the definition of a job, without its revision."""
    name: str = row.props["jobDefinition"].rsplit("/", 1)[-1]
    return name.rsplit(":", 1)[0]


def begin(store: Store, row: Row) -> None:
    """From STARTING on a job shows its task, whose ARN contains the cluster, and so the compute environment."""
    run = store.runs[row.name]
    environment = store.environments.find(run.environment) if run.environment else None
    if environment is None:
        return
    if "eksProperties" in row.props:
        _show_pod(store, row)
        return
    cluster: str = environment.props.get("ecsClusterArn", "")
    if not cluster:
        return
    nodes = [store.jobs.find(child) for child in run.children] if run.multinode else [row]
    run.tasks = []
    for index, node in enumerate(nodes):
        if node is None:
            continue
        host = run.hosts[index] if index < len(run.hosts) else ""
        task = _task(store, node, environment, cluster, host)
        store.tasks[task.arn] = task
        run.tasks.insert(0 if node.props.get("nodeDetails", {}).get("isMainNode") else len(run.tasks), task.arn)
        job_logs.show(node, {}, without=_OF_AN_ATTEMPT)
        _show(node, {"taskArn": task.arn, **_place(task)})


def running(store: Store, row: Row) -> None:
    """The containers have started: the task shows its network interface."""
    for task in tasks(store, row):
        if task.stopped is not None:
            continue
        task.started = store.now
        job_logs.begin(store, task)
        node = store.jobs.find(task.job)
        if node is not None and task.interface is not None:
            interfaces: Json = {"networkInterfaces": _interfaces(task)}
            job_logs.show(node, {one["name"]: interfaces for one in task.containers})


def end(store: Store, row: Row, outcome: Outcome) -> None:
    """Record how the current attempt has ended; that of a node is recorded with its job's."""
    if "parent_node" in row.props:
        return
    run = store.runs[row.name]
    seen: Json = {}
    if outcome.exit_code is not None:
        seen["exitCode"] = outcome.exit_code
    if outcome.reason is not None:
        seen["reason"] = outcome.reason[:_LONGEST_REASON]
    attempt: Json = {"stoppedAt": store.millis(), "statusReason": outcome.status_reason}
    if run.started is not None:
        attempt["startedAt"] = run.started
    still = [task for task in tasks(store, row) if task.stopped is None]
    for task in still:
        _stop(store, task, outcome, seen)
    if "eksProperties" in row.props:
        pod: Json = row.props["eksProperties"].get("podProperties", {})
        named: Json = {key: pod[key] for key in ("podName", "nodeName") if key in pod}
        names = [one.get("name", "default") for one in pod.get("containers", ({},))]
        attempt = {**attempt, **named, "containers": [{"name": name, **seen} for name in names]}
        row.props["eksAttempts"] = [*row.props.get("eksAttempts", []), attempt]
    else:
        attempt |= _of_task(store, row, still[0] if still else None, seen)
        _show_end(row, attempt)
    for task in still if run.multinode else ():
        node = store.jobs.find(task.job)
        if node is not None:
            _record(store, node, task, attempt, seen)
    row.props["attempts"] = [*row.props["attempts"], attempt]


def end_node(store: Store, node: Row, task: Task, outcome: Outcome, started: int | None) -> None:
    """Record how the attempt of a child node has ended, whose job goes on."""
    seen: Json = {} if outcome.reason is None else {"reason": outcome.reason[:_LONGEST_REASON]}
    _stop(store, task, outcome, seen)
    times: Json = {"stoppedAt": store.millis(), **({} if started is None else {"startedAt": started})}
    _record(store, node, task, {**times, "statusReason": outcome.status_reason}, seen)


def _record(store: Store, node: Row, task: Task, attempt: Json, seen: Json) -> None:
    of_task = _of_task(store, node, task, seen)
    node.props["attempts"] = [*node.props["attempts"], {**attempt, **of_task}]
    _show_end(node, of_task)


def _show_end(row: Row, attempt: Json) -> None:
    """What the attempt says of its containers, the job says, too."""
    if "container" in attempt:
        row.props["container"] = {**row.props.get("container", {}), **attempt["container"]}
    for one in attempt.get("taskProperties", ()):
        job_logs.show(row, {each["name"]: each for each in one["containers"]})


def stop(store: Store, row: Row, reason: str) -> None:
    """The job ends: so do tasks that still run, or were about to."""
    for task in tasks(store, row):
        if task.stopped is None:
            _stop(store, task, Outcome(None, None, reason), {})


def _of_task(store: Store, row: Row, task: Task | None, seen: Json) -> Json:
    """What an attempt shows of its task and containers."""

    def container(name: str) -> Json:
        return {**seen, **(job_logs.streams(task, name) if task else {})}

    where: Json = {"taskArn": task.arn, **_place(task)} if task else {"taskArn": _somewhere(store)}
    interfaces = _interfaces(task) if task else []
    if "ecsProperties" in row.props:
        shown = [{"name": one, **container(one), "networkInterfaces": interfaces} for one in _container_names(row)]
        return {"taskProperties": [{**where, "containers": shown}]}
    return {"container": {**container("default"), **where, "networkInterfaces": interfaces}}


def _task(store: Store, node: Row, environment: Row, cluster: str, host: str) -> Task:
    resources: Json = environment.props.get("computeResources", {})
    task = Task(
        f"{cluster.replace(':cluster/', ':task/')}/{store.new_id().replace('-', '')}",
        cluster,
        node.name,
        definition_name(node),
        store.now,
        host,
        containers=[{"name": name} for name in _container_names(node)],
    )
    task.logs = starts.logs(node, task)
    if host:
        instance = store.hosts[host].container_instance
        task.container_instance = f"{cluster.replace(':cluster/', ':container-instance/')}/{instance}"
    elif not on_fargate(resources):
        task.container_instance = f"{cluster.replace(':cluster/', ':container-instance/')}/{store.new_id()}"
    if on_fargate(resources) or "parent_node" in node.props:
        task.interface = _connected(store, node, resources, store.hosts[host].subnet if host else "")
    return task


def _connected(store: Store, node: Row, resources: Json, subnet: str) -> Any:
    """The interface of a task that has one of its own: on Fargate, and of the nodes of a multi-node job."""
    subnets = [subnet] if subnet else resources.get("subnets", [])
    if not subnets:
        return None
    network: Json = starts.shape(node).get("networkConfiguration") or {}
    public = network.get("assignPublicIp") == "ENABLED"
    groups = resources.get("securityGroupIds", [])
    return store.surroundings.connect(subnets[len(store.tasks) % len(subnets)], groups, public=public, about=node.name)


def _container_names(node: Row) -> list[str]:
    if "ecsProperties" not in node.props:
        return ["default"]
    return [one.get("name", "default") for one in node.props["ecsProperties"]["taskProperties"][0]["containers"]]


def _show(node: Row, facts: Json) -> None:
    if "ecsProperties" in node.props:
        tasks = [{**one, **facts} for one in node.props["ecsProperties"]["taskProperties"]]
        node.props["ecsProperties"] = {**node.props["ecsProperties"], "taskProperties": tasks}
    elif "container" in node.props:
        node.props["container"] = {**node.props["container"], **facts}


def _show_pod(store: Store, row: Row) -> None:
    """Pod and node names, which DescribeJobs has while the pod runs (API_EksPodPropertiesDetail)."""
    run = store.runs[row.name]
    pod = dict(row.props["eksProperties"].get("podProperties", {}))
    pod["podName"] = f"aws-batch.{store.new_id()}"
    if run.hosts:
        number = store.hosts[run.hosts[0]].id
        pod["nodeName"] = f"ip-10-0-{int(number[-4:-2], 16)}-{int(number[-2:], 16)}.{store.region}.compute.internal"
    row.props["eksProperties"] = {**row.props["eksProperties"], "podProperties": pod}


def tasks(store: Store, row: Row) -> list[Task]:
    """The tasks of the current attempt, the main node's first."""
    return [store.tasks[arn] for arn in store.runs[row.name].tasks if arn in store.tasks]


def _place(task: Task) -> Json:
    return {"containerInstanceArn": task.container_instance} if task.container_instance else {}


def _interfaces(task: Task) -> list[Json]:
    if task.interface is None:
        return []
    attachment = task.arn.rsplit("/", 1)[-1]
    return [{"attachmentId": attachment, "privateIpv4Address": task.interface.private_address}]


def _somewhere(store: Store) -> str:
    return f"arn:{store.partition}:ecs:{store.region}:{store.account}:task/{store.new_id()}"


def _stop(store: Store, task: Task, outcome: Outcome, seen: Json) -> None:
    task.stopped = store.now
    task.stopped_reason = outcome.status_reason
    task.stop_code = _stop_code(outcome.status_reason)
    task.containers = [{**one, **seen} for one in task.containers]
    if outcome.reason is not None:
        task.containers = [{**one, "reason": outcome.reason} for one in task.containers]
    if task.interface is not None:
        store.surroundings.disconnect(task.interface.id)
    store.after(_TASK_KEPT, partial(_forget, store, task))


def _stop_code(status_reason: str) -> str:
    if status_reason.startswith("Essential container"):
        return "EssentialContainerExited"
    if status_reason == "Task failed to start" or "ResourceInitializationError" in status_reason:
        return "TaskFailedToStart"
    if status_reason == SPOT_TASK:
        return "SpotInterruption"
    return "TerminationNotice" if status_reason.startswith("Host EC2") else "UserInitiated"


def _forget(store: Store, task: Task) -> None:
    store.tasks.pop(task.arn, None)
