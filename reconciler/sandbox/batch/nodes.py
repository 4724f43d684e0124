"""The nodes of a multi-node job: they have its status, but for children that fail, which changes nothing for others.

Source: https://docs.aws.amazon.com/batch/latest/userguide/job-lifecycle.html ("If a child node dies, AWS Batch takes no
action on the other nodes in the job") and https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.sandbox.batch import attempts, starts
from reconciler.sandbox.batch.settings import Outcome
from reconciler.sandbox.batch.store import Row, Store, Task


def is_child(row: Row) -> bool:
    """Whether it is a node that is not the main one."""
    return not row.props.get("nodeDetails", {}).get("isMainNode", True)


def start(store: Store, row: Row, tasks: Iterable[Task], *, scripted: bool) -> None:
    """The children start once the main node runs; those that cannot have failed."""
    for task in tasks:
        node = store.jobs.find(task.job)
        failure = starts.refused(store, row, task, scripted=scripted)
        if node is not None and failure is not None:
            lose(store, row, node, failure)


def lose(store: Store, row: Row, node: Row, outcome: Outcome) -> None:
    """A child fails, and the job goes on without it."""
    run = store.runs[row.name]
    if node.name in run.dead:
        return
    run.dead.add(node.name)
    for task in attempts.tasks(store, row):
        if task.job == node.name:
            attempts.end_node(store, node, task, outcome, run.started if task.started is not None else None)
    node.status, node.reason = "FAILED", outcome.status_reason
    node.props["stoppedAt"] = store.millis()


def mirror(store: Store, row: Row) -> None:
    """Give the nodes of a multi-node job its status; others have no nodes."""
    run = store.runs[row.name]
    if not run.multinode:
        return
    for node in map(store.jobs.find, run.children):
        if node is None or node.name in run.dead:
            continue
        node.status, node.reason = row.status, row.reason
        for member in ("startedAt", "stoppedAt"):
            if member in row.props:
                node.props[member] = row.props[member]
            else:
                node.props.pop(member, None)
