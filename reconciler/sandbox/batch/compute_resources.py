"""What a compute environment may consist of, how an update changes it, and which kind of update that is.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html and
https://docs.aws.amazon.com/batch/latest/userguide/updating-compute-environments.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.model.patterns import regex
from reconciler.sandbox.batch import instance_types
from reconciler.sandbox.batch.messages import Invalid
from reconciler.sandbox.batch.settings import Settings
from reconciler.sandbox.batch.store import Json
from reconciler.sandbox.batch.validate import between

FARGATE = frozenset({"FARGATE", "FARGATE_SPOT"})
# they try the types in the order in which they are listed
ORDERED = frozenset({"BEST_FIT_PROGRESSIVE_ORDERED", "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED"})
SPOT_STRATEGIES = frozenset(
    {"SPOT_CAPACITY_OPTIMIZED", "SPOT_PRICE_CAPACITY_OPTIMIZED", "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED"}
)
NOT_FOR_FARGATE = (
    "allocationStrategy",
    "instanceTypes",
    "minvCpus",
    "desiredvCpus",
    "instanceRole",
    "imageId",
    "ec2KeyPair",
    "tags",
    "placementGroup",
    "bidPercentage",
    "spotIamFleetRole",
    "launchTemplate",
    "ec2Configuration",
    "scalingPolicy",
)
# https://docs.aws.amazon.com/batch/latest/userguide/scaling-updates.html
SCALING = frozenset({"minvCpus", "maxvCpus", "desiredvCpus", "scalingPolicy"})
FARGATE_SCALING = SCALING | {"subnets", "securityGroupIds"}

_VERSION = regex(r"(\d+|\$Default|\$Latest)?")
_REMOVED_BY_EMPTY = frozenset({"imageId", "ec2KeyPair", "placementGroup"})
_AMAZON_LINUX_2 = frozenset({"ECS_AL2", "ECS_AL2_NVIDIA"})  # those for EKS are unsupported, not blocked


def on_fargate(resources: Mapping[str, Any]) -> bool:
    """Whether the resources are FARGATE or FARGATE_SPOT."""
    return resources.get("type") in FARGATE


def needs_fleet_role(resources: Mapping[str, Any]) -> bool:
    """Whether the resources need `spotIamFleetRole`."""
    return resources.get("type") == "SPOT" and resources.get("allocationStrategy", "BEST_FIT") == "BEST_FIT"


def created(given: Json, *, eks: bool, settings: Settings) -> Json:
    """The resources of a new environment, as Describe returns them; raises `Invalid`."""
    check(given, eks=eks)
    resources = {key: value for key, value in given.items() if value not in ([], "")}
    if given["type"] == "ECS_MANAGED_INSTANCES":
        return resources
    if on_fargate(given):
        return {**resources, **({"instanceTypes": [], "tags": {}} if settings.fargate_fills else {})}
    wanted = {"desiredvCpus": given["minvCpus"], **given}
    between(
        wanted["desiredvCpus"],
        given["minvCpus"],
        given["maxvCpus"],
        "desiredvCpus should be between minvCpus and maxvCpus.",
    )
    _check_image_types(resources, settings)
    resources.setdefault("desiredvCpus", 0)
    return filled(resources, eks=eks)


def filled(resources: Json, *, eks: bool) -> Json:
    """The resources with the defaults that the service adds for instances."""
    resources.setdefault("tags", {})
    if not resources.get("ec2Configuration"):
        resources["ec2Configuration"] = [{"imageType": "EKS_AL2023" if eks else "ECS_AL2023"}]
    if "launchTemplate" in resources:
        resources["launchTemplate"].setdefault("overrides", [])
    return resources


def check(given: Json, *, eks: bool) -> None:
    """Raise `Invalid` for the resources of a new environment that the service refuses."""
    if given["type"] == "ECS_MANAGED_INSTANCES":
        if "managedInstancesProvider" not in given:
            raise Invalid("managedInstancesProvider is required.")
        return
    if len(given.get("subnets", [])) > 16:
        raise Invalid("A maximum of 16 subnets is supported.")
    _check_ids(given)
    if on_fargate(given):
        _check_fargate(given)
        return
    _check_required(given)
    _check_sizes(given)
    instance_types.check(given["instanceTypes"])
    _check_strategy(given, eks=eks)
    _check_launch_template(given)
    _check_images(given, eks=eks)


def _check_ids(given: Json) -> None:
    for member, prefix in (("subnets", "subnet-"), ("securityGroupIds", "sg-")):
        for one in given.get(member, []):
            if not one.startswith(prefix):
                raise Invalid(f"{member} should hold ids that start with {prefix}, got {one}.")


def _check_fargate(given: Json) -> None:
    for member in NOT_FOR_FARGATE:
        if given.get(member) not in (None, [], {}):
            raise Invalid(f"{member} is not applicable for Fargate.")
    if not given.get("subnets"):
        raise Invalid("Subnets are required.")
    groups = given.get("securityGroupIds", [])
    if not groups:
        raise Invalid("Security group ids are required.")
    if len(groups) > 5:
        raise Invalid("Fargate supports a maximum of 5 security groups.")
    between(given["maxvCpus"], 1, 10**9, "maxvCpus must be at least 1.")


def _check_required(given: Json) -> None:
    if "minvCpus" not in given:
        raise Invalid("Resource minvCpus is required.")
    if not given.get("instanceTypes"):
        raise Invalid("Resource instanceTypes are required.")
    if not given.get("subnets"):
        raise Invalid("Subnets are required.")
    if not given.get("instanceRole"):
        raise Invalid("Instance role is required.")
    if not given.get("securityGroupIds") and not given.get("launchTemplate"):
        raise Invalid("Security group ids are required.")


def _check_sizes(given: Json) -> None:
    if given["minvCpus"] < 0 or given["maxvCpus"] < 1:
        raise Invalid("minvCpus must not be negative and maxvCpus must be at least 1.")
    if given["minvCpus"] > given["maxvCpus"]:
        raise Invalid("minvCpus must be less than or equal to maxvCpus.")
    between(given.get("bidPercentage", 100), 0, 100, "Bid percentage must be between 0 to 100.")
    delay = given.get("scalingPolicy", {}).get("minScaleDownDelayMinutes", 0)
    if delay:
        between(delay, 20, 10080, "minScaleDownDelayMinutes must be 0 or between 20 and 10080.")


def _check_strategy(given: Json, *, eks: bool) -> None:
    strategy = given.get("allocationStrategy", "BEST_FIT")
    if strategy in SPOT_STRATEGIES and given["type"] != "SPOT":
        raise Invalid(f"Allocation strategy {strategy} requires compute resource type SPOT.")
    if strategy == "BEST_FIT_PROGRESSIVE_ORDERED" and given["type"] != "EC2":
        raise Invalid(f"Allocation strategy {strategy} requires compute resource type EC2.")
    if strategy in ORDERED and any(one in instance_types.GROUPS for one in given["instanceTypes"]):
        raise Invalid(
            "Instance type bundles (e.g. optimal, default_x86_64) are not allowed for "
            f"{strategy} allocation strategy. Specify instance families or types directly."
        )
    if eks:
        if given.get("allocationStrategy") == "BEST_FIT":
            raise Invalid("Allocation strategy BEST_FIT is not applicable for EKS.")
    elif needs_fleet_role(given) and not given.get("spotIamFleetRole"):
        raise Invalid("compute resource spotIamFleetRole is required.")


def _check_launch_template(given: Json) -> None:
    template = given.get("launchTemplate")
    if template is None:
        return
    overrides = template.get("overrides", [])
    if ("launchTemplateId" in template) == ("launchTemplateName" in template) and (
        "launchTemplateId" in template or not overrides
    ):
        raise Invalid("One of LaunchTemplateId and LaunchTemplateName or LaunchTemplate.overrides should be provided")
    _check_version(template)
    if len(overrides) > 10:
        raise Invalid("A maximum of 10 launch template overrides is supported.")
    named: list[str] = []
    for override in overrides:
        if ("launchTemplateId" in override) == ("launchTemplateName" in override):
            raise Invalid("One of LaunchTemplateId and LaunchTemplateName should be provided in an override")
        _check_version(override)
        targets = override.get("targetInstanceTypes", [])
        if not targets or any(not _is_among(one, given["instanceTypes"]) for one in targets):
            raise Invalid("targetInstanceTypes should be a subset of the instanceTypes, without optimal and defaults.")
        named.extend(targets)
    if len(named) != len(set(named)) or any("." in one and one.partition(".")[0] in named for one in named):
        raise Invalid("targetInstanceTypes should be unique among the overrides.")


def _is_among(target: str, types: Sequence[str]) -> bool:
    """Whether a type or family is listed, or is a type of a listed family; False for a bundle of types."""
    if target in instance_types.GROUPS:
        return False
    return target in types or target.partition(".")[0] in types


def _check_version(template: Json) -> None:
    if not _VERSION.fullmatch(template.get("version", "")):
        raise Invalid("Launch template version must be either empty or a number or $Default or $Latest")


def _check_images(given: Json, *, eks: bool) -> None:
    images = given.get("ec2Configuration", [])
    if len(images) > 2:
        raise Invalid("A maximum of 2 ec2Configuration entries is supported.")
    for image in images:
        if image["imageType"].startswith("EKS" if not eks else "ECS"):
            raise Invalid(f"Image type {image['imageType']} is not applicable for this compute environment.")
        if not eks and "imageKubernetesVersion" in image:
            raise Invalid("imageKubernetesVersion is only applicable for EKS.")
        image.pop("batchImageStatus", None)


def _check_image_types(resources: Json, settings: Settings) -> None:
    if settings.amazon_linux_2 == "accepted" or resources.get("imageId"):
        return
    for image in resources.get("ec2Configuration", []):
        if image["imageType"] in _AMAZON_LINUX_2 and "imageIdOverride" not in image:
            raise Invalid(
                "Amazon Linux 2 is end-of-life. Please see "
                "https://docs.aws.amazon.com/batch/latest/userguide/compute_resource_AMIs.html."
            )


def infrastructure_members(given: Json, current: Mapping[str, Any]) -> list[str]:
    """The members of an update that need new instances; an empty list makes it a scaling update."""
    scaling = FARGATE_SCALING if on_fargate(current) else SCALING
    return sorted(
        member
        for member, value in given.items()
        if member not in scaling and not (member == "updateToLatestImageVersion" and value is False)
    )


def updated(given: Json, current: Mapping[str, Any], *, eks: bool, settings: Settings) -> Json:
    """The resources after an update; members left out keep their value. Raises `Invalid`."""
    resources: Json = dict(current)
    for member, value in given.items():
        if member == "updateToLatestImageVersion":
            continue
        if on_fargate(current) and member in ("subnets", "securityGroupIds") and not value:
            continue
        if _removes(member, value):
            resources.pop(member, None)
        else:
            resources[member] = value
    _check_type(current["type"], resources["type"], settings)
    _check_updated(resources, given, current, eks=eks)
    if on_fargate(resources) or resources["type"] == "ECS_MANAGED_INSTANCES":
        return resources
    return filled(resources, eks=eks)


def _removes(member: str, value: Any) -> bool:
    if member in _REMOVED_BY_EMPTY:
        return bool(value == "")
    if member == "launchTemplate":
        return "" in (value.get("launchTemplateId"), value.get("launchTemplateName"))
    if member == "scalingPolicy":
        return not value.get("minScaleDownDelayMinutes")
    return (member == "ec2Configuration" and not value) or (member == "bidPercentage" and value == 0)


def _check_type(before: str, after: str, settings: Settings) -> None:
    if before == after or {before, after} == {"EC2", "SPOT"}:
        return
    if {before, after} == FARGATE and settings.fargate_type_in_place:
        return
    raise Invalid(f"Compute resource type cannot be changed from {before} to {after}.")


def _check_updated(resources: Json, given: Json, current: Mapping[str, Any], *, eks: bool) -> None:
    if on_fargate(resources) or resources["type"] == "ECS_MANAGED_INSTANCES":
        check(resources, eks=eks)
        return
    if "instanceTypes" in given and not given["instanceTypes"]:
        raise Invalid("Resource instanceTypes are required.")
    if not _emptied(given):
        check(resources, eks=eks)
    if "desiredvCpus" not in given:
        return
    if eks:
        raise Invalid("desiredvCpus is not applicable for updates of EKS compute environments.")
    desired = given["desiredvCpus"]
    between(
        desired,
        resources["minvCpus"],
        resources["maxvCpus"],
        "desiredvCpus should be between minvCpus and maxvCpus.",
    )
    if desired < current.get("desiredvCpus", 0):
        raise Invalid(
            "Manually scaling down compute environment is not supported. Disconnecting job queues from compute "
            "environment will cause it to scale-down to minvCpus."
        )


def _emptied(given: Json) -> Sequence[str]:
    """The required lists that an update removes, which is allowed."""
    return [member for member in ("subnets", "securityGroupIds") if given.get(member) == []]
