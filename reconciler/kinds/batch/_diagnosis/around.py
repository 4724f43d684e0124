"""The queue of a job and its compute environments: what AWS Batch itself reports of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reconciler.kinds.batch._diagnosis import causes, facts
from reconciler.kinds.batch._diagnosis.desk import ENVIRONMENTS, QUEUES, TEMPLATES, Desk, evidence, suspect
from reconciler.kinds.common.declared import as_int, at, entries, mapping
from reconciler.model import Call, Json, Reads
from reconciler.model.diagnosis import Certainty, Suspect
from reconciler.model.records import dataclass

DESCRIBE_QUEUES: Final = "batch:DescribeJobQueues"
DESCRIBE_ENVIRONMENTS: Final = "batch:DescribeComputeEnvironments"
SNAPSHOT: Final = "batch:GetJobQueueSnapshot"
FARGATE: Final = frozenset({"FARGATE", "FARGATE_SPOT"})
_PASSING: Final = {"UPDATING": "updating-slow", "DELETING": "stuck-deleting"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """A queue, its environments in their order, and the ids of the jobs at its front; None for what was not read."""

    queue: Json
    environments: Sequence[Json]
    front: Sequence[str] | None

    @property
    def name(self) -> str:
        """The name of the queue."""
        return str(self.queue.get("jobQueueName") or "")

    @property
    def usable(self) -> list[Json]:
        """The environments that may run jobs."""
        return [one for one in self.environments if one.get("state") != "DISABLED" and one.get("status") != "INVALID"]

    def names(self, environment: Json | None = None, job: Json | None = None) -> dict[str, str]:
        """The names of the objects in question, by section."""
        chosen = environment if environment is not None else next(iter(self.usable or self.environments), None)
        found = {QUEUES: self.name} if self.name else {}
        if chosen is not None:
            found |= names_of(chosen)
        if job is not None and job.get("jobDefinition"):
            found["jobDefinitions"] = facts.name_of(job["jobDefinition"])
        return found


def of_queue(desk: Desk, queue: Json) -> Reads[Around]:
    """What is around a queue that was described."""
    ordered = sorted(
        (one for _, one in entries(queue.get("computeEnvironmentOrder"))), key=lambda one: as_int(one.get("order")) or 0
    )
    arns = [str(one.get("computeEnvironment")) for one in ordered]
    calls = [Call("batch", "GetJobQueueSnapshot", {"jobQueue": str(queue.get("jobQueueArn"))})]
    if arns:
        calls.append(Call("batch", "DescribeComputeEnvironments", {"computeEnvironments": arns}))
    snapshot, *described = yield from desk.ask(*calls)
    found = {
        str(one.get("computeEnvironmentArn")): one
        for reply in described
        for _, one in entries(mapping(reply).get("computeEnvironments"))
    }
    names = {str(one.get("computeEnvironmentName")): one for one in found.values()}
    environments = [found.get(arn) or names.get(arn.rpartition("/")[2]) for arn in arns]
    front = None
    if snapshot is not None:
        jobs = entries(at(snapshot, "frontOfQueue", "jobs"))
        front = [str(one.get("jobArn")).rpartition("/")[2] for _, one in jobs]
    return Around(queue=queue, environments=[one for one in environments if one is not None], front=front)


def names_of(environment: Json) -> dict[str, str]:
    """The names of an environment and of its launch template, by section."""
    found = {ENVIRONMENTS: str(environment.get("computeEnvironmentName") or "")}
    template = at(environment, "computeResources", "launchTemplate", "launchTemplateName")
    return {**found, TEMPLATES: str(template)} if template else found


def kind_of(environment: Json) -> str:
    """EC2, SPOT, FARGATE, FARGATE_SPOT, EKS or UNMANAGED."""
    if environment.get("type") == "UNMANAGED":
        return "UNMANAGED"
    if environment.get("eksConfiguration") or environment.get("containerOrchestrationType") == "EKS":
        return "EKS"
    return str(at(environment, "computeResources", "type") or "EC2")


def most_vcpus(environment: Json) -> int:
    """``maxvCpus`` of an environment."""
    return as_int(at(environment, "computeResources", "maxvCpus")) or 0


def invalid(environment: Json, about: str = "") -> Suspect:
    """Why an environment is INVALID."""
    name, text = str(environment.get("computeEnvironmentName")), str(environment.get("statusReason") or "")
    found = causes.match("environment", [("statusReason", text)])
    seen = [
        evidence(DESCRIBE_ENVIRONMENTS, f"computeEnvironments[{name}].status", environment.get("status")),
        *([evidence(DESCRIBE_ENVIRONMENTS, f"computeEnvironments[{name}].statusReason", text)] if text else []),
    ]
    if found is None or found[0].id == causes.NONE:
        says = f"The environment {name} is {environment.get('status')}, and AWS's text is not a known one."
        return Suspect(id=causes.UNKNOWN, certainty=Certainty.hint, message=says, evidence=tuple(seen), about=about)
    return suspect(found[0], seen, names_of(environment), about=about)


def disabled(environment: Json, about: str = "") -> Suspect:
    """An environment that is DISABLED."""
    name = str(environment.get("computeEnvironmentName"))
    seen = [evidence(DESCRIBE_ENVIRONMENTS, f"computeEnvironments[{name}].state", "DISABLED")]
    change = f"{ENVIRONMENTS}.state"
    says = f"The environment {name} is DISABLED: no job starts in it."
    row = causes.row("environment-disabled")
    return suspect(row, seen, names_of(environment), message=says, values={change: "ENABLED"}, about=about)


def changing(environment: Json) -> Suspect | None:
    """An environment that is being changed or deleted."""
    status = str(environment.get("status"))
    if status not in _PASSING:
        return None
    name = str(environment.get("computeEnvironmentName"))
    seen = [evidence(DESCRIBE_ENVIRONMENTS, f"computeEnvironments[{name}].status", status)]
    return suspect(causes.row(_PASSING[status]), seen, names_of(environment))


def blocked_by_states(around: Around) -> list[Suspect]:
    """Why nothing of a queue can start, by the states of the queue and of its environments."""
    if around.queue.get("state") == "DISABLED":
        seen = [evidence(DESCRIBE_QUEUES, "state", "DISABLED")]
        return [suspect(causes.row("queue-disabled"), seen, around.names(), values={f"{QUEUES}.state": "ENABLED"})]
    if around.usable or not around.environments:
        return []
    found = [disabled(one, _about(one)) for one in around.environments if one.get("state") == "DISABLED"]
    broken = [one for one in around.environments if one.get("status") == "INVALID"]
    if broken and not found:
        seen = [_status(one) for one in broken]
        found.append(suspect(causes.row("environments-invalid"), seen, around.names()))
    return [*found, *(invalid(one, _about(one)) for one in broken)]


def _about(environment: Json) -> str:
    return f"environment {environment.get('computeEnvironmentName')}"


def _status(environment: Json) -> Any:
    name = str(environment.get("computeEnvironmentName"))
    return evidence(DESCRIBE_ENVIRONMENTS, f"computeEnvironments[{name}].status", environment.get("status"))


def value_of(environment: Mapping[str, Any], *path: str) -> Any:
    """A value of an environment's computeResources."""
    return at(environment, "computeResources", *path)
