"""The network of compute environments: whether their subnets and groups are of one VPC, and have a way out.

Hosts and tasks need to reach Amazon ECS, the registry of their image and CloudWatch Logs: through the internet, or
through endpoints in their VPC. What lies behind a NAT or transit gateway is not followed.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRouteTables.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from enum import Enum
from typing import Any, Final

from reconciler.kinds.common.declared import as_text, at, entries, items, mapping
from reconciler.model import EMPTY, Call, Json, Reads, Refused, Resource
from reconciler.model.patterns import regex
from reconciler.model.preflight import Ground
from reconciler.model.records import dataclass

ENVIRONMENTS: Final = "computeEnvironments"
GROUPS: Final = "securityGroups"
OF_HOSTS: Final = ("ecs", "ecs-agent", "ecs-telemetry")
OF_IMAGES: Final = ("ecr.api", "ecr.dkr", "s3")
HTTPS: Final = 443
_SERVICE: Final = regex(r"amazonaws\.[^.]+\.(.+)")


class Way(Enum):
    """Where the default route of a subnet leads."""

    internet = "an internet gateway"
    onward = "a gateway"  # NAT, transit, a firewall or an instance: its own routes are not followed
    none = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A subnet. ``endpoints`` are the names of services (``ecr.api``) that it reaches in its VPC."""

    id: str
    vpc: str
    zone: str
    public: bool
    free: int
    way: Way
    endpoints: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A security group: its VPC, if that is known, and what it lets out; None if that is not known."""

    id: str
    vpc: str
    out: tuple[Json, ...] | None
    open_to_itself: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The subnets and groups of all declared environments, by id. ``refused`` are the reads that AWS refused."""

    subnets: Mapping[str, Subnet] = field(default_factory=lambda: EMPTY)
    groups: Mapping[str, Group] = field(default_factory=lambda: EMPTY)
    refused: tuple[tuple[str, Refused], ...] = ()

    @property
    def denied(self) -> str:
        """The first action that was not permitted; empty if there is none."""
        return next((action for action, refused in self.refused if refused.denied), "")

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
    """The network of all declared environments: the same questions for each of them, so that they are asked once."""
    listed = [ground.props(one) for one in ground.declared.section(ENVIRONMENTS)]
    subnets = sorted({one for props in listed for one in subnets_of(props)})
    groups = sorted({one for props in listed for one in groups_of(props) if isinstance(one, str)})
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
    return Network(
        subnets={str(one["SubnetId"]): _subnet(one, tables, endpoints) for one in items_of},
        groups={
            str(one["GroupId"]): _group(one)
            for one in map(mapping, items(mapping(found.get("DescribeSecurityGroups")).get("SecurityGroups")))
        },
        refused=tuple(refused),
    )


def _describe(operation: str, name: str, values: Sequence[str]) -> Call:
    """With a filter: an id that does not exist is left out of the reply, and does not make it a refusal."""
    return Call("ec2", operation, {"Filters": [{"Name": name, "Values": list(values)}]}, all_pages=True)


def _refused(calls: Sequence[Call], replies: Sequence[Any]) -> list[tuple[str, Refused]]:
    pairs = zip(calls, replies, strict=True)
    return [(call.action, reply) for call, reply in pairs if isinstance(reply, Refused)]


def _subnet(item: Json, tables: Sequence[Json], endpoints: Sequence[Json]) -> Subnet:
    name, vpc = str(item["SubnetId"]), str(item["VpcId"])
    table = _table_of(name, vpc, tables)
    return Subnet(
        id=name,
        vpc=vpc,
        zone=str(item.get("AvailabilityZone") or ""),
        public=bool(item.get("MapPublicIpOnLaunch")),
        free=int(item.get("AvailableIpAddressCount", 1)),
        way=_way(table),
        endpoints=frozenset(_reached(vpc, str(table.get("RouteTableId")), endpoints)),
    )


def _group(item: Json) -> Group:
    name = str(item["GroupId"])
    rules = [mapping(one) for one in items(item.get("IpPermissions")) if str(mapping(one).get("IpProtocol")) == "-1"]
    pairs = [mapping(pair).get("GroupId") for rule in rules for pair in items(rule.get("UserIdGroupPairs"))]
    out = tuple(item.get("IpPermissionsEgress") or ())
    return Group(id=name, vpc=str(item.get("VpcId") or ""), out=out, open_to_itself=name in pairs)


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
    for route in map(mapping, items(table.get("Routes"))):
        ends = (route.get("DestinationCidrBlock"), route.get("DestinationIpv6CidrBlock"))
        if not {"0.0.0.0/0", "::/0"} & {*ends} or route.get("State", "active") != "active":
            continue
        gateway = str(route.get("GatewayId") or "")
        if gateway.startswith("igw-") and route.get("DestinationCidrBlock"):
            return Way.internet
        if gateway != "local":
            return Way.onward
    return Way.none


def _reached(vpc: str, table: str, endpoints: Sequence[Json]) -> Iterable[str]:
    for one in endpoints:
        if one.get("VpcId") != vpc or str(one.get("State", "available")).lower() != "available":
            continue
        named = _SERVICE.search(str(one.get("ServiceName") or ""))
        gateway = one.get("VpcEndpointType") == "Gateway"
        if table in items(one.get("RouteTableIds")) if gateway else one.get("PrivateDnsEnabled", True):
            yield named[1] if named else ""


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
