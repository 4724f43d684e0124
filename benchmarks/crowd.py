"""Accounts that are hard to read: many unowned resources, many old revisions.

Everything is created through the API of a sandbox in this process, and the estate owns none of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from reconciler.sandbox.server import Sandbox

TIMES = 10
REVISIONS = 20
ROLES = 3000
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }
)
_ANY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)
_JOB = {
    "image": "busybox",
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
}


def plain(_sandbox: Sandbox, _: int) -> None:
    """Nothing else."""


def foreign(sandbox: Sandbox, n: int) -> None:
    """Ten times as much of everything as an estate of ``n`` declares."""
    session = sandbox.attach()
    batch, iam, logs = (session.client(service) for service in ("batch", "iam", "logs"))
    groups = max(1, n // 20) * TIMES
    iam.create_role(RoleName="other-batch", AssumeRolePolicyDocument=_TRUST.replace("ec2", "batch"))
    iam.attach_role_policy(RoleName="other-batch", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole")
    sandbox.clock.advance(60)
    for i in range(groups):
        roles(iam, f"other-{i:05d}")
        logs.create_log_group(logGroupName=f"/other/{i:05d}", tags={"team": "other"})
        name = f"other-{i:05d}"
        batch.create_compute_environment(computeEnvironmentName=name, type="UNMANAGED", serviceRole="other-batch")
    sandbox.clock.advance(3600)
    for i in range(max(1, n // 10) * TIMES):
        order = [{"order": 1, "computeEnvironment": f"other-{i % groups:05d}"}]
        batch.create_job_queue(jobQueueName=f"other-{i:05d}", priority=1, computeEnvironmentOrder=order)
    for i in range(n * TIMES):
        batch.register_job_definition(jobDefinitionName=f"other-{i:05d}", type="container", containerProperties=_JOB)
    few(session)


def few(session: Any) -> None:
    """The few resources of the other kinds, ten times."""
    make = {name: session.client(name) for name in ("iam", "ec2", "ecr", "secretsmanager", "sns", "events", "batch")}
    for i in range(TIMES):
        name = f"other-{i}"
        policy = make["iam"].create_policy(PolicyName=name, PolicyDocument=_ANY)["Policy"]["Arn"]
        make["iam"].attach_role_policy(RoleName=f"other-{i:05d}", PolicyArn=policy)
        make["ec2"].create_security_group(GroupName=name, Description="other")
        make["ec2"].create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "m5.large"})
        make["ecr"].create_repository(repositoryName=name)
        make["secretsmanager"].create_secret(Name=name, SecretString="x")
        make["sns"].create_topic(Name=name)
        make["events"].put_rule(Name=name, ScheduleExpression="rate(1 day)")
        make["batch"].create_scheduling_policy(name=name)
        make["batch"].create_consumable_resource(consumableResourceName=name, totalQuantity=1)


def roles(iam: Any, name: str) -> None:
    """One role with an instance profile."""
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=_TRUST, Tags=[{"Key": "team", "Value": "other"}])
    iam.put_role_policy(RoleName=name, PolicyName="any", PolicyDocument=_ANY)
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def revisions(sandbox: Sandbox, _: int) -> None:
    """Twenty ACTIVE revisions of every definition, with the tags of the current one; the last is as declared."""
    batch = sandbox.attach().client("batch")
    pages = batch.get_paginator("describe_job_definitions").paginate(status="ACTIVE")
    own = {"jobDefinitionArn", "revision", "status", "containerOrchestrationType"}
    for item in [item for page in pages for item in page["jobDefinitions"]]:
        kept = {name: value for name, value in item.items() if name not in own}
        for i in range(REVISIONS - 2):
            batch.register_job_definition(**{**kept, "parameters": {"old": str(i)}})
        batch.register_job_definition(**kept)


def many_roles(sandbox: Sandbox, _: int) -> None:
    """Three thousand unowned roles with profiles."""
    iam = sandbox.attach().client("iam")
    for i in range(ROLES):
        roles(iam, f"crowd-{i:05d}")


MODES: Mapping[str, Callable[[Sandbox, int], None]] = {
    "plain": plain,
    "foreign": foreign,
    "revisions": revisions,
    "roles": many_roles,
}
