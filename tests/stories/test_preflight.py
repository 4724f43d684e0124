"""Preflight as people use it: what a plan says before anything is applied, by what is asked of the account."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from tests.support.plan_schema import valid_plan
from tests.support.shell import Shell

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 2,
        "digest": f"sha256:{'1' * 64}",
    },
    "layers": [],
}


def job(image: str, vcpu: int = 1, memory: int = 1024, **more: Any) -> dict[str, Any]:
    wanted = [{"type": "VCPU", "value": str(vcpu)}, {"type": "MEMORY", "value": str(memory)}]
    return {
        "type": "container",
        "timeout": {"attemptDurationSeconds": 60},
        "containerProperties": {"image": image, "resourceRequirements": wanted, **more},
    }


def estate(subnets: list[str], group: str, **definitions: Any) -> dict[str, Any]:
    resources = {"type": "EC2", "minvCpus": 0, "maxvCpus": 16, "instanceTypes": ["m5.xlarge"], "subnets": subnets}
    resources |= {"securityGroupIds": [group], "instanceRole": "hosts", "allocationStrategy": "BEST_FIT_PROGRESSIVE"}
    return {
        "environment": "estate",
        "region": "eu-west-1",
        "roles": {
            "hosts": {
                "trust": ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"],
                "managedPolicies": ["service-role/AmazonEC2ContainerServiceforEC2Role"],
            }
        },
        "instanceProfiles": {"hosts": {"role": "hosts"}},
        "computeEnvironments": {"ce": {"type": "MANAGED", "computeResources": resources}},
        "jobQueues": {"q": {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "ce"}]}},
        "jobDefinitions": definitions,
    }


def rows(document: Any) -> dict[tuple[str, str | None, str], str]:
    assert "preflight" in document, document.get("problems")
    return {
        (one["address"].split(".")[1], one["environment"], one["check"]): f"{one['verdict']} {one['certainty']}"
        for one in document["preflight"]
    }


def put(shell: Shell, declared: dict[str, Any]) -> None:
    Path("environment.yaml").write_text(yaml.safe_dump(declared), encoding="utf-8")


def test_the_life_of_an_estate(shell: Shell, tmp_path: Path) -> None:
    """A definition that no environment can run stops an apply; what may be put right beside it is a warning."""
    shell.go(tmp_path / "estate")
    session = shell.account.attach()
    ec2, iam, ecr = (session.client(name, region_name="eu-west-1") for name in ("ec2", "iam", "ecr"))
    subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]][:2]
    (group, *_) = (one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"])
    iam.create_role(RoleName="strange", AssumeRolePolicyDocument=json.dumps(TRUST))
    ecr.create_repository(repositoryName="tools")
    ecr.put_image(repositoryName="tools", imageManifest=json.dumps(MANIFEST), imageTag="1")
    secret = {"name": "TOKEN", "valueFrom": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:t-abcdef"}
    declared = estate(
        subnets,
        group,
        good=job(f"{ECR}/tools:1"),
        large=job(f"{ECR}/tools:1", vcpu=5),
        absent=job(f"{ECR}/tools:2", jobRoleArn="arn:aws:iam::123456789012:role/nobody"),
        wrong=job("alpine", executionRoleArn="arn:aws:iam::123456789012:role/strange", secrets=[secret]),
    )
    put(shell, declared)

    shell.account.calls.clear()
    found = shell("plan", "--preflight", "--format", "json")
    asked = Counter(f"{call.service}:{call.operation}" for call in shell.account.calls)
    seen = rows(valid_plan(found.json))
    assert found.code == 1
    assert asked["ecr:DescribeImages"] == 3  # both, of which one is missing; then each by itself
    assert {asked[f"ec2:{name}"] for name in ("DescribeInstanceTypes", "DescribeRouteTables")} == {1}
    assert {check: seen["ce", None, check] for check in ("zones", "network", "egress", "quota", "trust", "count")} == {
        **dict.fromkeys(("zones", "network", "quota", "trust"), "fits certain"),
        **dict.fromkeys(("egress", "count"), "fits likely"),
    }
    assert seen["good", "ce", "vcpu"] == seen["good", None, "placement"] == "fits likely"
    assert seen["good", None, "image"] == "fits certain"
    assert seen["large", "ce", "vcpu"] == seen["large", None, "placement"] == "cannot certain"
    assert (seen["absent", None, "image"], seen["absent", None, "role"]) == ("cannot certain", "cannot certain")
    assert (seen["wrong", None, "trust"], seen["wrong", None, "permissions"]) == ("cannot certain", "cannot likely")
    assert seen["wrong", None, "image"] == "unknown None"
    told = {(one["address"], one["severity"]) for one in found.json["problems"] if "run" in one["code"]}
    assert told == {
        ("jobDefinitions.large", "error"),
        ("jobDefinitions.absent", "warning"),
        ("jobDefinitions.wrong", "warning"),
    }

    stopped = shell("apply", "--auto-approve")
    assert stopped.code == 1
    assert "environment.yaml" in stopped.err
    assert "no compute environment can run it: 5 vCPUs, and m5.xlarge has 4 (ce)" in stopped.err
    assert "--preflight=off" in stopped.err
    assert "Preflight: " in stopped.out
    assert not any(name.startswith("batch:") for name in shell.writes())
    shell.ok("apply", "--auto-approve", "--no-preflight")

    shell.account.calls.clear()
    quiet = shell.ok("apply", "--auto-approve")
    assert "cannot-run" not in quiet.err
    assert not any(call.service in ("servicequotas", "ecr") for call in shell.account.calls)
    assert "preflight" not in shell.ok("plan", "--format", "json").json
    notes = ("--format", "text", "--format", "github=notes.txt")
    again = shell.ok("plan", "--preflight", "--out", "it.plan", *notes)
    assert "warning[cannot-run]" in again.err
    annotations = Path("notes.txt").read_text(encoding="utf-8").splitlines()
    assert "::warning file=environment.yaml,line=" in annotations[0]
    assert all(line.startswith("::warning file=environment.yaml,line=") for line in annotations)
    assert shell.ok("show", "it.plan", "--format", "github").out.splitlines() == annotations
    assert again.out.count("Preflight: ") == shell.ok("show", "it.plan").out.count("Preflight: ") == 1
    assert rows(valid_plan(shell.ok("show", "it.plan", "--format", "json").json))["large", "ce", "vcpu"]
    declared["jobQueues"]["q"]["priority"] = 2
    put(shell, declared | {"ignoreRules": ["cannot-run", "may-not-run"]})
    ignored = shell.ok("plan", "--preflight", "--out", "next.plan")
    assert ("-run]" in ignored.err, "Preflight: " in ignored.out) == (False, True)
    shell.account.calls.clear()
    shell.ok("apply", "next.plan")
    assert not any(call.service in ("servicequotas", "ecr") for call in shell.account.calls)
    assert "Preflight: " in shell.ok("show", "it.plan", "--format", "markdown").out


def test_what_is_around_the_environments(shell: Shell, tmp_path: Path) -> None:
    """A private network with and without endpoints, groups that let nothing out, quotas, permissions that are missing."""
    shell.go(tmp_path / "estate")
    ec2 = shell.account.attach().client("ec2", region_name="eu-west-1")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone="eu-west-1a")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    strange = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"]
    other = next(one["GroupId"] for one in strange if one["VpcId"] != vpc)
    tasks = {**job("alpine", memory=2048, executionRoleArn="hosts"), "platformCapabilities": ["FARGATE"]}
    declared = estate([subnet], group, tasks=tasks, job=job("alpine"), large=job("alpine", vcpu=8))
    resources = {"type": "FARGATE", "maxvCpus": 16, "subnets": [subnet], "securityGroupIds": [group]}
    declared["computeEnvironments"]["fargate"] = {"type": "MANAGED", "computeResources": resources}
    order = [{"order": 1, "computeEnvironment": "fargate"}]
    declared["jobQueues"]["f"] = {"priority": 1, "computeEnvironmentOrder": order}

    def plan(**changes: Any) -> dict[tuple[str, str | None, str], str]:
        declared["computeEnvironments"]["ce"]["computeResources"] |= changes
        put(shell, declared)
        return rows(valid_plan(shell("plan", "--preflight", "--format", "json").json))

    seen = plan()
    assert (seen["ce", None, "egress"], seen["tasks", "fargate", "egress"]) == ("cannot likely", "cannot likely")
    for service in ("ecs", "ecs-agent", "ecs-telemetry"):
        name = f"com.amazonaws.eu-west-1.{service}"
        ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=name, VpcEndpointType="Interface", PrivateDnsEnabled=True)
    seen = plan()
    assert (seen["ce", None, "egress"], seen["tasks", "fargate", "egress"]) == ("fits likely", "cannot likely")
    seen = plan(instanceTypes=["trn1.2xlarge"])  # in no zone of the Region
    assert (seen["ce", None, "zones"], seen["job", "ce", "types"]) == ("cannot certain", "cannot certain")
    seen = plan(instanceTypes=["p4d.24xlarge", "m5.xlarge"])
    assert (seen["ce", None, "zones"], seen["large", "ce", "vcpu"]) == ("fits certain", "cannot certain")
    shell.account.batch_settings.vcpu_quotas = {"m*": 8}
    seen = plan(securityGroupIds=[other])
    assert (seen["ce", None, "network"], seen["ce", None, "quota"]) == ("cannot certain", "cannot likely")
    shell.account.batch_settings.vcpu_quotas = {"m*": 0}
    assert plan()["ce", None, "quota"] == "cannot certain"
    shell.account.batch_settings.vcpu_quotas = {}
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])  # fmt: skip
    seen = plan(securityGroupIds=[group], subnets=[subnet, "subnet-0123456789abcdef0"])
    assert (seen["ce", None, "network"], seen["ce", None, "egress"]) == ("cannot certain", "cannot certain")

    for operation in ("DescribeInstanceTypes", "DescribeRouteTables"):
        shell.account.faults.add(service="ec2", operation=operation, code="UnauthorizedOperation", times=99)
    seen = plan(subnets=[subnet], securityGroupIds=[other])
    assert (seen["ce", None, "egress"], seen["job", "ce", "types"]) == ("unknown None", "unknown None")
    told = shell("plan", "--preflight")
    assert "(not permitted: ec2:DescribeInstanceTypes, ec2:DescribeRouteTables)" in told.out
