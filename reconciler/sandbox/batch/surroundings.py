"""What AWS Batch reads from the account around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

    def on_instances(
        self,
        ce_name: str,
        count: int,
        subnets: Sequence[str],
        groups: Sequence[str],
        profile: str | None,
        placement: str | None = None,
    ) -> None:
        """An environment now runs `count` instances; 0 after it has ended all."""
        ...
