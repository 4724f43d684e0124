"""Targets of event rules: how they are compared, their references, and their form in requests.

A target is identified by its id. Its input is JSON text in the API, and compared by meaning if it is an object or a
list.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.kinds.common.declared import items, mapping
from reconciler.kinds.common.json_text import from_json
from reconciler.kinds.common.normal_forms import bare, unless
from reconciler.kinds.common.policy_document.document import parse
from reconciler.kinds.common.replies import lowered, raised, tag_list, tag_map
from reconciler.model import Field, Json, JsonText, Ref, Template

SET = Field(unordered=True)
OFF = Field(normalize=unless(False))

_ECS = "ecsParameters"
_VPC = f"{_ECS}.networkConfiguration.awsvpcConfiguration"

# members whose keys are data
_DATA = ("inputPathsMap", "headerParameters", "queryStringParameters")
# members that begin with a lower-case letter in the API, too
_SMALL = ("capacityProviderStrategy", "placementConstraints", "placementStrategy")


def _log_group(value: Any) -> Any:
    """A log group's ARN without the ``:*`` that CloudWatch shows and EventBridge accepts."""
    return value.removesuffix(":*") if isinstance(value, str) and ":log-group:" in value else value


_MEMBERS: Mapping[str, Field] = {
    "arn": Field(normalize=_log_group),
    "inputPath": Field(normalize=unless("")),
    "batchParameters.jobDefinition": Field(normalize=bare),
    "retryPolicy.maximumRetryAttempts": Field(normalize=unless(185)),
    "retryPolicy.maximumEventAgeInSeconds": Field(normalize=unless(86400)),
    "redshiftDataParameters.withEvent": OFF,
    f"{_ECS}.taskCount": Field(normalize=unless(1)),
    f"{_ECS}.enableECSManagedTags": OFF,
    f"{_ECS}.enableExecuteCommand": OFF,
    f"{_VPC}.subnets": SET,
    f"{_VPC}.securityGroups": SET,
    f"{_VPC}.assignPublicIp": Field(normalize=unless("DISABLED")),
}
FIELDS = {"targets": Field(key="id"), **{f"targets[].{name}": facts for name, facts in _MEMBERS.items()}}

REFS = {
    "targets[].arn": Ref(section="jobQueues", also=("topics", "logGroups")),
    "targets[].roleArn": Ref(section="roles", same_account_and_region=True),
    # the plain name means the latest revision, so that a new revision does not change the rule
    "targets[].batchParameters.jobDefinition": Ref(
        section="jobDefinitions",
        attr="name",
        literal=r"arn:|[^:]+:\d+$",
        holds=False,
        same_account_and_region=True,
    ),
    f"targets[].{_VPC}.securityGroups[]": Ref(section="securityGroups", attr="id", literal=r"sg-"),
    "targets[].redshiftDataParameters.secretManagerArn": Ref(section="secrets"),
}
LOOKUPS = {f"targets[].{_VPC}.subnets[]": "subnets"}


def from_yaml(target: Any) -> Any:
    """A declared target in plain form: JSON parsed, tags as a mapping."""
    if not isinstance(target, Mapping):
        return target
    done = dict(target)
    if "input" in done:
        done["input"] = parse_input(done["input"])
    ecs = done.get(_ECS)
    if isinstance(ecs, Mapping) and isinstance(ecs.get("tags"), list | tuple):
        raw = [raised(tag) for tag in ecs["tags"] if isinstance(tag, Mapping)]
        if all("Key" in tag for tag in raw):
            done[_ECS] = {**ecs, "tags": tag_map(raw)}
    return done


def parse_input(text: Any) -> Any:
    """JSON text of an object or a list, parsed; anything else unchanged, since an input may be a plain text."""
    if isinstance(text, Template):
        return parse(text)
    if not isinstance(text, str):
        return text
    try:
        found = from_json(text)
    except ValueError:
        return text
    return found if isinstance(found, dict | list) else text


def from_api(target: Json) -> Any:
    """A target of a ListTargetsByRule reply in plain form."""
    keep = frozenset(name[:1].upper() + name[1:] for name in _DATA)
    return from_yaml(lowered(target, keep))


def to_api(target: Json) -> dict[str, Any]:
    """A target in plain form as PutTargets expects it; empty members are left out."""
    request: dict[str, Any] = raised(_without_empty(target), frozenset((*_DATA, *_SMALL)))
    if isinstance(request.get("Input"), Mapping | list | tuple):
        request["Input"] = JsonText(_without_empty(target["input"], everything=True))
    ecs = request.get("EcsParameters")
    if isinstance(ecs, Mapping):
        request["EcsParameters"] = _ecs(ecs, mapping(target[_ECS]))
    return request


def _ecs(raised_ecs: Json, ecs: Json) -> dict[str, Any]:
    request = dict(raised_ecs)
    if isinstance(ecs.get("tags"), Mapping) and ecs["tags"]:
        request["Tags"] = tag_list(ecs["tags"])
    network = mapping(request.get("NetworkConfiguration"))
    if "AwsvpcConfiguration" in network:
        request["NetworkConfiguration"] = {"awsvpcConfiguration": network["AwsvpcConfiguration"]}
    return request


def _without_empty(value: Any, *, everything: bool = False) -> Any:
    """The value without null and empty members, except inside ``input``, where they are data."""
    if isinstance(value, Mapping):
        kept = {name: _without_empty(item, everything=everything or name == "input") for name, item in value.items()}
        return kept if everything else {name: item for name, item in kept.items() if item not in (None, [], {}, "")}
    return [_without_empty(item, everything=everything) for item in value] if isinstance(value, list | tuple) else value


def by_id(listed: Any) -> dict[str, Json]:
    """The targets of a list by their ids, in their order."""
    return {str(item.get("id")): item for item in map(mapping, items(listed))}


def ids(targets: Sequence[Json]) -> list[str]:
    """The ids of targets, in their order."""
    return [str(target["id"]) for target in targets]
