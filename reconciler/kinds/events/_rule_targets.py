"""Targets of event rules: how they are compared, their references, and their form in requests.

A target is identified by its id. Its input is JSON text in the API, and compared by meaning if it is an object or a
list.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.kinds.common import event_targets as common
from reconciler.kinds.common.declared import items, mapping
from reconciler.kinds.common.normal_forms import bare, unless
from reconciler.model import Field, Json, JsonText, Ref
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.replies import lowered, raised, tag_list, tag_map

# members whose keys are data
_DATA = ("inputPathsMap", "headerParameters", "queryStringParameters")


def _log_group(value: Any) -> Any:
    """A log group's ARN without the ``:*`` that CloudWatch shows and EventBridge accepts."""
    return value.removesuffix(":*") if isinstance(value, str) and ":log-group:" in value else value


_MEMBERS: Mapping[str, Field] = {
    "arn": Field(normalize=_log_group),
    "inputPath": Field(normalize=unless("")),
    "batchParameters.jobDefinition": Field(normalize=bare),
    "redshiftDataParameters.withEvent": common.OFF,
    **common.MEMBERS,
}
FIELDS = {"targets": Field(key="id"), **{f"targets[].{name}": facts for name, facts in _MEMBERS.items()}}

REFS = {
    "targets[].arn": Ref(section="jobQueues", also=("topics", "logGroups")),
    "targets[].roleArn": common.ROLE,
    "targets[].batchParameters.jobDefinition": common.JOB_DEFINITION,
    f"targets[].{common.VPC}.securityGroups[]": common.SECURITY_GROUP,
    "targets[].redshiftDataParameters.secretManagerArn": Ref(section="secrets"),
}
LOOKUPS = {f"targets[].{common.VPC}.subnets[]": "subnets"}


def from_yaml(target: Any) -> Any:
    """A declared target in plain form: JSON parsed, tags as a mapping."""
    if not isinstance(target, Mapping):
        return target
    done = dict(target)
    if "input" in done:
        done["input"] = common.parse_input(done["input"])
    ecs = done.get(common.ECS)
    if isinstance(ecs, Mapping) and isinstance(ecs.get("tags"), list | tuple):
        raw = [raised(tag) for tag in ecs["tags"] if isinstance(tag, Mapping)]
        if all("Key" in tag for tag in raw):
            done[common.ECS] = {**ecs, "tags": tag_map(raw)}
    return done


def from_api(target: Json) -> Any:
    """A target of a ListTargetsByRule reply in plain form."""
    keep = frozenset(name[:1].upper() + name[1:] for name in _DATA)
    return from_yaml(lowered(target, keep))


def to_api(target: Json) -> dict[str, Any]:
    """A target in plain form as PutTargets expects it; empty members are left out."""
    request: dict[str, Any] = raised(common.without_empty(target), frozenset((*_DATA, *common.SMALL)))
    if isinstance(request.get("Input"), Mapping | list | tuple):
        request["Input"] = JsonText(common.without_empty(target["input"], everything=True))
    ecs = request.get("EcsParameters")
    if isinstance(ecs, Mapping):
        request["EcsParameters"] = _ecs(ecs, mapping(target[common.ECS]))
    return request


def _ecs(raised_ecs: Json, ecs: Json) -> dict[str, Any]:
    request = dict(raised_ecs)
    if isinstance(ecs.get("tags"), Mapping) and ecs["tags"]:
        request["Tags"] = tag_list(ecs["tags"])
    return common.small_network(request)


def by_id(listed: Any) -> dict[str, Json]:
    """The targets of a list by their ids, in their order."""
    return {str(item.get("id")): item for item in map(mapping, items(listed))}


def ids(targets: Sequence[Json]) -> list[str]:
    """The ids of targets, in their order."""
    return [str(target["id"]) for target in targets]
