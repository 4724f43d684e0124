"""The facts about the fields of a compute environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.kinds.batch.compute_environment import effects
from reconciler.kinds.batch.compute_environment.side_effects import UPDATE_POLICY
from reconciler.kinds.common.declared import mapping
from reconciler.kinds.common.normal_forms import unless
from reconciler.model import Effect, Field


def _falsy_is_absent(value: Any) -> Any:
    return value or None


def _ranked_types(value: Any) -> Any:
    """``computeResources`` with sorted instance types, unless the strategy uses their order."""
    if not isinstance(value, Mapping) or value.get("allocationStrategy") in effects.ORDERED:
        return value
    types = value.get("instanceTypes")
    if not isinstance(types, list | tuple) or not all(isinstance(one, str) for one in types):
        return value
    return {**value, "instanceTypes": sorted(set(types))}


def _insights(value: Any) -> Any:
    return None if mapping(value).get("containerInsights") == "DISABLED" else value


SCALING = Field(effect=Effect.SCALING)
INFRASTRUCTURE = Field(effect=effects.infrastructure)
EMPTIED_BY_TEXT = Field(effect=effects.infrastructure, normalize=unless(""), clear="")

FIELDS = {
    "computeEnvironmentName": Field(ignore=True),
    "type": Field(effect=effects.immutable),
    "state": Field(effect=Effect.SCALING, default="ENABLED"),
    "unmanagedvCpus": Field(effect=Effect.SCALING, normalize=unless(0), clear=0),
    "serviceRole": Field(effect=effects.service_role),
    "updatePolicy": Field(clear=UPDATE_POLICY),
    "eksConfiguration.eksClusterArn": Field(effect=effects.immutable),
    "eksConfiguration.kubernetesNamespace": Field(effect=effects.immutable),
    "eksConfiguration.accessEntry": Field(default={"desiredState": "INHERIT_FROM_CLUSTER"}),
    "eksConfiguration.accessEntry.desiredState": Field(default="INHERIT_FROM_CLUSTER"),
    "eksConfiguration.accessEntry.status": Field(ignore=True),
    "ecsSettings": Field(normalize=_insights, clear={"containerInsights": "DISABLED"}),
    "context": Field(computed=True),
    "computeResources": Field(normalize=_ranked_types),
    "computeResources.type": Field(effect=effects.resource_type),
    "computeResources.maxvCpus": SCALING,
    "computeResources.minvCpus": Field(effect=Effect.SCALING, clear=0),
    "computeResources.desiredvCpus": Field(ignore=True),
    "computeResources.allocationStrategy": INFRASTRUCTURE,
    "computeResources.instanceTypes": INFRASTRUCTURE,
    "computeResources.subnets": Field(effect=effects.network, unordered=True, clear=[]),
    "computeResources.securityGroupIds": Field(effect=effects.network, unordered=True, clear=[]),
    "computeResources.instanceRole": INFRASTRUCTURE,
    "computeResources.spotIamFleetRole": Field(effect=effects.immutable),
    "computeResources.ec2KeyPair": EMPTIED_BY_TEXT,
    "computeResources.imageId": EMPTIED_BY_TEXT,
    "computeResources.placementGroup": EMPTIED_BY_TEXT,
    "computeResources.ec2Configuration": Field(effect=effects.infrastructure, key="imageType", clear=[]),
    "computeResources.ec2Configuration[].imageIdOverride": Field(normalize=unless("")),
    "computeResources.ec2Configuration[].imageKubernetesVersion": Field(computed=True),
    "computeResources.ec2Configuration[].batchImageStatus": Field(ignore=True),
    "computeResources.launchTemplate": Field(effect=effects.infrastructure, clear={"launchTemplateId": ""}),
    "computeResources.launchTemplate.launchTemplateId": Field(normalize=_falsy_is_absent),
    "computeResources.launchTemplate.launchTemplateName": Field(normalize=_falsy_is_absent),
    "computeResources.launchTemplate.version": Field(normalize=unless("", "$Default")),
    "computeResources.launchTemplate.userdataType": Field(normalize=unless("", "EKS_BOOTSTRAP_SH")),
    "computeResources.launchTemplate.overrides": Field(unordered=True),
    "computeResources.launchTemplate.overrides[].version": Field(normalize=unless("", "$Default")),
    "computeResources.launchTemplate.overrides[].userdataType": Field(normalize=unless("", "EKS_BOOTSTRAP_SH")),
    "computeResources.launchTemplate.overrides[].targetInstanceTypes": Field(unordered=True),
    "computeResources.bidPercentage": Field(effect=effects.infrastructure, normalize=unless(0, 100), clear=0),
    "computeResources.tags": Field(effect=effects.infrastructure, clear={}),
    "computeResources.scalingPolicy": Field(effect=Effect.SCALING, clear={"minScaleDownDelayMinutes": 0}),
    "computeResources.scalingPolicy.minScaleDownDelayMinutes": Field(normalize=unless(0)),
    "computeResources.updateToLatestImageVersion": Field(ignore=True),
    "computeResources.capacityTags": Field(clear={}),
    "computeResources.managedInstancesProvider": Field(effect=effects.provider),
    **{f"computeResources.managedInstancesProvider.{path}": facts for path, facts in effects.PROVIDER_FIELDS.items()},
}
