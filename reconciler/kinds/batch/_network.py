"""The network of compute environments: whether their subnets and groups are of one VPC, and have a way out.

Hosts and tasks need to reach Amazon ECS, the registry of their image and CloudWatch Logs: through the internet, or
through endpoints in their VPC. What lies behind a NAT or transit gateway is not followed, and the endpoints of a VPC
that another account shares are not shown to this one.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRouteTables.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from enum import Enum
from ipaddress import ip_network
from typing import Any, Final

from reconciler.kinds.common.declared import as_text, at, entries, items, mapping
from reconciler.model import EMPTY, Call, Json, Reads, Refused, Resource
from reconciler.model.patterns import regex
from reconciler.model.preflight import Ground
from reconciler.model.records import dataclass

ENVIRONMENTS: Final = "computeEnvironments"
GROUPS: Final = "securityGroups"
TEMPLATES: Final = "launchTemplates"
OF_HOSTS: Final = ("ecs", "ecs-agent", "ecs-telemetry")
OF_NODES: Final = ("ec2", "ecr.api", "ecr.dkr", "s3")  # of an EKS cluster, whose API is in the VPC
OF_IMAGES: Final = ("ecr.api", "ecr.dkr", "s3")
HTTPS: Final = 443
_SERVICE: Final = regex(r"amazonaws\.[^.]+\.(.+)")


class Way(Enum):
    """Where the default route of a subnet leads."""

    internet = "an internet gateway"
    onward = "a gateway"  # NAT, transit, a firewall or an instance: its own routes are not followed
    elsewhere = "another network"  # no default route, but one to a transit gateway, a peer or a site: endpoints there?
    none = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A subnet. ``endpoints`` are the names of services (``ecr.api``) that have endpoints in its VPC, with the security
    groups of those that have some; ``shared``: another account owns it; ``dual``: its addresses of IPv6 have a default
    route, too.
    """

    id: str
    vpc: str
    zone: str
    public: bool
    free: int
    way: Way
    endpoints: Mapping[str, tuple[str, ...]]
    cidr: str = ""
    shared: bool = False
    dual: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A security group: its VPC, if that is known, and what it lets out and in; None if that is not known.
    ``open_to_itself``: it lets everything in from itself, and out to itself.
    """

    id: str
    vpc: str
    out: tuple[Json, ...] | None
    into: tuple[Json, ...] | None = None
    open_to_itself: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The subnets and groups of all declared environments, by id; ``asked`` are the ids of all subnets that were asked
    about. ``refused`` are the reads that AWS refused.
    """

    asked: frozenset[str] = frozenset()
    subnets: Mapping[str, Subnet] = field(default_factory=lambda: EMPTY)
    groups: Mapping[str, Group] = field(default_factory=lambda: EMPTY)
    refused: tuple[tuple[str, Refused], ...] = ()

    @property
    def denied(self) -> str:
        """The first action that was not permitted; empty if there is none."""
        return next((action for action, refused in self.refused if refused.denied), "")

    @property
    def groups_read(self) -> bool:
        """Whether the security groups were read: a group that is not among them does not exist."""
        return all(action != "ec2:DescribeSecurityGroups" for action, _ in self.refused)

    @property
    def unread(self) -> str:
        """Why the network is not known; empty if it is."""
        return "; ".join(f"{action}: {refused}" for action, refused in self.refused)


def subnets_of(props: Json) -> list[str]:
    """The ids of the subnets of an environment, as far as they are known."""
    return [one for one in items(at(props, "computeResources", "subnets")) if isinstance(one, str)]


def groups_of(props: Json) -> list[Any]:
    """The security groups of an environment: ids, or what stands for one that does not exist yet."""
    return items(at(props, "computeResources", "securityGroupIds"))


def read(ground: Ground) -> Reads[Network]:
    """The network of all declared environments, which is read once."""
    return (yield from ground.shared.read_once("network", lambda: _read(ground)))


def _read(ground: Ground) -> Reads[Network]:
    listed = [ground.props(one) for one in ground.declared.section(ENVIRONMENTS)]
    subnets = sorted({one for props in listed for one in subnets_of(props)})
    named = [one for props in listed for one in groups_of(props)] + list(_groups_of_templates(ground))
    groups = sorted({one for one in named if isinstance(one, str)})
    if not subnets and not groups:
        return Network()
    calls = [_describe("DescribeSubnets", "subnet-id", subnets)] if subnets else []
    calls += [_describe("DescribeSecurityGroups", "group-id", groups)] if groups else []
    replies = yield tuple(calls)
    refused = _refused(calls, replies)
    found = {call.operation: reply for call, reply in zip(calls, replies, strict=True) if isinstance(reply, Mapping)}
    items_of = [mapping(one) for one in items(mapping(found.get("DescribeSubnets")).get("Subnets"))]
    vpcs = sorted({str(one["VpcId"]) for one in items_of})
    tables: list[Json] = []
    endpoints: list[Json] = []
    if vpcs:
        more = [_describe("DescribeRouteTables", "vpc-id", vpcs), _describe("DescribeVpcEndpoints", "vpc-id", vpcs)]
        routes, points = yield tuple(more)
        refused += _refused(more, (routes, points))
        tables = [] if isinstance(routes, Refused) else items(routes.get("RouteTables"))
        endpoints = [] if isinstance(points, Refused) else items(points.get("VpcEndpoints"))
    known = [_subnet(one, tables, endpoints, ground.scope.account) for one in items_of]
    listed_groups = items(mapping(found.get("DescribeSecurityGroups")).get("SecurityGroups"))
    listed_groups = [*listed_groups, *(yield from _read_doors(known, groups))]
    return Network(
        asked=frozenset(subnets),
        subnets={one.id: one for one in known},
        groups={str(one["GroupId"]): _group(one) for one in map(mapping, listed_groups)},
        refused=tuple(refused),
    )


def _read_doors(subnets: Sequence[Subnet], read_before: Sequence[str]) -> Reads[list[Any]]:
    """The security groups of the endpoints of subnets that depend on them; none of them where that is refused."""
    dependent = [one for one in subnets if one.way is not Way.onward]
    named = {group for one in dependent for groups in one.endpoints.values() for group in groups}
    if not (wanted := sorted(named.difference(read_before))):
        return []
    (reply,) = yield (_describe("DescribeSecurityGroups", "group-id", wanted),)
    return [] if isinstance(reply, Refused) else items(reply.get("SecurityGroups"))


def _groups_of_templates(ground: Ground) -> Iterator[Any]:
    """The security groups of the network interfaces of all declared launch templates."""
    for one in ground.declared.section(TEMPLATES):
        for _, card in entries(at(ground.props(one), "launchTemplateData", "networkInterfaces")):
            yield from items(card.get("groups"))


def _describe(operation: str, name: str, values: Sequence[str]) -> Call:
    """With a filter: an id that does not exist is left out of the reply, and does not make it a refusal."""
    return Call("ec2", operation, {"Filters": [{"Name": name, "Values": list(values)}]}, all_pages=True)


def _refused(calls: Sequence[Call], replies: Sequence[Any]) -> list[tuple[str, Refused]]:
    pairs = zip(calls, replies, strict=True)
    return [(call.action, reply) for call, reply in pairs if isinstance(reply, Refused)]


def _subnet(item: Json, tables: Sequence[Json], endpoints: Sequence[Json], account: str) -> Subnet:
    name, vpc = str(item["SubnetId"]), str(item["VpcId"])
    table = _table_of(name, vpc, tables)
    return Subnet(
        id=name,
        vpc=vpc,
        zone=str(item.get("AvailabilityZone") or ""),
        public=bool(item.get("MapPublicIpOnLaunch")),
        free=int(item.get("AvailableIpAddressCount", 1)),
        way=_way(table),
        endpoints=_reached(vpc, str(table.get("RouteTableId")), endpoints),
        cidr=str(item.get("CidrBlock") or ""),
        shared=str(item.get("OwnerId") or account) != account,
        dual=any(mapping(one).get("DestinationIpv6CidrBlock") == "::/0" for one in items(table.get("Routes"))),
    )


def _group(item: Json) -> Group:
    name = str(item["GroupId"])
    out, into = tuple(item.get("IpPermissionsEgress") or ()), tuple(item.get("IpPermissions") or ())
    itself = (_names_itself(name, into), _names_itself(name, out))
    return Group(id=name, vpc=str(item.get("VpcId") or ""), out=out, into=into, open_to_itself=itself)


def _names_itself(name: str, rules: Iterable[Any]) -> bool:
    """Whether one of the rules is for all protocols, and for the group itself."""
    every = [mapping(one) for one in rules if str(mapping(one).get("IpProtocol")) == "-1"]
    return any(mapping(pair).get("GroupId") == name for rule in every for pair in items(rule.get("UserIdGroupPairs")))


def _table_of(subnet: str, vpc: str, tables: Sequence[Json]) -> Json:
    """The route table of a subnet: its own, or else the main one of the VPC."""
    main: Json = {}
    for table in tables:
        for association in map(mapping, items(table.get("Associations"))):
            if association.get("SubnetId") == subnet:
                return table
            if association.get("Main") and table.get("VpcId") == vpc:
                main = table
    return main


def _way(table: Json) -> Way:
    found = Way.none
    for route in map(mapping, items(table.get("Routes"))):
        gateway = str(route.get("GatewayId") or "")
        if route.get("State", "active") != "active" or gateway == "local":
            continue
        internet = gateway.startswith("igw-")
        if route.get("DestinationCidrBlock") == "0.0.0.0/0":
            return Way.internet if internet else Way.onward
        if route.get("DestinationIpv6CidrBlock") == "::/0":
            found = Way.onward
        elif found is Way.none and not gateway.startswith(("igw-", "vpce-")):
            found = Way.elsewhere
    return found


def _reached(vpc: str, table: str, endpoints: Sequence[Json]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one in endpoints:
        if one.get("VpcId") != vpc or str(one.get("State", "available")).lower() != "available":
            continue
        named = _SERVICE.search(str(one.get("ServiceName") or ""))
        gateway = one.get("VpcEndpointType") == "Gateway"
        if table in items(one.get("RouteTableIds")) if gateway else one.get("PrivateDnsEnabled", True):
            groups = tuple(str(mapping(group).get("GroupId")) for group in items(one.get("Groups")))
            found[named[1] if named else ""] = groups
    return found


def group_of(value: Any, network: Network, ground: Ground) -> Group | None:
    """A security group by its id, or one that is declared and does not exist yet; None if it is not known."""
    own = _declared_group(value, ground)
    if own is not None:
        props = ground.props(own)
        egress = props.get("egress")
        out = ({"IpProtocol": "-1"},) if egress is None else tuple(_rule(one) for _, one in entries(egress))
        return Group(id=own.address.name, vpc=as_text(props.get("vpcId")) or "", out=out)
    return network.groups.get(value) if isinstance(value, str) else None


def _declared_group(value: Any, ground: Ground) -> Resource | None:
    for one in ground.declared.section(GROUPS):
        plan = ground.plans.get(one.address)
        live = plan.kept_object if plan else None
        if getattr(value, "address", None) == one.address or (live and live.attrs.get("id") == value):
            return one
    return None


def _rule(declared: Json) -> Json:
    ports = {"FromPort": declared.get("fromPort"), "ToPort": declared.get("toPort")}
    return {"IpProtocol": declared.get("ipProtocol"), **ports}


def lets_out(group: Group, port: int = HTTPS) -> bool | None:
    """Whether a group has a rule that lets TCP to a port out; None if that is not known."""
    if group.out is None:
        return None
    found = [_covers(rule, port) for rule in group.out]
    return True if True in found else None if None in found else False


def _covers(rule: Json, port: int) -> bool | None:
    protocol = rule.get("IpProtocol")
    if str(protocol) == "-1":
        return True
    if str(protocol) not in ("tcp", "6"):
        return None if protocol is None else False
    first, last = rule.get("FromPort"), rule.get("ToPort")
    if not isinstance(first, int) or not isinstance(last, int):
        return None
    return first <= port <= last or first == -1


def lets_in(group: Group, subnet: Subnet, sources: Sequence[Any], port: int = HTTPS) -> bool:
    """Whether a group may let TCP to a port in from the subnet, or from what has the security groups ``sources``."""
    known = bool(sources) and all(isinstance(one, str) for one in sources)
    for rule in group.into if group.into is not None else ({"IpProtocol": "-1", "PrefixListIds": [{}]},):
        if _covers(rule, port) is False:
            continue
        pairs = [mapping(one).get("GroupId") for one in items(rule.get("UserIdGroupPairs"))]
        ranges = [str(mapping(one).get("CidrIp")) for one in items(rule.get("IpRanges"))]
        if rule.get("PrefixListIds") or any(_overlap(one, subnet.cidr) for one in ranges):
            return True
        if any(one in sources for one in pairs) or (pairs and not known):
            return True
    return False


def _overlap(one: str, other: str) -> bool:
    """Whether two ranges of addresses have some in common; also where one is not known."""
    try:
        return ip_network(one, strict=False).overlaps(ip_network(other, strict=False))
    except (ValueError, TypeError):
        return True
