"""Why instances that run do not join the cluster: their way out, their role, and their user data."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from reconciler.kinds.batch._diagnosis import around, causes
from reconciler.kinds.batch._diagnosis.capacity import State
from reconciler.kinds.batch._diagnosis.desk import TEMPLATES, Desk, evidence, suspect
from reconciler.kinds.common.declared import at, entries, items, mapping
from reconciler.model import Call, Json, Reads
from reconciler.model.diagnosis import Certainty, Suspect
from reconciler.model.patterns import regex

POLICY: Final = "AmazonEC2ContainerServiceforEC2Role"
ACTIONS: Final = ("ecs:RegisterContainerInstance", "ecs:DiscoverPollEndpoint", "ecs:Poll")
TEMPLATE: Final = "ec2:DescribeLaunchTemplateVersions"
HTTPS: Final = 443
SERVICES: Final = ("ecs", "ecs-agent", "ecs-telemetry")
_TARGETS: Final = (
    *("GatewayId", "NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "InstanceId"),
    *("LocalGatewayId", "CarrierGatewayId", "VpcPeeringConnectionId"),
)
_CLUSTER: Final = regex(r"ECS_CLUSTER\s*=\s*[\"']?(?P<name>[^\s\"']+)")


def why_not_joined(desk: Desk, state: State) -> Reads[list[Suspect]]:
    """What keeps the instances of an environment from its cluster, as far as AWS shows it."""
    environment = state.environment
    subnets = [str(one) for one in items(around.value_of(environment, "subnets"))]
    groups = [str(one) for one in items(around.value_of(environment, "securityGroupIds"))]
    profile = str(around.value_of(environment, "instanceRole") or "").rpartition("/")[2]
    template = mapping(around.value_of(environment, "launchTemplate"))
    calls: dict[str, Call] = {}
    if subnets:
        calls["subnets"] = Call("ec2", "DescribeSubnets", {"SubnetIds": subnets})
        linked = [{"Name": "association.subnet-id", "Values": subnets}]
        calls["tables"] = Call("ec2", "DescribeRouteTables", {"Filters": linked})
    if groups:
        calls["groups"] = Call("ec2", "DescribeSecurityGroups", {"GroupIds": groups})
    if profile:
        calls["profile"] = Call("iam", "GetInstanceProfile", {"InstanceProfileName": profile})
    if template:
        calls["template"] = Call("ec2", "DescribeLaunchTemplateVersions", _version(template))
    replies = dict(zip(calls, (yield from desk.ask(*calls.values())), strict=True))
    found = [
        *(yield from _role(desk, state, replies.get("profile"))),
        *_user_data(state, replies.get("template")),
        *_groups(state, replies.get("groups")),
        *(yield from _routes(desk, state, replies)),
    ]
    return found


def _version(template: Json) -> dict[str, Any]:
    named = {
        name[0].upper() + name[1:]: template[name]
        for name in ("launchTemplateId", "launchTemplateName")
        if name in template
    }
    return {**named, "Versions": [str(template.get("version") or "$Default")]}


def _role(desk: Desk, state: State, profile: Json | None) -> Reads[list[Suspect]]:
    if profile is None:
        return []
    names, about = around.names_of(state.environment), f"environment {state.name}"
    roles = [one for _, one in entries(at(profile, "InstanceProfile", "Roles"))]
    row = causes.row("instance-role")
    if not roles:
        seen = [evidence("iam:GetInstanceProfile", "InstanceProfile.Roles", [])]
        return [suspect(row, seen, names, message="The instance profile has no role.", about=about)]
    name, arn = str(roles[0].get("RoleName")), str(roles[0].get("Arn"))
    attached = yield from desk.one(Call("iam", "ListAttachedRolePolicies", {"RoleName": name}, all_pages=True))
    if any(one.get("PolicyName") == POLICY for _, one in entries(mapping(attached).get("AttachedPolicies"))):
        return []
    wanted = {"PolicySourceArn": arn, "ActionNames": list(ACTIONS)}
    answer = yield from desk.one(Call("iam", "SimulatePrincipalPolicy", wanted))
    refused = [
        one for _, one in entries(mapping(answer).get("EvaluationResults")) if one.get("EvalDecision") != "allowed"
    ]
    if not refused:
        return []
    actions = ", ".join(str(one.get("EvalActionName")) for one in refused)
    seen = [evidence("iam:SimulatePrincipalPolicy", "EvaluationResults[].EvalDecision", f"{actions}: denied")]
    return [suspect(row, seen, names, message=f"The instance role {name} does not allow {actions}.", about=about)]


def _user_data(state: State, reply: Json | None) -> list[Suspect]:
    for _, version in entries(mapping(reply).get("LaunchTemplateVersions")):
        text = _decoded(at(version, "LaunchTemplateData", "UserData"))
        match = _CLUSTER.search(text)
        cluster = str(state.environment.get("ecsClusterArn") or "").rpartition("/")[2]
        names = {**around.names_of(state.environment), TEMPLATES: str(version.get("LaunchTemplateName") or "")}
        about = f"environment {state.name}"
        if match is not None and match["name"] != cluster:
            seen = [evidence(TEMPLATE, "LaunchTemplateData.UserData", match[0])]
            return [suspect(causes.row("other-cluster"), seen, names, about=about)]
        if text.lstrip().startswith("#!"):
            first = text.lstrip().splitlines()[0]
            seen = [evidence(TEMPLATE, "LaunchTemplateData.UserData", f"begins with {first}")]
            one = suspect(causes.row("user-data"), seen, names, about=about)
            return [replace(one, certainty=Certainty.likely)]
    return []


def _decoded(value: Any) -> str:
    try:
        return base64.b64decode(str(value or ""), validate=True).decode("utf-8", errors="replace")
    except (binascii.Error, ValueError):
        return str(value or "")


def _groups(state: State, reply: Json | None) -> list[Suspect]:
    """That no security group lets HTTPS out."""
    groups = [one for _, one in entries(mapping(reply).get("SecurityGroups"))]
    if not groups or any(
        _lets_https_out(rule) for one in groups for _, rule in entries(one.get("IpPermissionsEgress"))
    ):
        return []
    ids = ", ".join(str(one.get("GroupId")) for one in groups)
    seen = [evidence("ec2:DescribeSecurityGroups", "SecurityGroups[].IpPermissionsEgress", f"no port 443 in {ids}")]
    says = "The security groups let no HTTPS out, so the instances cannot reach Amazon ECS."
    advice = "allow port 443 to 0.0.0.0/0 in the groups' egress"
    one = suspect(
        causes.row("no-way-out"),
        seen,
        around.names_of(state.environment),
        message=says,
        advice=advice,
        about=f"environment {state.name}",
    )
    return [replace(one, certainty=Certainty.certain)]


def _lets_https_out(rule: Json) -> bool:
    if str(rule.get("IpProtocol")) == "-1":
        return True
    first, last = rule.get("FromPort"), rule.get("ToPort")
    return (
        rule.get("IpProtocol") in ("tcp", "6")
        and isinstance(first, int)
        and isinstance(last, int)
        and first <= 443 <= last
    )


def _routes(desk: Desk, state: State, replies: Mapping[str, Json | None]) -> Reads[list[Suspect]]:
    """That subnets have no way to Amazon ECS: by a route, with a public address where that needs one, or endpoints.

    It is a hint where others have one: the instances may be in those.
    """
    subnets = [one for _, one in entries(mapping(replies.get("subnets")).get("Subnets"))]
    if not subnets or replies.get("tables") is None:
        return []
    vpc = str(subnets[0].get("VpcId"))
    tables = [one for _, one in entries(mapping(replies.get("tables")).get("RouteTables"))]
    main: list[Json] = []
    if any(_table(one, tables, []) is None for one in subnets):
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
        reply = yield from desk.one(Call("ec2", "DescribeRouteTables", {"Filters": filters}))
        main = [one for _, one in entries(mapping(reply).get("RouteTables"))]
    without = [one for one in subnets if _way_out(one, _table(one, tables, main)) is False]
    if not without:
        return []
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    reply = yield from desk.one(Call("ec2", "DescribeVpcEndpoints", {"Filters": filters}))
    if reply is None:
        return []
    served = {str(one.get("ServiceName")).rpartition(".")[2] for _, one in entries(reply.get("VpcEndpoints"))}
    missing = [name for name in SERVICES if name not in served]
    if not missing:
        return []
    public = any(_default(_table(one, tables, main)).startswith("igw-") for one in without)
    ids = ", ".join(str(one.get("SubnetId")) for one in without)
    if public:
        says = f"The subnets {ids} are public, and instances in them get no public address."
        advice = (
            "let the subnets or the launch template assign public addresses, or use private subnets with a NAT gateway"
        )
    else:
        says = f"The subnets {ids} have no route out, and the VPC has no endpoints of {', '.join(missing)}."
        advice = ""
    seen = [
        evidence(
            "ec2:DescribeRouteTables", "RouteTables[].Routes", "no way out with 0.0.0.0/0" if not public else "igw"
        ),
        evidence("ec2:DescribeVpcEndpoints", "VpcEndpoints[].ServiceName", sorted(served)),
    ]
    row, names = causes.row("no-way-out"), around.names_of(state.environment)
    one = suspect(row, seen, names, message=says, advice=advice, about=f"environment {state.name}")
    return [replace(one, certainty=Certainty.hint) if len(without) < len(subnets) else one]


def _table(subnet: Json, tables: list[Json], main: list[Json]) -> Json | None:
    linked = (
        table
        for table in tables
        for _, one in entries(table.get("Associations"))
        if one.get("SubnetId") == subnet.get("SubnetId")
    )
    return next(linked, next(iter(main), None))


def _default(table: Json | None) -> str:
    """What the default route leads to; empty without one."""
    for _, route in entries(mapping(table).get("Routes")):
        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State") != "blackhole":
            return next((str(route[name]) for name in _TARGETS if route.get(name)), "unknown")
    return ""


def _way_out(subnet: Json, table: Json | None) -> bool | None:
    """Whether instances get out of a subnet; None where that is not known."""
    if table is None:
        return None
    target = _default(table)
    if target.startswith("igw-"):
        return subnet.get("MapPublicIpOnLaunch") is True
    return bool(target)
