"""The status of an environment by the command that people type: jobs that run, wait and fail, and reads that are refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator

from tests.support.shell import Shell

SCHEMA = Draft202012Validator(json.loads((Path(__file__).parents[2] / "schemas/status.schema.json").read_text("utf-8")))
ESTATE = """\
environment: dev
lookups:
  vpc: {vpc: {default: true}}
  subnets: {subnets: {vpcId: "${lookups.vpc}"}}
roles:
  nodes: {trust: [ec2.amazonaws.com], managedPolicies: [service-role/AmazonEC2ContainerServiceforEC2Role]}
instanceProfiles:
  nodes: {role: nodes}
computeEnvironments:
  machines:
    type: MANAGED
    computeResources:
      {type: EC2, minvCpus: 0, maxvCpus: 4, instanceTypes: [m5.large], allocationStrategy: BEST_FIT_PROGRESSIVE,
       subnets: "${lookups.subnets}", securityGroupIds: [sg], instanceRole: nodes}
securityGroups:
  sg: {description: of the nodes, vpcId: "${lookups.vpc}"}
schedulingPolicies:
  fair: {fairsharePolicy: {shareDecaySeconds: 3600}}
jobQueues:
  fifo: {priority: 1, computeEnvironmentOrder: [{order: 1, computeEnvironment: machines}]}
  shared: {priority: 2, schedulingPolicyArn: fair, computeEnvironmentOrder: [{order: 1, computeEnvironment: machines}]}
jobDefinitions:
  work: {type: container, containerProperties: {image: busybox, command: [work], vcpus: 2, memory: 512}}
"""


@pytest.fixture
def estate(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Applied; the clock of commands is that of the account, and a watch is interrupted after its third look."""
    (shell.home / "environments/dev").mkdir(parents=True)
    (shell.home / "environments/dev/environment.yaml").write_text(ESTATE)
    shell.ok("apply", "dev", "--auto-approve")
    looks = iter((60.0, 6000.0))

    def sleep(_: float) -> None:
        seconds = next(looks, None)
        if seconds is None:
            raise KeyboardInterrupt
        shell.account.clock.advance(seconds)

    monkeypatch.setattr("reconciler.operations.status.time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr("reconciler.operations.status.now_at", lambda _: shell.account.clock.now())
    return shell


def submit(name: str, queue: str, **more: Any) -> str:
    return str(boto3.client("batch").submit_job(jobName=name, jobQueue=queue, jobDefinition="work", **more)["jobId"])


def test_what_runs_waits_and_failed(estate: Shell) -> None:
    account = estate.account
    account.change({"outcomes": {"bad": ["exit:3@60"], "*": ["runs-on"]}})
    bad = submit("bad", "fifo")
    account.clock.advance(600)
    submit("long", "fifo")
    account.clock.advance(300)
    submit("a", "shared", shareIdentifier="A")
    account.clock.advance(300)
    big = submit("big", "fifo", containerOverrides={"resourceRequirements": [{"type": "VCPU", "value": "64"}]})
    waiting = submit("b", "shared", shareIdentifier="B")
    account.clock.advance(1000)
    account.calls.clear()

    found = estate.ok("status", "dev", "--format", "json").json

    asked = sorted(f"{call.service}:{call.operation}" for call in account.calls)
    assert asked == sorted(
        ["sts:GetCallerIdentity", "batch:DescribeComputeEnvironments", "ec2:DescribeInstances", "ecs:DescribeClusters"]
        + ["batch:DescribeJobQueues", "batch:DescribeJobs"]
        + 2 * ["batch:ListJobs", "batch:GetJobQueueSnapshot"]
    )
    SCHEMA.validate(found)
    (machines,) = found["environments"]
    assert machines["vcpus"] == {"desired": 4, "running": 4, "max": 4} and machines["tasks"] == 2
    assert machines["instances"] == {"m5.large": 2}
    fifo, shared = found["queues"]
    assert (fifo["jobs"], shared["jobs"]) == ({"RUNNABLE": 1, "RUNNING": 1}, {"RUNNABLE": 1, "RUNNING": 1})
    assert [(one["cause"], one["jobs"]) for one in fifo["blocked"]] == [("max-vcpus", 1)]
    assert ([one["id"] for one in fifo["front"]], [one["id"] for one in shared["front"]]) == ([big], [waiting])
    assert shared["shares"] == [
        {"name": "A", "waiting": 0, "running": 1, "used": {"VCPU": 2.0}},
        {"name": "B", "waiting": 1, "running": 0, "used": {}},
    ]
    (failed,) = found["failed"]
    assert (failed["id"], failed["cause"]) == (bad, "app-exit")
    assert failed["message"] == "The program ended with exit code 3."

    allowed = {
        action
        for one in estate.ok("permissions", "dev", "--for", "status").json["Statement"]
        for action in one["Action"]
    }
    assert {*asked} - {"sts:GetCallerIdentity"} <= allowed and "iam:GetRole" not in allowed

    text = estate.ok("status", "dev").out
    for line in (
        "  machines  EC2   VALID  4               4        4    2 (m5.large)  2",
        "  fifo    VALID  1        0         1",
        "    blocked: max-vcpus: The job needs more vCPUs than the environment may have. (1 job)",
        f"    front: b ({waiting}) for 16 min",
        "    share A: 0 waiting, 1 running, uses 2 VCPU",
    ):
        assert line in text.splitlines()
    assert f"bad ({bad})  fifo  app-exit: The program ended with exit code 3." in text
    assert "nothing" in estate.ok("status", "dev", "--hours", "0.1").out.splitlines()[-1]
    page = estate.ok("status", "dev", "--format", "html").out
    assert page.startswith("<!doctype html>") and "app-exit: The program ended with exit code 3." in page


def test_reads_that_are_refused_and_a_watch(estate: Shell) -> None:
    account = estate.account
    account.change({"outcomes": {"*": ["exit:0@1000"]}})
    submit("once", "fifo")

    watched = estate("status", "dev", "--watch")

    looks = watched.out.split("dev  account ")[1:]
    assert (watched.code, len(looks)) == (130, 3)
    assert [" 1        0         0" in looks[0], " 0        0         0" in looks[2]] == [True, True]
    (line,) = estate("status", "dev", "--watch", "--format", "json").lines
    SCHEMA.validate(line)
    assert estate("status", "dev", "--watch", "--format", "html").code == 1

    for service, operation in (("batch", "ListJobs"), ("ec2", "DescribeInstances")):
        account.faults.add(service=service, operation=operation, deny=True, times=0)
    refused = estate("status", "dev", "--format", "json")
    assert refused.code == 1
    SCHEMA.validate(refused.json)
    assert [one["permission"] for one in refused.json["unread"]] == ["ec2:DescribeInstances", "batch:ListJobs"]
    assert refused.json["environments"][0]["vcpus"]["running"] is None and refused.json["queues"][0]["jobs"] is None
    told = estate("status", "dev").out
    assert "not read: batch:ListJobs: allow batch:ListJobs" in told and "unknown: the jobs could not be read" in told

    account.faults.clear()
    boto3.client("batch").update_job_queue(jobQueue="shared", state="DISABLED")
    account.clock.advance(60)
    (estate.home / "environments/dev/environment.yaml").write_text(
        ESTATE.replace(
            "  fifo:",
            "  new: {priority: 3, computeEnvironmentOrder: [{order: 1, computeEnvironment: machines}]}\n  fifo:",
        )
    )
    lines = estate.ok("status", "dev").out.splitlines()
    assert "  new     does not exist" in lines and "  shared  DISABLED        0        0         0" in lines
