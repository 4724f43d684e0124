"""What AWS Batch sees of the account around it.

The facts are read from moto's objects, with a delay: changes in IAM that have not propagated yet exist, and cannot be
used. The instances of a compute environment are moto's, so that EC2 describes them, and subnets and groups are in use.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import ServiceException

from reconciler.sandbox import event_delivery, instance_starts, machines, task_logs, task_starts
from reconciler.sandbox.batch.surroundings import (
    Failure,
    Interface,
    Launch,
    Log,
    Machine,
    ProfileFacts,
    RoleFacts,
    Start,
)
from reconciler.sandbox.services import Account
from reconciler.sandbox.services._moto import partition_of
from reconciler.sandbox.services._moto_objects import ended
from reconciler.sandbox.services.iam import changed_at, ensure_service_linked_role

_BATCH_IMAGE = "ami-0f3c7d07486cad139"
"""What instances start from where neither environment nor template names an image."""


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
        return self._template(id_or_name, version).get("ImageId")

    def launch_template_trouble(self, id_or_name: str, version: str) -> str:
        """What AWS Batch cannot use of a version (a number, `$Default`, `$Latest`) of a template; empty: it can."""
        found = self._found_template(id_or_name)
        if found is None or self._version(found, version) in {str(one.number) for one in self._versions(found)}:
            return instance_starts.unfit(self._template(id_or_name, version))
        return f"Could not find the specified version {version} for the launch template with ID {found.id}."

    def launch_template_efa(self, id_or_name: str, version: str) -> bool:
        """Whether a version of a template attaches an Elastic Fabric Adapter."""
        interfaces = self._template(id_or_name, version).get("NetworkInterfaces") or ()
        return any(str(one.get("InterfaceType", "")).startswith("efa") for one in interfaces)

    def machines(self, names: Sequence[str]) -> Sequence[Machine]:
        """The instance types of a list of types, families and groups of types, in the order of the list."""
        return machines.machines(tuple(names))

    def offers(self, machine: str, subnet_id: str) -> bool:
        """Whether the zone of the subnet has the instance type; a Region without data has them all."""
        zones = machines.zones(self._region)
        return not zones or self.zone(subnet_id) in zones.get(machine, ())

    def zone(self, subnet_id: str) -> str:
        """The availability zone of a subnet."""
        found = self._subnet(subnet_id)
        return str(found.availability_zone) if found else ""

    def cannot_launch(self, wanted: Launch) -> str:
        """Why EC2 refuses an instance, as the scaling activity says it; empty: it launches it."""
        placements = self._account.memory["placement groups"].get(self._region, {})
        return instance_starts.cannot_launch(self._ec2, wanted, self._template(*wanted.template), placements)

    def launch(self, wanted: Launch) -> str:
        """Start an instance as the Auto Scaling group of an environment does; returns its id."""
        template, version = wanted.template
        data = self._template(template, version)
        network: Mapping[str, Any] = next(iter(data.get("NetworkInterfaces") or ()), {})
        profile = next(
            (one for one in self._iam.instance_profiles.values() if wanted.profile in (one.arn, one.name)), None
        )
        groups = list(wanted.security_groups) or instance_starts.groups(data)
        instance = self._ec2.run_instances(
            wanted.image or data.get("ImageId") or _BATCH_IMAGE,
            1,
            None,
            [],
            instance_type=wanted.type,
            is_instance_type_default=False,
            region_name=self._region,
            subnet_id=wanted.subnet,
            security_group_ids=[group for group in groups if self.security_group(group)],
            key_name=wanted.key or data.get("KeyName"),
            iam_instance_profile={"Arn": profile.arn} if profile else None,
            associate_public_ip=network.get("AssociatePublicIpAddress"),
            lifecycle="spot" if wanted.spot else None,
            tags={
                "instance": {
                    **wanted.tags,
                    "AWSBatchServiceTag": "batch",
                    "aws:autoscaling:groupName": wanted.group,
                }
            },
        ).instances[0]
        instance.launch_time = datetime.fromtimestamp(wanted.at, UTC).replace(tzinfo=None)
        if wanted.placement:
            instance.placement.group_name = wanted.placement
            placed = self._account.memory["placed instances"]
            placed.setdefault((self._region, wanted.placement), set()).add(instance.id)
        self._account.moto.touched("ec2", self._region)
        self._record_launch(1, wanted.security_groups)
        return str(instance.id)

    def end(self, instance_id: str, at: float, *, reclaimed: bool) -> None:
        """The instance is terminated, by EC2 if it is ``reclaimed``."""
        with suppress(ServiceException, KeyError):
            instance = self._ec2.get_instance(instance_id)
            if instance.state != "terminated":
                instance.terminate()
            for interface in list(instance.nics.values()):
                self._ec2.enis.pop(interface.id, None)
            ended(instance, at, reclaimed=reclaimed)
        self._account.moto.touched("ec2", self._region)

    def connect(self, subnet_id: str, groups: Sequence[str], *, public: bool, about: str) -> Interface:
        """Create the network interface of a task."""
        ours = [group for group in groups if self.security_group(group)]
        created = self._ec2.create_network_interface(
            self._subnet(subnet_id), None, group_ids=ours, description=about, public_ip_auto_assign=public
        )
        self._account.moto.touched("ec2", self._region)
        return Interface(str(created.id), subnet_id, str(created.private_ip_address))

    def disconnect(self, interface_id: str) -> None:
        """Delete the network interface of a task."""
        with suppress(ServiceException, KeyError):
            self._ec2.delete_network_interface(interface_id)
        self._account.moto.touched("ec2", self._region)

    def cannot_start(self, start: Start) -> Failure | None:
        """Why a task cannot start, if that is certain; None: it starts."""
        return task_starts.cannot_start(self._account, self._region, start)

    def open_log(self, log: Log, at: float) -> None:
        """A container that writes there has started."""
        task_logs.open_log(self._account, self._region, log, at)

    def write(self, log: Log, text: str, about: Mapping[str, str], at: float) -> None:
        """A container writes a line."""
        task_logs.write(self._account, self._region, log, text, about, at)

    def announce(self, kind: str, resources: Sequence[str], detail: Callable[[], Mapping[str, Any]], at: float) -> None:
        """AWS Batch sends an event to EventBridge."""
        event_delivery.announce(self._account, self._region, kind, resources, detail, at)

    def _subnet(self, subnet_id: str) -> Any:
        return next((zone[subnet_id] for zone in self._ec2.subnets.values() if subnet_id in zone), None)

    def _template(self, id_or_name: str, version: str) -> Mapping[str, Any]:
        """The data of a version (a number, `$Default`, `$Latest`) of a launch template; empty if it has none."""
        found = self._found_template(id_or_name)
        if found is None:
            return {}
        return self._account.memory["versions"].get((self._region, found.id, self._version(found, version))) or {}

    def _found_template(self, id_or_name: str) -> Any:
        templates: Mapping[str, Any] = self._ec2.launch_templates
        return next((one for one in templates.values() if id_or_name in (one.id, one.name)), None)

    def _versions(self, template: Any) -> list[Any]:
        deleted = self._account.memory["deleted versions"].get((self._region, template.id), set())
        return [one for one in template.versions if one.number not in deleted]

    def _version(self, template: Any, version: str) -> str:
        """The number of a version as a compute environment names it."""
        latest = max(one.number for one in self._versions(template))
        number = {"$Default": template.default_version_number, "": template.default_version_number, "$Latest": latest}
        return str(number.get(version, version))

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
