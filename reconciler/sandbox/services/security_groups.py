"""EC2 security groups: held groups stay, rules come back in their canonical form.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("ec2")

_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
_TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")
_SIDES = {True: "egress_rules", False: "ingress_rules"}


# --- groups ----------------------------------------------------------------------------------------------------------


@RULES.before("CreateSecurityGroup")
def groups_are_checked(ask: ServiceCall) -> None:
    name, vpc = ask.params["GroupName"], ask.params.get("VpcId")
    if vpc is not None and vpc not in ask.backend.vpcs:
        raise Refusal("InvalidVpcID.NotFound", f"The vpc ID '{vpc}' does not exist")
    if name.lower().startswith("sg-"):
        told = f"Invalid value '{name}' for groupName. Group names must not start with 'sg-'."
        raise Refusal("InvalidParameterValue", told)
    if name.lower() == "default":
        raise Refusal("InvalidParameterValue", "Cannot use reserved security group name: default")
    for member, value in (("groupName", name), ("GroupDescription", ask.params.get("Description", ""))):
        if not _TEXT.fullmatch(value):
            told = (
                f"Value ({value}) for parameter {member} is invalid. Character sets beyond ASCII are not supported."
                if not value.isascii()
                else f"Invalid value '{value}' for {member}. Valid characters are a-zA-Z0-9. _-:/()#,@[]+=&;{{}}!$*"
            )
            raise Refusal("InvalidParameterValue", told)
    groups = ask.backend.groups[vpc or ask.backend.default_vpc.id].values()
    if any(group.name.lower() == name.lower() for group in groups):
        told = f"The security group '{name}' already exists for VPC '{vpc or ask.backend.default_vpc.id}'"
        raise Refusal("InvalidGroup.Duplicate", told)


@RULES.before("DeleteSecurityGroup")
def held_groups_stay(ask: ServiceCall) -> None:
    group = _group(ask, ask.params.get("GroupId"), ask.params.get("GroupName"))
    if group.name == "default":
        raise Refusal("CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user')
    held = any(group.id in _ids(eni.group_set) for eni in ask.backend.enis.values()) or any(
        group.id in _ids(instance.security_groups) for instance in _running(ask)
    )
    named = any(
        rule.source_group.get("GroupId") == group.id
        for other in _groups(ask)
        if other.id != group.id
        for rule in [*other.ingress_rules, *other.egress_rules]
    )
    if held or named:
        raise Refusal("DependencyViolation", f"resource {group.id} has a dependent object")


def _ids(groups: Any) -> set[str]:
    return {group if isinstance(group, str) else str(getattr(group, "id", group)) for group in groups or ()}


def _running(ask: ServiceCall) -> Iterator[Any]:
    for reservation in ask.backend.reservations.values():
        yield from (one for one in reservation.instances if one.state != "terminated")


def _groups(ask: ServiceCall) -> Iterator[Any]:
    for groups in list(ask.backend.groups.values()):
        yield from list(groups.values())


def _group(ask: ServiceCall, group_id: str | None, name: str | None = None) -> Any:
    if group_id is not None and not re.fullmatch(r"sg-[0-9a-f]{8,17}", group_id):
        raise Refusal("InvalidGroupId.Malformed", f'Invalid id: "{group_id}" (expecting "sg-...")')
    default = ask.backend.default_vpc.id if ask.backend.default_vpc else None
    for group in _groups(ask):
        if group.id == group_id or (group_id is None and (group.name, group.vpc_id) == (name, default)):
            return group
    raise Refusal("InvalidGroup.NotFound", f"The security group '{group_id or name}' does not exist")


_ABOUT_GROUPS = (
    "DescribeSecurityGroups",
    "DescribeSecurityGroupRules",
    "AuthorizeSecurityGroupIngress",
    "RevokeSecurityGroupIngress",
    "ModifySecurityGroupRules",
)


@RULES.before(*_ABOUT_GROUPS)
def the_default_group_trusts_itself(ask: ServiceCall) -> None:
    """Moto makes it without the rule; each is given it once, so that revoking it lasts."""
    done: set[str] = ask.regional.setdefault("self-trusting", set())
    for group in _groups(ask):
        if group.name == "default" and group.id not in done:
            done.add(group.id)
            ask.touch()
            if not group.ingress_rules:
                ask.backend.authorize_security_group_ingress(
                    group.id, "-1", None, None, [], source_groups=[{"GroupId": group.id}], vpc_id=group.vpc_id
                )


_FILTERS = {
    "DescribeSecurityGroups": (
        r"description|egress\..+|group-id|group-name|ip-permission\..+|owner-id|tag:.+|tag-key|tag-value|vpc-id"
    ),
    "DescribeSecurityGroupRules": r"group-id|security-group-rule-id|tag:.+|tag-key",
}


@RULES.before(*_FILTERS)
def filters_are_known(ask: ServiceCall) -> None:
    for one in ask.params.get("Filters") or []:
        if not re.fullmatch(_FILTERS[ask.operation], one["Name"]):
            raise Refusal("InvalidParameterValue", f"The filter '{one['Name']}' is invalid")


# --- rules -----------------------------------------------------------------------------------------------------------


@RULES.before("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress")
def rules_are_canonical_and_new(ask: ServiceCall) -> None:
    group = _group(ask, ask.params.get("GroupId"), ask.params.get("GroupName"))
    permissions = [_canonical(ask, one) for one in _permissions(ask)]
    _send_permissions(ask, group, permissions)
    live = {_live_key(rule) for rule in getattr(group, _SIDES[ask.operation.endswith("Egress")])}
    for key in (key for one in permissions for key in _keys(one)):
        if key in live:
            told = f'the specified rule "peer: {key[3]}, {key[0]}, ALLOW" already exists'
            raise Refusal("InvalidPermission.Duplicate", told)
        live.add(key)
    if len(live) > 60:
        raise Refusal(
            "RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached."
        )


@RULES.before("RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress")
def a_missing_rule_is_forgiven_in_the_default_vpc(ask: ServiceCall) -> Json | None:
    group = _group(ask, ask.params.get("GroupId"), ask.params.get("GroupName"))
    side = _SIDES[ask.operation.endswith("Egress")]
    rules = getattr(group, side)
    ids = ask.params.get("SecurityGroupRuleIds")
    if ids:
        known = {rule.id for rule in rules}
        for one in ids:
            if one not in known:
                told = f"The security group rule ID '{one}' does not exist"
                raise Refusal("InvalidSecurityGroupRuleId.NotFound", told)
        gone, unknown = set(ids), []
    else:
        permissions = [_canonical(ask, one) for one in _permissions(ask)]
        wanted = {key for one in permissions for key in _keys(one)}
        gone = {rule.id for rule in rules if _live_key(rule) in wanted}
        live = {_live_key(rule) for rule in rules}
        unknown = [one for one in permissions if not set(_keys(one)) <= live]
        if unknown and not getattr(ask.backend.vpcs.get(group.vpc_id), "is_default", False):
            told = "The specified rule does not exist in this security group."
            raise Refusal("InvalidPermission.NotFound", told)
    setattr(group, side, [rule for rule in rules if rule.id not in gone])
    for one in gone:
        ask.backend.tags.pop(one, None)
    ask.touch()
    return {"Return": True, "UnknownIpPermissions": unknown} if unknown else {"Return": True}


def _permissions(ask: ServiceCall) -> list[Json]:
    """``IpPermissions``, or the old flat parameters as one of them."""
    listed = list(ask.params.get("IpPermissions") or [])
    flat: Json = {name: ask.params[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in ask.params}
    if flat:
        if "CidrIp" in ask.params:
            flat["IpRanges"] = [{"CidrIp": ask.params["CidrIp"]}]
        if "SourceSecurityGroupName" in ask.params:
            flat["UserIdGroupPairs"] = [{"GroupName": ask.params["SourceSecurityGroupName"]}]
        listed.append(flat)
    if not listed and "SourceSecurityGroupName" in ask.params:
        listed.append({"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupName": ask.params["SourceSecurityGroupName"]}]})
    if not listed:
        raise Refusal(
            "MissingParameter", "The request must contain the parameter ipPermissions or securityGroupRuleIds"
        )
    return listed


def _send_permissions(ask: ServiceCall, group: Any, permissions: list[Json]) -> None:
    flat = ("IpProtocol", "FromPort", "ToPort", "CidrIp", "SourceSecurityGroupName", "SourceSecurityGroupOwnerId")
    ask.send(**dict.fromkeys(flat), IpPermissions=permissions, GroupId=group.id, GroupName=None)


def _canonical(ask: ServiceCall, permission: Json) -> Json:
    """As EC2 stores it: names of protocols, host bits cleared, ids of groups, no ports where they mean nothing."""
    if "IpProtocol" not in permission:
        raise Refusal("MissingParameter", "The request must contain the parameter IpProtocol")
    protocol = str(permission["IpProtocol"]).lower()
    protocol = _PROTOCOLS.get(protocol, protocol)
    made: Json = {"IpProtocol": protocol, **_ports(protocol, permission)}
    for name, member, version in (("IpRanges", "CidrIp", 4), ("Ipv6Ranges", "CidrIpv6", 6)):
        ranges = [{**one, member: _network(one[member], version)} for one in permission.get(name) or []]
        if ranges:
            made[name] = ranges
    pairs = [_pair(ask, one) for one in permission.get("UserIdGroupPairs") or []]
    if pairs:
        made["UserIdGroupPairs"] = pairs
    if permission.get("PrefixListIds"):
        made["PrefixListIds"] = permission["PrefixListIds"]
    return made


def _ports(protocol: str, permission: Json) -> Json:
    if protocol == "-1":
        return {}
    if protocol in ("tcp", "udp"):
        if "FromPort" not in permission or "ToPort" not in permission:
            told = "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."
            raise Refusal("InvalidParameterValue", told)
        first, last = int(permission["FromPort"]), int(permission["ToPort"])
        if not 0 <= first <= last <= 65535:
            raise Refusal("InvalidParameterValue", f"Invalid TCP/UDP port range ({first}:{last})")
        return {"FromPort": first, "ToPort": last}
    if protocol in ("icmp", "icmpv6") or (protocol.isdigit() and int(protocol) <= 255):
        return {"FromPort": int(permission.get("FromPort", -1)), "ToPort": int(permission.get("ToPort", -1))}
    raise Refusal("InvalidParameterValue", f'Invalid value "{protocol}" for IP protocol. Unknown protocol.')


def _network(text: str, version: int) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or network.version != version or "/" not in text:
        raise Refusal("InvalidParameterValue", f"CIDR block {text} is malformed")
    return str(network)


def _pair(ask: ServiceCall, pair: Json) -> Json:
    group = _group(ask, pair.get("GroupId"), pair.get("GroupName"))
    made = {"GroupId": group.id, "UserId": ask.account.id}
    return {**made, "Description": pair["Description"]} if pair.get("Description") else made


def _keys(permission: Json) -> Iterator[tuple[Any, ...]]:
    head = (permission["IpProtocol"], permission.get("FromPort"), permission.get("ToPort"))
    for name, member in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"), ("UserIdGroupPairs", "GroupId")):
        for one in permission.get(name) or ():
            yield (*head, one[member])
    for one in permission.get("PrefixListIds") or ():
        yield (*head, one["PrefixListId"])


def _live_key(rule: Any) -> tuple[Any, ...]:
    peer = (
        rule.ip_range.get("CidrIp")
        or rule.ip_range.get("CidrIpv6")
        or rule.source_group.get("GroupId")
        or rule.prefix_list_id
    )
    everything = rule.ip_protocol == "-1"
    return (rule.ip_protocol, None if everything else rule.from_port, None if everything else rule.to_port, peer)
