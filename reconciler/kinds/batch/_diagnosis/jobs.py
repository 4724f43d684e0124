"""What is wrong with a job: reads it, and by its status what is around it or how its attempts ended.

https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from reconciler.kinds.batch._diagnosis import around as surroundings
from reconciler.kinds.batch._diagnosis import causes, facts, failed_jobs, failures, waiting
from reconciler.kinds.batch._diagnosis.desk import DEFINITIONS, Desk, evidence, sorted_suspects, suspect
from reconciler.kinds.batch._diagnosis.facts import Attempt
from reconciler.kinds.batch._diagnosis.failures import JOBS
from reconciler.kinds.common.declared import as_int, at, entries, mapping
from reconciler.model import Call, Json, Reads
from reconciler.model.diagnosis import Certainty, Diagnosis, Ended, Evidence, Question, Suspect

#: An id of a job, of a child of an array, of a node, or the ARN of one.
IDS: Final = r"(arn:[^ ]+:job/)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}([:#][0-9]+)?"
JOB: Final = "job"
MOST_QUEUES: Final = 20
SLOW: Final = 300.0  # seconds in which a job starts
#: What the retry rules made of the attempts of a job.
Retried: TypeAlias = Callable[[Json, Sequence[Attempt]], tuple[Ended, ...]]
_NOT_YET: Final = frozenset({"RUNNABLE", "PENDING", "SUBMITTED"})
_DONE: Final = ("SUCCEEDED", "FAILED")
_BY_SIGNAL: Final = frozenset({"killed-137", "terminated-143"})
_FINE: Final = {
    "SUCCEEDED": "The job succeeded.",
    "RUNNING": "The job is running.",
    "SUBMITTED": "The job was just submitted; AWS Batch has not evaluated it yet.",
    "STARTING": "The job is starting.",
}


def by_id(question: Question, retried: Retried) -> Reads[Diagnosis | None]:
    """The diagnosis of one job; None where AWS Batch has none with this id (any more)."""
    desk = Desk(question)
    wanted = question.subject.rpartition("/")[2]
    reply = yield from desk.must(Call("batch", "DescribeJobs", {"jobs": [wanted]}))
    job = next((one for _, one in entries(reply.get("jobs"))), None)
    if job is not None:
        return (yield from of_job(desk, job, retried))
    return (yield from _service_job(desk, wanted))


def of_job(desk: Desk, job: Json, retried: Retried) -> Reads[Diagnosis]:
    """The diagnosis of a job that was described."""
    status = str(job.get("status") or "")
    found: list[Suspect] = []
    if status == "FAILED":
        found = yield from failed_jobs.why_failed(desk, job)
    elif status == "PENDING" or (status == "RUNNABLE" and facts.array_size(job)):
        found = yield from _pending(desk, job)
    elif status == "RUNNABLE":
        found = yield from _runnable(desk, job)
    elif status == "STARTING":
        found = yield from _starting(desk, job)
    elif status == "RUNNING":
        found = yield from failed_jobs.in_its_log(desk, job)
    elif status == "SUCCEEDED":
        found = failed_jobs.in_spite_of(job)
    ended = [one for one in (yield from _attempts_of(desk, job)) if one.listed]
    if not found:
        found = [_fine(job, ended)] if status in _FINE else [_unknown(desk, status)]
    return Diagnosis(
        kind=JOB,
        id=str(job.get("jobId")),
        state=status,
        section=DEFINITIONS,
        name=facts.name_of(job.get("jobDefinition")),
        causes=sorted_suspects(found),
        unread=tuple(desk.unread.values()),
        asked=tuple(desk.asked),
        attempts=_with_last_cause(retried(job, ended), found) if status == "FAILED" else retried(job, ended),
    )


def _with_last_cause(attempts: tuple[Ended, ...], found: Sequence[Suspect]) -> tuple[Ended, ...]:
    """The attempts, the last with the cause that was found, for which its log may have been read."""
    first = found[0]
    asked = first.id in ("terminated", "cancelled")
    if not attempts or first.about or first.id in failures.SAID | {causes.UNKNOWN}:
        return attempts
    if asked and attempts[-1].cause not in _BY_SIGNAL:  # it had ended before
        return attempts
    return (*attempts[:-1], replace(attempts[-1], cause=first.id))


def _pending(desk: Desk, job: Json) -> Reads[list[Suspect]]:
    """A parent of an array whose children run, or a job that waits for others."""
    if facts.array_size(job):
        summary = mapping(at(job, "arrayProperties", "statusSummary"))
        shown = {name: count for name, count in summary.items() if count}
        if any(name not in ("SUBMITTED", "PENDING") for name in shown):
            words = ", ".join(f"{count} {name}" for name, count in sorted(shown.items()))
            seen = [evidence(JOBS, "arrayProperties.statusSummary", shown)]
            says = f"The parent of an array job is PENDING while its children run: {words}."
            names = {DEFINITIONS: facts.name_of(job.get("jobDefinition"))}
            failed = (yield from failed_jobs.children_that_failed(desk, job, names)) if shown.get("FAILED") else []
            stuck = (yield from _stuck_children(desk, job)) if shown.keys() <= _NOT_YET else []
            return [*stuck, suspect(causes.row("array-parent"), seen, message=says), *failed]
    return (yield from failed_jobs.upstream(desk, job, ""))


def _runnable(desk: Desk, job: Json) -> Reads[list[Suspect]]:
    around = yield from failed_jobs.around_of(desk, job)
    if around is None:
        return []
    if not around.queue:
        seen = [evidence(surroundings.DESCRIBE_QUEUES, "jobQueues", [])]
        return [suspect(causes.row("queue-deleted"), seen, message="The job's queue does not exist any more.")]
    return (yield from waiting.why_waiting(desk, job, around))


def _stuck_children(desk: Desk, parent: Json) -> Reads[list[Suspect]]:
    """Why the children of an array, of which none runs, do not start: by the first of them."""
    params = {"arrayJobId": str(parent.get("jobId")), "jobStatus": "RUNNABLE", "maxResults": 1}
    listed = yield from desk.one(Call("batch", "ListJobs", params))
    child = next((str(one.get("jobId")) for _, one in entries(mapping(listed).get("jobSummaryList"))), "")
    if not child:
        return []
    reply = yield from desk.one(Call("batch", "DescribeJobs", {"jobs": [child]}))
    job = next((one for _, one in entries(mapping(reply).get("jobs"))), None)
    found = (yield from _runnable(desk, job)) if job is not None and job.get("status") == "RUNNABLE" else []
    return [waiting.about(one, one.about or f"job {child}") for one in found]


def _starting(desk: Desk, job: Json) -> Reads[list[Suspect]]:
    """That a job starts slowly, by what Amazon ECS says of the pull of its image."""
    arn = facts.task_arn(job)
    if not arn:
        return []
    cluster = failed_jobs.cluster_of(arn)
    params = {"tasks": [arn], **({"cluster": cluster} if cluster else {})}
    reply = yield from desk.one(Call("ecs", "DescribeTasks", params))
    task = next((one for _, one in entries(mapping(reply).get("tasks"))), None)
    if task is None:
        return []
    began, ended = task.get("pullStartedAt"), task.get("pullStoppedAt")
    age = desk.age(began or task.get("createdAt"))
    if age is None or age < SLOW:
        return []
    names = {DEFINITIONS: facts.name_of(job.get("jobDefinition"))}
    if began and not ended:
        says = f"The image has been pulled for {int(age // 60)} min: a large image, or a slow disk or network."
        seen = [evidence(failures.TASKS, "tasks[].pullStartedAt", str(began))]
        return [
            replace(suspect(causes.row("starting-slow"), seen, names, job, message=says), certainty=Certainty.likely)
        ]
    seen = [evidence(failures.TASKS, "tasks[].lastStatus", task.get("lastStatus"))]
    return [suspect(causes.row("starting-slow"), seen, names, job)]


def _attempts_of(desk: Desk, job: Json) -> Reads[list[Attempt]]:
    """The attempts of a job; those of a multi-node job are in its main node."""
    main = facts.main_node(job)
    if main is None or facts.attempts(job):
        return facts.attempts(job)
    reply = yield from desk.one(Call("batch", "DescribeJobs", {"jobs": [f"{job.get('jobId')}#{main}"]}))
    return facts.attempts(next((one for _, one in entries(mapping(reply).get("jobs"))), {}))


def _fine(job: Json, attempts: Sequence[Attempt]) -> Suspect:
    status = str(job.get("status"))
    says, seen = _FINE[status], [evidence(JOBS, "status", status)]
    if attempts and status in ("SUCCEEDED", "RUNNING", "STARTING"):
        earlier = len(attempts) - (1 if status == "SUCCEEDED" else 0)
        says += f" {_retried(earlier)}" if earlier else ""
    return Suspect(id=causes.NONE, certainty=Certainty.certain, message=says, evidence=tuple(seen))


def _retried(count: int) -> str:
    return "1 earlier attempt was retried." if count == 1 else f"{count} earlier attempts were retried."


def _unknown(desk: Desk, status: str) -> Suspect:
    says = f"The job is {status}, and nothing that was read explains it."
    advice = "allow the reads below, and ask again" if desk.unread else "ask again in some minutes"
    seen = (evidence(JOBS, "status", status),)
    return Suspect(id=causes.UNKNOWN, certainty=Certainty.hint, message=says, evidence=seen, advice=advice)


def _service_job(desk: Desk, wanted: str) -> Reads[Diagnosis | None]:
    """The diagnosis of a service job (SageMaker training)."""
    call = Call("batch", "DescribeServiceJob", {"jobId": wanted})
    (reply,) = yield (call,)
    if not isinstance(reply, dict) or not reply.get("jobId"):
        return None
    status, text = str(reply.get("status")), str(reply.get("statusReason") or "")
    match = causes.match("blocked", [("statusReason", text)])
    seen = [evidence(str(call), "statusReason", text)] if text else [evidence(str(call), "status", status)]
    if match is not None and status not in _DONE:
        found = [suspect(match[0], seen)]
    elif status == "FAILED":
        found = _service_failure(reply, text, seen)
    elif status in ("RUNNABLE", "PENDING", "SCHEDULED"):
        found = [_unknown(desk, status)]
    else:
        says = f"The service job is {status}."
        found = [Suspect(id=causes.NONE, certainty=Certainty.certain, message=says, evidence=tuple(seen))]
    return Diagnosis(
        kind=JOB,
        id=wanted,
        state=status,
        causes=tuple(found),
        unread=tuple(desk.unread.values()),
        asked=("batch:DescribeJobs", str(call)),
    )


def _service_failure(job: Json, text: str, seen: list[Evidence]) -> list[Suspect]:
    """Why a service job failed: by a time limit of its queue, by a request, else as far as its attempts report it."""
    said = causes.match("task", [("statusReason", text)])
    if said is not None and said[0].id in failures.SAID:
        blocked = causes.match("blocked", [("statusReason", text.partition("reason:")[2])])
        return [suspect(said[0], seen), *([suspect(blocked[0], seen)] if blocked is not None else [])]
    if job.get("isTerminated") is True:
        return [suspect(causes.row("terminated"), seen)]
    tried = [str(one.get("statusReason") or "") for _, one in entries(job.get("attempts"))]
    seen += [evidence("batch:DescribeServiceJob", "attempts[].statusReason", one) for one in tried[-1:] if one]
    one = Suspect(
        id=causes.UNKNOWN,
        certainty=Certainty.hint,
        message="The service job failed.",
        evidence=tuple(seen),
        advice="see the job in the service that runs it",
    )
    return [one]


def of_definition(question: Question, retried: Retried) -> Reads[Diagnosis | None]:
    """The diagnosis of the newest job of a definition that failed or waits; else of its newest job."""
    desk = Desk(question)
    queues = list(question.declared.get("jobQueues", ()))
    if not queues:
        reply = yield from desk.must(Call("batch", "DescribeJobQueues", all_pages=True))
        queues = [str(one.get("jobQueueName")) for _, one in entries(reply.get("jobQueues"))]
    wanted = [{"name": "JOB_DEFINITION", "values": [question.subject]}]
    calls = [
        Call("batch", "ListJobs", {"jobQueue": name, "filters": wanted, "maxResults": 100}) for name in queues[:20]
    ]
    replies = yield from desk.ask(*calls)
    jobs = [one for reply in replies for _, one in entries(mapping(reply).get("jobSummaryList"))]
    jobs.sort(key=lambda one: as_int(one.get("createdAt")) or 0, reverse=True)
    open_ones = [one for one in jobs if one.get("status") not in ("SUCCEEDED", "RUNNING", "SUBMITTED")]
    chosen = next(iter(open_ones or jobs), None)
    if chosen is None:
        says = "No job of this definition is waiting, running, or ended in the last days."
        nothing = Suspect(id=causes.NONE, certainty=Certainty.certain, message=says)
        if desk.unread:
            says = "The jobs of this definition could not be listed."
            nothing = Suspect(id=causes.UNKNOWN, certainty=Certainty.hint, message=says)
        return Diagnosis(
            kind=JOB,
            id=question.subject,
            state="",
            section=DEFINITIONS,
            name=question.subject,
            causes=(nothing,),
            unread=tuple(desk.unread.values()),
            asked=tuple(desk.asked),
        )
    reply = yield from desk.must(Call("batch", "DescribeJobs", {"jobs": [str(chosen.get("jobId"))]}))
    job = next((one for _, one in entries(reply.get("jobs"))), None)
    return (yield from of_job(desk, job, retried)) if job is not None else None
