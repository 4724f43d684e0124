"""What is wrong with a queue or a compute environment.

https://docs.aws.amazon.com/batch/latest/userguide/troubleshooting.html
"""

from __future__ import annotations

from typing import Final

from reconciler.kinds.batch._diagnosis import access, capacity, causes, fleets, network, waiting
from reconciler.kinds.batch._diagnosis import around as surroundings
from reconciler.kinds.batch._diagnosis.around import Around
from reconciler.kinds.batch._diagnosis.capacity import State
from reconciler.kinds.batch._diagnosis.desk import ENVIRONMENTS, QUEUES, Desk, evidence, sorted_suspects, sure
from reconciler.kinds.common.declared import as_int, entries, mapping
from reconciler.model import Call, Json, Reads
from reconciler.model.diagnosis import Certainty, Diagnoser, Diagnosis, Evidence, Question, Suspect

QUEUE: Final = "queue"
ENVIRONMENT: Final = "environment"
GONE: Final = "DELETED"  # AWS shows what was deleted for a while


def of_queue(question: Question) -> Reads[Diagnosis | None]:
    """The diagnosis of a queue; None where there is none of this name."""
    desk, name = Desk(question), question.subject
    reply = yield from desk.must(Call("batch", "DescribeJobQueues", {"jobQueues": [name]}))
    queue = next((one for _, one in entries(reply.get("jobQueues"))), None)
    if queue is None or queue.get("status") == GONE:
        return None
    around = yield from surroundings.of_queue(desk, queue)
    found = surroundings.blocked_by_states(around)
    if queue.get("status") == "INVALID":
        found = [*_of_environments(around), *found, _invalid_queue(queue)]
    notes: tuple[str, ...] = ()
    if not sure(found):
        blocked, notes = yield from _blocked(desk, around)
        found = [*blocked, *found, *_of_environments(around)]
    return _diagnosis(desk, QUEUE, QUEUES, name, queue, found, notes)


def of_environment(question: Question) -> Reads[Diagnosis | None]:
    """The diagnosis of a compute environment; None where there is none of this name."""
    desk, name = Desk(question), question.subject
    reply = yield from desk.must(Call("batch", "DescribeComputeEnvironments", {"computeEnvironments": [name]}))
    environment = next((one for _, one in entries(reply.get("computeEnvironments"))), None)
    if environment is None or environment.get("status") == GONE:
        return None
    found: list[Suspect] = []
    if environment.get("status") == "INVALID":
        found.append(surroundings.invalid(environment))
        if found[0].id == "none-joined":
            found += yield from network.why_not_joined(desk, State(environment))
    elif (one := surroundings.changing(environment)) is not None:
        found.append(one)
    if environment.get("state") == "DISABLED":
        found.append(surroundings.disabled(environment))
    if not found:
        state = State(environment)
        yield from capacity.launches_and_instances(desk, [state])
        yield from fleets.read(desk, [state])
        past = capacity.over(desk, state)
        found = [] if past else [_plain(one) for one in capacity.failed_launches(desk, [state])]
        joined = capacity.nothing_joined(desk, state)
        if joined is not None and environment.get("type") == "UNMANAGED":
            joined = None  # without jobs it needs none
        if joined is not None:
            why = yield from network.why_not_joined(desk, state)
            found += [_plain(one) for one in (*why, joined)]
        found += [] if past else [_plain(one) for one in capacity.unexplained([state])]
    return _diagnosis(desk, ENVIRONMENT, ENVIRONMENTS, name, environment, found, ())


def _blocked(desk: Desk, around: Around) -> Reads[tuple[list[Suspect], tuple[str, ...]]]:
    """Why the first job of the queue does not start, and how many wait; nothing for one that has waited for minutes."""
    params = {"jobQueue": around.name, "jobStatus": "RUNNABLE"}
    reply = yield from desk.one(Call("batch", "ListJobs", params))
    jobs = [one for _, one in entries(mapping(reply).get("jobSummaryList"))]
    if not jobs:
        return (yield from _blocked_child(desk, around))
    ids = [str(one.get("jobId")) for one in jobs]
    told = next((one for one in jobs if one.get("statusReason")), None)
    oldest = min(jobs, key=lambda one: as_int(one.get("createdAt")) or 0)
    front = next((one for one in around.front or () if one in ids), None)
    head = str(told.get("jobId")) if told else front or str(oldest.get("jobId"))
    many = (
        "100 or more jobs are"
        if mapping(reply).get("nextToken")
        else f"{len(jobs)} job{'s are' if len(jobs) > 1 else ' is'}"
    )
    notes = (f"{many} RUNNABLE",)
    first = next((one for one in jobs if one.get("jobId") == head), oldest)
    age = desk.age(first.get("createdAt"))
    if told is None and age is not None and age < waiting.PATIENCE:
        return [], notes
    answer = yield from desk.one(Call("batch", "DescribeJobs", {"jobs": [head]}))
    job = next((one for _, one in entries(mapping(answer).get("jobs"))), None)
    if job is None or job.get("status") != "RUNNABLE":
        return [], notes
    return (yield from _of_head(desk, around, job)), notes


def _blocked_child(desk: Desk, around: Around) -> Reads[tuple[list[Suspect], tuple[str, ...]]]:
    """The same where no job of the queue is listed as RUNNABLE: lists leave out the children of arrays."""
    head = next(iter(around.front or ()), None)
    if head is None:
        return [], ("0 RUNNABLE",)
    answer = yield from desk.one(Call("batch", "DescribeJobs", {"jobs": [head]}))
    job = next((one for _, one in entries(mapping(answer).get("jobs"))), None)
    if job is None or job.get("status") != "RUNNABLE":
        return [], ("0 RUNNABLE",)
    notes = ("children of arrays are RUNNABLE",)
    age = desk.age(job.get("createdAt"))
    if not job.get("statusReason") and age is not None and age < waiting.PATIENCE:
        return [], notes
    return (yield from _of_head(desk, around, job)), notes


def _of_head(desk: Desk, around: Around, job: Json) -> Reads[list[Suspect]]:
    """Why the first job of the queue does not start."""
    head = str(job.get("jobId"))
    found = yield from waiting.why_waiting(desk, job, around)
    if not found:
        says = f"Job {head} is RUNNABLE, and nothing that was read explains it."
        seen = (evidence("batch:DescribeJobs", "status", "RUNNABLE"),)
        found = [Suspect(id=causes.UNKNOWN, certainty=Certainty.hint, message=says, evidence=seen)]
    return [waiting.about(one, one.about or f"job {head}") for one in found]


def _of_environments(around: Around) -> list[Suspect]:
    """Why environments of the queue are INVALID, also where others are not."""
    return [
        surroundings.invalid(one, f"environment {one.get('computeEnvironmentName')}")
        for one in around.environments
        if one.get("status") == "INVALID"
    ]


def _invalid_queue(queue: Json) -> Suspect:
    text = str(queue.get("statusReason") or "")
    seen = [evidence(surroundings.DESCRIBE_QUEUES, "status", "INVALID")]
    seen += [evidence(surroundings.DESCRIBE_QUEUES, "statusReason", text)] if text else []
    says = "The queue is INVALID, which is rare: its environments or its scheduling policy may not exist any more."
    return Suspect(id=causes.UNKNOWN, certainty=Certainty.hint, message=says, evidence=tuple(seen))


def _plain(one: Suspect) -> Suspect:
    return waiting.about(one, "")


def _nothing(kind: str, seen: tuple[Evidence, ...], *, whole: bool) -> Suspect:
    """That nothing is wrong, which is only likely where not all could be read."""
    if whole:
        says = f"Nothing is wrong with the {kind}."
        return Suspect(id=causes.NONE, certainty=Certainty.certain, message=says, evidence=seen)
    return Suspect(
        id=causes.NONE,
        certainty=Certainty.likely,
        message=f"Nothing is wrong with the {kind} as far as it could be read.",
        evidence=seen,
        advice="allow the reads below, and ask again",
    )


def _diagnosis(
    desk: Desk, kind: str, section: str, name: str, live: Json, found: list[Suspect], notes: tuple[str, ...]
) -> Diagnosis:
    state = "DISABLED" if live.get("state") == "DISABLED" and live.get("status") == "VALID" else str(live.get("status"))
    if not found:
        call = surroundings.DESCRIBE_QUEUES if kind == QUEUE else surroundings.DESCRIBE_ENVIRONMENTS
        seen = (evidence(call, "status", live.get("status")), evidence(call, "state", live.get("state")))
        found = [_nothing(kind, seen, whole=not desk.unread)]
    return Diagnosis(
        kind=kind,
        id=name,
        state=state,
        section=section,
        name=name,
        causes=sorted_suspects(found),
        unread=tuple(desk.unread.values()),
        asked=tuple(desk.asked),
        notes=notes,
    )


DIAGNOSIS_OF_QUEUE: Final = Diagnoser(noun=QUEUE, by_name=of_queue, permissions=access.OF_JOBS)
DIAGNOSIS_OF_ENVIRONMENT: Final = Diagnoser(
    noun=ENVIRONMENT, by_name=of_environment, permissions=access.OF_ENVIRONMENTS
)
