"""A job as DescribeJobs returns it, and as the events about it have it.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html
"""

from __future__ import annotations

from reconciler.sandbox.batch.store import Json, Row, Store

PARENT_STATUSES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
_INTERNAL = frozenset({"parent", "parent_node", "_inherited_tags", "_overrides_too_long"})


def detail(store: Store, row: Row) -> Json:
    """Everything about a job, with the counts of an array."""
    props = {key: value for key, value in row.props.items() if key not in _INTERNAL}
    if "size" in props.get("arrayProperties", {}):
        props["arrayProperties"] = {**props["arrayProperties"], "statusSummary": _status_summary(store, row)}
    if "eksProperties" in props:
        props["attempts"] = []  # those of pods are `eksAttempts`
    return {
        "jobArn": row.arn,
        "jobId": row.name,
        **props,
        "status": row.status,
        **({"statusReason": row.reason} if row.reason else {}),
        "createdAt": int(row.created * 1000),
        "tags": row.tags,
    }


def _status_summary(store: Store, row: Row) -> dict[str, int]:
    children = [store.jobs.find(child) for child in store.runs[row.name].children]
    found = [child.status for child in children if child is not None]
    return {status: found.count(status) for status in PARENT_STATUSES}
