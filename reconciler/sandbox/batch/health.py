"""Why a compute environment becomes INVALID: what Batch finds when it uses its roles and network.

The calls themselves refuse none of this. The texts are the service's, as in
https://docs.aws.amazon.com/batch/latest/userguide/troubleshooting.html and in public issues.
"""

from __future__ import annotations

from reconciler.sandbox.batch.compute_resources import needs_fleet_role, on_fargate
from reconciler.sandbox.batch.store import Json, Row, Store

SERVICE = "batch.amazonaws.com"
FLEET = "spotfleet.amazonaws.com"
_BROAD_ENOUGH = ("AWSBatchServiceRole", "AdministratorAccess", "PowerUserAccess")


def service_linked(arn: str) -> bool:
    """Whether the ARN is that of Batch's service-linked role."""
    return f":role/aws-service-role/{SERVICE}/" in arn


def fault(store: Store, row: Row) -> str | None:
    """The `statusReason` of the environment as it is now; None if it is valid."""
    resources: Json = row.props.get("computeResources", {})
    return (
        role_fault(store, row)
        or _fleet_role_fault(store, resources)
        or _profile_fault(store, resources)
        or _network_fault(store, resources)
    )


def role_fault(store: Store, row: Row) -> str | None:
    """The `statusReason` for the service role; None if it can be used."""
    arn = row.props["serviceRole"]
    role = store.surroundings.role(arn)
    if role is None or not role.exists:
        return (
            "CLIENT_ERROR - Not authorized to perform sts:AssumeRole (Service: AWSSecurityTokenService; "
            "Status Code: 403; Error Code: AccessDenied)"
        )
    if service_linked(arn):
        return None
    if SERVICE not in role.trusts or not role.usable:
        return f"CLIENT_ERROR - User: {SERVICE} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    if not any(_lets_batch_work(policy) for policy in role.policies):
        session = f"arn:{store.partition}:sts::{store.account}:assumed-role/{arn.rsplit('/', 1)[-1]}/aws-batch"
        return (
            f"CLIENT_ERROR - User: {session} is not authorized to perform: ecs:DescribeClusters on resource: "
            f"{row.props['ecsClusterArn']} because no identity-based policy allows the ecs:DescribeClusters action"
        )
    return None


def _lets_batch_work(policy: str) -> bool:
    """Of AWS-managed policies the known ones; a policy of the account counts as sufficient."""
    if ":iam::aws:policy/" in policy:
        return policy.endswith(_BROAD_ENOUGH)
    return True


def _fleet_role_fault(store: Store, resources: Json) -> str | None:
    if not needs_fleet_role(resources) or "spotIamFleetRole" not in resources:
        return None
    role = store.surroundings.role(resources["spotIamFleetRole"])
    if role is None or not role.exists or FLEET not in role.trusts:
        return "CLIENT_ERROR - Parameter: SpotFleetRequestConfig.IamFleetRole is invalid"
    return None


def _profile_fault(store: Store, resources: Json) -> str | None:
    wanted = resources.get("instanceRole")
    if wanted is None or on_fargate(resources):
        return None
    profile = store.surroundings.instance_profile(wanted)
    if profile is None or not profile.usable:
        arn = wanted if wanted.startswith("arn:") else store.iam_arn(f"instance-profile/{wanted}")
        return f"CLIENT_ERROR - Instance profile {arn} does not exist"
    if profile.role_arn is None:
        return f"CLIENT_ERROR - Invalid IamInstanceProfile: {profile.arn}"
    return None


def _network_fault(store: Store, resources: Json) -> str | None:
    networks: set[str] = set()
    for subnet in resources.get("subnets", []):
        vpc = store.surroundings.subnet(subnet)
        if vpc is None:
            return f"CLIENT_ERROR - The subnet ID '{subnet}' does not exist"
        networks.add(vpc)
    if len(networks) > 1:
        return "CLIENT_ERROR - The subnets belong to different networks"
    for group in resources.get("securityGroupIds", []):
        vpc = store.surroundings.security_group(group)
        if vpc is None:
            return f"CLIENT_ERROR - The security group '{group}' does not exist"
        if networks and vpc not in networks:
            return f"CLIENT_ERROR - Security group {group} and the subnets belong to different networks"
    return _template_fault(store, resources)


def _template_fault(store: Store, resources: Json) -> str | None:
    template: Json = resources.get("launchTemplate", {})
    for one in (template, *template.get("overrides", [])):
        wanted = one.get("launchTemplateId", one.get("launchTemplateName"))
        if wanted is not None and not store.surroundings.launch_template(wanted):
            return f"CLIENT_ERROR - The specified launch template, {wanted}, does not exist"
        trouble = store.surroundings.launch_template_trouble(wanted, one.get("version", "")) if wanted else ""
        if trouble:
            return f"CLIENT_ERROR - {trouble}"
    return None
