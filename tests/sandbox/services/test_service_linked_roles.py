"""Service-linked roles are deleted by a task, which fails while the service uses the role.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteServiceLinkedRole.html
"""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

NAME = "AWSServiceRoleForBatch"


@pytest.fixture
def iam(sandbox):
    client = sandbox.client("iam")
    client.create_service_linked_role(AWSServiceName="batch.amazonaws.com")
    return client


def ended(iam):
    task = iam.delete_service_linked_role(RoleName=NAME)["DeletionTaskId"]
    return iam.get_service_linked_role_deletion_status(DeletionTaskId=task)


def test_one_that_nothing_uses_is_deleted(iam):
    assert ended(iam)["Status"] == "SUCCEEDED"
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_role(RoleName=NAME)
    iam.create_service_linked_role(AWSServiceName="batch.amazonaws.com")


def test_one_in_use_is_kept_and_what_uses_it_is_named(sandbox, iam):
    batch, ec2 = sandbox.client("batch"), sandbox.client("ec2")
    role = iam.get_role(RoleName=NAME)["Role"]["Arn"]
    resources = {
        "type": "FARGATE",
        "maxvCpus": 1,
        "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
        "securityGroupIds": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
    }
    made = batch.create_compute_environment(computeEnvironmentName="ce", type="MANAGED", computeResources=resources)
    arn = made["computeEnvironmentArn"]

    told = ended(iam)

    assert told["Status"] == "FAILED"
    assert told["Reason"]["RoleUsageList"] == [{"Region": "eu-west-1", "Resources": [arn]}]
    assert iam.get_role(RoleName=NAME)["Role"]["Arn"] == role


def test_other_roles_and_unknown_tasks_are_refused(iam, refused):
    trust = '{"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
    iam.create_role(RoleName="mine", AssumeRolePolicyDocument=trust)
    refused("InvalidInput", "not a service-linked role", iam.delete_service_linked_role, RoleName="mine")
    status = iam.get_service_linked_role_deletion_status
    refused("NoSuchEntity", "cannot be found", status, DeletionTaskId="task/aws-service-role/x")
