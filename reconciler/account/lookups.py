"""Look-ups: read-only facts about the account, read once at plan time and shown in the plan.

Those of EC2, which have filters, are here; the others are in :mod:`.named_lookups`.

No match, or several where one is needed, is a problem with the filter and the matches in it: the first match is never
taken silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from reconciler.account import named_lookups
from reconciler.account.named_lookups import Ask, not_aws, problem, text, unreadable
from reconciler.config import references
from reconciler.model import EMPTY, Call, Json, Lookup, Refused, Scope, Unreadable
from reconciler.model import problem_codes as codes
from reconciler.model.lookups import given_filters
from reconciler.model.problems import Problem, did_you_mean, one_of
from reconciler.model.records import dataclass


@dataclass(frozen=True, slots=True)
class _Filters:
    """How a look-up is read from EC2: the operation, the reply's list and id, and the EC2 filter for each argument.

    ``many``: the value is a list of ids. The filters are those of the operation's API page, for example
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html
    """

    operation: str
    items: str
    id: str
    filters: Mapping[str, str]
    many: bool = False


_EC2 = {
    "vpc": _Filters(
        "DescribeVpcs",
        "Vpcs",
        "VpcId",
        {"default": "is-default", "vpcId": "vpc-id", "cidrBlock": "cidr", "id": "vpc-id"},
    ),
    "subnets": _Filters(
        "DescribeSubnets",
        "Subnets",
        "SubnetId",
        {
            "vpcId": "vpc-id",
            "availabilityZone": "availability-zone",
            "defaultForAz": "default-for-az",
            "subnetIds": "subnet-id",
            "cidrBlock": "cidr-block",
        },
        many=True,
    ),
    "securityGroup": _Filters(
        "DescribeSecurityGroups",
        "SecurityGroups",
        "GroupId",
        {"groupName": "group-name", "vpcId": "vpc-id", "groupId": "group-id", "description": "description"},
    ),
    "image": _Filters(
        "DescribeImages",
        "Images",
        "ImageId",
        {
            "name": "name",
            "architecture": "architecture",
            "rootDeviceType": "root-device-type",
            "virtualizationType": "virtualization-type",
            "imageId": "image-id",
        },
    ),
}
_COMMON = ("tags", "filters")


def resolve(
    lookups: Mapping[str, Lookup], scope: Scope, ask: Ask, known: Mapping[str, Any] = EMPTY
) -> tuple[dict[str, Any], list[Problem]]:
    """The value of every look-up (an id, a list of ids, or a text) by name, and problems for those without one. ``ask``
    sends calls, for those whose value is not ``known``.
    """
    values: dict[str, Any] = {name: value for name, value in known.items() if name in lookups}
    problems: list[Problem] = []
    needs = {
        name: sorted(
            {part.attr for _, part in references.templates(lookup.args) if part.root == "lookups"} & set(lookups)
        )
        for name, lookup in sorted(lookups.items())
    }
    try:
        sequence = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        loop = " -> ".join(error.args[1])
        first = lookups[min(error.args[1])]
        return {}, [
            problem(first, f"look-ups form a cycle: {loop}", "remove one of these references", codes.LOOKUP_CYCLE)
        ]
    for name in sequence:
        if name in values:
            continue
        lookup = lookups[name]
        context = references.ResolutionContext(scope=scope, declared=lambda _: None, lookups=values)
        args = references.fill(lookup.args, context)
        waiting = [str(part) for _, part in references.templates(args)]
        if waiting:
            if not any(need not in values for need in needs[name]):  # else that look-up has its own problem
                problems.append(problem(lookup, f"look-ups cannot use {waiting[0]}", "", codes.LOOKUP_ARGUMENT))
            continue
        found = _resolve_one(lookup, args, scope, ask)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            values[name] = found
    return values, problems


def permission(lookup: Lookup, scope: Scope) -> tuple[str, tuple[str, ...]]:
    """The IAM action that a look-up needs, and the ARNs it is about, as patterns."""
    if lookup.kind in _EC2:
        return f"ec2:{_EC2[lookup.kind].operation}", ("*",)
    here = references.ResolutionContext(scope=scope, declared=lambda _: None)
    return named_lookups.permission(lookup.kind, references.fill(lookup.args, here), scope)


def _resolve_one(lookup: Lookup, args: Any, scope: Scope, ask: Ask) -> Any:
    if lookup.kind not in _EC2:
        return named_lookups.resolve(lookup, args, scope, ask)
    facts = _EC2[lookup.kind]
    unknown = [name for name in args if name not in facts.filters and name not in (*_COMMON, "owner")]
    if unknown:
        known = [*facts.filters, *_COMMON, *(["owner"] if lookup.kind == "image" else [])]
        hint = did_you_mean(unknown[0], known) or one_of(known)
        return problem(lookup, f'{lookup.kind} has no argument "{unknown[0]}"', hint, codes.UNKNOWN_FIELD)
    filters = _filters(args, facts)
    params: dict[str, Any] = {"Filters": filters}
    if lookup.kind == "image":
        owner = args.get("owner", "amazon")
        params["Owners"] = [str(item) for item in owner] if isinstance(owner, list) else [str(owner)]
    call = Call("ec2", facts.operation, params, all_pages=True)
    (reply,) = ask([call])
    if isinstance(reply, Refused):
        return unreadable(lookup, Unreadable(call, reply))
    items = reply.get(facts.items, [])
    if any(facts.id not in item for item in items):
        return not_aws(lookup, call, facts.id)
    owners = [{"Name": "owner", "Values": params["Owners"]}] if "Owners" in params else []
    return _chosen(lookup, facts, items, [*filters, *owners])


def _filters(args: Json, facts: _Filters) -> list[dict[str, Any]]:
    pairs: dict[str, Any] = {facts.filters[name]: value for name, value in args.items() if name in facts.filters}
    pairs |= {f"tag:{name}": value for name, value in (args.get("tags") or {}).items()}
    pairs |= given_filters(args.get("filters"))
    if facts.many or facts.operation == "DescribeImages":
        pairs.setdefault("state", "available")
    return [
        {"Name": name, "Values": [text(item) for item in (value if isinstance(value, list) else [value])]}
        for name, value in sorted(pairs.items())
    ]


def _chosen(lookup: Lookup, facts: _Filters, items: Sequence[Json], filters: Sequence[Json]) -> Any:
    asked = ", ".join(f"{f['Name']}={'|'.join(f['Values'])}" for f in filters) or "no filter"
    if not items:
        return problem(
            lookup, f"no {_noun(lookup)} matches {asked}", "loosen the filter, or create it", codes.LOOKUP_NONE
        )
    if facts.many:
        return sorted(item[facts.id] for item in items)
    if lookup.kind == "image":
        return max(items, key=lambda item: (item.get("CreationDate", ""), item[facts.id]))[facts.id]
    if len(items) > 1:
        found = ", ".join(sorted(_shown(item, facts) for item in items))
        return problem(
            lookup,
            f"{len(items)} {_noun(lookup)}s match {asked}",
            f"narrow the filter; found {found}",
            codes.LOOKUP_SEVERAL,
        )
    return items[0][facts.id]


def _noun(lookup: Lookup) -> str:
    return {"vpc": "VPC", "subnets": "subnet", "securityGroup": "security group"}.get(lookup.kind, lookup.kind)


def _shown(item: Json, facts: _Filters) -> str:
    tags = {tag.get("Key"): tag.get("Value") for tag in item.get("Tags", [])}
    name = tags.get("Name") or item.get("GroupName")
    where = item.get("VpcId") if facts.id != "VpcId" else ""
    notes = ", ".join(note for note in (name, where) if note)
    return f"{item[facts.id]} ({notes})" if notes else str(item[facts.id])
