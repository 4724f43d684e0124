"""What EC2 refuses in a declared security group, as far as this can be decided offline."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds.common.declared import as_int, as_text, entries, items, mapping
from reconciler.kinds.ec2.security_group.rules import (
    EVERYONE,
    NAMES,
    SOURCES,
    WITH_PORTS,
    WITH_TYPES,
    Rule,
    cidr,
    number,
    protocol,
    rules_with_paths,
)
from reconciler.model import Finding, Json, Path
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import near
from reconciler.model.stand_ins import known

DIRECTIONS = ("ingress", "egress")
TEXT = regex(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")
TEXT_HINT = "at most 255 of letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*"
PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6", "-1", "all")
RULES_QUOTA, MAX_RULES = 60, 1000
PORTS_HINT = "port: 8443, port: 8000-8100, or fromPort and toPort; every port is 0-65535"


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about name, description, VPC and rules; an expression is accepted wherever its value is unknown."""
    yield from _name(name)
    description = as_text(props.get("description"))
    if description is not None and not (description and TEXT.fullmatch(description)):
        yield Finding(("description",), f'"{description}" is not a valid description', TEXT_HINT)
    vpc = as_text(props.get("vpcId"))
    if vpc is not None and not re.fullmatch(r"vpc-[0-9a-f]+", vpc):
        hint = 'an id such as vpc-0abc12, or a look-up: lookups: {vpc: {vpc: {default: true}}}, vpcId: "${lookups.vpc}"'
        yield Finding(("vpcId",), f'"{vpc}" is not the id of a VPC', hint)
    for direction in DIRECTIONS:
        for index, bundle in entries(props.get(direction)):
            yield from _bundle(bundle, (direction, index))
        yield from _sources(direction, props.get(direction))
        yield from _number(direction, props.get(direction))


def _name(name: str) -> Iterator[Finding]:
    if not name or not TEXT.fullmatch(name):
        yield Finding((), f'"{name}" is not a valid security group name', TEXT_HINT)
    elif name.lower().startswith("sg-"):
        yield Finding(
            (),
            'the name of a security group must not start with "sg-"',
            "names like this are reserved for ids; choose another name",
        )
    elif name.lower() == "default":
        hint = "refer to it with a look-up: lookups: {sg: {securityGroup: {groupName: default, vpcId: ...}}}"
        yield Finding((), "the default security group of a VPC cannot be declared", hint)


def _bundle(bundle: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    if not any(bundle.get(member) for member, _ in SOURCES.values()):
        hint = "cidr: 10.0.0.0/8, or group: NAME; everyone is 0.0.0.0/0"
        yield Finding(path, "the rule names no address range and no group", hint, code=codes.MISSING_FIELD)
    value = bundle.get("ipProtocol")
    if value is None or value == "":
        yield Finding(path, "the rule has no protocol", "protocol: tcp; all protocols are -1", code=codes.MISSING_FIELD)
        return
    if not isinstance(value, str | int):
        return
    name = protocol(value)
    if not (name in (*PROTOCOLS, *NAMES) or (name.isdecimal() and len(name) < 4 and int(name) <= 255)):
        meant = near(name, PROTOCOLS)
        hint = f'did you mean "{meant}"?' if meant else "tcp, udp, icmp, icmpv6, -1 for all, or a number up to 255"
        yield Finding((*path, "ipProtocol"), f'"{value}" is not a protocol of EC2', hint)
    elif name in WITH_PORTS:
        yield from _ports(bundle, name, path)
    elif name in WITH_TYPES:
        yield from _types(bundle, name, path)
    elif number(bundle.get("fromPort")) not in (None, -1):
        message = "EC2 ignores the ports of this protocol: the rule allows all of them"
        yield Finding((*path, "fromPort"), message, "protocol: tcp or udp for certain ports", warning=True)


def _ports(bundle: Mapping[str, Any], name: str, path: Path) -> Iterator[Finding]:
    for member in ("fromPort", "toPort"):
        value = number(bundle.get(member))
        if value is None:
            yield Finding(
                path, f"a {name} rule needs ports, and {member} is missing", PORTS_HINT, code=codes.MISSING_FIELD
            )
            return
        if known(value) and not (as_int(value) is not None and 0 <= value <= 65535):
            yield Finding((*path, member), f"{value} is not a port", PORTS_HINT)
            return
    low, high = as_int(number(bundle["fromPort"])), as_int(number(bundle["toPort"]))
    if low == high == 0:
        message = "port 0 matches no traffic, and does not mean all ports"
        yield Finding((*path, "fromPort"), message, "port: 0-65535 for all ports, or protocol: -1", warning=True)
    if low is not None and high is not None and low > high:
        yield Finding((*path, "fromPort"), f"the port range {low}-{high} is empty", f"did you mean {high}-{low}?")


def _types(bundle: Mapping[str, Any], name: str, path: Path) -> Iterator[Finding]:
    for member, what in (("fromPort", "type"), ("toPort", "code")):
        value = number(bundle.get(member))
        if value is not None and known(value) and not (as_int(value) is not None and -1 <= value <= 255):
            hint = "fromPort is the type, toPort the code; -1, or left out, is any"
            yield Finding((*path, member), f"{value} is not an {name} {what}", hint)


def _sources(direction: str, bundles: Any) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, bundle in enumerate(map(mapping, items(bundles))):
        for member, key in SOURCES.values():
            for place, source in entries(bundle.get(member)):
                yield from _source(source, member, key, (direction, index, member, place))
    for path, rule in rules_with_paths(bundles):
        if not (known(rule.source) and rule.source):
            continue
        if str(rule) in seen:
            yield Finding(
                (direction, *path), f"duplicate rule {rule}", "EC2 refuses duplicate rules; remove one of them"
            )
        seen.add(str(rule))
        if direction == "ingress":
            yield from _open_to_all(rule, (direction, *path))


def _source(source: Mapping[str, Any], member: str, key: str, path: Path) -> Iterator[Finding]:
    value = source.get(key)
    description = as_text(source.get("description"))
    if description and not TEXT.fullmatch(description):
        yield Finding((*path, "description"), f'"{description}" is not a valid description', TEXT_HINT)
    if value is None:
        yield Finding(path, f"an item of {member} needs {key}", f"{member}: [{{{key}: ...}}]", code=codes.MISSING_FIELD)
    elif not isinstance(value, str):
        if known(value):
            yield Finding((*path, key), f"{value} is not text", "write it in quotes")
    elif key.startswith("cidr"):
        yield from _cidr(value, key, (*path, key))
    elif key == "prefixListId" and not value.startswith("pl-"):
        yield Finding((*path, key), f'"{value}" is not the id of a prefix list', "they start with pl-")
    user = source.get("userId")
    if user is not None and known(user) and not re.fullmatch(r"\d{12}", str(user)):
        yield Finding((*path, "userId"), f'"{user}" is not an account id', "12 digits, in quotes")


def _cidr(value: str, key: str, path: Path) -> Iterator[Finding]:
    try:
        network = ipaddress.ip_network(value.strip(), strict=False)
    except ValueError:
        hint = "such as 10.0.0.0/8 or 2001:db8::/32; everyone is 0.0.0.0/0"
        yield Finding(path, f'"{value}" is not a CIDR', hint)
        return
    if "/" not in value:
        yield Finding(path, f'"{value}" has no prefix length', f"one address is {network}")
    elif (network.version == 6) != (key == "cidrIpv6"):
        other, member = ("IPv6", "ipv6Ranges: [{cidrIpv6: ...}]") if network.version == 6 else ("IPv4", "ipRanges")
        yield Finding(path, f'"{value}" is an {other} range', f"put it in {member}")
    elif ipaddress.ip_interface(value.strip()).ip != network.network_address:
        message = f"{value} has bits beyond its prefix length, and EC2 changes it to {cidr(value)}"
        yield Finding(path, message, f"write {cidr(value)}, or one address as /32", warning=True)


def _number(direction: str, bundles: Any) -> Iterator[Finding]:
    """The finding about more rules than the quota allows, which counts IPv4 and IPv6 rules separately.

    https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
    """
    by_family: dict[str, int] = {}
    for _, rule in rules_with_paths(bundles):
        by_family[rule.family] = by_family.get(rule.family, 0) + 1
    ipv4, ipv6 = by_family.pop("ipv4", 0), by_family.pop("ipv6", 0)
    found = max(ipv4, ipv6) + sum(by_family.values())
    if found > MAX_RULES:
        message = f"{direction} has {found} rules, and the maximum is {MAX_RULES}"
        yield Finding((direction,), message, "use wider ranges, or a prefix list", code=codes.OUT_OF_RANGE)
    elif found > RULES_QUOTA:
        message = f"{direction} has {found} rules, and the default quota is {RULES_QUOTA}"
        yield Finding((direction,), message, "request a quota increase", warning=True)


def _open_to_all(rule: Rule, path: Path) -> Iterator[Finding]:
    if rule.source in EVERYONE and rule.protocol not in WITH_TYPES:
        what = str(rule).removesuffix(f" {rule.source}")
        message = f"{what} is open to the whole internet ({rule.source})"
        yield Finding(
            path, message, "narrow the range to the clients that need access", code=codes.OPEN_TO_ALL, warning=True
        )
