"""The members of a job: the children of an array, the nodes of a multi-node job, or the job itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model import EMPTY
from reconciler.operations.jobs.desk import WAITING, Desk
from reconciler.operations.jobs.watch import over


def member_ids(job: Mapping[str, Any]) -> Iterator[str]:
    """Their ids; they follow from that of the job."""
    if size := _array_size(job):
        yield from (f"{job['jobId']}:{index}" for index in range(size))
    elif nodes := nodes_of(job):
        yield from (f"{job['jobId']}#{index}" for index in range(nodes))
    else:
        yield str(job["jobId"])


def is_parent(job: Mapping[str, Any]) -> bool:
    """Whether a job has members."""
    return bool(_array_size(job) or nodes_of(job))


def nodes_of(job: Mapping[str, Any]) -> int:
    """How many nodes the parent of a multi-node job has; 0 for any other job."""
    return 0 if _is_member(job) else int((job.get("nodeProperties") or {}).get("numNodes") or 0)


def _array_size(job: Mapping[str, Any]) -> int:
    return 0 if _is_member(job) else int((job.get("arrayProperties") or {}).get("size") or 0)


def _is_member(job: Mapping[str, Any]) -> bool:
    return ":" in job["jobId"] or "#" in job["jobId"]


def main_node(desk: Desk, job: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The main node of a multi-node job that runs or ran, if the job itself does not say how: its attempts count."""
    if not nodes_of(job) or job["status"] in WAITING or (job.get("attempts") and over(job)):
        return None
    main = f"{job['jobId']}#{(job.get('nodeProperties') or {}).get('mainNode') or 0}"
    return desk.describe([main]).get(main)


def members(
    desk: Desk, jobs: Mapping[str, Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]] = EMPTY
) -> dict[str, Mapping[str, Any]]:
    """The members of jobs that are described, by id; the nodes of a multi-node job are asked for by number. Those that
    had ended when they became ``known`` are not read again.
    """
    found: dict[str, Mapping[str, Any]] = {}
    ids = [one for job in jobs.values() if is_parent(job) for one in member_ids(job)]
    described = {one: known[one] for one in ids if over(known.get(one))}
    described |= desk.describe([one for one in ids if one not in described])
    for job_id, job in jobs.items():
        if is_parent(job):
            found |= {one: described[one] for one in member_ids(job) if one in described}
        else:
            found[job_id] = job
    return found
