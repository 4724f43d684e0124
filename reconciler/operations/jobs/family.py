"""The members of a job: the children of an array, the nodes of a multi-node job, or the job itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model import EMPTY
from reconciler.operations.jobs.desk import Desk
from reconciler.operations.jobs.watch import over


def member_ids(job: Mapping[str, Any]) -> Iterator[str]:
    """Their ids; they follow from that of the job."""
    if size := (job.get("arrayProperties") or {}).get("size"):
        yield from (f"{job['jobId']}:{index}" for index in range(size))
    elif nodes := (job.get("nodeProperties") or {}).get("numNodes"):
        yield from (f"{job['jobId']}#{index}" for index in range(nodes))
    else:
        yield str(job["jobId"])


def is_parent(job: Mapping[str, Any]) -> bool:
    """Whether a job has members."""
    return bool((job.get("arrayProperties") or {}).get("size") or (job.get("nodeProperties") or {}).get("numNodes"))


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
