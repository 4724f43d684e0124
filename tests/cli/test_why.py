"""`reconcile why` as it is typed: against the sandbox, where jobs wait and fail as in AWS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator

from tests.support.shell import Shell
from tools import why_doc

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "why.schema.json").read_text("utf-8"))
VALID = Draft202012Validator(SCHEMA)
ENVIRONMENT = """\
environment: prod
region: eu-west-1
lookups:
  vpc: {vpc: {default: true}}
  subnets: {subnets: {vpcId: "${lookups.vpc}"}}
  groups: {securityGroup: {groupName: default, vpcId: "${lookups.vpc}"}}
roles:
  nodes:
    assumeRolePolicyDocument:
      Version: "2012-10-17"
      Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}]
    managedPolicies: ["arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"]
instanceProfiles:
  nodes: {role: nodes}
computeEnvironments:
  small:
    type: MANAGED
    computeResources:
      type: EC2
      minvCpus: 0
      maxvCpus: 8
      instanceTypes: [m5.large]
      subnets: ["${lookups.subnets}"]
      securityGroupIds: ["${lookups.groups}"]
      instanceRole: nodes
jobQueues:
  main:
    jobQueueName: prod-main
    priority: 1
    computeEnvironmentOrder: [{order: 1, computeEnvironment: small}]
jobDefinitions:
  render:
    type: container
    containerProperties:
      image: app:1
      command: ["true"]
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "7900"}
    retryStrategy: {attempts: 3, evaluateOnExit: [{onStatusReason: "Host EC2*", action: RETRY}, {onReason: "*", action: EXIT}]}
    timeout: {attemptDurationSeconds: 600}
"""


@pytest.fixture
def batch(sandbox_url: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The environment, applied in the sandbox, and the client of AWS Batch."""
    state = shell.home / "state"
    state.mkdir(exist_ok=True)
    (state / "sandbox.json").write_text(json.dumps({"url": sandbox_url, "pid": os.getpid()}))
    monkeypatch.setenv("RECONCILE_SANDBOX_DIR", str(state))
    place = shell.go(shell.home / "work")
    (place / "environments" / "prod").mkdir(parents=True)
    (place / "environments/prod/environment.yaml").write_text(ENVIRONMENT, encoding="utf-8")
    shell.ok("apply", "--auto-approve")
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("batch", endpoint_url=sandbox_url, region_name="eu-west-1", **keys)


def asked(shell: Shell, *words: str) -> Any:
    found = shell("why", *words, "--format", "json")
    VALID.validate(found.json)
    return found.code, found.json


def test_a_night_with_a_queue(batch: Any, shell: Shell) -> None:
    shell.ok("sandbox", "outcome", "crash", "host-lost", "exit:3")
    crash = batch.submit_job(
        jobName="crash",
        jobQueue="prod-main",
        jobDefinition="render",
        containerOverrides={"resourceRequirements": [{"type": "MEMORY", "value": "512"}]},
    )["jobId"]
    shell.ok("sandbox", "advance", "15m")
    assert " min ago  crash" in shell.ok("status", "prod").out  # by the clock of the sandbox
    assert crash not in shell.ok("jobs", "list", "prod", "--since", "5m").out
    assert crash in shell.ok("jobs", "list", "prod", "--since", "20m").out
    job = batch.submit_job(jobName="j", jobQueue="prod-main", jobDefinition="render")["jobId"]
    shell.ok("sandbox", "advance", "12m")

    # a job that asks for more than its instances register: AWS says nothing, and a value that works is proposed
    status, found = asked(shell, "prod", job)
    (cause,) = found["causes"]
    assert (status, cause["id"], cause["certainty"]) == (0, "memory-edge", "certain")
    assert found["subject"] == {"kind": "job", "id": job, "address": "jobDefinitions.render"}
    change, lines = cause["change"], ENVIRONMENT.splitlines()
    assert change["address"] == "jobDefinitions.render"
    assert change["path"] == "containerProperties.resourceRequirements.1.value"
    assert '"7900"' in lines[change["line"] - 1][change["column"] - 1 :]
    assert change["file"] == "environments/prod/environment.yaml" and not change["overridden"]
    text = shell.ok("why", "jobQueues.main").out  # the queue names the same job
    assert f"job {job}: " in text and "[memory-edge]" in text
    assert f"to {change['value']} (environments/prod/environment.yaml:{change['line']}:" in text
    path = Path("environments/prod/environment.yaml")
    path.write_text(ENVIRONMENT.replace("7900", str(change["value"])), encoding="utf-8")
    shell.ok("apply", "--auto-approve")
    batch.terminate_job(jobId=job, reason="tried")
    fixed = batch.submit_job(jobName="j", jobQueue="prod-main", jobDefinition="render")["jobId"]
    shell.ok("sandbox", "advance", "12m")
    assert asked(shell, fixed)[1]["causes"][0]["id"] == "none"

    # one that failed, with its attempts; also outside of any environment
    status, found = asked(shell, crash)
    assert [one["id"] for one in found["causes"]] == ["app-exit"]
    assert [(one["cause"], one["decision"], one["entry"]) for one in found["attempts"]] == [
        ("host-lost", "RETRY", 0),
        ("app-exit", "EXIT", 1),
    ]
    assert asked(shell, "prod", "crash")[1]["subject"]["id"] == crash  # by the name of the job
    assert asked(shell, "render")[1]["subject"]["id"] == crash or asked(shell, "render")[1]["subject"]["id"] == job

    # an environment that was replaced has another name, and is still the declared one
    shell.ok("apply", "--auto-approve", "--replace", "computeEnvironments.small")
    subject = asked(shell, "computeEnvironments.small")[1]["subject"]
    assert subject["address"] == "computeEnvironments.small" and subject["id"].startswith("small-")
    shell.ok("sandbox", "set", 'vcpu_quotas={"m5*": 0}')
    batch.submit_job(jobName="j", jobQueue="prod-main", jobDefinition="render")
    shell.ok("sandbox", "advance", "12m")
    cause = asked(shell, "prod", "jobQueues.main")[1]["causes"][0]
    assert (cause["id"], cause["change"]["address"]) == ("vcpu-quota", "computeEnvironments.small")

    shell.go(shell.home / "elsewhere")
    assert asked(shell, crash)[1]["subject"]["address"] is None
    assert asked(shell, subject["id"])[1]["causes"][0]["id"] == "vcpu-quota"


def test_what_is_not_known(batch: Any, shell: Shell) -> None:
    missing = "00000000-0000-4000-8000-000000000000"
    for words, told in (
        ((), "no subject given"),
        ((missing,), "7 days"),
        (("nothere",), 'has "nothere"'),
        (("roles.nodes",), "a role"),
        (("jobQueues.mian",), 'did you mean "jobQueues.main"?'),
        (("nowhere", "main"), 'there is no environment "nowhere"'),
    ):
        found = shell("why", *words)
        assert found.code == 1 and told in found.err, (words, found.told)
    shell.ok("sandbox", "fault", "batch:DescribeJobs", "deny")
    denied = shell("why", "prod", missing)
    assert denied.code == 1 and "allow batch:DescribeJobs" in denied.err


def test_the_policy_and_the_page(shell: Shell) -> None:
    place = shell.go(shell.home / "work")
    (place / "environment.yaml").write_text("environment: e\n", encoding="utf-8")
    actions = {action for one in shell.ok("permissions", "--for", "why").json["Statement"] for action in one["Action"]}

    assert {"batch:DescribeJobs", "autoscaling:DescribeScalingActivities", "logs:GetLogEvents"} <= actions
    assert all(
        action.partition(":")[2].startswith(("Describe", "Get", "List", "Lookup", "Simulate")) for action in actions
    )
    assert why_doc.TARGET.read_text(encoding="utf-8") == why_doc.text(), "make docs"
