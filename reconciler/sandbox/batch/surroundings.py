"""What AWS Batch reads from the account around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

from reconciler.model.records import dataclass


@dataclass(frozen=True)
class RoleFacts:
    """A role as a service sees it: `policies` has the ARNs of attached policies and the names of inline ones."""

    arn: str
    exists: bool = True
    trusts: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()
    usable: bool = True
    """False until the role, its trust policy and its policies have propagated."""


@dataclass(frozen=True)
class ProfileFacts:
    """An instance profile as EC2 sees it."""

    arn: str
    role_arn: str | None = None
    usable: bool = True


@dataclass(frozen=True)
class Machine:
    """What an EC2 instance type offers; ``memory`` in MiB, as EC2 advertises it."""

    name: str
    vcpus: int
    memory: int
    gpus: int = 0
    architecture: str = "x86_64"
    efa: bool = False
    """Whether an Elastic Fabric Adapter can be attached."""


@dataclass(frozen=True)
class Launch:
    """An instance that AWS Batch wants ``at`` a time; ``template`` is the id or name of a template, and its version."""

    environment: str
    group: str
    type: str
    subnet: str
    security_groups: tuple[str, ...] = ()
    profile: str = ""
    key: str = ""
    image: str = ""
    template: tuple[str, str] = ("", "")
    placement: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    spot: bool = False
    at: float = 0.0


@dataclass(frozen=True)
class Interface:
    """A network interface of a task."""

    id: str
    subnet: str
    private_address: str


@dataclass(frozen=True)
class Log:
    """Where a container writes its lines; `stream` is for CloudWatch Logs alone, `secrets` are options by name."""

    driver: str
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    stream: str = ""
    own_group: bool = True
    """False for AWS Batch's group, which a job need not declare."""


@dataclass(frozen=True)
class Container:
    """A container that is to start; `missing`: its image is not there, whatever its registry is."""

    name: str
    image: str
    log: Log
    secrets: tuple[tuple[str, str], ...] = ()
    """What each environment variable is read from."""
    missing: bool = False
    devices: tuple[str, ...] = ()
    """Their paths on the host."""


@dataclass(frozen=True)
class Start:
    """A task that is to start, and on what: `machine` is the task on Fargate, an instance elsewhere."""

    containers: tuple[Container, ...]
    fargate: bool
    machine: str
    architecture: str
    job_role: str = ""
    execution_role: str = ""
    profile: str = ""
    """The instance profile of an EC2 instance."""
    efa: bool = False
    """The instance has an Elastic Fabric Adapter."""
    scripted: bool = False
    """Somebody has said how the job ends: its images are taken to be there."""


@dataclass(frozen=True)
class Failure:
    """Why a task does not start: the reason of the task and, if it is the fault of one, that of a container."""

    status_reason: str
    reason: str | None = None


class Surroundings(Protocol):
    """The account around AWS Batch. Its methods must return at once and must not call Batch."""

    def role(self, arn: str) -> RoleFacts | None:
        """The role with this ARN; None if it does not exist."""
        ...

    def instance_profile(self, arn_or_name: str) -> ProfileFacts | None:
        """The instance profile; None if it does not exist."""
        ...

    def ensure_service_linked_role(self, service: str) -> str:
        """Create the role unless it exists; returns its ARN."""
        ...

    def subnet(self, subnet_id: str) -> str | None:
        """The id of its VPC; None if the subnet does not exist."""
        ...

    def security_group(self, group_id: str) -> str | None:
        """The id of its VPC; None if the group does not exist."""
        ...

    def launch_template(self, id_or_name: str) -> bool:
        """Whether the launch template exists."""
        ...

    def launch_template_image(self, id_or_name: str, version: str) -> str | None:
        """The AMI in a version (a number, `$Default`, `$Latest`) of a template; None if it has none."""
        ...

    def launch_template_trouble(self, id_or_name: str, version: str) -> str:
        """What AWS Batch cannot use of a version of a template; empty: it can use it."""
        ...

    def launch_template_efa(self, id_or_name: str, version: str) -> bool:
        """Whether a version of a template attaches an Elastic Fabric Adapter."""
        ...

    def machines(self, names: Sequence[str]) -> Sequence[Machine]:
        """The instance types of a list of types, families and groups of types, in the order of the list."""
        ...

    def offers(self, machine: str, subnet_id: str) -> bool:
        """Whether the zone of the subnet has the instance type."""
        ...

    def zone(self, subnet_id: str) -> str:
        """The availability zone of a subnet."""
        ...

    def cannot_launch(self, wanted: Launch) -> str:
        """Why EC2 refuses an instance, as the scaling activity says it; empty: it launches it."""
        ...

    def launch(self, wanted: Launch) -> str:
        """Start an instance; returns its id."""
        ...

    def end(self, instance_id: str, at: float, *, reclaimed: bool) -> None:
        """The instance is terminated, by EC2 if it is ``reclaimed``; nothing if it is already."""
        ...

    def connect(self, subnet_id: str, groups: Sequence[str], *, public: bool, about: str) -> Interface:
        """Create the network interface of a task."""
        ...

    def disconnect(self, interface_id: str) -> None:
        """Delete the network interface of a task."""
        ...

    def cannot_start(self, start: Start) -> Failure | None:
        """Why a task cannot start, if that is certain; None: it starts."""
        ...

    def open_log(self, log: Log, at: float) -> None:
        """A container that writes there has started."""
        ...

    def write(self, log: Log, text: str, about: Mapping[str, str], at: float) -> None:
        """A container writes a line; `about` has what a log driver adds about the container."""
        ...

    def announce(self, kind: str, resources: Sequence[str], detail: Callable[[], Mapping[str, Any]], at: float) -> None:
        """AWS Batch sends an event to EventBridge; `detail` is asked only if a rule may match."""
        ...
