"""How the sandbox's AWS Batch behaves where the real one varies: how long things take, and what is not established.

Everything may be changed while the service runs. Durations are virtual seconds. Where AWS documents nothing and nobody
has shown what happens, there is a switch instead of a guess, so that a client can be tried under both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal


@dataclass(frozen=True)
class Outcome:
    """How one attempt of a job ends. No `exit_code` means that the container's exit was never seen."""

    exit_code: int | None = 0
    reason: str | None = None
    status_reason: str = "Essential container in task exited"
    seconds: float = 30

    @classmethod
    def read(cls, value: Outcome | Mapping[str, Any]) -> Outcome:
        """Also takes the JSON form `{exitCode, reason, statusReason, seconds}`; a left-out exit code is none."""
        if isinstance(value, Outcome):
            return value
        return cls(
            exit_code=value.get("exitCode"),
            reason=value.get("reason"),
            status_reason=value.get("statusReason", cls.status_reason),
            seconds=float(value.get("seconds", cls.seconds)),
        )


@dataclass
class Settings:
    """Set members directly, or many at once with `change`."""

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
    """How many there may be: the documented quotas. Raise them to measure on estates larger than AWS allows."""
    deleted_lingers: float = 60
    """How long a deleted environment or queue is still described as DELETED; 0 for not at all."""
    relationship_lag: float = 45
    """How long after a queue let go of an environment its deletion is still refused."""
    role_check: float = 0
    """When, after the request, Batch first uses the roles it was given: at once, it sees those IAM still spreads."""
    instances_launch: float = 60
    """From VALID, or a raised `minvCpus`, to instances that hold the subnets and security groups."""
    inactive_kept: float = 180 * 86400
    """How long a deregistered revision is still described."""

    job_to_runnable: float = 2
    job_to_starting: float = 3
    job_to_running: float = 15
    job_kept: float = 7 * 86400
    """How long a finished job is still described."""
    service_job_to_running: float = 15
    outcomes: Mapping[str, Sequence[Outcome | Mapping[str, Any]]] = field(default_factory=dict)
    """Attempt by attempt (the last repeats) how jobs end whose name, or definition's name, matches the pattern."""

    shuffle: int | str | None = None
    """A seed puts every list whose order has no meaning in another order, in every reply."""
    unknown_delete: Literal["ok", "does not exist"] = "does not exist"
    """Deleting, or deregistering, what is not there (any more)."""
    duplicate: Literal["ClientException", "ConflictException"] = "ClientException"
    """The code of `Object already exists`: 400 as modelled, or 409 as CloudFormation shows it."""
    deleted_holds_name: bool = False
    """Whether a name is still taken while its last holder is described as DELETED."""
    instance_role_echo: Literal["as sent", "arn"] = "as sent"
    consumable_resource_echo: Literal["as sent", "arn"] = "as sent"
    fargate_fills: bool = False
    """Whether Fargate environments are described with empty `instanceTypes` and `tags`."""
    fargate_type_in_place: bool = False
    """Whether FARGATE and FARGATE_SPOT can be exchanged by an update."""
    queue_type_derived: bool = False
    """Whether a queue created without `jobQueueType` is described with one."""
    amazon_linux_2: Literal["accepted", "refused"] = "accepted"
    """Environments on AMIs of Amazon Linux 2, which AWS stops creating after June 2026."""
    image_release: int = 1
    """The newest release of AWS's own AMIs. Raise it, and environments whose instances started from an older one are
    described with `batchImageStatus: UPDATE_AVAILABLE` until an update asks for the newest."""
    bare_definition_name: Literal["nothing", "all revisions"] = "nothing"
    """`DescribeJobDefinitions(jobDefinitions=["NAME"])`, without a revision."""

    def change(self, values: Mapping[str, Any]) -> None:
        """Take new values, all or none; raises `KeyError` with the first name that is not a setting."""
        known = {one.name for one in fields(self)}
        for name in values:
            if name not in known:
                raise KeyError(name)
        for name, value in values.items():
            setattr(self, name, value)
