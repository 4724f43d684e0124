"""EC2 security groups: groups in use cannot be deleted, rules are returned in their canonical form.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from reconciler.model.patterns import regex
from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("ec2")

_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
_TEXT = regex(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")
_SPECIAL = regex(r"[()\[\]{}+^$|.]")
_SIDES = {True: "egress_rules", False: "ingress_rules"}


# --- groups ----------------------------------------------------------------------------------------------------------


@RULES.before("CreateSecurityGroup")
def groups_are_checked(call: ServiceCall) -> None:
    """Names and descriptions have a pattern; a name is unique in its VPC, ignoring case."""
    name, vpc = call.params["GroupName"], call.params.get("VpcId")
    if vpc is not None and vpc not in call.backend.vpcs:
        raise Refusal("InvalidVpcID.NotFound", f"The vpc ID '{vpc}' does not exist")
    if name.lower().startswith("sg-"):
        message = f"Invalid value '{name}' for groupName. Group names must not start with 'sg-'."
        raise Refusal("InvalidParameterValue", message)
    if name.lower() == "default":
        raise Refusal("InvalidParameterValue", "Cannot use reserved security group name: default")
    for member, value in (("groupName", name), ("GroupDescription", call.params.get("Description", ""))):
        if not _TEXT.fullmatch(value):
            message = (
                f"Value ({value}) for parameter {member} is invalid. Character sets beyond ASCII are not supported."
                if not value.isascii()
                else f"Invalid value '{value}' for {member}. Valid characters are a-zA-Z0-9. _-:/()#,@[]+=&;{{}}!$*"
            )
            raise Refusal("InvalidParameterValue", message)
    groups = call.backend.groups[vpc or call.backend.default_vpc.id].values()
    if any(group.name.lower() == name.lower() for group in groups):
        message = f"The security group '{name}' already exists for VPC '{vpc or call.backend.default_vpc.id}'"
        raise Refusal("InvalidGroup.Duplicate", message)


@RULES.before("DeleteSecurityGroup")
def groups_in_use_are_kept(call: ServiceCall) -> None:
    """A group that an interface, an instance or a rule of another group refers to cannot be deleted."""
    group = _group(call, call.params.get("GroupId"), call.params.get("GroupName"))
    if group.name == "default":
        raise Refusal("CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user')
    held = any(group.id in _ids(eni.group_set) for eni in call.backend.enis.values()) or any(
        group.id in _ids(instance.security_groups) for instance in _running(call)
    )
    named = any(
        rule.source_group.get("GroupId") == group.id
        for other in _groups(call)
        if other.id != group.id
        for rule in [*other.ingress_rules, *other.egress_rules]
    )
    if held or named:
        raise Refusal("DependencyViolation", f"resource {group.id} has a dependent object")


def _ids(groups: Any) -> set[str]:
    return {group if isinstance(group, str) else str(getattr(group, "id", group)) for group in groups or ()}


def _running(call: ServiceCall) -> Iterator[Any]:
    for reservation in call.backend.reservations.values():
        yield from (one for one in reservation.instances if one.state != "terminated")


def _groups(call: ServiceCall) -> Iterator[Any]:
    for groups in list(call.backend.groups.values()):
        yield from list(groups.values())


def _group(call: ServiceCall, group_id: str | None, name: str | None = None) -> Any:
    """The group by id, or by name in the default VPC; raises :class:`Refusal` if it does not exist."""
    if group_id is not None and not re.fullmatch(r"sg-[0-9a-f]{8,17}", group_id):
        raise Refusal("InvalidGroupId.Malformed", f'Invalid id: "{group_id}" (expecting "sg-...")')
    default = call.backend.default_vpc.id if call.backend.default_vpc else None
    for group in _groups(call):
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
def default_groups_allow_themselves(call: ServiceCall) -> None:
    """Moto creates them without the rule; each gets it once, so that it can be revoked."""
    done: set[str] = call.regional.setdefault("self-trusting", set())
    for group in _groups(call):
        if group.name == "default" and group.id not in done:
            done.add(group.id)
            call.touch()
            if not group.ingress_rules:
                call.backend.authorize_security_group_ingress(
                    group.id, "-1", None, None, [], source_groups=[{"GroupId": group.id}], vpc_id=group.vpc_id
                )


_FILTERS = {
    "DescribeSecurityGroups": (
        r"description|egress\..+|group-id|group-name|ip-permission\..+|owner-id|tag:.+|tag-key|tag-value|vpc-id"
    ),
    "DescribeSecurityGroupRules": r"group-id|security-group-rule-id|tag:.+|tag-key",
}


@RULES.before(*_FILTERS)
def filters_are_known(call: ServiceCall) -> None:
    """Unknown filters are refused."""
    for one in call.params.get("Filters") or []:
        if not re.fullmatch(_FILTERS[call.operation], one["Name"]):
            raise Refusal("InvalidParameterValue", f"The filter '{one['Name']}' is invalid")


@RULES.before("DescribeSecurityGroups")
def only_wildcards_are_special(call: ServiceCall) -> None:
    """In the values of filters ``*``, ``?`` and the backslash are special, and moto reads regular expressions.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
    """
    filters = call.params.get("Filters") or []
    if any(_SPECIAL.search(value) for one in filters for value in one["Values"]):
        plain = [{**one, "Values": [_SPECIAL.sub(r"\\\g<0>", value) for value in one["Values"]]} for one in filters]
        call.rewrite(Filters=plain)


# --- rules -----------------------------------------------------------------------------------------------------------


@RULES.before("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress")
def rules_are_canonical_and_new(call: ServiceCall) -> None:
    """Rules are stored in canonical form; a call with a duplicate adds nothing."""
    group = _group(call, call.params.get("GroupId"), call.params.get("GroupName"))
    permissions = [_canonical(call, one) for one in _permissions(call)]
    _send_permissions(call, group, permissions)
    live = {_live_key(rule) for rule in getattr(group, _SIDES[call.operation.endswith("Egress")])}
    for key in (key for one in permissions for key in _keys(one)):
        if key in live:
            message = f'the specified rule "peer: {key[3]}, {key[0]}, ALLOW" already exists'
            raise Refusal("InvalidPermission.Duplicate", message)
        live.add(key)
    if len(live) > 60:
        raise Refusal(
            "RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached."
        )


@RULES.before("RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress")
def missing_rules_are_ignored_in_the_default_vpc(call: ServiceCall) -> Json | None:
    """Revoking a rule that does not exist succeeds in the default VPC, and is refused in others."""
    group = _group(call, call.params.get("GroupId"), call.params.get("GroupName"))
    side = _SIDES[call.operation.endswith("Egress")]
    rules = getattr(group, side)
    ids = call.params.get("SecurityGroupRuleIds")
    if ids:
        known = {rule.id for rule in rules}
        for one in ids:
            if one not in known:
                message = f"The security group rule ID '{one}' does not exist"
                raise Refusal("InvalidSecurityGroupRuleId.NotFound", message)
        removed, unknown = set(ids), []
    else:
        permissions = [_canonical(call, one) for one in _permissions(call)]
        wanted = {key for one in permissions for key in _keys(one)}
        removed = {rule.id for rule in rules if _live_key(rule) in wanted}
        live = {_live_key(rule) for rule in rules}
        unknown = [one for one in permissions if not set(_keys(one)) <= live]
        if unknown and not getattr(call.backend.vpcs.get(group.vpc_id), "is_default", False):
            message = "The specified rule does not exist in this security group."
            raise Refusal("InvalidPermission.NotFound", message)
    setattr(group, side, [rule for rule in rules if rule.id not in removed])
    for one in removed:
        call.backend.tags.pop(one, None)
    call.touch()
    return {"Return": True, "UnknownIpPermissions": unknown} if unknown else {"Return": True}


@RULES.before("UpdateSecurityGroupRuleDescriptionsIngress", "UpdateSecurityGroupRuleDescriptionsEgress")
def descriptions_left_out_are_removed(call: ServiceCall) -> None:
    """A rule that is sent without a description loses its own; moto keeps it.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_UpdateSecurityGroupRuleDescriptionsIngress.html
    """
    group = _group(call, call.params.get("GroupId"), call.params.get("GroupName"))
    bare = {key for one in call.params.get("IpPermissions") or () for key in _keys(_undescribed(_canonical(call, one)))}
    for rule in getattr(group, _SIDES[call.operation.endswith("Egress")]):
        if _live_key(rule) in bare:
            for peer in (rule.ip_range, rule.source_group):
                peer.pop("Description", None)
            call.touch()


def _undescribed(permission: Json) -> Json:
    """The permission with only those peers that have no description."""
    members = ("IpRanges", "Ipv6Ranges", "UserIdGroupPairs")
    kept = {name: [one for one in permission.get(name, ()) if not one.get("Description")] for name in members}
    return {**permission, **kept, "PrefixListIds": []}


def _permissions(call: ServiceCall) -> list[Json]:
    """``IpPermissions``, or the older flat parameters as one item of it."""
    listed = list(call.params.get("IpPermissions") or [])
    flat: Json = {name: call.params[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in call.params}
    if flat:
        if "CidrIp" in call.params:
            flat["IpRanges"] = [{"CidrIp": call.params["CidrIp"]}]
        if "SourceSecurityGroupName" in call.params:
            flat["UserIdGroupPairs"] = [{"GroupName": call.params["SourceSecurityGroupName"]}]
        listed.append(flat)
    if not listed and "SourceSecurityGroupName" in call.params:
        listed.append({"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupName": call.params["SourceSecurityGroupName"]}]})
    if not listed:
        raise Refusal(
            "MissingParameter", "The request must contain the parameter ipPermissions or securityGroupRuleIds"
        )
    return listed


def _send_permissions(call: ServiceCall, group: Any, permissions: list[Json]) -> None:
    flat = ("IpProtocol", "FromPort", "ToPort", "CidrIp", "SourceSecurityGroupName", "SourceSecurityGroupOwnerId")
    call.rewrite(**dict.fromkeys(flat), IpPermissions=permissions, GroupId=group.id, GroupName=None)


def _canonical(call: ServiceCall, permission: Json) -> Json:
    """As EC2 stores it: names of protocols, host bits cleared, ids of groups, no ports for protocols without ports."""
    if "IpProtocol" not in permission:
        raise Refusal("MissingParameter", "The request must contain the parameter IpProtocol")
    protocol = str(permission["IpProtocol"]).lower()
    protocol = _PROTOCOLS.get(protocol, protocol)
    made: Json = {"IpProtocol": protocol, **_ports(protocol, permission)}
    for name, member, version in (("IpRanges", "CidrIp", 4), ("Ipv6Ranges", "CidrIpv6", 6)):
        ranges = [{**one, member: _network(one[member], version)} for one in permission.get(name) or []]
        if ranges:
            made[name] = ranges
    pairs = [_pair(call, one) for one in permission.get("UserIdGroupPairs") or []]
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
            message = "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."
            raise Refusal("InvalidParameterValue", message)
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


def _pair(call: ServiceCall, pair: Json) -> Json:
    group = _group(call, pair.get("GroupId"), pair.get("GroupName"))
    made = {"GroupId": group.id, "UserId": call.account.id}
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
