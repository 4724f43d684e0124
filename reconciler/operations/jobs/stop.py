"""Stops jobs in any state.

TerminateJob ends running jobs and cancels those that wait; CancelJob has no effect on running ones, and says nothing.
So only TerminateJob is used, or TerminateJobs for up to fifty jobs where the installed AWS model has it.
Terminating an array or a multi-node job terminates all of it. Service jobs have a call of their own.

https://docs.aws.amazon.com/batch/latest/APIReference/API_TerminateJob.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reconciler.model import Call, Json, Refused
from reconciler.model.records import dataclass
from reconciler.operations.jobs.desk import SERVICE_JOB, Desk, chunks
from reconciler.operations.jobs.watch import over

TOGETHER: Final = 50  # jobs in one TerminateJobs
LONGEST: Final = 1024  # characters of a reason
_TRIES: Final = 4  # of a call without a reply: to terminate a job twice does no harm


@dataclass(frozen=True, slots=True)
class Stopped:
    """What became of each job: those that are being stopped, those that had ended before, and refusals by id."""

    stopped: tuple[Mapping[str, Any], ...]
    ended: tuple[Mapping[str, Any], ...]
    refused: Mapping[str, str]


def stop(desk: Desk, jobs: Sequence[Mapping[str, Any]], reason: str) -> Stopped:
    """Terminate those of the jobs (details or summaries) that have not ended. Raises Problems for credentials."""
    ours = [str(job["jobId"]) for job in jobs if not over(job)]
    refused: dict[str, str] = {}
    services = {str(job["jobId"]) for job in jobs if job.get(SERVICE_JOB)}
    wanted = [one for one in ours if one not in services]
    for one in (one for one in ours if one in services):
        reply = _sent(desk, Call("batch", "TerminateServiceJob", {"jobId": one, "reason": reason}))
        if isinstance(reply, Refused):
            refused[one] = str(reply)
    if len(wanted) > 1 and desk.offers("TerminateJobs"):
        for some in chunks(wanted, TOGETHER):
            reply = _sent(desk, Call("batch", "TerminateJobs", {"jobs": some, "reason": reason}))
            if isinstance(reply, Refused):
                refused |= dict.fromkeys(some, str(reply))
            else:
                refused |= {one["job"]: f"{one['code']}: {one['message']}" for one in reply.get("errors", ())}
    else:
        for one in wanted:
            reply = _sent(desk, Call("batch", "TerminateJob", {"jobId": one, "reason": reason}))
            if isinstance(reply, Refused):
                refused[one] = str(reply)
    return Stopped(
        tuple(job for job in jobs if not over(job) and job["jobId"] not in refused),
        tuple(job for job in jobs if over(job)),
        refused,
    )


def _sent(desk: Desk, call: Call) -> Json | Refused:
    reply = desk.reply(call)
    for number in range(1, _TRIES):
        if not isinstance(reply, Refused) or not (reply.unknown_outcome or reply.not_processed):
            break
        desk.clock.sleep(2.0**number)
        reply = desk.reply(call)
    return reply
