"""The life of a job from SubmitJob to its end: waiting, placement, attempts, retries, cancellation and termination.

Nothing is executed. `Settings.outcomes` defines how an attempt ends; the definition's retry strategy decides, as on
AWS, whether there is another one.

Source: https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import partial

from reconciler.sandbox.batch import retry
from reconciler.sandbox.batch.compute_resources import on_fargate
from reconciler.sandbox.batch.settings import Outcome
from reconciler.sandbox.batch.store import Json, Row, Run, Store

ENDED = frozenset({"SUCCEEDED", "FAILED"})
WAITING = frozenset({"SUBMITTED", "PENDING", "RUNNABLE"})
TIMED_OUT = "Job attempt duration exceeded timeout"
TOO_LARGE = (
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - The job's resource requirement exceeds the maxvCpus of every "
    "compute environment of the job queue."
)


def begin(store: Store, row: Row) -> None:
    """A job has just been submitted."""
    row.status = "SUBMITTED"
    store.after(store.settings.job_to_runnable, lambda: _ready(store, row))


def kick(store: Store) -> None:
    """A change may let waiting jobs start: place them after this event."""
    if not store.kicked:
        store.kicked = True
        store.after(0, lambda: _place_all(store))


def on_environment(store: Store, environment: Row) -> list[Row]:
    """The jobs that are placed on an environment."""
    ids = [job for job, run in store.runs.items() if run.environment == environment.arn]
    return [row for row in map(store.jobs.find, ids) if row is not None]


def lose_hosts(store: Store, environment: Row) -> None:
    """Every instance of the environment is terminated; a job's retry strategy decides whether it is retried."""
    _lose(store, on_environment(store, environment))


def lose_hosts_later(store: Store, environment: Row, seconds: float) -> None:
    """The current instances are terminated after `seconds`, with the jobs that still run on them."""
    jobs = on_environment(store, environment)
    turns = {row.name: store.runs[row.name].turn for row in jobs}

    def lose() -> None:
        still = {row.name for row in on_environment(store, environment)}
        _lose(store, [r for r in jobs if r.name in still and store.runs[r.name].turn == turns[r.name]])

    store.after(seconds, lose)


def _lose(store: Store, jobs: Iterable[Row]) -> None:
    for row in jobs:
        text = f"Host EC2 (instance i-{row.name.replace('-', '')[:17]}) terminated."
        _attempt_over(store, row, Outcome(None, None, text))


def stop_queue(store: Store, queue: Row) -> None:
    """End every job of a queue that is deleted."""
    for row in store.jobs:
        if row.props["jobQueue"] == queue.arn and row.status not in ENDED:
            _end(store, row, "FAILED", "Job queue was deleted")


def cancel(store: Store, row: Row, reason: str) -> None:
    """Ends jobs that have not started; others are not affected, without an error."""
    for child in _family(store, row):
        if child.status in WAITING:
            child.props["isCancelled"] = True
            _end(store, child, "FAILED", reason)


def terminate(store: Store, row: Row, reason: str) -> None:
    """Ends a job in any state, with its children."""
    for child in _family(store, row):
        if child.status in ENDED:
            continue
        child.props["isTerminated"] = True
        if child.status == "RUNNING":
            _record_attempt(store, child, Outcome(137, None, reason))
        _end(store, child, "FAILED", reason)


def _family(store: Store, row: Row) -> list[Row]:
    children = [store.jobs.find(child) for child in store.runs[row.name].children]
    return [*(child for child in children if child is not None), row]


def _ready(store: Store, row: Row) -> None:
    """Batch has evaluated the job: it waits for its dependencies, or for capacity."""
    if row.status not in ("SUBMITTED", "PENDING"):
        return
    for needed in sorted(store.runs[row.name].waits_for):
        other = store.jobs.find(needed)
        if other is not None and other.status == "FAILED":
            _end(store, row, "FAILED", "Dependent Job failed")
            return
        if other is None or other.status == "SUCCEEDED":
            store.runs[row.name].waits_for.discard(needed)
    if store.runs[row.name].waits_for:
        row.status = "PENDING"
        return
    if len({**row.props.get("_inherited_tags", {}), **row.tags}) > 50:
        _end(store, row, "FAILED", "The number of propagated tags exceeds the limit of 50.")
    elif "size" in row.props.get("arrayProperties", {}):
        row.status = "PENDING"
        for child in _family(store, row)[:-1]:
            _ready(store, child)
    else:
        _runnable(store, row)


def _runnable(store: Store, row: Row) -> None:
    row.status, row.reason = "RUNNABLE", ""
    run = store.runs[row.name]
    run.environment, run.started = None, None
    run.turn += 1
    turn = run.turn
    queue = store.queues.find(row.props["jobQueue"])
    for limit in queue.props["jobStateTimeLimitActions"] if queue else []:
        store.after(limit["maxTimeSeconds"], partial(_blocked, store, row, turn, limit))
    _mirror(store, row)
    kick(store)


def _blocked(store: Store, row: Row, turn: int, limit: Json) -> None:
    """A limit applies only to jobs that are blocked with the code it names."""
    if row.status == "RUNNABLE" and store.runs[row.name].turn == turn and row.reason.startswith(limit["reason"]):
        row.props["isCancelled"] = True
        _end(store, row, "FAILED", limit["reason"])


def _place_all(store: Store) -> None:
    store.kicked = False
    waiting = [row for row in store.jobs if row.status == "RUNNABLE" and store.runs[row.name].environment is None]
    for row in sorted(waiting, key=lambda row: _urgency(store, row)):
        if "size" not in row.props.get("arrayProperties", {}) and "parent_node" not in row.props:
            _place(store, row)


def _urgency(store: Store, row: Row) -> tuple[int, int, int]:
    queue = store.queues.find(row.props["jobQueue"])
    priority = queue.props["priority"] if queue else 0
    return (-priority, -row.props.get("schedulingPriority", 0), row.number)


def _place(store: Store, row: Row) -> None:
    queue = store.queues.find(row.props["jobQueue"])
    if queue is None:
        return
    run = store.runs[row.name]
    order = sorted(queue.props["computeEnvironmentOrder"], key=lambda item: int(item["order"]))
    rows = [store.environments.find(item["computeEnvironment"]) for item in order]
    fitting = [one for one in rows if one is not None and _takes(one, run)]
    if fitting and all(run.vcpus > _capacity(one) for one in fitting):
        row.reason = TOO_LARGE
        return
    for environment in fitting:
        if _used(store, environment) + run.vcpus <= _capacity(environment) and _take_consumables(store, row):
            run.environment = environment.arn
            store.used[environment.arn] = _used(store, environment) + run.vcpus
            _grow(store, environment)
            store.after(store.settings.job_to_starting, partial(_starting, store, row, run.turn))
            return


def _takes(environment: Row, run: Run) -> bool:
    if environment.status not in ("VALID", "UPDATING") or environment.state != "ENABLED":
        return False
    resources: Json = environment.props.get("computeResources", {})
    if run.multinode:
        return resources.get("type") == "EC2"
    if run.platform == "EKS":
        return "eksConfiguration" in environment.props
    return on_fargate(resources) == (run.platform == "FARGATE") and "eksConfiguration" not in environment.props


def _capacity(environment: Row) -> float:
    resources: Json = environment.props.get("computeResources", {})
    return float(resources.get("maxvCpus") or environment.props.get("unmanagedvCpus") or 10**6)


def _used(store: Store, environment: Row) -> float:
    return store.used.get(environment.arn, 0)


def _grow(store: Store, environment: Row) -> None:
    """The service sets `desiredvCpus` to what its jobs need, within the limits."""
    resources: Json = environment.props.get("computeResources", {})
    if "desiredvCpus" in resources:
        wanted = max(resources["minvCpus"], int(_used(store, environment)))
        resources["desiredvCpus"] = min(resources["maxvCpus"], wanted)
        if resources["desiredvCpus"]:
            store.launched.add(environment.arn)


def _take_consumables(store: Store, row: Row) -> bool:
    needed = store.runs[row.name].consumables
    found = [(store.consumables.find(arn), quantity) for arn, quantity in needed]
    for resource, quantity in found:
        if resource is None or resource.props["totalQuantity"] - resource.props["inUseQuantity"] < quantity:
            return False
    for resource, quantity in found:
        if resource is not None:
            resource.props["inUseQuantity"] += quantity
    return True


def _release_consumables(store: Store, row: Row) -> None:
    for arn, quantity in store.runs[row.name].consumables:
        resource = store.consumables.find(arn)
        if resource is None:
            continue
        resource.props["inUseQuantity"] = max(resource.props["inUseQuantity"] - quantity, 0)
        if resource.props["resourceType"] == "NON_REPLENISHABLE":
            resource.props["totalQuantity"] = max(resource.props["totalQuantity"] - quantity, 0)


def _starting(store: Store, row: Row, turn: int) -> None:
    if store.runs[row.name].turn != turn:
        return
    row.status = "STARTING"
    _show_task(store, row)
    _mirror(store, row)
    store.after(store.settings.job_to_running, lambda: _running(store, row, turn))


def _show_task(store: Store, row: Row) -> None:
    """From STARTING on a job shows its ECS task, whose ARN contains the cluster, and so the compute environment."""
    run = store.runs[row.name]
    environment = store.environments.find(run.environment) if run.environment else None
    cluster: str = environment.props.get("ecsClusterArn", "") if environment else ""
    if not cluster or environment is None:
        return
    run.task = f"{cluster.replace(':cluster/', ':task/')}/{store.new_id().replace('-', '')}"
    shown: Json = {"taskArn": run.task}
    if not on_fargate(environment.props.get("computeResources", {})):
        shown["containerInstanceArn"] = f"{cluster.replace(':cluster/', ':container-instance/')}/{store.new_id()}"
    if "ecsProperties" in row.props:
        tasks = [{**task, **shown} for task in row.props["ecsProperties"]["taskProperties"]]
        row.props["ecsProperties"] = {**row.props["ecsProperties"], "taskProperties": tasks}
    elif "container" in row.props:
        row.props["container"] = {**row.props["container"], **shown}


def _running(store: Store, row: Row, turn: int) -> None:
    run = store.runs[row.name]
    if run.turn != turn:
        return
    row.status = "RUNNING"
    run.started = store.millis()
    row.props["startedAt"] = run.started
    outcome = _outcome(store, row)
    limit = row.props.get("timeout", {}).get("attemptDurationSeconds")
    if limit is not None and outcome.seconds > limit:
        outcome = Outcome(137, None, TIMED_OUT, limit)
    _mirror(store, row)
    store.after(outcome.seconds, lambda: _finished(store, row, turn, outcome))


def _finished(store: Store, row: Row, turn: int, outcome: Outcome) -> None:
    if store.runs[row.name].turn == turn:
        _attempt_over(store, row, outcome)


def _outcome(store: Store, row: Row) -> Outcome:
    definition = row.props["jobDefinition"].rsplit("/", 1)[-1].rsplit(":", 1)[0]
    for pattern, script in store.settings.outcomes.items():
        if script and (fnmatchcase(row.props["jobName"], pattern) or fnmatchcase(definition, pattern)):
            return Outcome.read(script[min(len(row.props["attempts"]), len(script) - 1)])
    return Outcome()


def _attempt_over(store: Store, row: Row, outcome: Outcome) -> None:
    _record_attempt(store, row, outcome)
    timed_out = outcome.status_reason == TIMED_OUT
    if not timed_out and retry.again(row.props.get("retryStrategy"), len(row.props["attempts"]), outcome):
        _leave(store, row)
        _runnable(store, row)
        return
    _end(store, row, "SUCCEEDED" if outcome.exit_code == 0 else "FAILED", outcome.status_reason)


def _record_attempt(store: Store, row: Row, outcome: Outcome) -> None:
    run = store.runs[row.name]
    seen: Json = {}
    if outcome.exit_code is not None:
        seen["exitCode"] = outcome.exit_code
    if outcome.reason is not None:
        seen["reason"] = outcome.reason
    definition = row.props["jobDefinition"].rsplit("/", 1)[-1].rsplit(":", 1)[0]
    somewhere = f"arn:{store.partition}:ecs:{store.region}:{store.account}:task/{store.new_id()}"
    where = {"taskArn": run.task or somewhere, "networkInterfaces": []}
    stream = {"logStreamName": f"{definition[:200]}/default/{store.new_id().replace('-', '')}"}
    attempt: Json = {"stoppedAt": store.millis(), "statusReason": outcome.status_reason}
    if run.started is not None:
        attempt["startedAt"] = run.started
    if "ecsProperties" in row.props:
        names = [one.get("name", "default") for one in row.props["ecsProperties"]["taskProperties"][0]["containers"]]
        containers = [{"name": name, **seen, **stream, "networkInterfaces": []} for name in names]
        attempt["taskProperties"] = [{"taskArn": where["taskArn"], "containers": containers}]
    elif "eksProperties" in row.props:
        attempt["containers"] = [seen]
        row.props["eksAttempts"] = [*row.props.get("eksAttempts", []), attempt]
    else:
        attempt["container"] = {**seen, **where, **stream}
        row.props["container"] = {**row.props.get("container", {}), **attempt["container"]}
    row.props["attempts"] = [*row.props["attempts"], attempt]


def _leave(store: Store, row: Row) -> None:
    """The job releases its capacity and consumable resources."""
    run = store.runs[row.name]
    run.turn += 1
    environment = store.environments.find(run.environment) if run.environment else None
    if run.environment is not None:
        store.used[run.environment] -= run.vcpus
        _release_consumables(store, row)
    run.environment = None
    if environment is not None:
        _grow(store, environment)
    kick(store)


def _end(store: Store, row: Row, status: str, reason: str) -> None:
    _leave(store, row)
    row.status, row.reason = status, reason
    row.props["stoppedAt"] = store.millis()
    _mirror(store, row)
    store.after(store.settings.job_kept, lambda: _forget(store, row))
    for other in store.waiters.pop(row.name, ()):
        dependent = store.jobs.find(other)
        if dependent is not None and dependent.status == "PENDING":
            _ready(store, dependent)
    _array_over(store, row)


def _array_over(store: Store, row: Row) -> None:
    parent = store.jobs.find(row.props["parent"]) if "index" in row.props.get("arrayProperties", {}) else None
    if parent is None or parent.status in ENDED:
        return
    run = store.runs[parent.name]
    run.open -= 1
    run.failed |= row.status == "FAILED"
    if run.open == 0:
        _end(store, parent, "FAILED" if run.failed else "SUCCEEDED", "Array Child Job failed" if run.failed else "")


def _mirror(store: Store, row: Row) -> None:
    """The nodes of a multi-node job have its status."""
    if not store.runs[row.name].multinode:
        return
    for node in _family(store, row)[:-1]:
        node.status, node.reason = row.status, row.reason
        for member in ("startedAt", "stoppedAt", "attempts"):
            if member in row.props:
                node.props[member] = row.props[member]


def _forget(store: Store, row: Row) -> None:
    store.jobs.drop(row)
    store.runs.pop(row.name, None)
