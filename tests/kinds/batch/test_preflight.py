"""Preflight: whether environments can run job definitions, by a table of pairs; and what is read about the rest."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.account import downloads
from reconciler.account.preflight import problems
from reconciler.kinds.batch import _count_quotas as counts
from reconciler.kinds.batch import _egress as egress
from reconciler.kinds.batch import _instance_offers as instances
from reconciler.kinds.batch import _network as networks
from reconciler.kinds.batch._instance_offers import Offer
from reconciler.kinds.batch._network import Group, Network
from reconciler.kinds.batch.compute_environment import preflight as compute_environment
from reconciler.kinds.batch.job_definition import (
    efa,
    fitting,
    image_preflight,
    log_preflight,
    needs,
    reach,
    role_preflight,
)
from reconciler.kinds.batch.job_definition.fitting import Place, Ruling
from reconciler.model import (
    Address,
    Call,
    Declared,
    Environment,
    Plan,
    Reads,
    Refused,
    Resource,
    ResourcePlan,
    Scope,
    Step,
    Verb,
)
from reconciler.model.preflight import Check, Checked, Fit, Ground
from reconciler.model.values import Later, Text
from tests.support.tables import cases

HERE = Scope("123456789012", "eu-west-1", "aws", "e")
TABLE: Mapping[str, Any] = cases(Path(__file__).parents[2] / "data" / "preflight" / "pairs.yaml")


def container(one: Mapping[str, Any]) -> dict[str, Any]:
    listed = {"VCPU": one["vcpu"], "MEMORY": one["memory"], "GPU": one.get("gpu", 0)}
    wanted = [
        {"type": kind, "value": None if value is None else str(value)} for kind, value in listed.items() if value != 0
    ]
    device = {"linuxParameters": {"devices": [{"hostPath": "/dev/infiniband/uverbs0"}]}} if one.get("efa") else {}
    return {"image": "i", "resourceRequirements": wanted, **device}


def definition(one: Mapping[str, Any]) -> dict[str, Any]:
    platform = one.get("platform", "EC2")
    if "containers" in one:
        return {"ecsProperties": {"taskProperties": [{"containers": [container(each) for each in one["containers"]]}]}}
    if platform == "EKS":
        asked = {"cpu": f"{one['vcpu'] * 1000}m", "memory": f"{one['memory']}Mi"}
        return {"eksProperties": {"podProperties": {"containers": [{"image": "i", "resources": {"limits": asked}}]}}}
    payload = container(one)
    if "cpu" in one:
        payload["runtimePlatform"] = {"cpuArchitecture": one["cpu"]}
    if "nodes" in one:
        payload |= {"instanceType": one["instanceType"]} if "instanceType" in one else {}
        ranges = [{"targetNodes": "0:", "container": payload}]
        return {"nodeProperties": {"numNodes": one["nodes"], "mainNode": 0, "nodeRangeProperties": ranges}}
    if platform == "MANAGED_INSTANCES":
        task = {"ecsProperties": {"taskProperties": [{"containers": [payload]}]}}
        return {"platformCapabilities": [platform], **task}
    return {"platformCapabilities": [platform], "containerProperties": payload}


def offers(name: str, names: list[str]) -> list[Offer]:
    seen = TABLE["registered"].get(name, {})
    return [
        Offer(
            type=each,
            vcpus=facts[0],
            memory=facts[1],
            gpus=None if facts[2] == "part" else facts[2],
            architectures=frozenset({facts[3]}),
            efa=facts[4:] == ["efa"],
            registered=seen.get(each),
        )
        for each, facts in TABLE["types"].items()
        if any(instances.belongs(each, one) for one in names)
    ]


def place(name: str) -> Place:
    facts = dict(TABLE["environments"][name])
    if facts.get("unmanaged"):
        return Place(name=name, props={"type": "UNMANAGED"})
    eks = {"eksConfiguration": {"kubernetesNamespace": "n"}} if facts.pop("eks", False) else {}
    unread = facts.pop("unread", False)
    props = {"type": "MANAGED", "computeResources": facts, **eks}
    names = facts.get("instanceTypes")
    listed = None if unread or not names else offers(name, names)
    return Place(name=name, props=props, offers=listed, unread="AccessDenied" if unread else "")


def verdict(found: list[Ruling]) -> tuple[str, set[str]]:
    refusals = [one for one in found if one.verdict is Fit.cannot]
    if refusals:
        sure = any(one.certain for one in refusals)
        return "cannot" if sure else "cannot likely", {one.check for one in refusals}
    unknown = {one.check for one in found if one.verdict is Fit.unknown}
    return ("unknown", unknown) if unknown else ("fits", {""})


@pytest.mark.parametrize(("job", "environment", "expected", "check", "line"), TABLE["pairs"])
def test_pairs(job: Mapping[str, Any], environment: str, expected: str, check: str, line: str) -> None:
    images = frozenset(job["image"]) if "image" in job else None
    found = fitting.rulings(needs.of(definition(job)), place(environment), images)
    told, checks = verdict(found)
    assert (told, check in checks) == (expected, True), (line, [(one.check, one.message) for one in found])
    assert all(one.path for one in found if one.verdict is Fit.cannot)


# --- EFA: what the launch template gives the hosts ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "cards", "ingress", "expected"),
    [
        (None, [], [], "cannot True"),
        ("strange", [], [], "unknown True"),
        ("mpi", [{"groups": ["own"]}], [], "cannot True"),
        ("mpi", [{"interfaceType": "efa", "groups": ["own"]}], [], "cannot False"),
        ("mpi", [{"interfaceType": "efa", "groups": ["own"]}], [{"ipProtocol": "-1", "cidr": "10.0.0.0/8"}], "cannot False"),
        ("mpi", [{"interfaceType": "efa", "groups": ["own"]}], [{"ipProtocol": "-1", "userIdGroupPairs": [{"groupId": "own"}]}], "cannot False"),
        ("both", [{"interfaceType": "efa", "groups": ["own"]}], [{"ipProtocol": "-1", "userIdGroupPairs": [{"groupId": "own"}]}], "fits True"),
        ("mpi", [{"interfaceType": "efa-only", "groups": ["sg-1"]}], [], "unknown True"),
        ("mpi", [{"interfaceType": "efa-only", "groups": ["sg-2"]}], [], "cannot False"),
        ("mpi", [{"interfaceType": "efa-only", "groups": ["sg-2", "sg-3"]}], [], "fits True"),
    ],
)  # fmt: skip
def test_efa_needs_an_interface_in_a_group_open_to_itself(
    template: str | None, cards: list[Any], ingress: list[Any], expected: str
) -> None:
    """In and out: a rule for every address does not stand in for one that names the group itself."""
    itself = ingress if template == "both" else []
    template = "mpi" if template == "both" else template
    resources = {"launchTemplate": {"launchTemplateName": template}} if template else {}
    made = [
        Resource(address=Address("computeEnvironments", "ce"), props={"computeResources": resources}),
        Resource(address=Address("launchTemplates", "mpi"), props={"launchTemplateData": {"networkInterfaces": cards}}),
        Resource(address=Address("securityGroups", "own"), props={"ingress": ingress, "egress": itself}),
    ]
    ground = Ground(scope=HERE, declared=Declared({one.address: one for one in made}))
    live = {
        name: Group(id=name, vpc="vpc-1", out=None, open_to_itself=both)
        for name, both in {"sg-2": (True, False), "sg-3": (True, True)}.items()
    }
    (found,) = efa.check(made[0], ("nodeProperties",), Network(groups=live), ground)
    assert f"{found.verdict} {found.certain}" == expected


# --- images: replies in, checks out ----------------------------------------------------------------------------------

LIST = "application/vnd.oci.image.index.v1+json"
SINGLE = "application/vnd.oci.image.manifest.v1+json"
URI = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/tools:1"


def drive(reads: Reads[Any], replies: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """What the reads find with these replies by operation, and what was asked."""
    asked: list[str] = []
    try:
        calls = next(reads)
        while True:
            asked += [call.operation for call in calls]
            found = [(replies[call.operation], call) for call in calls]
            calls = reads.send(tuple(reply(call) if callable(reply) else reply for reply, call in found))
    except StopIteration as end:
        return end.value, asked


def image(uri: str, replies: Mapping[str, Any], *, full: bool = False) -> tuple[str, frozenset[str] | None, list[str]]:
    """The verdict about an image, its architectures, and what was asked; without the word on an unknown architecture."""
    needed = needs.of(definition({"vcpu": 1, "memory": 1, "image": []}) | {"containerProperties": {"image": uri}})
    ground = Ground(scope=HERE, declared=Declared({}), full=full)
    ((check, *doubts), architectures), asked = drive(image_preflight.check(needed, ground), replies)
    there = check.verdict is Fit.fits
    assert [(one.check, one.verdict) for one in doubts] == [("architecture", "unknown")] * (there and not architectures)
    assert all(one.hint or full or one.denied for one in doubts)
    return f"{check.verdict} {check.certain}", architectures, asked


def manifest(content: Any) -> dict[str, Any]:
    return {"images": [{"imageManifest": json.dumps(content)}]}


def test_images_and_their_architectures() -> None:
    there = {"imageDetails": [{"imageManifestMediaType": LIST}]}
    platforms = [{"platform": {"architecture": one, "os": "linux"}} for one in ("amd64", "arm64", "unknown")]
    both = {"DescribeImages": there, "BatchGetImage": manifest({"manifests": platforms})}
    assert image(URI, both) == ("fits True", frozenset({"x86_64", "arm64"}), ["DescribeImages", "BatchGetImage"])

    one = {
        "DescribeImages": {"imageDetails": [{"imageManifestMediaType": SINGLE}]},
        "BatchGetImage": manifest({"config": {"digest": "sha256:1"}}),
        "GetDownloadUrlForLayer": {"downloadUrl": "https://bucket.example/x"},
        "Get": {"text": '{"architecture": "arm64"}'},
    }
    assert image(URI, one) == ("fits True", None, ["DescribeImages"])
    assert image(URI, one, full=True)[:2] == ("fits True", frozenset({"arm64"}))
    assert image(URI, one, full=True)[2] == [*one]
    assert image(URI, one | {"Get": Refused("NotDownloaded", "")}, full=True)[:2] == ("fits True", None)
    denied = Refused("AccessDeniedException", "no")
    assert image(URI, both | {"BatchGetImage": denied})[:2] == ("fits True", None)

    absent = Refused("ImageNotFoundException", "no")
    rules = {"pullThroughCacheRules": [{"ecrRepositoryPrefix": "team"}]}
    cached = {"DescribeImages": absent, "DescribePullThroughCacheRules": rules}
    assert image(URI, cached)[0] == "unknown True"
    assert image(URI, cached | {"DescribePullThroughCacheRules": {"pullThroughCacheRules": []}})[0] == "cannot True"
    assert image(URI, cached | {"DescribePullThroughCacheRules": Refused("AccessDenied", "")})[0] == "cannot False"
    archived = {"DescribeImages": {"imageDetails": [{"imageStatus": "ARCHIVED"}]}}
    assert image(URI, archived)[0] == "cannot True"
    assert image(URI, {"DescribeImages": Refused("AccessDeniedException", "no")})[0] == "unknown True"
    for other in ("alpine", "public.ecr.aws/docker/library/alpine:3", URI.replace("eu-west-1", "us-east-1")):
        assert image(other, {}) == ("unknown True", None, [])


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
    found, _ = drive(log_preflight.check({"containerProperties": logs}, ground), refused)
    assert {(one.verdict, one.denied) for one in found} <= {("unknown", "logs:DescribeLogGroups"), ("fits", "")}


# --- what people are told --------------------------------------------------------------------------------------------


def test_equal_warnings_are_one_and_ignored_ones_none() -> None:
    names = ("a", "b", "c", "d", "e", "f")
    made = {one: Resource(address=Address("jobDefinitions", one), props={}) for one in names}
    role = Check(check="trust", verdict=Fit.cannot, message="the role", hint="add it", reported=True)
    size = dataclasses.replace(role, check="placement", message="too large", certain=False, alone=True)
    quiet = dataclasses.replace(role, message="not told", reported=False)
    found = [Checked(address=one.address, check=each) for one in made.values() for each in (role, size, quiet)]
    env = Environment(name="e", resources={one.address: one for one in made.values()})
    plan = Plan(scope=HERE, resources=())
    told = [(one.code, one.address.split(".")[1], one.message) for one in problems(env, plan, found)]
    also = "jobDefinitions.b, jobDefinitions.c, jobDefinitions.d and 2 more"
    assert told[0] == ("cannot-run", "a", f"the role (also {also})")
    assert told[1:] == [("may-not-run", one, "too large") for one in names]
    ignored = {"": frozenset({"may-not-run"}), "jobDefinitions.a": frozenset({"cannot-run"})}
    told = [(one.code, one.address) for one in problems(dataclasses.replace(env, ignored=ignored), plan, found)]
    assert told == [("cannot-run", "jobDefinitions.b")]
    stops = dataclasses.replace(role, final=True)
    step = Step(id="s", address=made["a"].address, action=Call("batch", "RegisterJobDefinition"))
    created = ResourcePlan(address=step.address, verb=Verb.CREATE, physical="a", before=None, after=None, steps=(step,))
    plan = dataclasses.replace(plan, resources=(created,))
    (error,) = problems(
        dataclasses.replace(env, ignored=ignored), plan, [Checked(address=made["a"].address, check=stops)]
    )
    assert (error.warning, error.hint) == (False, "add it, or pass --preflight=off")


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


def test_downloads_are_of_https_only() -> None:
    for url in ("http://example.com/x", "file:///etc/passwd", "ftp://example.com/x"):
        assert isinstance(downloads.download(url), Refused)


def test_the_count_of_queues() -> None:
    """The first queue that a plan creates says whether the account has room for all of them."""
    made = [Resource(address=Address("jobQueues", name), props={}) for name in ("a", "b")]
    plans = {
        one.address: ResourcePlan(address=one.address, verb=Verb.CREATE, physical="", before=None, after=None)
        for one in made
    }
    ground = Ground(scope=HERE, declared=Declared({one.address: one for one in made}), plans=plans)
    for present, expected in ((48, "fits False"), (49, "cannot False")):
        reads = counts.check(made[0], ground, "DescribeJobQueues", "jobQueues", "job queues")
        next(reads)
        with pytest.raises(StopIteration) as end:
            reads.send(({"jobQueues": [{"status": "VALID"}] * present},))
        (check,) = end.value.value
        assert f"{check.verdict} {check.certain}" == expected
    with pytest.raises(StopIteration) as end:
        next(counts.check(made[1], ground, "DescribeJobQueues", "jobQueues", "job queues"))
    assert end.value.value == []
