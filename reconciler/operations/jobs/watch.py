"""Watches jobs until they have ended: one DescribeJobs for up to a hundred jobs, every few seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.operations.jobs.desk import ENDED, Desk

PERIOD: Final = 5.0
LATER: Final = 10.0  # after the first minutes
_SOON: Final = 120.0

Details = dict[str, dict[str, Any]]


def polls(desk: Desk, ids: Sequence[str], timeout: float | None = None) -> Iterator[Details]:
    """The jobs as they are, again and again until all have ended or ``timeout`` seconds are over. Those that have ended
    are not asked about again.
    """
    began, known = desk.clock.now(), Details()
    while True:
        known |= desk.describe([one for one in ids if not over(known.get(one))])
        yield {one: known[one] for one in ids if one in known}
        passed = desk.clock.now() - began
        if all(over(known.get(one)) for one in ids) or (timeout is not None and passed >= timeout):
            return
        pause = PERIOD if passed < _SOON else LATER
        desk.clock.sleep(pause if timeout is None else min(pause, max(timeout - passed, 0.1)))


def over(job: Mapping[str, Any] | None) -> bool:
    """Whether a job has ended."""
    return job is not None and job["status"] in ENDED


def words(job: Mapping[str, Any]) -> str:
    """Its status with what belongs to it: ``RUNNABLE (MISCONFIGURATION:…)``, ``PENDING (2 RUNNING, 3 SUCCEEDED)``."""
    parts = [summary(job)] if summary(job) else []
    if job.get("statusReason"):
        parts.append(str(job["statusReason"]))
    tried = len(job.get("attempts") or ())
    if tried and job["status"] not in ENDED:
        parts.append(f"attempt {tried + 1}")
    return f"{job['status']} ({'; '.join(parts)})" if parts else str(job["status"])


def summary(job: Mapping[str, Any]) -> str:
    """How many children of an array have which status: ``2 RUNNING, 3 SUCCEEDED``; empty for other jobs."""
    counts = (job.get("arrayProperties") or {}).get("statusSummary") or {}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)
