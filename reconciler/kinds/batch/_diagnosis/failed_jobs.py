"""Why a job FAILED, with what its log, Amazon ECS, EC2 and ECR add; of an array its children, and jobs upstream."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Final

from reconciler.kinds.batch._diagnosis import around as surroundings
from reconciler.kinds.batch._diagnosis import causes, facts, failures, images
from reconciler.kinds.batch._diagnosis.around import Around
from reconciler.kinds.batch._diagnosis.desk import DEFINITIONS, ENVIRONMENTS, TEMPLATES, Desk, evidence, suspect
from reconciler.kinds.batch._diagnosis.failures import JOBS, Found
from reconciler.kinds.common.declared import as_int, at, entries, mapping
from reconciler.model import Call, Json, Reads
from reconciler.model.diagnosis import Certainty, Evidence, Suspect
from reconciler.model.patterns import regex
from reconciler.model.secrets_in_text import without_secrets

LINES: Final = 30  # of a log that are read
CHILDREN: Final = 100  # of an array that are described
_INSTANCE: Final = regex(r"i-[0-9a-f]{8,17}")
_OF_NODES: Final = frozenset({"attempts", "statusReason", "container"})
_OF_HOSTS: Final = (ENVIRONMENTS, TEMPLATES)
_HIDDEN: Final = "(a line with a secret)"
_WHILE_RUNNING: Final = frozenset({"dcv-licence", "dcv-port"})
_HIDDEN_BY_ZERO: Final = frozenset({"fargate-spot", "host-lost", "oom", "pod-oom", "pod-evicted"})


def why_failed(desk: Desk, job: Json) -> Reads[list[Suspect]]:
    """Why a job FAILED; of an array's parent why its children did, of a multi-node job why its main node did."""
    names = {DEFINITIONS: facts.name_of(job.get("jobDefinition"))}
    if facts.array_size(job):
        children = yield from children_that_failed(desk, job, names)
        if children:
            return children
    if (main := facts.main_node(job)) is not None:
        return (yield from _main_node(desk, job, main, names))
    one = yield from _failure(desk, job)
    if one.row is not None and any(change.startswith(_OF_HOSTS) for change in one.row.change):
        names |= yield from _environment_of(desk, job)
    found = [_suspect(one, names, job)]
    if one.id == "dependency-failed":
        found += yield from upstream(desk, job, "FAILED")
    if one.id == "time-limit-action":
        queue = {"jobQueues": facts.name_of(job.get("jobQueue"))}
        found = [_suspect(one, queue, job)]
        text = str(job.get("statusReason")).partition("reason:")[2]
        match = causes.match("blocked", [("statusReason", text)])
        found += [suspect(match[0], [evidence(JOBS, "statusReason", text.strip())], names, job)] if match else []
    return found


def in_spite_of(job: Json) -> list[Suspect]:
    """What ended a job that SUCCEEDED: a program that ends with exit code 0 when it is asked to stop hides it."""
    ended = facts.attempts(job)
    found = failures.of_attempt(ended[-1], pod=facts.is_eks(job)) if ended else None
    if found is None or found.id not in _HIDDEN_BY_ZERO:
        return []
    one = _suspect(found, {DEFINITIONS: facts.name_of(job.get("jobDefinition"))}, job)
    says = (
        f"{one.message} The program ended with exit code 0, so the job counts as SUCCEEDED; its work may be incomplete."
    )
    return [replace(one, message=says)]


def _environment_of(desk: Desk, job: Json) -> Reads[dict[str, str]]:
    """The names of the environment that a job ran in, by the cluster of its task."""
    ended = facts.attempts(job)
    cluster = cluster_of(ended[-1].task if ended else "")
    around = (yield from around_of(desk, job)) if cluster else None
    for one in around.environments if around is not None else ():
        if str(one.get("ecsClusterArn")).rpartition("/")[2] == cluster:
            return surroundings.names_of(one)
    return {}


def cluster_of(task: str) -> str:
    """The cluster in the ARN of a task; empty in one of the old form."""
    return task.split("/")[1] if task.count("/") > 1 else ""


def _failure(desk: Desk, job: Json) -> Reads[Found]:
    """Why a job ended, with what its log or its task in Amazon ECS adds."""
    pod, ended = facts.is_eks(job), facts.attempts(job)
    last = ended[-1] if ended else None
    found = failures.of_job(job, last, pod=pod)
    if last is None or (found.row is not None and found.sure and not _by_code(found)):
        return (yield from _with_instance(desk, found))
    unsaid = found.row is None or found.id == causes.UNKNOWN
    if not pod and last.task and (unsaid or (failures.cut(last) and not _by_code(found))):
        texts = yield from _task(desk, last.task)
        whole = failures.of_task(texts)
        if whole is None and unsaid:
            whole = yield from images.why_not_pulled(desk, job, last)
        if whole is not None:
            return whole
    if found.row is None or _by_code(found):
        log = yield from _log(desk, job, last.stream)
        return failures.of_job(job, last, log, pod=pod) if log else found
    return found


def _by_code(found: Found) -> bool:
    return found.row is not None and bool(found.row.exits)


def _task(desk: Desk, arn: str) -> Reads[list[tuple[str, str]]]:
    """What Amazon ECS says of a task, which it keeps for an hour."""
    cluster = cluster_of(arn)
    params = {"tasks": [arn], **({"cluster": cluster} if cluster else {})}
    reply = yield from desk.one(Call("ecs", "DescribeTasks", params))
    found = []
    for _, task in entries(mapping(reply).get("tasks")):
        found.append(("tasks[].stoppedReason", str(task.get("stoppedReason") or "")))
        reasons = (str(one.get("reason") or "") for _, one in entries(task.get("containers")))
        found += [("tasks[].containers[].reason", text) for text in reasons]
    return found


def in_its_log(desk: Desk, job: Json) -> Reads[list[Suspect]]:
    """What the log of a job that runs shows of a desktop that cannot be used."""
    stream = str(facts.container(job).get("logStreamName") or "")
    for line in (yield from _log(desk, job, stream)):
        found = causes.match("log", [("message", line)])
        if found is not None and found[0].id in _WHILE_RUNNING:
            names = {DEFINITIONS: facts.name_of(job.get("jobDefinition"))}
            return [suspect(found[0], [evidence(failures.LOGS, "message", line)], names, job)]
    return []


def _log(desk: Desk, job: Json, stream: str) -> Reads[list[str]]:
    """The last lines of a log stream of a job."""
    where = facts.log_of(job)
    if where is None or not stream:
        return []
    params = {"logGroupName": where[0], "logStreamName": stream, "limit": LINES, "startFromHead": False}
    reply = yield from desk.one(Call("logs", "GetLogEvents", params), absent=("ResourceNotFoundException",))
    lines = [str(one.get("message") or "").strip() for _, one in entries(mapping(reply).get("events"))]
    return [line if without_secrets(line) == line else _HIDDEN for line in lines if line]


def _with_instance(desk: Desk, found: Found) -> Reads[Found]:
    """A lost instance with what EC2 says of it: whether Spot took it."""
    text = next((str(one.value) for one in found.evidence), "")
    match = _INSTANCE.search(text) if found.id == "host-lost" else None
    if match is None:
        return found
    call = Call("ec2", "DescribeInstances", {"InstanceIds": [match[0]]})
    reply = yield from desk.one(call, absent=("InvalidInstanceID.NotFound",))
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
        one = suspect(found.row, found.evidence, names, job, message=says, about=about)
        return _of_the_role(one, job) if found.id == "job-role" else one
    return Suspect(
        id=causes.UNKNOWN,
        certainty=Certainty.hint,
        message=found.says,
        evidence=found.evidence,
        advice="see the log of the job, and within an hour its task in Amazon ECS",
        about=about,
    )


def _of_the_role(one: Suspect, job: Json) -> Suspect:
    """The suspect with the property first that has the role which AWS names."""
    role = facts.execution_role(job)
    if not role or not any(role in str(piece.value) for piece in one.evidence):
        return one
    return replace(one, settings=tuple(sorted(one.settings, key=lambda each: "executionRole" not in each.path)))


# --- arrays, nodes and dependencies ----------------------------------------------------------------------------------


def children_that_failed(desk: Desk, parent: Json, names: dict[str, str]) -> Reads[list[Suspect]]:
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


def upstream(desk: Desk, job: Json, status: str) -> Reads[list[Suspect]]:
    """The jobs that this one depends on and that have not succeeded; with ``status`` only those, with their causes."""
    ids = [str(one["jobId"]) for _, one in entries(job.get("dependsOn")) if one.get("jobId")]
    if not ids and job.get("dependsOn") and not status:
        seen = [evidence(JOBS, "dependsOn", job["dependsOn"])]
        return [suspect(causes.row("dependency"), seen, message="The job waits for the child of its array before it.")]
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


def around_of(desk: Desk, job: Json) -> Reads[Around | None]:
    queue = str(job.get("jobQueue") or "")
    reply = yield from desk.one(Call("batch", "DescribeJobQueues", {"jobQueues": [queue]}))
    if reply is None:
        return None
    found = next((one for _, one in entries(reply.get("jobQueues"))), None)
    if found is None:
        return Around(queue={}, environments=(), front=None)
    return (yield from surroundings.of_queue(desk, found))
