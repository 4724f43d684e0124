"""The account in each partition of AWS: roles of its own, ARNs that begin as they should, domains that end so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

PARTITIONS = {"aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
ID = "123456789012"
READ = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)
TRUST = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
)


def arns(value: Any) -> set[str]:
    """Every ARN in a reply."""
    if isinstance(value, Mapping):
        return set().union(*map(arns, value.values()), set())
    if isinstance(value, list):
        return set().union(*map(arns, value), set())
    return {value} if isinstance(value, str) and value.startswith("arn:") else set()


@pytest.mark.parametrize(("partition", "region"), PARTITIONS.items())
def test_what_is_made_has_arns_of_the_partition(partition: str, region: str, sandbox: Any) -> None:
    def ask(service: str, operation: str, **params: Any) -> Any:
        return getattr(sandbox.client(service, region), operation)(**params)

    role = ask("iam", "create_role", RoleName="r", AssumeRolePolicyDocument=TRUST)
    topic = ask("sns", "create_topic", Name="t")
    ask("logs", "create_log_group", logGroupName="g")
    ask("ec2", "create_placement_group", GroupName="p", Strategy="cluster")
    repository = ask("ecr", "create_repository", repositoryName="app")["repository"]
    replies = [
        *(role, topic, repository),
        ask("sts", "get_caller_identity"),
        ask("iam", "create_instance_profile", InstanceProfileName="i"),
        ask("iam", "create_policy", PolicyName="p", PolicyDocument=READ),
        ask("iam", "create_service_linked_role", AWSServiceName="batch.amazonaws.com"),
        ask("iam", "get_account_authorization_details", Filter=["Role", "LocalManagedPolicy"]),
        ask("events", "put_rule", Name="e", EventPattern='{"source": ["aws.batch"]}'),
        ask("secretsmanager", "create_secret", Name="s", SecretString="x"),
        ask("logs", "describe_log_groups"),
        ask("ec2", "describe_placement_groups"),
        ask("ec2", "create_security_group", GroupName="g", Description="d"),
        ask("ec2", "describe_security_groups"),
        ask("ec2", "describe_subnets"),
        ask("ecr", "describe_repositories"),
        ask("batch", "create_scheduling_policy", name="f"),
        ask("batch", "register_job_definition", jobDefinitionName="j", type="container", containerProperties=CONTAINER),
        ask("resourcegroupstaggingapi", "get_resources"),
    ]

    found = arns(replies)
    assert len(found) > 12
    assert {arn.split(":")[1] for arn in found} == {partition}
    assert {arn.split(":")[3] for arn in found} == {"", region}
    domain = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    uris = [repository["repositoryUri"], ask("ecr", "describe_repositories")["repositories"][0]["repositoryUri"]]
    assert uris == [f"{ID}.dkr.ecr.{region}.{domain}/app"] * 2


CONTAINER = {
    "image": "busybox",
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
}


def test_a_role_is_in_its_own_partition_only(sandbox: Any) -> None:
    for region in PARTITIONS.values():
        sandbox.client("iam", region).create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    sandbox.client("iam", "cn-north-1").delete_role(RoleName="r")

    held = {
        partition: [role["Arn"] for role in sandbox.client("iam", region).list_roles()["Roles"]]
        for partition, region in PARTITIONS.items()
    }
    assert held == {
        "aws": [f"arn:aws:iam::{ID}:role/r"],
        "aws-cn": [],
        "aws-us-gov": [f"arn:aws-us-gov:iam::{ID}:role/r"],
    }

    sandbox.reset()
    assert not any(sandbox.client("iam", region).list_roles()["Roles"] for region in PARTITIONS.values())


@pytest.mark.parametrize("principal", ["batch.amazonaws.com", "batch.amazonaws.com.cn"])
def test_in_china_services_are_trusted_under_both_names(principal: str, sandbox: Any) -> None:
    iam, batch = sandbox.client("iam", "cn-north-1"), sandbox.client("batch", "cn-north-1")
    trust = TRUST.replace("ec2.amazonaws.com", principal)
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.attach_role_policy(RoleName="r", PolicyArn="arn:aws-cn:iam::aws:policy/service-role/AWSBatchServiceRole")
    sandbox.advance(60)

    batch.create_compute_environment(computeEnvironmentName="c", type="UNMANAGED", serviceRole=role)
    sandbox.advance(60)

    (found,) = batch.describe_compute_environments()["computeEnvironments"]
    assert (found["status"], found["serviceRole"]) == ("VALID", role)
