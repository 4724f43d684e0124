"""The Resource Groups Tagging API for every kind that AWS includes in it.

IAM is not included. The index may be behind (``index_lag``): then it shows an earlier state.

https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.sandbox.services import scheduler
from reconciler.sandbox.services._hooks import Account, Rules, ServiceCall
from reconciler.sandbox.services._moto import partition_of
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("tagging")

_EC2_KINDS = {
    "sg": "security-group",
    "sgr": "security-group-rule",
    "key": "key-pair",
    "lt": "launch-template",
    "vpc": "vpc",
    "subnet": "subnet",
    "i": "instance",
    "eni": "network-interface",
    "ami": "image",
    "vol": "volume",
    "igw": "internet-gateway",
    "rtb": "route-table",
}
_OUTLIVED = frozenset({"sg", "sgr", "key", "lt"})


@RULES.before("GetResources")
def resources_are_found_by_tag(call: ServiceCall) -> Json:
    """By tags, types and ARNs."""
    _checked(call)
    filters = call.params.get("TagFilters") or []
    kinds = call.params.get("ResourceTypeFilters") or []
    arns = call.params.get("ResourceARNList") or []
    found = []
    for arn, tags in _index(call).items():
        if arns and arn not in arns:
            continue
        if tags and all(_matches(tags, one) for one in filters) and (not kinds or any(_is(arn, one) for one in kinds)):
            listed = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
            found.append({"ResourceARN": arn, "Tags": listed})
    return {"ResourceTagMappingList": found}


def _checked(call: ServiceCall) -> None:
    size = call.params.get("ResourcesPerPage")
    if size is not None and not 1 <= int(size) <= 100:
        raise Refusal("InvalidParameterException", "ResourcesPerPage must be between 1 and 100.")
    if call.params.get("ResourceARNList") and (call.params.get("TagFilters") or call.params.get("ResourceTypeFilters")):
        raise Refusal("InvalidParameterException", "ResourceARNList cannot be combined with filters.")


def _matches(tags: Mapping[str, str], asked: Json) -> bool:
    values = asked.get("Values") or []
    return asked["Key"] in tags and (not values or tags[asked["Key"]] in values)


def _is(arn: str, kind: str) -> bool:
    service, _, resource = kind.partition(":")
    parts = arn.split(":", 5)
    if parts[2] != service:
        return False
    return not resource or resource == _kind(service, parts[5])


def _kind(service: str, rest: str) -> str:
    if service == "sns":
        return "topic"
    return rest.split("/", maxsplit=1)[0].split(":", maxsplit=1)[0]


def _index(call: ServiceCall) -> dict[str, dict[str, str]]:
    """Tags by ARN, as they are or, with a lag, as they were."""
    present = tags_by_arn(call.account, call.region)
    lag = call.account.settings.index_lag
    if lag <= 0:
        return present
    history: list[tuple[float, dict[str, dict[str, str]]]] = call.regional.setdefault("history", [(call.now - lag, {})])
    if history[-1][1] != present:
        history.append((call.now, present))
    while len(history) > 1 and history[1][0] <= call.now - lag:
        del history[0]
    return history[0][1]


def tags_by_arn(account: Account, region: str) -> dict[str, dict[str, str]]:
    """The tags of the resources of a Region as they are, by ARN; those of IAM are not among them."""
    return {arn: dict(tags) for arn, tags in _present(account, region)}


def _present(account: Account, region: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    moto = account.moto
    yield from account.batch_tags(region).items()
    yield from _ec2(account, region)
    ecr = moto.backend("ecr", region)
    for repository in ecr.repositories.values():
        yield repository.arn, ecr.tagger.get_tag_dict_for_resource(repository.arn)
    for secret in moto.backend("secretsmanager", region).secrets.values():
        if not secret.is_deleted():
            yield secret.arn, {tag["Key"]: tag["Value"] for tag in secret.tags or []}
    for topic in moto.backend("sns", region).topics.values():
        yield topic.arn, topic._tags or {}  # noqa: SLF001  moto's only place for them
    logs = moto.backend("logs", region)
    for group in logs.groups.values():
        arn = group.arn.removesuffix(":*")
        yield arn, logs.list_tags_for_resource(arn)
    events = moto.backend("events", region)
    for bus in events.event_buses.values():
        for rule in bus.rules.values():
            yield rule.arn, events.tagger.get_tag_dict_for_resource(rule.arn)
    for group in scheduler.groups(account, region).values():
        yield group.arn, group.tags


def _ec2(account: Account, region: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    ec2 = account.moto.backend("ec2", region)
    prefix = f"arn:{partition_of(region)}:ec2:{region}:{account.id}"
    existing = _existing_ids(ec2)
    for thing, tags in ec2.tags.items():
        start = thing.partition("-")[0]
        if start in _EC2_KINDS and (start not in _OUTLIVED or thing in existing):
            yield f"{prefix}:{_EC2_KINDS[start]}/{thing}", tags
    for group in account.memory["placement groups"].get(region, {}).values():
        yield group["GroupArn"], ec2.tags[group["GroupId"]]


def _existing_ids(ec2: Any) -> set[str]:
    """The ids of existing resources of kinds whose tags moto keeps after deletion."""
    groups = [group for vpc in ec2.groups.values() for group in vpc.values()]
    rules = [rule.id for group in groups for rule in [*group.ingress_rules, *group.egress_rules]]
    return {*rules, *(group.id for group in groups), *(key.id for key in ec2.key_pairs.values()), *ec2.launch_templates}
