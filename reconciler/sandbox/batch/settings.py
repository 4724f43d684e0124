"""How the sandbox's AWS Batch behaves where AWS varies: durations, and behaviour that is not documented.

Every setting may be changed while the service runs. Durations are seconds of the sandbox clock. Where AWS documents
nothing and no observation is known, there is a switch in place of a guess, so that clients can be tested with both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from typing import Any, Literal

from reconciler.model.records import dataclass


@dataclass(frozen=True)
class Line:
    """A line that a container writes, `at` seconds after it has started; without `container`, the first one does."""

    text: str
    at: float = 0
    container: str = ""

    @classmethod
    def read(cls, value: Line | str | Mapping[str, Any], index: int, seconds: float) -> Line:
        """Also accepts JSON: `{text, at, container}`, or text alone, one line a second."""
        if isinstance(value, Line):
            return value
        if isinstance(value, str):
            return cls(value, min(index, seconds))
        return cls(str(value["text"]), float(value.get("at", min(index, seconds))), str(value.get("container", "")))


@dataclass(frozen=True)
class Outcome:
    """How one attempt of a job ends, after `seconds`; without `exit_code` no exit of the container is known."""

    exit_code: int | None = 0
    reason: str | None = None
    status_reason: str = "Essential container in task exited"
    seconds: float = 30
    lines: tuple[Line, ...] = ()
    """What the job writes meanwhile."""

    @property
    def starts(self) -> bool:
        """Whether the containers start, and the job is RUNNING, before it ends so."""
        return not self.status_reason.startswith(("Task failed to start", "ResourceInitializationError"))

    @classmethod
    def read(cls, value: Outcome | Mapping[str, Any]) -> Outcome:
        """Also accepts JSON: `{exitCode, reason, statusReason, seconds, lines}`; a missing exit code is None."""
        if isinstance(value, Outcome):
            return value
        seconds = float(value.get("seconds", cls.seconds))
        return cls(
            exit_code=value.get("exitCode"),
            reason=value.get("reason"),
            status_reason=value.get("statusReason", cls.status_reason),
            seconds=seconds,
            lines=tuple(Line.read(one, index, seconds) for index, one in enumerate(value.get("lines", ()))),
        )


@dataclass
class Settings:
    """Set members directly, or several with `change`."""

    environment_create: float = 15
    environment_scaling: float = 10
    environment_infrastructure: float = 600
    environment_delete: float = 45
    queue_create: float = 5
    queue_update: float = 5
    queue_delete: float = 15
    service_environment: float = 5
    """Create, update and delete of a service environment, each."""
    quota_share: float = 5
    """Create, update and delete of a quota share, each."""
    environments_most: int = 50
    queues_most: int = 50
    """The documented quotas. Raise them to measure with more resources than AWS allows."""
    deleted_lingers: float = 60
    """How long a deleted environment or queue is still described as DELETED; 0 for not at all."""
    relationship_lag: float = 45
    """How long the deletion of an environment is refused after a queue has stopped using it."""
    role_check: float = 0
    """When, after the request, Batch first uses the roles: at once, roles that are not visible yet are refused."""
    instances_launch: float = 60
    """From VALID, or a higher `minvCpus`, to instances in the subnets and security groups."""
    instances_idle: float = 300
    """How long an instance without jobs runs on, unless `minvCpus` needs it."""
    instances_retry: float = 60
    """From a failed launch to the next; it doubles with each failure, up to an hour."""
    instances_unjoined: float = 7200
    """After how long an environment becomes INVALID whose instances do not join its cluster."""
    registered_memory: float = 0.965
    """The part of the advertised memory that the kernel of an instance has; of that the agent keeps 32 MiB."""
    no_capacity: Sequence[str] = ()
    """Patterns of instance types that EC2 does not have now: `g4dn.*`; in one zone only: `p4d.24xlarge@eu-west-1a`."""
    vcpu_quotas: Mapping[str, int] = field(default_factory=dict)
    """Patterns of instance types, each with the account's limit of running vCPUs for them: `{"g*": 0}`."""
    missing_images: Sequence[str] = ("no-container-image", "no-container-image:*")
    """Patterns of container images that their registry does not have. Images of the account's own ECR are
    missing if ECR does not have them, unless an outcome is set for the job."""
    unjoined: Sequence[str] = ()
    """Patterns of environments whose instances start and do not join the cluster."""
    blocked_after: float = 300
    """How long the first job of a queue is RUNNABLE before AWS Batch tells what blocks it."""
    undetermined_after: float = 1800
    """How long until it says that it cannot determine what does."""
    inactive_kept: float = 180 * 86400
    """How long a deregistered revision is still described."""

    job_to_runnable: float = 2
    job_to_starting: float = 3
    job_to_running: float = 15
    job_kept: float = 7 * 86400
    """How long a finished job is still described."""
    service_job_to_running: float = 15
    outcomes: Mapping[str, Sequence[Outcome | Mapping[str, Any] | str]] = field(default_factory=dict)
    """Attempt by attempt (the last repeats) how jobs end whose name, or definition's name, matches the pattern; in the
    words of `outcomes.py`, or as JSON."""

    shuffle: int | str | None = None
    """A seed puts every list whose order has no meaning in another order, in every reply."""
    unknown_delete: Literal["ok", "does not exist"] = "does not exist"
    """Deleting, or deregistering, what does not exist (any more)."""
    duplicate: Literal["ClientException", "ConflictException"] = "ClientException"
    """The code of `Object already exists`: 400 as modelled, or 409 as CloudFormation shows it."""
    deleted_holds_name: bool = False
    """Whether a name is in use while its last resource is described as DELETED."""
    instance_role_echo: Literal["as sent", "arn"] = "as sent"
    consumable_resource_echo: Literal["as sent", "arn"] = "as sent"
    fargate_fills: bool = False
    """Whether Fargate environments are described with empty `instanceTypes` and `tags`."""
    fargate_type_in_place: bool = False
    """Whether an update can change FARGATE to FARGATE_SPOT and back."""
    queue_type_derived: bool = False
    """Whether a queue created without `jobQueueType` is described with one."""
    amazon_linux_2: Literal["accepted", "refused"] = "accepted"
    """Environments on AMIs of Amazon Linux 2, which AWS stops creating after June 2026."""
    image_release: int = 1
    """The latest release of AWS's own AMIs. Raise it, and environments whose instances started from an older one are
    described with `batchImageStatus: UPDATE_AVAILABLE` until an update requests the latest."""
    bare_definition_name: Literal["nothing", "all revisions"] = "nothing"
    """`DescribeJobDefinitions(jobDefinitions=["NAME"])`, without a revision."""

    def change(self, values: Mapping[str, Any]) -> None:
        """Set new values, all or none; raises `KeyError` with the first name that is not a setting."""
        known = {one.name for one in fields(self)}
        for name in values:
            if name not in known:
                raise KeyError(name)
        for name, value in values.items():
            setattr(self, name, value)
