"""What changing a member of a compute environment does: scaling, infrastructure update, or a new environment.

https://docs.aws.amazon.com/batch/latest/userguide/infrastructure-updates.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.kinds.common.declared import at, mapping
from reconciler.model import Effect, Field, Json

INSTANCES = "instances"
FARGATE = "fargate"
MANAGED_INSTANCES = "managed instances"
FAMILIES = {
    "EC2": INSTANCES,
    "SPOT": INSTANCES,
    "FARGATE": FARGATE,
    "FARGATE_SPOT": FARGATE,
    "ECS_MANAGED_INSTANCES": MANAGED_INSTANCES,
}

# Strategies that try instance types in the order in which they are listed.
# https://docs.aws.amazon.com/batch/latest/userguide/allocation-strategies.html
ORDERED = ("BEST_FIT_PROGRESSIVE_ORDERED", "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED")

SERVICE_LINKED = ":role/aws-service-role/"
OTHER_FAMILY = "AWS cannot change between instance, Fargate and managed-instance resources in place"

Verdict = tuple[Effect, str]


def family(props: Json) -> str:
    """Which of the families the environment's resources are of; empty for an unmanaged one."""
    return FAMILIES.get(str(at(props, "computeResources", "type") or ""), "")


def is_service_linked(role: Any) -> bool:
    """Whether the role is AWSServiceRoleForBatch, which is also what leaving it out means."""
    return not role or SERVICE_LINKED in str(role)


def immutable(_live: Json, _want: Json) -> Verdict:
    return Effect.REPLACE, "no update exists for it"


def service_role(live: Json, want: Json) -> Verdict:
    if is_service_linked(live.get("serviceRole")) != is_service_linked(want.get("serviceRole")):
        return Effect.REPLACE, "AWS cannot exchange a custom serviceRole and the service-linked role in place"
    return Effect.SCALING, ""


def infrastructure(live: Json, want: Json) -> Verdict:
    """An update in place needs the service-linked role, and a strategy other than BEST_FIT before and after."""
    if not is_service_linked(live.get("serviceRole")):
        why = "with a custom serviceRole AWS cannot update this in place (leave serviceRole out to allow it)"
        return Effect.REPLACE, why
    for side in (live, want):
        strategy = at(side, "computeResources", "allocationStrategy") or "BEST_FIT"
        if family(side) == INSTANCES and strategy == "BEST_FIT":
            return Effect.REPLACE, "with the allocation strategy BEST_FIT AWS cannot update this in place"
    return Effect.INFRASTRUCTURE, ""


def network(live: Json, want: Json) -> Verdict:
    """Subnets and security groups: a scaling update on Fargate."""
    if family(live) == FARGATE and family(want) == FARGATE:
        return Effect.SCALING, ""
    return infrastructure(live, want)


def resource_type(live: Json, want: Json) -> Verdict:
    before, after = family(live), family(want)
    if before == after == INSTANCES:
        return infrastructure(live, want)
    if before == after:
        return Effect.REPLACE, "AWS documents no change between FARGATE and FARGATE_SPOT in place"
    return Effect.REPLACE, OTHER_FAMILY


# --- Amazon ECS Managed Instances ------------------------------------------------------------------------------------


def provider(live: Json, want: Json) -> Verdict:
    if family(live) != family(want):
        return Effect.REPLACE, OTHER_FAMILY
    return Effect.IN_PLACE, ""


_TEMPLATE = "instanceLaunchTemplate"
_FIXED = ("capacityOptionType", "fipsEnabled")


def _unless(default: Any) -> Field:
    return Field(normalize=lambda value: None if value == default else value)


PROVIDER_FIELDS = {
    "propagateTags": _unless("NONE"),
    f"{_TEMPLATE}.networkConfiguration.subnets": Field(unordered=True),
    f"{_TEMPLATE}.networkConfiguration.securityGroups": Field(unordered=True),
    f"{_TEMPLATE}.instanceRequirements.allowedInstanceTypes": Field(unordered=True),
    f"{_TEMPLATE}.capacityOptionType": Field(effect=immutable, default="ON_DEMAND"),
    f"{_TEMPLATE}.storageConfiguration": Field(computed=True),
    f"{_TEMPLATE}.monitoring": Field(computed=True),
    f"{_TEMPLATE}.fipsEnabled": Field(effect=immutable, computed=True),
    f"{_TEMPLATE}.instanceMetadataTagsPropagation": _unless(default=False),
    f"{_TEMPLATE}.localStorageConfiguration.useLocalStorage": _unless(default=False),
    "infrastructureOptimization": Field(computed=True),
}


def updatable_provider(value: Any) -> Any:
    """The provider as an update takes it: without the two members that stay as they were created."""
    if not isinstance(value, Mapping):
        return value
    template = {name: item for name, item in mapping(value.get(_TEMPLATE)).items() if name not in _FIXED}
    return {**value, _TEMPLATE: template}
