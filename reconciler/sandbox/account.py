"""What AWS Batch sees of the account around it.

The facts are read from moto's objects, with a delay: changes in IAM that have not propagated yet exist, and cannot be
used. The instances of a compute environment become network interfaces, so that its subnets and security groups are in
use as on AWS, and are recorded in their placement group.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from moto.core.exceptions import ServiceException

from reconciler.sandbox.batch.surroundings import ProfileFacts, RoleFacts
from reconciler.sandbox.services import Account
from reconciler.sandbox.services._moto import partition_of
from reconciler.sandbox.services.iam import changed_at, ensure_service_linked_role

_MOST_INTERFACES = 4
"""Interfaces created for one environment: enough to use its subnets and groups, whatever its number of instances."""


class AccountSurroundings:
    """`Surroundings` for one Region of the account."""

    def __init__(self, account: Account, region: str) -> None:
        self._account = account
        self._region = region

    def role(self, arn: str) -> RoleFacts | None:
        """The role with this ARN; None if it does not exist."""
        found = next((role for role in self._iam.roles.values() if role.arn == arn), None)
        if found is None:
            return None
        policies = frozenset(found.managed_policies) | frozenset(found.policies)
        ages = [changed_at(self._account, "role", found.id)]
        ages += [changed_at(self._account, "attachment", (found.id, policy)) for policy in policies]
        return RoleFacts(arn, True, _trusted(found.assume_role_policy_document), policies, self._spread(ages))

    def instance_profile(self, arn_or_name: str) -> ProfileFacts | None:
        """The instance profile with this ARN or name; None if it does not exist."""
        profiles = self._iam.instance_profiles.values()
        found = next((one for one in profiles if arn_or_name in (one.arn, one.name)), None)
        if found is None:
            return None
        role = found.roles[0].arn if found.roles else None
        return ProfileFacts(found.arn, role, self._spread([changed_at(self._account, "profile", found.id)]))

    def ensure_service_linked_role(self, service: str) -> str:
        """The ARN of the service-linked role of a service, which is created if missing."""
        return ensure_service_linked_role(self._account, service, self._region)

    def subnet(self, subnet_id: str) -> str | None:
        """The id of the VPC of a subnet; None if it does not exist."""
        for zone in self._ec2.subnets.values():
            if subnet_id in zone:
                return str(zone[subnet_id].vpc_id)
        return None

    def security_group(self, group_id: str) -> str | None:
        """The id of the VPC of a security group; None if it does not exist."""
        for vpc, groups in self._ec2.groups.items():
            if group_id in groups:
                return str(vpc)
        return None

    def launch_template(self, id_or_name: str) -> bool:
        """Whether a launch template with this id or name exists."""
        templates: Mapping[str, Any] = self._ec2.launch_templates
        return id_or_name in templates or any(one.name == id_or_name for one in templates.values())

    def launch_template_image(self, id_or_name: str, version: str) -> str | None:
        """The AMI in a version (a number, `$Default`, `$Latest`) of a launch template; None if it has none."""
        templates: Mapping[str, Any] = self._ec2.launch_templates
        found = next((one for one in templates.values() if id_or_name in (one.id, one.name)), None)
        if found is None:
            return None
        deleted = self._account.memory["deleted versions"].get((self._region, found.id), set())
        latest = max(one.number for one in found.versions if one.number not in deleted)
        number = {"$Default": found.default_version_number, "$Latest": latest}.get(version, version)
        data: Mapping[str, Any] = self._account.memory["versions"].get((self._region, found.id, str(number))) or {}
        return data.get("ImageId")

    def on_instances(
        self,
        ce_name: str,
        count: int,
        subnets: Sequence[str],
        groups: Sequence[str],
        profile: str | None,
        placement: str | None = None,
    ) -> None:
        """Replaces the network interfaces of an environment by those for `count` instances."""
        del profile
        placed: dict[str, str] = self._account.memory["placed environments"].setdefault(self._region, {})
        placed[ce_name] = placement if count and placement else ""
        held: dict[str, list[str]] = self._account.memory["interfaces"].setdefault(self._region, {})
        for interface in held.pop(ce_name, []):
            with suppress(ServiceException, KeyError):
                self._ec2.delete_network_interface(interface)
        wanted = range(min(count, _MOST_INTERFACES))
        created = [self._interface(ce_name, subnets[at % len(subnets)], groups) for at in wanted if subnets]
        held[ce_name] = [interface for interface in created if interface]
        self._account.moto.touched("ec2", self._region)
        if count:
            self._record_launch(count, groups)

    def _record_launch(self, count: int, groups: Sequence[str]) -> None:
        """AWS Batch starts the instances itself, with its service-linked role."""
        partition, account = partition_of(self._region), self._account.id
        role = f"arn:{partition}:iam::{account}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
        identity = {
            "type": "AssumedRole",
            "arn": f"arn:{partition}:sts::{account}:assumed-role/AWSServiceRoleForBatch/aws-batch",
            "accountId": account,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "arn": role,
                    "accountId": account,
                    "userName": "AWSServiceRoleForBatch",
                }
            },
            "invokedBy": "batch.amazonaws.com",
        }
        params = {"MinCount": count, "MaxCount": count, "SecurityGroupIds": list(groups)}
        self._account.trail.record_service("batch.amazonaws.com", "ec2", "RunInstances", self._region, params, identity)

    def _interface(self, ce_name: str, subnet_id: str, groups: Sequence[str]) -> str:
        zones = self._ec2.subnets.values()
        subnet = next((zone[subnet_id] for zone in zones if subnet_id in zone), None)
        if subnet is None:
            return ""
        ours = [group for group in groups if self.security_group(group)]
        created = self._ec2.create_network_interface(
            subnet, None, group_ids=ours, description=f"AWS Batch compute environment {ce_name}"
        )
        return str(created.id)

    def _spread(self, ages: Sequence[float]) -> bool:
        return self._account.clock.now() - max(ages) >= self._account.settings.iam_delay

    @property
    def _iam(self) -> Any:
        return self._account.moto.backend("iam", self._region)

    @property
    def _ec2(self) -> Any:
        return self._account.moto.backend("ec2", self._region)


def _trusted(document: str) -> frozenset[str]:
    """The services that a trust policy allows to assume the role; those of China under their names elsewhere, too."""
    try:
        statements = json.loads(document)["Statement"]
    except (ValueError, KeyError, TypeError):
        return frozenset()
    services: set[str] = set()
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal", {})
        if statement.get("Effect") == "Allow" and isinstance(principal, dict):
            named = principal.get("Service", [])
            services |= {one.removesuffix(".cn") for one in ([named] if isinstance(named, str) else named)}
    return frozenset(services)
