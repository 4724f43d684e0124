"""Accounts that others made: with the AWS CLI from pasted JSON, with terraform's AWS provider, with CloudFormation.

What each sends is as these tools do: the CLI what its JSON says, terraform also what its schema has as defaults and ids
that it makes up, CloudFormation generated names and tags of its own.
https://github.com/hashicorp/terraform-provider-aws/tree/main/internal/service/batch
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-batch-computeenvironment.html
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

import boto3

ACCOUNT, REGION = "123456789012", "eu-west-1"
ECS = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
BATCH = "arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole"
EXECUTION = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"

# AWS Batch takes user data in MIME parts only
USER_DATA = """\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="==PART=="

--==PART==
Content-Type: text/x-shellscript; charset="us-ascii"

#!/bin/bash
echo ${HOME}

--==PART==--
"""


def trust(service: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def role(name: str, service: str, policy: str, **more: Any) -> str:
    iam = boto3.client("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service), **more)
    iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    return str(made["Role"]["Arn"])


def profile(name: str, held: str, **more: Any) -> str:
    iam = boto3.client("iam")
    made = iam.create_instance_profile(InstanceProfileName=name, **more)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=held)
    return str(made["InstanceProfile"]["Arn"])


def network() -> tuple[str, list[str]]:
    ec2 = boto3.client("ec2")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
    return vpc["VpcId"], sorted(subnet["SubnetId"] for subnet in found)


def by_cli(settle: Callable[[], Any]) -> None:
    """Commands with pasted JSON: short names beside ARNs, a pinned revision, older members, defaults written out."""
    batch, events = boto3.client("batch"), boto3.client("events")
    _, subnets = network()
    ec2 = boto3.client("ec2")
    group = ec2.create_security_group(GroupName="gpu-nodes", Description="nodes")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
            {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "UserIdGroupPairs": [{"GroupId": group}]},
        ],
    )
    service = role("AWSBatchServiceRole", "batch.amazonaws.com", BATCH, Path="/service-role/")
    profile("ecsInstanceRole", role("ecsInstanceRole", "ec2.amazonaws.com", ECS).rpartition("/")[2])
    job = role("job", "ecs-tasks.amazonaws.com", EXECUTION)
    boto3.client("iam").put_role_policy(
        RoleName="job",
        PolicyName="submit",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": ["batch:SubmitJob"],
                        "Resource": [
                            f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/gpu-queue",
                            f"arn:aws:batch:{REGION}:{ACCOUNT}:job-definition/train:*",
                            "arn:aws:s3:::data/${aws:username}/*",
                        ],
                    }
                ],
            }
        ),
    )
    template = ec2.create_launch_template(
        LaunchTemplateName="gpu-template",
        LaunchTemplateData={"UserData": b64encode(USER_DATA.encode()).decode(), "EbsOptimized": False},
    )["LaunchTemplate"]["LaunchTemplateId"]
    settle()
    batch.create_compute_environment(
        computeEnvironmentName="gpu-spot",
        type="MANAGED",
        state="ENABLED",
        serviceRole=service,
        computeResources={
            "type": "SPOT",
            "minvCpus": 0,
            "maxvCpus": 256,
            "desiredvCpus": 0,
            "instanceTypes": ["g5"],
            "subnets": subnets,
            "securityGroupIds": [group],
            "instanceRole": "ecsInstanceRole",
            "bidPercentage": 100,
            "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED",
            "launchTemplate": {"launchTemplateId": template, "version": "$Default"},
            "tags": {"Name": "gpu"},
        },
    )
    settle()
    batch.create_job_queue(
        jobQueueName="gpu-queue",
        state="ENABLED",
        priority=10,
        computeEnvironmentOrder=[
            {"order": 5, "computeEnvironment": f"arn:aws:batch:{REGION}:{ACCOUNT}:compute-environment/gpu-spot"}
        ],
        tags={"team": "hpc"},
    )
    for image in ("train:1", "train:2"):
        registered = batch.register_job_definition(
            jobDefinitionName="train",
            type="container",
            parameters={"epochs": "3"},
            containerProperties={
                "image": image,
                "vcpus": 4,
                "memory": 8192,
                "command": ["python", "train.py", "Ref::epochs"],
                "jobRoleArn": job,
                "executionRoleArn": "job",
                "environment": [
                    {"name": "DB_PASSWORD", "value": "hunter2-and-more"},
                    {"name": "BUCKET", "value": "s3://data/${X}"},
                    {"name": "QUEUE", "value": f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/gpu-queue"},
                ],
                "mountPoints": [],
                "volumes": [],
                "ulimits": [],
                "privileged": False,
                "readonlyRootFilesystem": False,
            },
            retryStrategy={"attempts": 2, "evaluateOnExit": [{"onReason": "*", "action": "EXIT"}]},
            propagateTags=False,
            platformCapabilities=["EC2"],
            tags={"team": "hpc"},
        )
    starter = role(
        "starter", "events.amazonaws.com", "arn:aws:iam::aws:policy/service-role/AWSBatchServiceEventTargetRole"
    )
    settle()
    events.put_rule(Name="nightly", ScheduleExpression="cron(0 2 * * ? *)", State="ENABLED")
    events.put_targets(
        Rule="nightly",
        Targets=[
            {
                "Id": "1",
                "Arn": f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/gpu-queue",
                "RoleArn": starter,
                "BatchParameters": {"JobDefinition": registered["jobDefinitionArn"], "JobName": "nightly"},
            }
        ],
    )


def by_terraform(settle: Callable[[], Any]) -> None:
    """What the AWS provider sends: names with a suffix, ids of its own, every argument that has a default."""
    iam, batch, ec2 = boto3.client("iam"), boto3.client("batch"), boto3.client("ec2")
    vpc, subnets = network()
    owned = [{"Key": "Terraform", "Value": "true"}]
    tags = {"Terraform": "true"}
    group = ec2.create_security_group(
        GroupName="tf-20260101120000000100000001",
        Description="Managed by Terraform",
        VpcId=vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": [{"Key": "Name", "Value": "batch"}, *owned]}],
    )["GroupId"]
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
    ec2.authorize_security_group_egress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    )
    policy = iam.create_policy(
        PolicyName="tf-job-20260101120000000100000002",
        Path="/",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Sid": "", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::d/*"}],
            }
        ),
        Tags=owned,
    )["Policy"]["Arn"]
    iam.create_role(
        RoleName="tf-execution",
        Path="/",
        MaxSessionDuration=3600,
        AssumeRolePolicyDocument=trust("ecs-tasks.amazonaws.com", Sid=""),
        Tags=owned,
    )
    for attached in (EXECUTION, policy):
        iam.attach_role_policy(RoleName="tf-execution", PolicyArn=attached)
    execution = f"arn:aws:iam::{ACCOUNT}:role/tf-execution"
    mounts = ec2.create_security_group(GroupName="efs: mounts (tf)", Description="Managed by Terraform", VpcId=vpc)
    secret = boto3.client("secretsmanager").create_secret(Name="tf/db", SecretString="{}", Tags=owned)["ARN"]
    topic = boto3.client("sns").create_topic(Name="tf-alerts", Attributes={"DisplayName": ""}, Tags=owned)
    boto3.client("sns").subscribe(TopicArn=topic["TopicArn"], Protocol="email", Endpoint="ops@example.com")
    boto3.client("logs").create_log_group(logGroupName="/tf/jobs", tags=tags)
    boto3.client("logs").put_retention_policy(logGroupName="/tf/jobs", retentionInDays=14)
    settle()
    batch.create_compute_environment(
        computeEnvironmentName="tf-fargate-20260101120000000100000003",
        type="MANAGED",
        state="ENABLED",
        computeResources={
            "type": "FARGATE",
            "maxvCpus": 16,
            "subnets": subnets,
            "securityGroupIds": [group, mounts["GroupId"]],
        },
        tags=tags,
    )
    settle()
    policy_arn = batch.create_scheduling_policy(
        name="tf-fair",
        fairsharePolicy={
            "computeReservation": 1,
            "shareDecaySeconds": 3600,
            "shareDistribution": [{"shareIdentifier": "A1*", "weightFactor": 0.1}, {"shareIdentifier": "A2"}],
        },
        tags=tags,
    )["arn"]
    batch.create_job_queue(
        jobQueueName="tf-queue",
        state="ENABLED",
        priority=1,
        schedulingPolicyArn=policy_arn,
        computeEnvironmentOrder=[
            {
                "order": 0,
                "computeEnvironment": f"arn:aws:batch:{REGION}:{ACCOUNT}:compute-environment/"
                "tf-fargate-20260101120000000100000003",
            }
        ],
        tags=tags,
    )
    batch.register_job_definition(
        jobDefinitionName="tf-job",
        type="container",
        platformCapabilities=["FARGATE"],
        parameters={},
        propagateTags=False,
        retryStrategy={
            "attempts": 1,
            "evaluateOnExit": [{"action": "RETRY", "onStatusReason": "Host EC2*"}, {"action": "EXIT", "onReason": "*"}],
        },
        timeout={"attemptDurationSeconds": 60},
        containerProperties={
            "command": ["echo", "test"],
            "image": "busybox",
            "jobRoleArn": execution,
            "executionRoleArn": execution,
            "fargatePlatformConfiguration": {"platformVersion": "LATEST"},
            "networkConfiguration": {"assignPublicIp": "DISABLED"},
            "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
            "environment": [],
            "secrets": [{"name": "DB", "valueFrom": f"{secret}:password::"}],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": "/tf/jobs", "awslogs-region": REGION, "awslogs-stream-prefix": "job"},
            },
        },
        tags=tags,
    )
    boto3.client("events").put_rule(
        Name="tf-failed",
        EventPattern=json.dumps(
            {
                "source": ["aws.batch"],
                "detail": {
                    "status": ["FAILED"],
                    "jobQueue": [f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/tf-queue"],
                },
            }
        ),
        EventBusName="default",
        State="ENABLED",
        Tags=owned,
    )
    topic = boto3.client("sns").create_topic(Name="tf-alerts", Tags=owned)["TopicArn"]
    boto3.client("events").put_targets(
        Rule="tf-failed", Targets=[{"Id": "terraform-20260101120000000100000004", "Arn": topic}]
    )


def by_cloudformation(settle: Callable[[], Any]) -> None:
    """A stack: generated names; the tags that only CloudFormation can set are left to the test."""
    tags = {"owner": "film"}
    iam, batch = boto3.client("iam"), boto3.client("batch")
    _, subnets = network()
    (default,) = boto3.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])[
        "SecurityGroups"
    ]
    iam.create_role(
        RoleName="render-JobRole-1X2Y3Z4A5B6C",
        Path="/",
        AssumeRolePolicyDocument=trust("ecs-tasks.amazonaws.com"),
        Tags=[{"Key": "owner", "Value": "film"}],
    )
    iam.put_role_policy(
        RoleName="render-JobRole-1X2Y3Z4A5B6C",
        PolicyName="render-Policy-0A1B",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::frames", "arn:aws:s3:::frames/*"]}
                ],
            }
        ),
    )
    settle()
    batch.create_compute_environment(
        computeEnvironmentName="Fleet-0a1b2c3d4e5f",
        type="MANAGED",
        state="ENABLED",
        computeResources={
            "type": "FARGATE_SPOT",
            "maxvCpus": 32,
            "subnets": subnets[:1],
            "securityGroupIds": [default["GroupId"]],
        },
        tags=tags,
    )
    settle()
    batch.create_job_queue(
        jobQueueName="Queue-1a2b3c4d5e6f",
        priority=5,
        computeEnvironmentOrder=[
            {
                "order": 1,
                "computeEnvironment": f"arn:aws:batch:{REGION}:{ACCOUNT}:compute-environment/Fleet-0a1b2c3d4e5f",
            }
        ],
        tags=tags,
    )
    batch.register_job_definition(
        jobDefinitionName="Frame-9f8e7d6c5b4a",
        type="container",
        platformCapabilities=["FARGATE"],
        containerProperties={
            "image": "busybox",
            "command": ["sh", "-c", "echo $FRAME"],
            "jobRoleArn": f"arn:aws:iam::{ACCOUNT}:role/render-JobRole-1X2Y3Z4A5B6C",
            "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/render-JobRole-1X2Y3Z4A5B6C",
            "resourceRequirements": [{"type": "VCPU", "value": "1.0"}, {"type": "MEMORY", "value": "2048"}],
        },
        tags=tags,
    )


def by_hand(settle: Callable[[], Any]) -> None:
    """What people leave in an account over the years: several versions, what is disabled or broken, what is pinned."""
    iam, batch, ec2 = boto3.client("iam"), boto3.client("batch"), boto3.client("ec2")
    _, subnets = network()
    (default,) = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    boundary = iam.create_policy(PolicyName="boundary", Path="/limits/", PolicyDocument=json.dumps(document))
    arn = boundary["Policy"]["Arn"]
    # of the role that it bounds
    document["Statement"] = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:iam::{ACCOUNT}:role/hpc/worker"}
    ]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True)
    role("worker", "ec2.amazonaws.com", ECS, Path="/hpc/", PermissionsBoundary=arn, MaxSessionDuration=7200)
    boto3.client("iam").update_assume_role_policy(
        RoleName="worker",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                        "Action": "sts:AssumeRole",
                        "Condition": {
                            "Bool": {"aws:MultiFactorAuthPresent": "true"},
                            "StringEquals": {"aws:ResourceTag/${aws:PrincipalTag/by}": "${aws:PrincipalTag/team}"},
                        },
                    },
                ],
            }
        ),
    )
    profile("worker-profile", "worker", Path="/hpc/")
    ec2.create_launch_template(LaunchTemplateName="disk", LaunchTemplateData={"EbsOptimized": True})
    ec2.create_launch_template_version(
        LaunchTemplateName="disk", LaunchTemplateData={"EbsOptimized": True, "Monitoring": {"Enabled": True}}
    )
    settle()
    resources = {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": 8,
        "instanceTypes": ["optimal"],
        "subnets": subnets,
        "securityGroupIds": [default["GroupId"]],
        "instanceRole": f"arn:aws:iam::{ACCOUNT}:instance-profile/hpc/worker-profile",
        "launchTemplate": {"launchTemplateName": "disk", "version": "$Latest"},
    }
    batch.create_compute_environment(computeEnvironmentName="old", type="MANAGED", computeResources=resources)
    batch.create_compute_environment(
        computeEnvironmentName="broken",
        type="MANAGED",
        serviceRole=f"arn:aws:iam::{ACCOUNT}:role/gone",
        computeResources={**resources, "instanceRole": "worker-profile"},
    )
    fleet = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/spotfleet.amazonaws.com/AWSServiceRoleForEC2SpotFleet"
    batch.create_compute_environment(
        computeEnvironmentName="spot",
        type="MANAGED",
        computeResources={**resources, "type": "SPOT", "allocationStrategy": "BEST_FIT", "spotIamFleetRole": fleet},
    )
    settle()
    batch.create_job_queue(
        jobQueueName="old", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "old"}]
    )
    settle()
    batch.update_job_queue(jobQueue="old", state="DISABLED")
    batch.update_compute_environment(
        computeEnvironment="old", computeResources={"maxvCpus": 16}, updatePolicy={"jobExecutionTimeoutMinutes": 60}
    )
    nodes = {
        "mainNode": 0,
        "numNodes": 2,
        "nodeRangeProperties": [
            {"targetNodes": "0:", "container": {"image": "mpi", "vcpus": 2, "memory": 512, "command": []}},
        ],
    }
    first = batch.register_job_definition(jobDefinitionName="mpi", type="multinode", nodeProperties=nodes)
    nodes["numNodes"] = 4
    batch.register_job_definition(jobDefinitionName="mpi", type="multinode", nodeProperties=nodes)
    events = boto3.client("events")
    starter = role(
        "starter", "events.amazonaws.com", "arn:aws:iam::aws:policy/service-role/AWSBatchServiceEventTargetRole"
    )
    settle()
    events.put_rule(Name="pinned", ScheduleExpression="rate(1 day)", State="DISABLED")
    job = {"JobDefinition": first["jobDefinitionArn"], "JobName": "mpi"}
    queue = f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/old"
    events.put_targets(Rule="pinned", Targets=[{"Id": "mpi", "Arn": queue, "RoleArn": starter, "BatchParameters": job}])


MADE: Mapping[str, Callable[[Callable[[], Any]], None]] = {
    "cli": by_cli,
    "terraform": by_terraform,
    "cloudformation": by_cloudformation,
    "hand": by_hand,
}
