"""Preflight of what is around jobs: networks by a table, roles, log groups, quotas; and what is asked about them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.kinds.batch import _egress as egress
from reconciler.kinds.batch import _network as networks
from reconciler.kinds.batch.compute_environment import preflight as compute_environment
from reconciler.kinds.batch.job_definition import (
    log_preflight,
    reach,
    role_preflight,
)
from reconciler.model import (
    Address,
    Call,
    Declared,
    Refused,
    Resource,
    Scope,
)
from reconciler.model.preflight import Fit, Ground
from reconciler.model.values import Later, Text
from tests.support.reads import drive
from tests.support.tables import cases

HERE = Scope("123456789012", "eu-west-1", "aws", "e")
URI = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/tools:1"
# --- networks, by a table ----------------------------------------------------------------------------------------------

NETWORKS: list[Any] = cases(Path(__file__).parents[2] / "data" / "preflight" / "networks.yaml")
ROUTES = {
    "igw": {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"},
    "nat": {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1"},
    "tgw-default": {"DestinationCidrBlock": "0.0.0.0/0", "TransitGatewayId": "tgw-1"},
    "tgw": {"DestinationCidrBlock": "10.0.0.0/8", "TransitGatewayId": "tgw-1"},
    "ipv6": {"DestinationIpv6CidrBlock": "::/0", "GatewayId": "igw-1"},
    "s3": {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1"},
}
TCP = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
DOORS = {
    "range": TCP | {"IpRanges": [{"CidrIp": "10.0.0.0/16"}]},
    "other-range": TCP | {"IpRanges": [{"CidrIp": "10.9.0.0/16"}]},
    "ours": TCP | {"UserIdGroupPairs": [{"GroupId": "sg-1"}]},
    "itself": {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-2"}]},
    "list": TCP | {"PrefixListIds": [{"PrefixListId": "pl-1"}]},
    "ssh": TCP | {"FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
}
EGRESS = {None: {"IpProtocol": "-1"}, "https": TCP, "nfs": TCP | {"FromPort": 2049, "ToPort": 2049}}
LOCAL = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local"}


def network(**given: Any) -> dict[str, Any]:
    """Replies of EC2 about one subnet; ``given`` as in the table."""
    routes = [LOCAL, *(ROUTES[one] for one in given.get("routes", ()))]
    subnet = {"SubnetId": "subnet-1", "VpcId": "vpc-1", "AvailabilityZone": "eu-west-1a", "CidrBlock": "10.0.1.0/24"}
    subnet |= {"MapPublicIpOnLaunch": given.get("public", False)}
    subnet |= {"OwnerId": "210987654321" if given.get("shared") else HERE.account}
    points = [
        {"VpcId": "vpc-1", "ServiceName": f"com.amazonaws.eu-west-1.{one}", "PrivateDnsEnabled": given.get("dns", True)}
        | ({"VpcEndpointType": "Gateway", "RouteTableIds": ["rtb-1"]} if one == "s3" else {})
        for one in given.get("endpoints", ())
    ]
    for one in points if "door" in given else ():
        one |= {"Groups": [{"GroupId": "sg-2"}]}
    table = {"RouteTableId": "rtb-1", "VpcId": "vpc-1", "Associations": [{"Main": True}], "Routes": routes}
    group = {"GroupId": "sg-1", "VpcId": "vpc-1", "IpPermissionsEgress": [EGRESS[given.get("egress")]]}
    door = {"GroupId": "sg-2", "VpcId": "vpc-1", "IpPermissions": [DOORS[given["door"]]] if "door" in given else []}
    return {
        "DescribeSubnets": {"Subnets": [subnet]},
        "DescribeSecurityGroups": {"SecurityGroups": [group, door]},
        "DescribeRouteTables": {"RouteTables": [table]},
        "DescribeVpcEndpoints": {"VpcEndpoints": points},
    }


def around(**more: Any) -> tuple[Resource, Ground]:
    """A compute environment in the subnet and group of :func:`network`, and what it is checked on."""
    resources = {"type": "EC2", "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"], **more}
    made = Resource(address=Address("computeEnvironments", "ce"), props={"computeResources": resources})
    others = [
        Resource(address=Address("placementGroups", name), props={"strategy": name}) for name in ("cluster", "spread")
    ]
    return made, Ground(scope=HERE, declared=Declared({one.address: one for one in (made, *others)}))


def traveller(who: str, given: Mapping[str, Any]) -> egress.Traveller:
    addresses = egress.Addresses(given=given.get("template", False), as_subnet=given.get("template") is not False)
    addresses = addresses if "template" in given else egress.Addresses()
    if who in ("hosts", "nodes"):
        return egress.host(addresses, eks=who == "nodes")
    made = Text((Later(Address("secrets", "x"), "arn"), ":key::"))
    secret = {"secretsmanager": "arn:aws:secretsmanager:eu-west-1:1:secret:x", "created": made, "ssm": "/x", None: ""}
    uri = given.get("image", URI)
    container = {
        "image": URI.replace("eu-west-1", "us-east-1") if uri == "elsewhere" else uri,
        "secrets": [{"name": "x", "valueFrom": secret[given.get("secret")]}],
        "logConfiguration": {"logDriver": given.get("driver", "awslogs")},
    }
    reached = reach.of({"containerProperties": container}, Ground(scope=HERE, declared=Declared({})))
    if who == "jobs":
        return egress.job_on_host(addresses, endpoints=reached.endpoints, internet=reached.internet)
    public = given.get("assign", False)
    return egress.task(public=public, endpoints=reached.endpoints, internet=reached.internet)


@pytest.mark.parametrize(("who", "given", "expected", "line"), NETWORKS)
def test_networks(who: str, given: Mapping[str, Any], expected: str, line: str) -> None:
    made, ground = around()
    known, _ = drive(networks.read(ground), network(**given))
    found = egress.find(made.props, traveller(who, given), known, ground)
    told = found.verdict.value + {"unknown": ""}.get(found.verdict, " certain" if found.certain else " likely")
    assert told == expected, (line, found.message)
    assert (found.verdict is Fit.cannot) == bool(found.hint)


@pytest.mark.parametrize(("rule", "shut"), [(None, False), ("https", True), ("nfs", False)])
def test_file_systems_need_their_port(rule: str | None, shut: bool) -> None:
    made, ground = around()
    known, _ = drive(networks.read(ground), network(egress=rule))
    assert egress.blocked(made.props, 2049, known, ground) == "sg-1" * shut
    volumes = {"volumes": [{"efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]}
    assert reach.of({"containerProperties": volumes}, ground).file_systems == ("containerProperties", "volumes")


@pytest.mark.parametrize(
    ("more", "replies", "expected"),
    [
        ({}, {}, "network fits"),
        ({"subnets": ["subnet-9"]}, {}, "network cannot"),
        ({"subnets": ["subnet-9"]}, {"DescribeSubnets": Refused("UnauthorizedOperation", "no")}, "network unknown"),
        ({"securityGroupIds": ["sg-9"]}, {}, "network cannot"),
        ({"securityGroupIds": ["sg-9"]}, {"DescribeSecurityGroups": Refused("UnauthorizedOperation", "no")}, "network unknown"),
        ({"placementGroup": "cluster"}, {}, "placementGroup fits"),
        ({"placementGroup": "cluster", "subnets": ["subnet-1", "subnet-2"]}, {}, "placementGroup cannot"),
        ({"placementGroup": "spread", "subnets": ["subnet-1", "subnet-2"]}, {}, "network fits"),
    ],
)  # fmt: skip
def test_subnets_and_groups_exist_and_go_together(
    more: Mapping[str, Any], replies: Mapping[str, Any], expected: str
) -> None:
    answers = network() | dict.fromkeys(("DescribeComputeEnvironments", "GetServiceQuota"), Refused("AccessDenied", ""))
    (subnet,) = answers["DescribeSubnets"]["Subnets"]
    second = subnet | {"SubnetId": "subnet-2", "AvailabilityZone": "eu-west-1b"}
    answers["DescribeSubnets"] = {"Subnets": [subnet, second] if "subnet-2" in more.get("subnets", ()) else [subnet]}
    if "subnet-9" in more.get("subnets", ()):
        answers["DescribeSubnets"] = {"Subnets": []}
    if "sg-9" in more.get("securityGroupIds", ()):
        answers["DescribeSecurityGroups"] = {"SecurityGroups": []}
    made, ground = around(**more)
    checks, _ = drive(compute_environment.preflight(made, ground), answers | dict(replies))
    seen = {one.check: one for one in checks}
    check, _, verdict = expected.partition(" ")
    assert seen[check].verdict == verdict, seen[check].message
    assert ("placementGroup" in seen) == (more.get("placementGroup") == "cluster")
    assert (seen[check].verdict is Fit.cannot) == bool(seen[check].hint)


# --- roles -----------------------------------------------------------------------------------------------------------


def iam(managed: str, *allowed: str) -> dict[str, Any]:
    """Replies of IAM about a role of instances with a managed policy, which ``allowed`` some actions beside it."""
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}]}

    def simulated(call: Call) -> Any:
        decisions = {one: "allowed" if one in allowed else "implicitDeny" for one in call.params["ActionNames"]}
        missing = {"MissingContextValues": ["aws:SourceVpc"]} if managed == "conditional" else {}
        return {
            "EvaluationResults": [
                {"EvalActionName": one, "EvalDecision": how, **missing} for one, how in decisions.items()
            ]
        }

    return {
        "GetInstanceProfile": {"InstanceProfile": {"Roles": [{"Arn": "arn:aws:iam::123456789012:role/r"}]}},
        "GetRole": {"Role": {"AssumeRolePolicyDocument": trust}},
        "ListAttachedRolePolicies": {"AttachedPolicies": [{"PolicyName": managed}]},
        "SimulatePrincipalPolicy": simulated,
    }


FOR_HOSTS = "AmazonEC2ContainerServiceforEC2Role"
CREATES = {"options": {"awslogs-group": "/g", "awslogs-create-group": "true"}}


@pytest.mark.parametrize(
    ("container", "replies", "expected", "asked"),
    [
        ({"image": URI}, iam(FOR_HOSTS), "fits", 0),
        ({"image": URI}, iam("mine"), "logs:CreateLogStream, logs:PutLogEvents, ecr:GetAuthorizationToken", 3),
        ({"image": "alpine"}, iam("mine"), "logs:CreateLogStream, logs:PutLogEvents", 1),
        ({"image": "alpine"}, iam("mine", "logs:CreateLogStream", "logs:PutLogEvents"), "fits", 1),
        ({"image": "alpine"}, iam("conditional"), "unknown", 1),
        ({"image": "alpine", "logConfiguration": CREATES}, iam(FOR_HOSTS), "does not allow logs:CreateLogGroup,", 1),
        ({"image": "alpine", "logConfiguration": CREATES}, iam(FOR_HOSTS, "logs:CreateLogGroup"), "fits", 1),
        ({"image": "alpine", "logConfiguration": {"logDriver": "splunk"}}, iam("mine"), "", 0),
        ({"image": URI, "executionRoleArn": "x"}, iam("mine"), "logs:PutLogEvents, according", 1),
    ],
)
def test_instances_pull_images_and_write_logs(
    container: Mapping[str, Any], replies: Mapping[str, Any], expected: str, asked: int
) -> None:
    """With the role of their profile: what its managed policies do not allow is asked of the simulator."""
    job = Resource(address=Address("jobDefinitions", "j"), props={"containerProperties": dict(container)})
    hosts, ground = around(instanceRole="p")
    found, calls = drive(role_preflight.check_hosts(job, hosts, hosts.props, ground), replies)
    told = [one.message if one.verdict is Fit.cannot else one.verdict.value for one in found]
    assert all(expected in one for one in told)
    assert (len(told), calls.count("SimulatePrincipalPolicy")) == (bool(expected), asked)


@pytest.mark.parametrize(
    ("services", "policies", "expected"),
    [
        (["batch.amazonaws.com"], ["service-role/AWSBatchServiceRole"], "trust fits, permissions fits"),
        (["ec2.amazonaws.com"], ["service-role/AWSBatchServiceRole"], "trust cannot, permissions fits"),
        (["batch.amazonaws.com"], [], "trust fits, permissions cannot"),
    ],
)
def test_a_declared_service_role(services: list[str], policies: list[str], expected: str) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}]}
    role = Resource(
        address=Address("roles", "r"), props={"assumeRolePolicyDocument": trust, "managedPolicies": policies}
    )
    made, ground = around()
    made = dataclasses.replace(made, props={**made.props, "serviceRole": "r"})
    ground = dataclasses.replace(ground, declared=Declared({one.address: one for one in (made, role)}))
    answers = network() | dict.fromkeys(("DescribeComputeEnvironments", "GetServiceQuota"), Refused("AccessDenied", ""))
    found, _ = drive(compute_environment.preflight(made, ground), answers)
    told = {one.check: one for one in found if one.path == ("serviceRole",)}
    assert ", ".join(f"{name} {one.verdict}" for name, one in told.items()) == expected
    assert not told["trust"].reported  # validate has said so


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"awslogs-group": "/there"}, "fits"),
        ({"awslogs-group": "/the"}, "cannot"),
        ({"awslogs-group": "/declared"}, "fits"),
        ({"awslogs-group": "/the", "awslogs-create-group": "true"}, ""),
        ({"awslogs-group": "/the", "awslogs-region": "us-east-1"}, ""),
        ({"awslogs-group": "/aws/batch/job"}, ""),
        ({}, ""),
    ],
)
def test_log_groups(options: Mapping[str, str], expected: str) -> None:
    logs = {"logConfiguration": {"logDriver": "awslogs", "options": options}}
    group = Resource(address=Address("logGroups", "/declared"), props={})
    ground = Ground(scope=HERE, declared=Declared({group.address: group}))
    replies = {"DescribeLogGroups": {"logGroups": [{"logGroupName": "/there"}]}}
    for props in (
        {"containerProperties": logs},
        {"ecsProperties": {"taskProperties": [{"containers": [{}, logs]}]}},
        {"nodeProperties": {"nodeRangeProperties": [{"container": logs}]}},
    ):
        found, _ = drive(log_preflight.check(props, ground), replies)
        assert [one.verdict.value for one in found] == [expected] * bool(expected)
        assert all(role_preflight.value_at(props, one.path) == options["awslogs-group"] for one in found)
    refused = {"DescribeLogGroups": Refused("AccessDeniedException", "no")}
    again = Ground(scope=HERE, declared=ground.declared)
    found, _ = drive(log_preflight.check({"containerProperties": logs}, again), refused)
    assert {(one.verdict, one.denied) for one in found} <= {("unknown", "logs:DescribeLogGroups"), ("fits", "")}


@pytest.mark.parametrize(
    ("types", "values", "expected"),
    [
        (["m5.large"], {"L-1216C47A": 64}, "fits"),
        (["m5.large"], {"L-1216C47A": 63}, "cannot likely reported"),
        (["m5.large"], {"L-1216C47A": 0}, "cannot certain reported"),
        (["g4dn.xlarge", "m5.large"], {"L-DB2E81BA": 8, "L-1216C47A": 64}, "cannot likely"),
        (["g4dn.xlarge", "m5.large"], {"L-DB2E81BA": 0, "L-1216C47A": 64}, "cannot certain reported"),
        (["g4dn.xlarge", "m5.large"], {"L-DB2E81BA": 8, "L-1216C47A": 8}, "cannot likely reported"),
    ],
)
def test_quotas_of_one_class_and_of_several(types: list[str], values: Mapping[str, int], expected: str) -> None:
    """Where the quota of one class of types is enough, that of another is no reason to warn, unless it is 0."""
    made, ground = around(instanceTypes=types, maxvCpus=64)
    answers = network() | {"DescribeInstanceTypeOfferings": {}, "DescribeComputeEnvironments": {}}
    answers["GetServiceQuota"] = lambda call: {"Quota": {"Value": values[call.params["QuotaCode"]]}}
    found, _ = drive(compute_environment.preflight(made, ground), answers)
    first = next(one for one in found if one.check == "quota")
    sure = " certain" if first.certain else " likely"
    told = "" if first.verdict is Fit.fits else f"{sure}{' reported' * first.reported}"
    assert f"{first.verdict}{told}" == expected
