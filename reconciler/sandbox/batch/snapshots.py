"""What waits at the front of a queue, and what its jobs use.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_GetJobQueueSnapshot.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.sandbox.batch import job_needs
from reconciler.sandbox.batch.messages import refusal
from reconciler.sandbox.batch.store import Json, Row, Store


def snapshot(store: Store, given: Json) -> Json:
    """GetJobQueueSnapshot: the first hundred RUNNABLE jobs of a queue, and what the jobs that run use."""
    queue = store.queues.find(given["jobQueue"])
    if queue is None:
        raise refusal(f"JobQueue {given['jobQueue']} not found.")
    jobs = [row for row in (*store.jobs, *store.service_jobs) if row.props["jobQueue"] == queue.arn]
    front = [row for row in jobs if row.status == "RUNNABLE"][:100]
    listed = [{"jobArn": row.arn, "earliestTimeAtPosition": int(row.created * 1000)} for row in front]
    return {
        "frontOfQueue": {"jobs": listed, "lastUpdatedAt": store.millis()},
        "queueUtilization": {**_utilization(jobs), "lastUpdatedAt": store.millis()},
    }


def _utilization(jobs: Sequence[Row]) -> Json:
    """In all, and by share where jobs have one."""
    used: dict[tuple[str, str], dict[str, float]] = {}
    total: dict[str, float] = {}
    for row in jobs:
        if row.status not in ("STARTING", "RUNNING") or "serviceJobType" in row.props:
            continue
        unit = "cpu" if "eksProperties" in row.props else "VCPU"
        quantity = sum(need.vcpus for need in job_needs.of(row.props))
        total[unit] = total.get(unit, 0.0) + quantity
        for kind, member in (("fairshare", "shareIdentifier"), ("quotaShare", "quotaShareName")):
            if member in row.props:
                each = used.setdefault((kind, row.props[member]), {})
                each[unit] = each.get(unit, 0.0) + quantity
    found: Json = {"totalCapacityUsage": _usage(total)}
    for kind, member in (("fairshare", "shareIdentifier"), ("quotaShare", "quotaShareName")):
        shares = {name: usage for (of, name), usage in used.items() if of == kind}
        if shares:
            ordered = sorted(shares.items(), key=lambda one: -sum(one[1].values()))[:20]
            top = [{member: name, "capacityUsage": _usage(usage)} for name, usage in ordered]
            active = {"activeShareCount": len(shares)} if kind == "fairshare" else {}
            found[f"{kind}Utilization"] = {**active, "topCapacityUtilization": top}
    return found


def _usage(used: Mapping[str, float]) -> list[Json]:
    return [{"capacityUnit": unit, "quantity": quantity} for unit, quantity in used.items()]
