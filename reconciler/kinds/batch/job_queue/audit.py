"""What an audit looks for in job queues: whether anything can run what waits in them, and whether anything does.

https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from reconciler.kinds.batch import _jobs as jobs
from reconciler.kinds.batch import _offers, _transitions
from reconciler.kinds.common.declared import as_text, entries
from reconciler.model import Json, Live, Reads
from reconciler.model import problem_codes as codes
from reconciler.model.audit import Audit, Audited, AuditFinding, AuditSeverity, Evidence, seen

DESCRIBE: Final = "batch:DescribeJobQueues"
ENVIRONMENTS: Final = "computeEnvironments"
_ORDER: Final = "computeEnvironmentOrder"
# the reasons that AWS Batch gives for a job at the head of a queue; the words before these are a code of its own
_BLOCKED: Final = ("MISCONFIGURATION:", "CAPACITY:", "ACTION_REQUIRED", "UNDETERMINED")


def _listed(live: Live, audited: Audited) -> dict[str, Live | None]:
    """The environments of a queue as it names them; None for one that does not exist."""
    named = [as_text(item.get("computeEnvironment")) or "" for _, item in entries(live.props.get(_ORDER))]
    return {name: audited.find(ENVIRONMENTS, name) for name in named}


def _serves(environment: Live | None) -> bool:
    if environment is None or environment.invalid or environment.deleting:
        return False
    return environment.props.get("state") != "DISABLED"


def _how(name: str, environment: Live | None) -> str:
    state = "missing" if environment is None else environment.status
    if environment is not None and not environment.invalid and not environment.deleting:
        state = str(environment.props.get("state"))
    return f"{name.rpartition('/')[2]} is {state}"


def capacity(live: Live, audited: Audited) -> Reads[Sequence[AuditFinding]]:
    """A queue that accepts jobs, while none of its environments starts any: worse if jobs wait."""
    listed = _listed(live, audited)
    known = ENVIRONMENTS in audited.complete
    if not listed or not known or live.deleting or live.props.get("state") == "DISABLED":
        return ()
    if any(map(_serves, listed.values())):
        return ()
    count = len((yield from jobs.waiting(live.attrs["arn"])))
    states = ", ".join(_how(name, environment) for name, environment in listed.items())
    message = f"no compute environment of it can run jobs: {states}"
    evidence = [
        seen("batch:DescribeComputeEnvironments", "state, status", _how(name, environment))
        for name, environment in listed.items()
    ]
    if count:
        message += f"; {_jobs(count)} wait{'s' if count == 1 else ''}"
        evidence.append(seen(jobs.LIST, "jobSummaryList[] (RUNNABLE)", count))
    hint = "enable or repair one of them, list another in computeEnvironmentOrder, or disable the queue"
    return [_finding(codes.NO_CAPACITY, "error" if count else "warning", message, hint, *evidence)]


def fitting(live: Live, audited: Audited) -> Reads[Sequence[AuditFinding]]:
    """Waiting jobs that request more than any environment of the queue can ever offer."""
    serving = [one for one in _listed(live, audited).values() if one is not None and _serves(one)]
    if not serving or ENVIRONMENTS not in audited.complete:
        return ()
    waiting = yield from jobs.waiting(live.attrs["arn"])
    if not waiting:
        return ()
    requests = yield from jobs.requests([str(item["jobId"]) for item in waiting])
    types = yield from _offers.types_of(serving)
    names = {str(item["jobId"]): str(item.get("jobName")) for item in waiting}
    hopeless: dict[tuple[str, str], list[str]] = {}
    for job, request in requests.items():
        why = [_offers.why_not(request, one, types[one.attrs["name"]]) for one in serving]
        if all(why):
            needs = _offers.amounts(request)
            if request.total > request.vcpus:
                needs += f" on each node, {request.total:g} vCPUs in all"
            hopeless.setdefault((needs, "; ".join(why)), []).append(job)
    return [_too_large(needs, why, some, names) for (needs, why), some in sorted(hopeless.items())]


def _too_large(needs: str, why: str, some: Sequence[str], names: Mapping[str, str]) -> AuditFinding:
    those = f"job {names[some[0]]}" if len(some) == 1 else f"{len(some)} jobs, among them {names[some[0]]},"
    verb = "requests" if len(some) == 1 else "request"
    return _finding(
        codes.JOB_CANNOT_RUN,
        "error",
        f"{those} waiting in it {verb} {needs}, and can never run: {why}",
        "raise maxvCpus, allow larger instance types, or cancel it and request less",
        seen(jobs.DESCRIBE, "jobs[].container.resourceRequirements", needs),
        seen(jobs.LIST, "jobSummaryList[].jobId", some[0]),
    )


def blocked(live: Live, _: Audited) -> Reads[Sequence[AuditFinding]]:
    """The reasons that AWS gives for waiting jobs."""
    if live.props.get("serviceEnvironmentOrder"):
        return ()
    found: dict[str, list[Json]] = {}
    for item in (yield from jobs.waiting(live.attrs["arn"])):
        reason = as_text(item.get("statusReason")) or ""
        if reason.startswith(_BLOCKED):
            found.setdefault(reason, []).append(item)
    return [
        _finding(
            codes.JOB_BLOCKED,
            "warning",
            f"{_jobs(len(some))} in it cannot start: {reason}",
            "remove the cause, or cancel the job, so that those behind it are not held up",
            seen(jobs.LIST, "jobSummaryList[].statusReason", reason),
            seen(jobs.LIST, "jobSummaryList[].jobId", some[0].get("jobId")),
        )
        for reason, some in sorted(found.items())
    ]


def unused(live: Live, __: Audited) -> Reads[Sequence[AuditFinding]]:
    """A queue of which AWS Batch knows no job at all."""
    if live.deleting or live.props.get("serviceEnvironmentOrder"):
        return ()
    found, _ = yield from jobs.newest(live.attrs["arn"])
    if found:
        return ()
    hint = "delete it if it is not needed; jobs are listed for at least 7 days after they end"
    proof = seen(jobs.LIST, "jobSummaryList", [])
    return [_finding(codes.NO_RECENT_JOBS, "advice", "has no job, neither waiting nor running nor ended", hint, proof)]


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _finding(
    code: codes.ProblemCode, severity: AuditSeverity, message: str, hint: str, *evidence: Evidence
) -> AuditFinding:
    return AuditFinding(code=code, severity=severity, message=message, hint=hint, evidence=evidence)


AUDIT: Final = Audit(
    shown_by=DESCRIBE,
    everything=True,
    rules=(capacity, fitting, blocked, unused, _transitions.rule("JobQueue", DESCRIBE)),
    reads=(DESCRIBE,),
    actions=(*jobs.ACTIONS, _offers.DESCRIBE, _transitions.EVENTS),
)
