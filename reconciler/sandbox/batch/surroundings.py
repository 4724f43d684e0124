"""What AWS Batch reads from the account around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


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


@dataclass(frozen=True)
class Launch:
    """An instance that AWS Batch wants; ``template`` is the id or name of a launch template and its version."""

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


@dataclass(frozen=True)
class Interface:
    """A network interface of a task."""

    id: str
    subnet: str
    private_address: str


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

    def machines(self, names: Sequence[str]) -> Sequence[Machine]:
        """The instance types of a list of types, families and groups of types, in the order of the list."""
        ...

    def offers(self, machine: str, subnet_id: str) -> bool:
        """Whether the zone of the subnet has the instance type."""
        ...

    def zone(self, subnet_id: str) -> str:
        """The availability zone of a subnet."""
        ...

    def launch(self, wanted: Launch) -> str:
        """Start an instance; returns its id."""
        ...

    def end(self, instance_id: str, *, reclaimed: bool) -> None:
        """The instance is terminated, by EC2 if it is ``reclaimed``; nothing if it is already."""
        ...

    def connect(self, subnet_id: str, groups: Sequence[str], *, public: bool, about: str) -> Interface:
        """Create the network interface of a task."""
        ...

    def disconnect(self, interface_id: str) -> None:
        """Delete the network interface of a task."""
        ...
