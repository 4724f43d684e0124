"""What is wrong with a job: reads it, and by its status what is around it or how its attempts ended.

https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from reconciler.kinds.batch._diagnosis import around as surroundings
from reconciler.kinds.batch._diagnosis import causes, facts, failures, waiting
from reconciler.kinds.batch._diagnosis.around import Around
from reconciler.kinds.batch._diagnosis.desk import DEFINITIONS, Desk, evidence, sorted_suspects, suspect
from reconciler.kinds.batch._diagnosis.facts import Attempt
from reconciler.kinds.batch._diagnosis.failures import JOBS, Found
from reconciler.kinds.common.declared import as_int, at, entries, mapping
from reconciler.model import Call, Json, Reads
from reconciler.model.diagnosis import Certainty, Diagnosis, Ended, Evidence, Question, Suspect
from reconciler.model.secrets_in_text import without_secrets

#: An id of a job, of a child of an array, of a node, or the ARN of one.
IDS: Final = r"(arn:[^ ]+:job/)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}([:#][0-9]+)?"
JOB: Final = "job"
LINES: Final = 30  # of a log that are read
CHILDREN: Final = 100  # of an array that are described
MOST_QUEUES: Final = 20
SLOW: Final = 300.0  # seconds in which a job starts
#: What the retry rules made of the attempts of a job.
Retried: TypeAlias = Callable[[Json, Sequence[Attempt]], tuple[Ended, ...]]
_INSTANCE: Final = re.compile(r"i-[0-9a-f]{8,17}")
_OF_NODES: Final = frozenset({"attempts", "statusReason", "container"})
_NOT_YET: Final = frozenset({"RUNNABLE", "PENDING", "SUBMITTED"})
_DONE: Final = ("SUCCEEDED", "FAILED")
_FINE: Final = {
    "SUCCEEDED": "The job succeeded.",
    "RUNNING": "The job is running.",
    "SUBMITTED": "The job was just submitted; AWS Batch has not evaluated it yet.",
    "STARTING": "The job is starting.",
}
_HIDDEN: Final = "(a line with a secret)"


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
        found = yield from why_failed(desk, job)
    elif status == "PENDING" or (status == "RUNNABLE" and facts.array_size(job)):
        found = yield from _pending(desk, job)
    elif status == "RUNNABLE":
        found = yield from _runnable(desk, job)
    elif status == "STARTING":
        found = yield from _starting(desk, job)
    ended = yield from _attempts_of(desk, job)
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
        attempts=retried(job, ended),
    )


def why_failed(desk: Desk, job: Json) -> Reads[list[Suspect]]:
    """Why a job FAILED; of an array's parent why its children did, of a multi-node job why its main node did."""
    names = {DEFINITIONS: facts.name_of(job.get("jobDefinition"))}
    if facts.array_size(job):
        children = yield from _children(desk, job, names)
        if children:
            return children
    if (main := facts.main_node(job)) is not None:
        return (yield from _main_node(desk, job, main, names))
    one = yield from _failure(desk, job)
    found = [_suspect(one, names, job)]
    if one.id == "dependency-failed":
        found += yield from _upstream(desk, job, "FAILED")
    if one.id == "time-limit-action":
        queue = {"jobQueues": facts.name_of(job.get("jobQueue"))}
        found = [_suspect(one, queue, job)]
        text = str(job.get("statusReason")).partition("reason:")[2]
        match = causes.match("blocked", [("statusReason", text)])
        found += [suspect(match[0], [evidence(JOBS, "statusReason", text.strip())], names, job)] if match else []
    return found


def _failure(desk: Desk, job: Json) -> Reads[Found]:
    """Why a job ended, with what its log or its task in Amazon ECS adds."""
    pod, ended = facts.is_eks(job), facts.attempts(job)
    last = ended[-1] if ended else None
    found = failures.of_job(job, last, pod=pod)
    if last is None or (found.row is not None and found.sure and not _by_code(found)):
        return (yield from _with_instance(desk, found))
    if not pod and last.task and (found.row is None or found.id == causes.UNKNOWN):
        texts = yield from _task(desk, last.task)
        whole = failures.of_task(texts)
        if whole is not None:
            return whole
    if found.row is None or _by_code(found):
        log = yield from _log(desk, job, last)
        return failures.of_job(job, last, log, pod=pod) if log else found
    return found


def _by_code(found: Found) -> bool:
    return found.row is not None and bool(found.row.exits)


def _task(desk: Desk, arn: str) -> Reads[list[tuple[str, str]]]:
    """What Amazon ECS says of a task, which it keeps for an hour."""
    cluster = arn.split("/")[1] if arn.count("/") > 1 else ""
    params = {"tasks": [arn], **({"cluster": cluster} if cluster else {})}
    reply = yield from desk.one(Call("ecs", "DescribeTasks", params))
    found = []
    for _, task in entries(mapping(reply).get("tasks")):
        found.append(("tasks[].stoppedReason", str(task.get("stoppedReason") or "")))
        reasons = (str(one.get("reason") or "") for _, one in entries(task.get("containers")))
        found += [("tasks[].containers[].reason", text) for text in reasons]
    return found


def _log(desk: Desk, job: Json, attempt: Attempt) -> Reads[list[str]]:
    """The last lines of an attempt's log."""
    where = facts.log_of(job)
    if where is None or not attempt.stream:
        return []
    params = {"logGroupName": where[0], "logStreamName": attempt.stream, "limit": LINES, "startFromHead": False}
    reply = yield from desk.one(Call("logs", "GetLogEvents", params), absent=("ResourceNotFoundException",))
    lines = [str(one.get("message") or "").strip() for _, one in entries(mapping(reply).get("events"))]
    return [line if without_secrets(line) == line else _HIDDEN for line in lines if line]


def _with_instance(desk: Desk, found: Found) -> Reads[Found]:
    """A lost instance with what EC2 says of it: whether Spot took it."""
    text = next((str(one.value) for one in found.evidence), "")
    match = _INSTANCE.search(text) if found.id == "host-lost" else None
    if match is None:
        return found
    reply = yield from desk.one(Call("ec2", "DescribeInstances", {"InstanceIds": [match[0]]}))
    for _, reservation in entries(mapping(reply).get("Reservations")):
        for _, one in entries(reservation.get("Instances")):
            code = at(one, "StateReason", "Code")
            seen = [Evidence(call="ec2:DescribeInstances", field="StateReason.Code", value=code)] if code else []
            spot = str(code).startswith("Server.SpotInstance")
            says = "Spot reclaimed the instance." if spot else found.says
            return Found(row=found.row, evidence=(*found.evidence, *seen), says=says)
    return found


def _suspect(found: Found, names: dict[str, str], job: Json, about: str = "") -> Suspect:
    if found.row is not None:
        memory = facts.needs(job).memory
        says = f"{found.says.removesuffix('.')}: {memory} MiB." if found.id == "oom" and memory else found.says
        return suspect(found.row, found.evidence, names, job, message=says, about=about)
    return Suspect(
        id=causes.UNKNOWN,
        certainty=Certainty.hint,
        message=found.says,
        evidence=found.evidence,
        advice="see the log of the job, and within an hour its task in Amazon ECS",
        about=about,
    )


# --- arrays, nodes and dependencies ----------------------------------------------------------------------------------


def _children(desk: Desk, parent: Json, names: dict[str, str]) -> Reads[list[Suspect]]:
    """The causes of an array's children that FAILED, the most frequent first."""
    listed = yield from desk.one(
        Call("batch", "ListJobs", {"arrayJobId": str(parent.get("jobId")), "jobStatus": "FAILED"})
    )
    ids = [str(one.get("jobId")) for _, one in entries(mapping(listed).get("jobSummaryList"))]
    if not ids:
        return []
    reply = yield from desk.one(Call("batch", "DescribeJobs", {"jobs": ids[:CHILDREN]}))
    grouped: dict[tuple[str, str], list[tuple[Json, Found]]] = defaultdict(list)
    for _, child in entries(mapping(reply).get("jobs")):
        ended = facts.attempts(child)
        found = failures.of_job(child, ended[-1] if ended else None, pod=facts.is_eks(child))
        grouped[found.id, found.says].append((child, found))
    total = as_int(at(parent, "arrayProperties", "statusSummary", "FAILED")) or len(ids)
    counts = evidence(JOBS, "arrayProperties.statusSummary", mapping(at(parent, "arrayProperties", "statusSummary")))
    said = suspect(causes.row("array-child-failed"), [counts], {}, message=f"{total} children of the array job failed.")
    found_all = []
    for some in sorted(grouped.values(), key=len, reverse=True):
        indexes = [str(child.get("jobId")).rpartition(":")[2] for child, _ in some]
        shown = ", ".join(indexes[:5]) + (f" and {len(indexes) - 5} more" if len(indexes) > 5 else "")
        child, first = some[0]
        found_all.append(_suspect(first, names, child, f"{'children' if len(indexes) > 1 else 'child'} {shown}"))
    return [*found_all, said]


def _main_node(desk: Desk, job: Json, main: int, names: dict[str, str]) -> Reads[list[Suspect]]:
    reply = yield from desk.one(Call("batch", "DescribeJobs", {"jobs": [f"{job.get('jobId')}#{main}"]}))
    node = next((one for _, one in entries(mapping(reply).get("jobs"))), None)
    whole = {
        **job,
        **{key: value for key, value in (node or {}).items() if key in ("attempts", "statusReason", "container")},
    }
    one = yield from _failure(desk, whole)
    about = f"main node {main}"
    if one.id in failures.SAID or one.id in ("terminated", "cancelled"):
        return [_suspect(one, names, job)]
    row = causes.row("node-failed")
    return [_suspect(one, names, job, about), suspect(row, one.evidence, names, job)]


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
            failed = (yield from _children(desk, job, names)) if shown.get("FAILED") else []
            stuck = (yield from _stuck_children(desk, job)) if shown.keys() <= _NOT_YET else []
            return [*stuck, suspect(causes.row("array-parent"), seen, message=says), *failed]
    return (yield from _upstream(desk, job, ""))


def _upstream(desk: Desk, job: Json, status: str) -> Reads[list[Suspect]]:
    """The jobs that this one depends on and that have not succeeded; with ``status`` only those, with their causes."""
    ids = [str(one["jobId"]) for _, one in entries(job.get("dependsOn")) if one.get("jobId")]
    if not ids:
        return []
    reply = yield from desk.one(Call("batch", "DescribeJobs", {"jobs": ids}))
    found: list[Suspect] = []
    for _, one in entries(mapping(reply).get("jobs")):
        theirs, name = str(one.get("status")), f"job {one.get('jobId')}"
        if theirs == "SUCCEEDED" or (status and theirs != status):
            continue
        if theirs == "FAILED":
            ended = facts.attempts(one)
            cause = failures.of_job(one, ended[-1] if ended else None, pod=facts.is_eks(one))
            names = {DEFINITIONS: facts.name_of(one.get("jobDefinition"))}
            found.append(_suspect(cause, names, one, name))
        if not status:
            says = f"The job waits for {one.get('jobName')} ({one.get('jobId')}), which is {theirs}."
            seen = [evidence(JOBS, "dependsOn", one.get("jobId")), evidence(JOBS, "status", theirs)]
            found.append(suspect(causes.row("dependency"), seen, message=says))
    return found


# --- the rest --------------------------------------------------------------------------------------------------------


def _runnable(desk: Desk, job: Json) -> Reads[list[Suspect]]:
    around = yield from _around(desk, job)
    return [] if around is None else (yield from waiting.why_waiting(desk, job, around))


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


def _around(desk: Desk, job: Json) -> Reads[Around | None]:
    queue = str(job.get("jobQueue") or "")
    reply = yield from desk.one(Call("batch", "DescribeJobQueues", {"jobQueues": [queue]}))
    found = next((one for _, one in entries(mapping(reply).get("jobQueues"))), None)
    return (yield from surroundings.of_queue(desk, found)) if found is not None else None


def _starting(desk: Desk, job: Json) -> Reads[list[Suspect]]:
    """That a job starts slowly, by what Amazon ECS says of the pull of its image."""
    arn = facts.task_arn(job)
    if not arn:
        return []
    cluster = arn.split("/")[1] if arn.count("/") > 1 else ""
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
        found = suspect(match[0], seen)
    elif status == "FAILED":
        found = _service_failure(reply, seen)
    elif status in ("RUNNABLE", "PENDING", "SCHEDULED"):
        found = _unknown(desk, status)
    else:
        says = f"The service job is {status}."
        found = Suspect(id=causes.NONE, certainty=Certainty.certain, message=says, evidence=tuple(seen))
    return Diagnosis(
        kind=JOB,
        id=wanted,
        state=status,
        causes=(found,),
        unread=tuple(desk.unread.values()),
        asked=("batch:DescribeJobs", str(call)),
    )


def _service_failure(job: Json, seen: list[Evidence]) -> Suspect:
    if job.get("isTerminated") is True:
        return suspect(causes.row("terminated"), seen)
    return Suspect(
        id=causes.UNKNOWN,
        certainty=Certainty.hint,
        message="The service job failed.",
        evidence=tuple(seen),
        advice="see the job in the service that runs it",
    )


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
