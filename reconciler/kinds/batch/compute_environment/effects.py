"""The effect of changing a property of a compute environment: scaling update, infrastructure update or replacement.

Each function takes the live and the wanted properties and returns the effect with its reason (empty if it needs none).

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
    """The family of ``computeResources.type``, a value of FAMILIES; empty for an UNMANAGED environment."""
    return FAMILIES.get(str(at(props, "computeResources", "type") or ""), "")


def is_service_linked(role: Any) -> bool:
    """Whether the role is AWSServiceRoleForBatch, the default, or is not given."""
    return not role or SERVICE_LINKED in str(role)


def immutable(_live: Json, _want: Json) -> Verdict:
    """A property that no update takes."""
    return Effect.REPLACE, "no update exists for it"


def service_role(live: Json, want: Json) -> Verdict:
    """A custom role can be changed to another, but not to or from the service-linked role.

    https://docs.aws.amazon.com/batch/latest/userguide/updating-compute-environments.html
    """
    if is_service_linked(live.get("serviceRole")) != is_service_linked(want.get("serviceRole")):
        return Effect.REPLACE, "AWS cannot exchange a custom serviceRole and the service-linked role in place"
    return Effect.SCALING, ""


def infrastructure(live: Json, want: Json) -> Verdict:
    """An infrastructure update needs the service-linked role, and a strategy other than BEST_FIT before and after."""
    if not is_service_linked(live.get("serviceRole")):
        why = "with a custom serviceRole AWS cannot update this in place (leave serviceRole out to allow it)"
        return Effect.REPLACE, why
    for side in (live, want):
        strategy = at(side, "computeResources", "allocationStrategy") or "BEST_FIT"
        if family(side) == INSTANCES and strategy == "BEST_FIT":
            return Effect.REPLACE, "with the allocation strategy BEST_FIT AWS cannot update this in place"
    return Effect.INFRASTRUCTURE, ""


def network(live: Json, want: Json) -> Verdict:
    """Subnets and security groups: a scaling update on Fargate, an infrastructure update elsewhere."""
    if family(live) == FARGATE and family(want) == FARGATE:
        return Effect.SCALING, ""
    return infrastructure(live, want)


def resource_type(live: Json, want: Json) -> Verdict:
    """``computeResources.type``: an infrastructure update between EC2 and SPOT, else a replacement."""
    before, after = family(live), family(want)
    if before == after == INSTANCES:
        return infrastructure(live, want)
    if before == after:
        return Effect.REPLACE, "AWS documents no change between FARGATE and FARGATE_SPOT in place"
    return Effect.REPLACE, OTHER_FAMILY


# --- Amazon ECS Managed Instances ------------------------------------------------------------------------------------


def provider(live: Json, want: Json) -> Verdict:
    """``managedInstancesProvider``: changed in place, but not added or removed."""
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
    """The provider as an update takes it: without the two members that cannot be changed after creation."""
    if not isinstance(value, Mapping):
        return value
    template = {name: item for name, item in mapping(value.get(_TEMPLATE)).items() if name not in _FIXED}
    return {**value, _TEMPLATE: template}
