"""A team moves here from terraform or CloudFormation: its resources keep its names, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import boto3

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
    assert Path("moved/batch.yaml").read_text() != batch
    adopted(shell, "moved")
