"""A team moves here from terraform or CloudFormation: its resources keep its names, and nothing else changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import boto3
import pytest

from reconciler.account.client import identity
from reconciler.account.everything import Everything
from reconciler.account.reader import Reader
from reconciler.kinds import discover
from reconciler.operations.importing.other_tools import cloudformation_types, terraform_types
from tests.support.clients import client_of
from tests.support.examples import ROOT, SECRETS
from tests.support.imported import adopted, forget
from tests.support.shell import Shell

MADE = """\
environment: made
roles:
  jobs-role-20240101:
    trust: [ecs-tasks.amazonaws.com]
  service:
    trust: [batch.amazonaws.com]
    managedPolicies: [service-role/AWSBatchServiceRole]
computeEnvironments:
  prod-ce: {type: UNMANAGED, serviceRole: service}
jobQueues:
  prod-low:
    priority: 1
    computeEnvironmentOrder: [{order: 1, computeEnvironment: prod-ce}]
  prod-high:
    priority: 9
    computeEnvironmentOrder: [{order: 1, computeEnvironment: prod-ce}]
jobDefinitions:
  prod-hello:
    type: container
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      image: alpine
      jobRoleArn: jobs-role-20240101
      resourceRequirements: [{type: VCPU, value: "1"}, {type: MEMORY, value: "128"}]
serviceLinkedRoles:
  batch.amazonaws.com: {}
logGroups:
  /prod/other: {}
"""


def state(*resources: tuple[str, str, dict[str, object]]) -> str:
    made = [
        {
            "module": module,
            "mode": "managed",
            "type": type_.partition(".")[0],
            "name": type_.partition(".")[2],
            "instances": [one],
        }
        for module, type_, one in resources
    ]
    return json.dumps({"version": 4, "terraform_version": "1.9.8", "resources": made})


def test_the_names_of_terraform_and_of_a_template(shell: Shell) -> None:
    Path("made.yaml").write_text(MADE)
    shell.ok("apply", "made.yaml", "-y")
    arns = {one["jobQueueName"]: one["jobQueueArn"] for one in boto3.client("batch").describe_job_queues()["jobQueues"]}
    forget()
    Path("terraform.tfstate").write_text(
        state(
            (
                "module.queues",
                "aws_batch_job_queue.this",
                {"index_key": "low", "attributes": {"arn": arns["prod-low"]}},
            ),
            (
                "module.queues",
                "aws_batch_job_queue.this",
                {"index_key": "high", "attributes": {"arn": arns["prod-high"]}},
            ),
            ("", "aws_batch_job_definition.hello", {"attributes": {"name": "prod-hello"}}),
            ("", "aws_iam_role.jobs", {"attributes": {"name": "jobs-role-20240101"}}),
            ("", "aws_iam_service_linked_role.b", {"attributes": {"aws_service_name": "batch.amazonaws.com"}}),
            ("", "aws_batch_job_queue.gone", {"attributes": {"name": "gone"}}),
            ("", "aws_db_instance.db", {"attributes": {"password": "hunter2"}}),
        )
    )
    shown = shell.ok("import", "moved", "--from-terraform-state", "terraform.tfstate", "--dry-run")
    assert "+    jobQueueName: prod-low" in shown.out
    assert not Path("moved").exists()

    moved = shell.ok("import", "moved", "--from-terraform-state", "terraform.tfstate")
    assert "left out: aws_db_instance.db: reconcile has no such kind" in moved.err
    assert "left out: aws_batch_job_queue.gone: no job queue gone in the account" in moved.err
    assert "  batch.amazonaws.com: {}\n" in Path("moved/iam.yaml").read_text()
    assert "hunter2" not in moved.out + moved.err
    batch = Path("moved/batch.yaml").read_text()
    assert "  queues-low:\n    jobQueueName: prod-low\n" in batch
    assert "jobRoleArn: jobs\n" in Path("moved/jobs.yaml").read_text()
    assert "prod-ce" in batch  # which is not in the state, and stays by name
    assert "computeEnvironments" not in batch

    template = {
        "Resources": {
            "Compute": {
                "Type": "AWS::Batch::ComputeEnvironment",
                "Properties": {"ComputeEnvironmentName": {"Fn::Sub": "prod-ce"}},
            }
        }
    }
    Path("template.json").write_text(json.dumps(template))
    document = json.loads(shell.ok("import", "moved", "--from-cloudformation", "template.json", "--format", "json").out)
    assert document["resources"] == [{"address": "computeEnvironments.Compute", "physical_name": "prod-ce"}]

    events, ec2 = boto3.client("events"), boto3.client("ec2")
    events.create_event_bus(Name="jobs")
    events.put_rule(Name="nightly", EventBusName="jobs", EventPattern='{"source": ["x"]}')
    networks = [ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"] for number in (1, 2)]
    groups = [ec2.create_security_group(GroupName="nodes", Description="d", VpcId=one)["GroupId"] for one in networks]
    stack = [("Nightly", "AWS::Events::Rule", "jobs|nightly"), ("Nodes", "AWS::EC2::SecurityGroup", groups[1])]
    keys = ("LogicalResourceId", "ResourceType", "PhysicalResourceId")
    resources = [dict(zip(keys, one, strict=True)) for one in stack]
    Path("stack.json").write_text(json.dumps({"StackResources": resources}))
    told = shell.ok("import", "moved", "--from-cloudformation", "stack.json")
    assert "left out" not in told.err
    assert "  Nightly:\n    name: nightly\n" in Path("moved/events.yaml").read_text()
    assert f"vpcId: {networks[1]}" in Path("moved/network.yaml").read_text()
    assert Path("moved/batch.yaml").read_text() != batch
    adopted(shell, "moved")


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(path.parent.name for path in ROOT.glob("environments/*/environment.yaml")))
def test_every_kind_by_the_names_of_terraform_and_of_a_stack(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable, value in SECRETS.items():
        monkeypatch.setenv(variable, value)
    shutil.copytree(ROOT / "environments" / name, name)
    shell.ok("apply", name, "-y")
    owned = shell.ok("plan", name, "--format", "json").json["resource_changes"]
    forget()
    found = lives()
    wanted: dict[str, list[tuple[str, str]]] = {}
    stack: list[dict[str, str]] = []
    resources: list[tuple[str, str, dict[str, object]]] = []
    for number, one in enumerate(owned):
        section, physical = one["type"], one["physical_name"]
        attrs = found.get((section, physical), {})
        types = [(type_, words) for type_, (where, words) in terraform_types().items() if where == section]
        type_, words = types[-1] if number % 2 else types[0]
        values = {word: attrs.get(word, physical) for word in words if word in attrs or word not in ("arn", "id")}
        resources.append(("module.m", f"{type_}.r{number}", {"attributes": values}))
        kinds = [type_ for type_, (where, _) in cloudformation_types().items() if where == section]
        stack.append(
            {
                "LogicalResourceId": f"R{number}",
                "ResourceType": kinds[0],
                "PhysicalResourceId": attrs.get("id") or attrs.get("arn") or physical,
            }
        )
        wanted.setdefault(section, []).append((f"m-r{number}", f"R{number}"))
    Path("terraform.tfstate").write_text(state(*resources))
    Path("stack.json").write_text(json.dumps({"StackResources": stack}))

    for number, (directory, *options) in enumerate(
        (
            ("by-terraform", "--from-terraform-state", "terraform.tfstate"),
            ("by-stack", "--from-cloudformation", "stack.json"),
        )
    ):
        moved = shell.ok("import", directory, *options, "--format", "json").json
        assert moved["left_out"] == []
        addresses = {one["address"] for one in moved["resources"]}
        for section, keys in wanted.items():
            kind = discover()[section]
            if not kind.shared and not kind.named_below:
                assert {f"{section}.{key[number]}" for key in keys} <= addresses
        adopted(shell, directory)
        forget()


def lives() -> dict[tuple[str, str], dict[str, str]]:
    """The attributes of everything in the account, by section and physical name."""
    client = client_of(boto3.Session())
    everything = Everything(Reader(client, parallelism=0), discover(), identity(client, "-")).everything(discover())
    return {
        (section, word): dict(live.attrs)
        for section, found in everything.items()
        for live in found
        for word in (live.physical, live.attrs.get("name", live.physical))
    }
