"""An account with two environments in which jobs run: `ec2` and `fargate`, each with a queue of its name."""

from __future__ import annotations

import json
from typing import Any

ACCOUNT = "123456789012"
ECR = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
NODES = "service-role/AmazonEC2ContainerServiceforEC2Role"
EXECUTION = "service-role/AmazonECSTaskExecutionRolePolicy"


def allow(*actions: str, **more: Any) -> str:
    """A policy with one statement."""
    statement = {"Effect": "Allow", "Action": [*actions], "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def role(sandbox: Any, name: str, service: str, managed: str = "", **inline: str) -> None:
    """A role that a service may assume."""
    iam = sandbox.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    if managed:
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{managed}")
    for policy, text in inline.items():
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)


def built(sandbox: Any) -> None:
    """The roles `nodes` and `execution`, the environments and their queues."""
    iam, ec2, batch = sandbox.client("iam"), sandbox.client("ec2"), sandbox.client("batch")
    role(sandbox, "nodes", "ec2.amazonaws.com", NODES)
    role(
        sandbox, "execution", "ecs-tasks.amazonaws.com", EXECUTION, more=allow("secretsmanager:*", "ssm:GetParameters")
    )
    iam.create_instance_profile(InstanceProfileName="nodes")
    iam.add_role_to_instance_profile(InstanceProfileName="nodes", RoleName="nodes")
    sandbox.advance(30)
    subnets = [ec2.describe_subnets()["Subnets"][0]["SubnetId"]]
    groups = [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]]
    where = {"maxvCpus": 256, "subnets": subnets, "securityGroupIds": groups}
    hosts = {"type": "EC2", "instanceRole": "nodes", "instanceTypes": ["m5.large"], "minvCpus": 0}
    hosts["allocationStrategy"] = "BEST_FIT_PROGRESSIVE"
    for name, resources in (("ec2", {**where, **hosts}), ("fargate", {**where, "type": "FARGATE"})):
        batch.create_compute_environment(computeEnvironmentName=name, type="MANAGED", computeResources=resources)
        sandbox.advance(60)
        order = [{"order": 1, "computeEnvironment": name}]
        batch.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order)
    sandbox.advance(60)


def container(on: str, **more: Any) -> dict[str, Any]:
    """A small container; on Fargate with the execution role."""
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    given: dict[str, Any] = {"image": "busybox", "command": ["true"], "resourceRequirements": needs}
    return {**given, **({"executionRoleArn": f"{ROLE}/execution"} if on == "fargate" else {}), **more}


def submit(sandbox: Any, on: str, name: str, *, definition: Any = None, **more: Any) -> str:
    """Register a definition of this name and submit a job of it; its id."""
    batch = sandbox.client("batch")
    given = definition or {"type": "container", "containerProperties": container(on)}
    platforms = {"platformCapabilities": ["FARGATE"]} if on == "fargate" else {}
    batch.register_job_definition(jobDefinitionName=name, **given, **platforms)
    job: str = batch.submit_job(jobName=name, jobQueue=on, jobDefinition=name, **more)["jobId"]
    return job


def described(sandbox: Any, job: str) -> dict[str, Any]:
    """The job as DescribeJobs has it."""
    found: dict[str, Any] = sandbox.client("batch").describe_jobs(jobs=[job])["jobs"][0]
    return found
