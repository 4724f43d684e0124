"""Audits by the command that people type: of an account with faults, with the policy for it, and of the examples."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator

from reconciler.kinds import discover
from reconciler.operations.audit.examine import examine
from tests.stories.test_examples import EVERY, read
from tests.support.histories import Door, History
from tests.support.long import some
from tests.support.permitted import ACCOUNT, REGION, Permitted, without
from tests.support.shell import Shell

ROOT = Path(__file__).parents[2]
SECRET = "hunter2-hunter2"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
# what the examples are: warnings that they deserve, by name
DESERVED = {("idle-instances", "compute-0"), ("idle-instances", "od-ce")}


@cache
def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((ROOT / name).read_text("utf-8")))


def plant(account: Any) -> None:
    """An account made by hand: a role that is gone, one that may do everything, a queue that nothing serves, secrets."""
    iam, batch, ec2 = boto3.client("iam"), boto3.client("batch"), boto3.client("ec2")
    for name, service in (("svc", "batch"), ("inst", "ec2"), ("job", "ecs-tasks")):
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement})
        )
    iam.attach_role_policy(RoleName="svc", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole")
    iam.attach_role_policy(RoleName="job", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}}
    own = iam.create_policy(PolicyName="wide", Path="/team/", PolicyDocument=json.dumps(document))
    iam.attach_role_policy(RoleName="job", PolicyArn=own["Policy"]["Arn"])
    iam.put_role_policy(RoleName="job", PolicyName="inline", PolicyDocument=json.dumps(document))
    policy = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
    iam.attach_role_policy(RoleName="inst", PolicyArn=policy)
    iam.create_instance_profile(InstanceProfileName="inst")
    iam.add_role_to_instance_profile(InstanceProfileName="inst", RoleName="inst")
    account.clock.advance(60)
    resources = {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": 4,
        "instanceTypes": ["m6i.large"],
        "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
        "securityGroupIds": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
        "instanceRole": f"arn:aws:iam::{ACCOUNT}:instance-profile/inst",
    }
    for name, role, more in (("idle", "svc", {"minvCpus": 2}), ("off", "svc", {}), ("broken", "gone", {})):
        batch.create_compute_environment(
            computeEnvironmentName=name,
            type="MANAGED",
            serviceRole=f"{ROLE}/{role}",
            computeResources={**resources, **more},
            tags={"team": "hpc"},
        )
    account.clock.advance(600)
    for name in ("idle", "off"):
        order = [{"order": 1, "computeEnvironment": name}]
        batch.create_job_queue(jobQueueName=f"q-{name}", priority=1, computeEnvironmentOrder=order)
    account.clock.advance(60)
    batch.register_job_definition(
        jobDefinitionName="d",
        type="container",
        containerProperties={
            "image": "busybox",
            "command": ["run", "--password", SECRET],
            "privileged": True,
            "jobRoleArn": f"{ROLE}/job",
            "resourceRequirements": [{"type": "VCPU", "value": "16"}, {"type": "MEMORY", "value": "1024"}],
        },
    )
    batch.submit_job(jobName="large", jobQueue="q-off", jobDefinition="d")
    account.clock.advance(400)  # until AWS Batch reports what blocks the queue
    batch.describe_job_queues()
    batch.update_compute_environment(computeEnvironment="off", state="DISABLED")
    account.change({"environment_create": 1e7})
    batch.create_compute_environment(
        computeEnvironmentName="slow", type="MANAGED", serviceRole=f"{ROLE}/svc", computeResources=resources
    )
    account.clock.advance(7200)
    batch.describe_job_queues()  # there is always some traffic, by which an audit knows how late it is
    account.clock.advance(1200)


def test_an_account_made_by_hand_is_audited_with_no_more_than_the_policy_for_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plant(shell.account)
    shell.secrets.add(SECRET)
    user = Permitted(shell, monkeypatch)
    monkeypatch.setattr("reconciler.operations.audit.command.sleep", shell.account.clock.advance)
    policies = user.policies("--for", "audit", "--account", ACCOUNT, "--region", REGION, folder=tmp_path)

    done = user.run(policies, "audit", "--format", "json")

    assert done.code == 2
    schema("schemas/audit.schema.json").validate(done.json)
    assert not user.denied
    assert done.json["unread"] == []
    found = {(one["code"], one["physical_name"]) for one in done.json["findings"] if one["severity"] != "advice"}
    assert found == {
        ("dangling-reference", "broken"),
        ("invalid-resource", "broken"),
        ("stuck-resource", "slow"),
        ("no-capacity", "q-off"),
        ("job-blocked", "q-off"),
        ("idle-instances", "idle"),
        ("clear-text-secret", "d:1"),
        ("wide-role", "job"),
    }
    every = {(one["code"], one["physical_name"]) for one in done.json["findings"]}
    assert every > {
        ("no-owner", "idle"),
        ("no-tags", "q-off"),
        ("unreferenced", "broken"),
        ("no-recent-jobs", "q-idle"),
    }
    wide = [one["message"] for one in done.json["findings"] if one["code"] == "wide-role"]
    assert len(wide) == 3
    assert all("used by d:1 (jobRoleArn)" in one for one in wide)

    shell.account.calls.clear()
    said = shell("audit")
    assert {*shell.writes()} == {"cloudtrail:LookupEvents"}
    assert said.code == 2
    assert "error[invalid-resource]: compute environment broken" in said.out
    assert "seen: batch:DescribeComputeEnvironments status = INVALID" in said.out
    assert said.out.splitlines()[-1].startswith("3 errors, 7 warnings, ")

    less = user.run(without(policies, "batch:ListJobs"), "audit")
    assert less.code == 1
    assert "allow batch:ListJobs" in less.out
    assert "error[invalid-resource]" in less.out
    assert "so this is not all" in less.out.splitlines()[-1]


def test_an_account_without_anything_is_fine_and_what_is_typed_wrong_is_told(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = shell.ok("audit", "--strict")
    assert done.out.startswith(f"No findings in account {ACCOUNT} ({REGION}")
    assert done.out.endswith("): nothing of AWS Batch was found\n")

    assert shell.ok("audit", "--format", "markdown").out.startswith("## Audit\n")
    assert shell.ok("audit", "--format", "sarif").json["runs"][0]["results"] == []
    assert shell("audit", "--format", "yaml").code == 1
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    assert "pass --region" in shell("audit").err
    refused = shell("permissions", "prod", "--for", "audit")
    assert refused.code == 1
    assert "audit is about an account" in refused.err


@pytest.mark.parametrize("name", some(EVERY, 12, first=8))
def test_an_example_is_as_it_should_be(name: str, sandbox: Any) -> None:
    history = History(sandbox, name)
    history.converge(read(name))

    report = examine(Door(history.aws), discover(), history.scope, sandbox.clock.now(), {name}, parallelism=0)

    assert not report.unread
    grave = {(str(one.finding.code), one.physical) for one in report.findings if one.finding.severity != "advice"}
    assert grave <= DESERVED
    advice = {str(one.finding.code) for one in report.findings if one.finding.severity == "advice"}
    assert advice <= {
        *("no-recent-jobs", "no-timeout", "no-updates-in-place", "privileged", "unpinned-image", "wide-role")
    }
    assert {one.owner for one in report.findings if one.section == "jobQueues"} <= {f"environment {name}"}
