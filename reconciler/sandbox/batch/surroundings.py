"""What AWS Batch asks of the account around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class RoleFacts:
    """A role as a service sees it: `policies` holds ARNs of attached managed policies and names of inline ones."""

    arn: str
    exists: bool = True
    trusts: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()
    usable: bool = True
    """False while IAM has not spread the role, its trust or its policies everywhere."""


@dataclass(frozen=True)
class ProfileFacts:
    """An instance profile as EC2 sees it."""

    arn: str
    role_arn: str | None = None
    usable: bool = True


class Surroundings(Protocol):
    """The account. Must answer at once and must not call back into Batch."""

    def role(self, arn: str) -> RoleFacts | None: ...

    def instance_profile(self, arn_or_name: str) -> ProfileFacts | None: ...

    def ensure_service_linked_role(self, service: str) -> str:
        """Create the role unless it is there; returns its ARN."""
        ...

    def subnet(self, subnet_id: str) -> str | None:
        """The id of its VPC, or None if there is no such subnet."""
        ...

    def security_group(self, group_id: str) -> str | None:
        """The id of its VPC, or None if there is no such group."""
        ...

    def launch_template(self, id_or_name: str) -> bool: ...

    def launch_template_image(self, id_or_name: str, version: str) -> str | None:
        """The AMI that a version (a number, `$Default`, `$Latest`) of a template says, or None if it says none."""
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
        """An environment now runs `count` instances; 0 when it has let go of everything."""
        ...
