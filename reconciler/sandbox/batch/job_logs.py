"""What the containers of a job write: the lines of its script at their times, and those of `reconcile sandbox log`.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerDetail.html (`logStreamName` appears at
RUNNING) and https://docs.docker.com/engine/logging/drivers/splunk/ (what a driver adds about the container)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from reconciler.sandbox.batch.messages import refusal
from reconciler.sandbox.batch.settings import Line, Outcome
from reconciler.sandbox.batch.store import Json, Row, Store, Task


def begin(store: Store, task: Task) -> None:
    """The containers of a task have started: their streams exist, and the job shows their names."""
    for log in task.logs.values():
        store.surroundings.open_log(log, store.now)
    node = store.jobs.find(task.job)
    if node is not None:
        show(node, {name: streams(task, name) for name in task.logs})


def script(store: Store, row: Row, outcome: Outcome) -> None:
    """Write the lines of a script when they are due, as long as the attempt runs."""
    turn = store.runs[row.name].turn
    for line in outcome.lines:
        if line.at <= outcome.seconds:
            store.after(line.at, partial(_due, store, row, turn, line))


def write(store: Store, job: str, texts: Sequence[str], container: str) -> list[str]:
    """A job that runs writes lines now; returns where. `job` is an id (`ID:INDEX`, `ID#NODE`) or a name."""
    row = store.jobs.find(job) or next(
        (one for one in reversed(list(store.jobs)) if one.props["jobName"] == job and one.status == "RUNNING"), None
    )
    if row is None or row.status != "RUNNING":
        raise refusal(f"No job {job} is RUNNING." if row is None else f"Job {job} is {row.status}, not RUNNING.")
    tasks = _tasks(store, row)
    if not tasks:
        raise refusal(f"Job {job} has no ECS task: its containers write to the logs of their cluster.")
    names = list(tasks[0].logs)
    if container and container not in names:
        raise refusal(f"Job {job} has no container {container}; it has {', '.join(names)}.")
    for text in texts:
        _write(store, row, tasks[0], Line(text, container=container))
    log = tasks[0].logs[container or names[0]]
    return [log.options["awslogs-group"], log.stream] if log.stream else [log.driver]


def streams(task: Task, name: str) -> Json:
    """The member that names the stream of a container, once it has started; other drivers have none."""
    log = task.logs.get(name)
    return {"logStreamName": log.stream} if log is not None and log.stream and task.started is not None else {}


def show(node: Row, facts: Mapping[str, Json], without: Collection[str] = ()) -> None:
    """Change what each container of a job, or node, shows; `facts` by its name."""

    def shown(given: Json, name: str) -> Json:
        return {**{member: value for member, value in given.items() if member not in without}, **facts.get(name, {})}

    if "ecsProperties" in node.props:
        tasks = [
            {**one, "containers": [shown(given, given.get("name", "default")) for given in one["containers"]]}
            for one in node.props["ecsProperties"]["taskProperties"]
        ]
        node.props["ecsProperties"] = {**node.props["ecsProperties"], "taskProperties": tasks}
    elif "container" in node.props:
        node.props["container"] = shown(node.props["container"], "default")


def _due(store: Store, row: Row, turn: int, line: Line) -> None:
    tasks = _tasks(store, row)
    if store.runs[row.name].turn == turn and tasks:
        _write(store, row, tasks[0], line)


def _write(store: Store, row: Row, task: Task, line: Line) -> None:
    log = task.logs.get(line.container) or next(iter(task.logs.values()), None)
    if log is None:
        return
    known = {
        "AWS_BATCH_JOB_ID": row.name,
        "AWS_BATCH_JOB_ATTEMPT": str(len(row.props["attempts"]) + 1),
        "AWS_BATCH_JOB_ARRAY_INDEX": str(row.props.get("arrayProperties", {}).get("index", "")),
    }
    text = line.text
    for name, value in known.items():
        text = text.replace(f"${name}", value).replace(f"${{{name}}}", value)
    container = task.arn.rsplit("/", 1)[-1]
    store.surroundings.write(log, text, {"container": container, "host": task.host or container}, store.now)


def _tasks(store: Store, row: Row) -> list[Task]:
    """The tasks of the current attempt, the main node's first; of a node only its own."""
    if "parent_node" in row.props:
        return [task for task in store.tasks.values() if task.job == row.name and task.stopped is None]
    return [store.tasks[arn] for arn in store.runs[row.name].tasks if arn in store.tasks]
