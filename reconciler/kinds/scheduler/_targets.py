"""Targets of schedules: the short form of a submitted job, how they are compared, and their form in requests.

A job is submitted by a universal target: the ARN of the operation, and its request as JSON text with capitalised
members. ``submitJob`` has that request in AWS Batch's own spelling, and both forms mean the same.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
https://docs.aws.amazon.com/scheduler/latest/APIReference/API_Target.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reconciler.kinds.common.declared import mapping
from reconciler.kinds.common.json_text import from_json
from reconciler.kinds.common.normal_forms import bare, unless
from reconciler.kinds.common.replies import lowered, raised
from reconciler.model import Field, Finding, Json, JsonText, Path, Ref, Scope

SUBMIT = "submitJob"
SUBMIT_ARN = re.compile(r"arn:[a-z-]+:scheduler:::aws-sdk:batch:submitJob")
# members of SubmitJob whose keys are data
_DATA = frozenset({"parameters", "tags", "labels", "annotations", "limits", "requests"})
_RAISED_DATA = frozenset(name[:1].upper() + name[1:] for name in _DATA)
# members of a target whose keys are data, or that begin with a lower-case letter in the API, too
_KEEP = frozenset(
    {"input", "metadata", "tags", "capacityProviderStrategy", "placementConstraints", "placementStrategy"}
)
_RAISED_KEEP = frozenset(name[:1].upper() + name[1:] for name in _KEEP)

SET = Field(unordered=True)
OFF = Field(normalize=unless(False))
_ECS = "target.ecsParameters"
_VPC = f"{_ECS}.networkConfiguration.awsvpcConfiguration"

FIELDS = {
    "target.retryPolicy.maximumRetryAttempts": Field(normalize=unless(185)),
    "target.retryPolicy.maximumEventAgeInSeconds": Field(normalize=unless(86400)),
    f"target.{SUBMIT}.jobQueue": Field(normalize=bare),
    f"target.{SUBMIT}.jobDefinition": Field(normalize=bare),
    f"{_ECS}.taskCount": Field(normalize=unless(1)),
    f"{_ECS}.enableECSManagedTags": OFF,
    f"{_ECS}.enableExecuteCommand": OFF,
    f"{_VPC}.subnets": SET,
    f"{_VPC}.securityGroups": SET,
    f"{_VPC}.assignPublicIp": Field(normalize=unless("DISABLED")),
}

REFS = {
    "target.arn": Ref(section="topics", also=("jobQueues",)),  # or any ARN; a queue is refused in words
    "target.roleArn": Ref(section="roles", same_account_and_region=True),
    f"target.{SUBMIT}.jobQueue": Ref(section="jobQueues", same_account_and_region=True),
    # the plain name means the latest revision, so that a new revision does not change the schedule
    f"target.{SUBMIT}.jobDefinition": Ref(
        section="jobDefinitions",
        attr="name",
        literal=r"arn:|[^:]+:\d+$",
        holds=False,
        same_account_and_region=True,
    ),
    f"{_VPC}.securityGroups[]": Ref(section="securityGroups", attr="id", literal=r"sg-"),
}
LOOKUPS = {f"{_VPC}.subnets[]": "subnets"}


def from_yaml(target: Any) -> Any:
    """A declared target in plain form: JSON parsed, and a submitted job as ``submitJob``."""
    if not isinstance(target, Mapping):
        return target
    done = dict(target)
    if "input" in done:
        done["input"] = _parsed(done["input"])
    arn = done.get("arn")
    if isinstance(arn, str) and SUBMIT_ARN.fullmatch(arn) and isinstance(done.get("input"), Mapping):
        done.pop("arn")
        done[SUBMIT] = lowered(done.pop("input"), _RAISED_DATA)
    return done


def _parsed(text: Any) -> Any:
    """JSON text of an object or a list, parsed; anything else unchanged, since an input may be a plain text."""
    if not isinstance(text, str):
        return text
    try:
        found = from_json(text)
    except ValueError:
        return text
    return found if isinstance(found, dict | list) else text


def from_api(target: Json) -> Any:
    """A target of a GetSchedule reply in plain form."""
    return from_yaml(lowered(target, _RAISED_KEEP))


def to_api(target: Json, scope: Scope) -> dict[str, Any]:
    """A target in plain form as the API expects it; empty members are left out."""
    plain = {name: value for name, value in target.items() if name not in (SUBMIT, "input")}
    request: dict[str, Any] = raised(_without_empty(plain), _KEEP)
    network = mapping(mapping(request.get("EcsParameters")).get("NetworkConfiguration"))
    if "AwsvpcConfiguration" in network:
        renamed = {"awsvpcConfiguration": network["AwsvpcConfiguration"]}
        request["EcsParameters"] = {**request["EcsParameters"], "NetworkConfiguration": renamed}
    if target.get(SUBMIT):
        request["Arn"] = f"arn:{scope.partition}:scheduler:::aws-sdk:batch:submitJob"
        request["Input"] = JsonText(raised(_without_null(target[SUBMIT]), _DATA))
    elif isinstance(given := target.get("input"), Mapping | list | tuple):
        request["Input"] = JsonText(given)
    elif given:
        request["Input"] = given
    return request


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {name: _without_empty(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in (None, [], {}, "")}
    return [_without_empty(item) for item in value] if isinstance(value, list | tuple) else value


def _without_null(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_null(item) for name, item in value.items() if item is not None}
    return [_without_null(item) for item in value] if isinstance(value, list | tuple) else value


def queue_as_target(path: Path) -> Finding:
    """The finding for a job queue that stands where only other targets may."""
    hint = f"{SUBMIT}: {{jobQueue: NAME, jobDefinition: NAME, jobName: NAME}}"
    return Finding(path, f"a schedule submits a job by {SUBMIT}, not by the job queue as its target", hint)
