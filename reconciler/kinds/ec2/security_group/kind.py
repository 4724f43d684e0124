"""EC2 security groups with their rules.

What is peculiar about them:

- The id is assigned by AWS. A group is identified by its name, which is unique only in its VPC.
- A new group has a rule that allows all egress, which is visible a moment after the group is created. Declared
  ``egress`` lists all rules, so that rule is deleted if it is not declared; without ``egress`` that rule is kept.
- Rules are added and removed one per call: an Authorize call with one duplicate adds nothing, and a Revoke call in a
  default VPC succeeds for a rule that does not exist. New rules are added before old ones are removed.
- The description, name and VPC of a group cannot be changed.
- A group that a rule of another group or a network interface refers to cannot be deleted. Interfaces are deleted
  minutes after their instances. Rules between groups are removed before the groups are deleted.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.kinds.common.declared import items
from reconciler.kinds.common.listing import listing
from reconciler.kinds.common.visibility import STILL_IN_USE, not_visible
from reconciler.kinds.ec2 import _common as ec2
from reconciler.kinds.ec2.security_group.checks import check
from reconciler.kinds.ec2.security_group.rules import Rule, from_api, from_yaml, rules, to_yaml
from reconciler.model import (
    OWNER_TAG,
    Access,
    Action,
    Call,
    CompleteList,
    Dependent,
    Diff,
    Effect,
    Field,
    Json,
    Kind,
    Later,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    Reads,
    Ref,
    Referrer,
    Removals,
    Replace,
    Reply,
    Scope,
    Sought,
    Wait,
    Want,
)
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common import instances
    from reconciler.kinds.common.referrers import referrer
    from reconciler.kinds.common.replies import chunks, lowered, ok, raised, tag_list, tag_map, together
    from reconciler.kinds.common.values import align
    from reconciler.kinds.ec2.security_group.events import RECORDED

FIELDS = {
    "description": Field(effect=Effect.REPLACE, computed=True),
    "vpcId": Field(effect=Effect.REPLACE, computed=True),
    "ingress": Field(),
    "egress": Field(),
}
OF_EVERY_VPC = "default"  # EC2 creates it with the VPC, and it cannot be deleted
RESERVED = "sg-"  # ids begin with it
GROUP = Ref(section="securityGroups", attr="id", literal=r"sg-", late=True)
REFS = {
    "ingress[].userIdGroupPairs[].groupId": GROUP,
    "egress[].userIdGroupPairs[].groupId": GROUP,
}

LOOKUPS = {
    "vpcId": "vpc",
    **{f"{direction}[].userIdGroupPairs[].vpcId": "vpc" for direction in ("ingress", "egress")},
    **dict.fromkeys(REFS, "securityGroup"),
}

DIRECTIONS = {"ingress": "Ingress", "egress": "Egress"}
ALL_OUT: Json = {"ipProtocol": "-1", "ipRanges": [{"cidrIp": "0.0.0.0/0"}]}
ALL_OUT_IPV6: Json = {"ipProtocol": "-1", "ipv6Ranges": [{"cidrIpv6": "::/0"}]}

# EC2 is eventually consistent: an id that this run has just created may not be visible yet
NOT_VISIBLE_YET = (On("InvalidGroup.NotFound", because=not_visible("security group")),)
IN_USE = tuple(On(code, because=STILL_IN_USE) for code in ("DependencyViolation", "InvalidGroup.InUse"))
RULE_NOT_FOUND = (On("InvalidSecurityGroupRuleId.NotFound"), On("InvalidPermission.NotFound"))
NOT_FOUND = (On("InvalidGroup.NotFound"),)
IN_USE_PATIENCE = 1200.0

DESCRIBE = Call("ec2", "DescribeSecurityGroups", all_pages=True)
DEFAULT_VPC = Call("ec2", "DescribeVpcs", {"Filters": [{"Name": "is-default", "Values": ["true"]}]}, all_pages=True)


# --- reading ---------------------------------------------------------------------------------------------------------


def attrs(_: Scope, name: str, __: Json) -> Mapping[str, str]:
    """The name; id and ARN are assigned by AWS."""
    return {"name": name}


def read(query: Query) -> Reads[Sequence[Live]]:
    """The groups that are sought or owned; with the ids of their rules if some of these are not declared."""
    default: tuple[Call, ...] = (DEFAULT_VPC,) if any(not one.props.get("vpcId") for one in query.sought) else ()
    groups = ec2.find_by_name_or_owner(DESCRIBE, "group-name", "SecurityGroups", ("GroupId", "security-group/"), query)
    listed, replies = yield from together(groups, default)
    found: dict[str, Json] = {item["GroupId"]: item for item in listed}
    vpcs = [item["VpcId"] for call, reply in zip(default, replies, strict=True) for item in _vpcs(call, reply)]
    meant = {item["GroupId"]: sought for sought in query.sought for item in _matching(sought, found.values(), vpcs)}
    chosen = set(meant)
    if query.owned:
        chosen |= {name for name, item in found.items() if _owner(item) == query.scope.environment}
    ids = sorted(name for name in chosen if _has_undeclared_rules(found[name], meant.get(name), query.scope.account))
    rule_ids = (yield from _rule_ids(ids, query.scope.account)) if ids else {}
    return [_live(query.scope, found[name], rule_ids) for name in sorted(chosen)]


def referrers(scope: Scope, targets: Mapping[str, Sequence[Live]]) -> Reads[Sequence[Referrer]]:
    """The groups with rules that refer to those of ``targets``: AWS refuses to delete these then."""
    ids = [live.attrs["id"] for live in targets["securityGroups"]]
    calls = tuple(
        replace(DESCRIBE, params={"Filters": [{"Name": name, "Values": list(some)}]})
        for some in chunks(ids, 200)
        for name in ("ip-permission.group-id", "egress.ip-permission.group-id")
    )
    answers = [ok(call, reply) or {} for call, reply in zip(calls, (yield calls), strict=True)]
    found = {item["GroupId"]: item for answer in answers for item in answer.get("SecurityGroups", ())}
    lives = [_live(scope, item, {}) for item in found.values()]
    return [referrer(scope, "security group", one.physical, one.identity, one.props, one.tags) for one in lives]


def running(_: Scope, lives: Sequence[Live], __: Removals) -> Reads[Mapping[str, tuple[Dependent, ...]]]:
    """The instances in the group, with which AWS refuses to delete it."""
    used = yield from instances.in_group([live.attrs["id"] for live in lives])
    return {live.physical: used[live.attrs["id"]] for live in lives if live.attrs["id"] in used}


def _vpcs(call: Call, reply: Reply) -> list[Json]:
    return list((ok(call, reply) or {}).get("Vpcs", ()))


def _has_undeclared_rules(item: Json, sought: Sought | None, account: str) -> bool:
    """Whether the group has rules that are not declared: they are revoked by their ids."""
    for direction, member in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
        declared = sought.props.get(direction) if sought else None
        if declared is None and direction == "egress" and sought:
            declared = [ALL_OUT, ALL_OUT_IPV6]
        if rules(lowered(list(item.get(member, ()))), account=account).keys() - rules(declared, account=account).keys():
            return True
    return False


def _rule_ids(groups: Sequence[str], account: str) -> Reads[dict[tuple[str, str, str], str]]:
    calls = tuple(
        Call(
            "ec2",
            "DescribeSecurityGroupRules",
            {"Filters": [{"Name": "group-id", "Values": list(some)}]},
            all_pages=True,
        )
        for some in chunks(groups, 200)
    )
    found: dict[tuple[str, str, str], str] = {}
    for call, reply in zip(calls, (yield calls), strict=True):
        for item in (ok(call, reply) or {}).get("SecurityGroupRules", ()):
            direction = "egress" if item.get("IsEgress") else "ingress"
            rule = from_api(lowered(item), account)
            found[item["GroupId"], direction, str(rule)] = item["SecurityGroupRuleId"]
    return found


def _owner(item: Json) -> str | None:
    return tag_map(item.get("Tags")).get(OWNER_TAG)


def _matching(sought: Sought, groups: Any, default_vpcs: Sequence[str]) -> list[Json]:
    """The groups with the sought name in the declared VPC, or in the default VPC if none is declared.

    A name that is only referred to (sought without properties) may belong to a group in another VPC.
    """
    named = [item for item in groups if item["GroupName"] == sought.name]
    vpc = sought.props.get("vpcId")
    if vpc:
        return [item for item in named if item.get("VpcId") == vpc] if isinstance(vpc, str) else named
    here = [item for item in named if item.get("VpcId") in default_vpcs]
    return here or ([] if sought.props else named)


def _live(scope: Scope, item: Json, rule_ids: Mapping[tuple[str, str, str], str]) -> Live:
    group, name = item["GroupId"], item["GroupName"]
    bundles = {"ingress": item.get("IpPermissions", ()), "egress": item.get("IpPermissionsEgress", ())}
    props = {
        "description": item.get("Description", ""),
        "vpcId": item.get("VpcId"),
        **{direction: lowered(list(found)) for direction, found in bundles.items()},
    }
    arn = item.get("SecurityGroupArn") or scope.arn("ec2", f"security-group/{group}")
    rule_ids_of_group = {
        direction: {
            rule: known for (owner, side, rule), known in rule_ids.items() if (owner, side) == (group, direction)
        }
        for direction in DIRECTIONS
    }
    return Live(
        physical=name,
        attrs={"name": name, "id": group, "arn": arn},
        props={member: value for member, value in props.items() if value is not None},
        tags=tag_map(item.get("Tags")),
        extra={"account": item.get("OwnerId") or scope.account, "ruleIds": rule_ids_of_group},
    )


def declare(live: Live, _: Scope) -> Json:
    """The properties with rules in the short form where that can say them, without the account in its own groups."""
    account = str(live.extra.get("account", ""))
    return {
        name: [to_yaml(bundle, account) for bundle in items(value)] if name in DIRECTIONS else value
        for name, value in live.props.items()
    }


# --- comparing -------------------------------------------------------------------------------------------------------


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """Rules one by one: common ones first, then related ones side by side, then the rest."""
    left, right = dict(live.props), dict(want.props)
    for direction in DIRECTIONS:
        have, wish = _live_rules(live, want, direction), _declared_rules(want, direction, live)
        one, other = align(have, wish, Rule.is_change_of)
        left[direction], right[direction] = [r.permission() for r in one], [r.permission() for r in other]
    return left, right


def _live_rules(live: Live, want: Want, direction: str) -> dict[str, Rule]:
    have = rules(live.props.get(direction), account=want.scope.account)
    if direction == "egress" and want.declared.get("egress") is None:
        # in a VPC with an IPv6 block new groups have a second default rule
        have = {name: rule for name, rule in have.items() if name not in rules([ALL_OUT_IPV6])}
    return have


def _declared_rules(want: Want, direction: str, live: Live | None = None) -> dict[str, Rule]:
    declared = want.declared.get(direction)
    if declared is None and direction == "egress":
        declared = [ALL_OUT]
    own = {Later(want.address, "id"): live.attrs["id"]} if live else {}
    return rules(declared, account=want.scope.account, own=own)


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    """CreateSecurityGroup, then its egress and ingress rules, one call each."""
    group = Later(want.address, "id")
    params = {
        "GroupName": want.physical,
        "Description": want.declared.get("description") or want.address.name,
        "VpcId": want.declared.get("vpcId"),
        "TagSpecifications": [{"ResourceType": "security-group", "Tags": tag_list(want.tags)}],
    }
    created = Call(
        "ec2",
        "CreateSecurityGroup",
        {name: value for name, value in params.items() if value},
        captures={"id": "GroupId", "arn": "SecurityGroupArn"},
        proof=Proof.EXISTS,
    )
    ingress = [_authorize("ingress", group, rule) for _, rule in sorted(_declared_rules(want, "ingress").items())]
    return [created, *_replace_default_egress(want, group), *ingress]


def _replace_default_egress(want: Want, group: Later) -> list[Action]:
    """The calls from the default egress rule of a new group to the declared egress rules; none if none is declared."""
    if want.declared.get("egress") is None:
        return []
    visible = Wait(
        title=f"AWS shows security group {want.physical} and its default egress rule",
        read=Call("ec2", "DescribeSecurityGroupRules", {"Filters": [{"Name": "group-id", "Values": [group]}]}),
        items="SecurityGroupRules",
        until={"IpProtocol": frozenset({"-1"})},
        timeout=120.0,
    )
    wish, default = _declared_rules(want, "egress"), rules([ALL_OUT])
    # the second rule exists only in a VPC with an IPv6 block
    unwanted = [rule for name, rule in rules([ALL_OUT, ALL_OUT_IPV6]).items() if name not in wish]
    return [
        visible,
        *(_authorize("egress", group, rule) for name, rule in sorted(wish.items()) if name not in default),
        *(
            _update_description("egress", group, wish[name])
            for name in default
            if name in wish and wish[name].description
        ),
        *(_revoke("egress", group, rule, None) for rule in unwanted),
    ]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """Authorize, update descriptions, revoke: one call per rule."""
    group, changed = live.attrs["id"], diff.tops()
    calls: list[Action] = []
    for direction in DIRECTIONS:
        if direction not in changed:
            continue
        have, wish = _live_rules(live, want, direction), _declared_rules(want, direction, live)
        ids: Mapping[str, str] = live.extra.get("ruleIds", {}).get(direction, {})
        both = sorted(have.keys() & wish.keys())
        calls += [_authorize(direction, group, wish[name]) for name in sorted(wish.keys() - have.keys())]
        calls += [
            _update_description(direction, group, wish[name])
            for name in both
            if have[name].description != wish[name].description
        ]
        calls += [_revoke(direction, group, have[name], ids.get(name)) for name in sorted(have.keys() - wish.keys())]
    return calls


def delete(live: Live, _: Json) -> Sequence[Action]:
    """Revoke rules that refer to other groups, then DeleteSecurityGroup, retried while the group is in use."""
    group = live.attrs["id"]
    deleted = Call(
        "ec2", "DeleteSecurityGroup", {"GroupId": group}, retry_on=IN_USE, ok_if=NOT_FOUND, patience=IN_USE_PATIENCE
    )
    return [*(call for direction in DIRECTIONS for call in _revoke_group_rules(live, direction)), deleted]


def _revoke_group_rules(live: Live, direction: str) -> list[Call]:
    """Revokes the rules that refer to other groups, so that these can be deleted too."""
    found = rules(live.props.get(direction), account=live.extra.get("account", ""))
    naming = {name: rule for name, rule in found.items() if rule.family == "group" and rule.source != live.attrs["id"]}
    if not naming:
        return []
    known: Mapping[str, str] = live.extra.get("ruleIds", {}).get(direction, {})
    ids = [known[name] for name in sorted(naming) if name in known]
    bundles = [_bundle(naming[name]) for name in sorted(naming)]
    given = {"SecurityGroupRuleIds": ids} if len(ids) == len(naming) else {"IpPermissions": bundles}
    params = {"GroupId": live.attrs["id"], **given}
    return [Call("ec2", f"RevokeSecurityGroup{DIRECTIONS[direction]}", params, ok_if=(*RULE_NOT_FOUND, *NOT_FOUND))]


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """DeleteTags and CreateTags by id."""
    resources = {"Resources": [live.attrs["id"]]}
    calls: list[Action] = []
    if remove:
        calls.append(Call("ec2", "DeleteTags", {**resources, "Tags": [{"Key": name} for name in sorted(remove)]}))
    if add:
        calls.append(Call("ec2", "CreateTags", {**resources, "Tags": tag_list(add)}, retry_on=NOT_VISIBLE_YET))
    return calls


def _bundle(rule: Rule) -> dict[str, Any]:
    """The rule as one item of ``IpPermissions``."""
    bundle: dict[str, Any] = raised(rule.permission())
    return bundle


def _authorize(direction: str, group: Any, rule: Rule) -> Call:
    return Call(
        "ec2",
        f"AuthorizeSecurityGroup{DIRECTIONS[direction]}",
        {"GroupId": group, "IpPermissions": [_bundle(rule)]},
        retry_on=NOT_VISIBLE_YET,
        ok_if=(On("InvalidPermission.Duplicate"),),
    )


def _update_description(direction: str, group: Any, rule: Rule) -> Call:
    operation = f"UpdateSecurityGroupRuleDescriptions{DIRECTIONS[direction]}"
    return Call("ec2", operation, {"GroupId": group, "IpPermissions": [_bundle(rule)]}, retry_on=NOT_VISIBLE_YET)


def _revoke(direction: str, group: Any, rule: Rule, rule_id: str | None) -> Call:
    given = {"SecurityGroupRuleIds": [rule_id]} if rule_id else {"IpPermissions": [_bundle(rule)]}
    operation = f"RevokeSecurityGroup{DIRECTIONS[direction]}"
    return Call("ec2", operation, {"GroupId": group, **given}, retry_on=NOT_VISIBLE_YET, ok_if=RULE_NOT_FOUND)


# --- declarations ----------------------------------------------------------------------------------------------------


def expand(props: Json) -> Json:
    """Rules in the short form as bundles."""
    return {
        name: [from_yaml(item) for item in items(value)]
        if name in DIRECTIONS and isinstance(value, list | tuple)
        else value
        for name, value in props.items()
    }


ACCESS = Access(
    types=("ec2:security-group",),
    reads=("ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules"),
    looks=("ec2:DescribeVpcs",),
    removals=("ec2:DescribeInstances",),
    referrers=("ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules"),
    creates=("ec2:CreateSecurityGroup",),
    changes=(
        *(f"ec2:AuthorizeSecurityGroup{direction}" for direction in DIRECTIONS.values()),
        *(f"ec2:RevokeSecurityGroup{direction}" for direction in DIRECTIONS.values()),
        *(f"ec2:UpdateSecurityGroupRuleDescriptions{direction}" for direction in DIRECTIONS.values()),
    ),
    deletes=(*(f"ec2:RevokeSecurityGroup{direction}" for direction in DIRECTIONS.values()), "ec2:DeleteSecurityGroup"),
    tags=("ec2:CreateTags", "ec2:DeleteTags"),
    others=("ec2:vpc",),
    id_form=r"sg-[0-9a-f]+",
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_security_group": ("id", "name")},
    cloudformation={"AWS::EC2::SecurityGroup": "GroupName"},
    parts={
        "aws_security_group_rule": "security_group_id",
        "aws_vpc_security_group_ingress_rule": "security_group_id",
        "aws_vpc_security_group_egress_rule": "security_group_id",
        "aws_vpc_security_group_rules_exclusive": "security_group_id",
        "AWS::EC2::SecurityGroupIngress": "GroupId",
        "AWS::EC2::SecurityGroupEgress": "GroupId",
    },
)

KIND = Kind(
    name="security group",
    section="securityGroups",
    file="network",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribeSecurityGroups", frozenset({"Filters"}), Call("ec2", "DescribeSecurityGroups", {}, all_pages=True)
        ),
    ),
    recorded=RECORDED,
    name_member="groupName",
    lookup="securityGroup",
    everything=listing(
        DESCRIBE,
        "SecurityGroups",
        "GroupName",
        "GroupId",
        props=lambda item: {"vpcId": item.get("VpcId")},
        unless=lambda item: item["GroupName"] == OF_EVERY_VPC,
    ),
    read=read,
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    refs=REFS,
    referrers=referrers,
    dependents=(running,),
    lookups=LOOKUPS,
    assigned_by_aws=frozenset({"id", "arn"}),
    replace=Replace.CREATE_FIRST,
    max_name=255,
    reserved_prefix=RESERVED,
    expand=expand,
    declare=declare,
    normalize=normalize,
    check=check,
)
