"""The estate of :mod:`benchmarks.estate` as terraform's configuration, with the same names and values.

``write(directory, n)`` writes what a user of the AWS provider 5.100 would: one block for each resource, references
instead of names, common tags as ``default_tags``, and a role's policies as resources of their own, as the provider's
documentation recommends. Two things differ from the estate: consumable resources are left out, which the provider does
not have, and the security group declares the egress that EC2 gives a new one, which the provider would revoke. As a
command: ``python -m benchmarks.terraform_estate DIRECTORY N``.
"""

from __future__ import annotations

import re
import string
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.estate import PER_FILE, groups, queues

LEFT_OUT = ("consumableResources",)
"""Sections of the estate that the provider has no resource for."""
NAMED = {
    "roles": ("aws_iam_role", "name"),
    "instanceProfiles": ("aws_iam_instance_profile", "name"),
    "policies": ("aws_iam_policy", "name"),
    "securityGroups": ("aws_security_group", "name"),
    "launchTemplates": ("aws_launch_template", "name"),
    "repositories": ("aws_ecr_repository", "name"),
    "secrets": ("aws_secretsmanager_secret", "name"),
    "topics": ("aws_sns_topic", "name"),
    "schedulingPolicies": ("aws_batch_scheduling_policy", "name"),
    "placementGroups": ("aws_placement_group", "name"),
    "eventRules": ("aws_cloudwatch_event_rule", "name"),
    "logGroups": ("aws_cloudwatch_log_group", "name"),
    "computeEnvironments": ("aws_batch_compute_environment", "compute_environment_name"),
    "jobQueues": ("aws_batch_job_queue", "name"),
    "jobDefinitions": ("aws_batch_job_definition", "name"),
}
"""By the estate's section: the provider's resource, and the argument that is its name."""


_SHARED = Path(__file__).with_name("terraform_shared.tf")
"""The settings, and the resources that an estate of any size has once."""


class _Text(string.Template):
    """``@name`` is replaced; terraform has uses for ``$`` and braces of its own."""

    delimiter = "@"


_ROLE = """\
resource "aws_iam_role" "role_@i" {
  name        = "@name-role-@i"
  description = "What the jobs of group @number may do"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"] }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "role_@i" {
  role       = aws_iam_role.role_@i.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_role_policy" "role_@{i}_data" {
  name = "data"
  role = aws_iam_role.role_@i.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject"]
      Resource = "arn:aws:s3:::@name-data-@i/*"
    }]
  })
}

resource "aws_iam_instance_profile" "role_@i" {
  name = "@name-role-@i"
  role = aws_iam_role.role_@i.name
}
"""

_LOG_GROUP = """\
resource "aws_cloudwatch_log_group" "jobs_@i" {
  name              = "/aws/batch/@name/@i"
  retention_in_days = @days
}
"""

_COMPUTE = """\
resource "aws_batch_compute_environment" "compute_@i" {
  compute_environment_name = "@name-compute-@i"
  type                     = "MANAGED"
  state                    = "ENABLED"
  compute_resources {
    type                = "SPOT"
    allocation_strategy = "SPOT_PRICE_CAPACITY_OPTIMIZED"
    min_vcpus           = 0
    max_vcpus           = @vcpus
    instance_type       = ["m5", "m5a", "c5", "r5"]
    subnets             = data.aws_subnets.all.ids
    security_group_ids  = [aws_security_group.batch.id]
    instance_role       = aws_iam_instance_profile.role_@i.arn
    launch_template {
      launch_template_name = aws_launch_template.instances.name
    }
    tags = { Name = "@name-@i" }
  }
  update_policy {
    terminate_jobs_on_update      = false
    job_execution_timeout_minutes = 60
  }
}
"""

_QUEUE = """\
resource "aws_batch_job_queue" "queue_@i" {
  name     = "@name-queue-@i"
  state    = "ENABLED"
  priority = @priority
@order  job_state_time_limit_action {
    reason           = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"
    state            = "RUNNABLE"
    max_time_seconds = 3600
    action           = "CANCEL"
  }
}
"""

_ORDER = """\
  compute_environment_order {
    order               = @order
    compute_environment = aws_batch_compute_environment.compute_@i.arn
  }
"""

_JOB = """\
# step @number of the pipeline
resource "aws_batch_job_definition" "job_@i" {
  name = "@name-job-@i"
  type = "container"
  parameters = {
    input  = "s3://@name-data-@group/in/@i"
    output = "s3://@name-data-@group/out/@i"
  }
  container_properties = jsonencode({
    image            = "${local.registry}/@name/step-@i:1.@number"
    command          = ["process", "--input", "Ref::input", "--output", "Ref::output", "--threads", "@vcpus"]
    jobRoleArn       = aws_iam_role.role_@group.arn
    executionRoleArn = aws_iam_role.execution.arn
    resourceRequirements = [
      { type = "VCPU", value = "@vcpus" },
      { type = "MEMORY", value = "@memory" },
    ]
    environment = [
      { name = "STEP", value = "@number" },
      { name = "STAGE", value = "production" },
      { name = "TMPDIR", value = "/scratch" },
    ]
    secrets = [{ name = "DATABASE_URL", valueFrom = aws_secretsmanager_secret.db.arn }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.jobs_@group.name
        awslogs-stream-prefix = "step-@i"
      }
    }
    volumes         = [{ name = "scratch", host = { sourcePath = "/mnt/scratch" } }]
    mountPoints     = [{ sourceVolume = "scratch", containerPath = "/scratch", readOnly = false }]
    linuxParameters = { initProcessEnabled = true }
    privileged      = false
  })
  retry_strategy {
    attempts = @attempts
    evaluate_on_exit {
      on_status_reason = "Host EC2*"
      action           = "RETRY"
    }
    evaluate_on_exit {
      on_exit_code = "137"
      action       = "RETRY"
    }
    evaluate_on_exit {
      on_reason = "*"
      action    = "EXIT"
    }
  }
  timeout {
    attempt_duration_seconds = @timeout
  }
  propagate_tags        = true
  platform_capabilities = ["EC2"]
  tags                  = { step = "@number" }
}
"""


def files(n: int, name: str = "estate") -> Iterator[tuple[str, str]]:
    """The configuration's files by name, all of one module."""
    many = range(groups(n))
    days = (30, 90, 365)
    yield "main.tf", _filled(_SHARED.read_text("utf-8"), name=name)
    yield "roles.tf", "\n".join(_filled(_ROLE, name=name, i=f"{i:04d}", number=i) for i in many)
    yield "logs.tf", "\n".join(_filled(_LOG_GROUP, name=name, i=f"{i:04d}", days=days[i % 3]) for i in many)
    compute = (_filled(_COMPUTE, name=name, i=f"{i:04d}", vcpus=64 * (1 + i % 8)) for i in many)
    yield "compute.tf", "\n".join(compute)
    yield "queues.tf", "\n".join(_queue(i, n, name) for i in range(queues(n)))
    for start in range(0, n, PER_FILE):
        jobs = "\n".join(_job(i, n, name) for i in range(start, min(n, start + PER_FILE)))
        yield f"jobs-{start:05d}.tf", jobs


def _filled(text: str, **values: object) -> str:
    return _Text(text).substitute(values)


def _queue(i: int, n: int, name: str) -> str:
    first, other = i % groups(n), (i + 1) % groups(n)
    used = (first,) if first == other else (first, other)
    order = "".join(_filled(_ORDER, order=number, i=f"{one:04d}") for number, one in enumerate(used, 1))
    return _filled(_QUEUE, name=name, i=f"{i:04d}", priority=1 + i % 10, order=order)


def _job(i: int, n: int, name: str) -> str:
    return _filled(
        _JOB,
        name=name,
        i=f"{i:05d}",
        number=i,
        group=f"{i % groups(n):04d}",
        vcpus=1 + i % 8,
        memory=2048 * (1 + i % 8),
        attempts=2 + i % 4,
        timeout=3600 * (1 + i % 12),
    )


def write(directory: Path, n: int) -> Path:
    """Write the configuration into ``directory`` and return that."""
    directory.mkdir(parents=True, exist_ok=True)
    for file, text in files(n):
        (directory / file).write_text(text, "utf-8")
    return directory


def declared(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """The names that configuration declares, by the estate's section."""
    found: dict[str, set[str]] = {}
    blocks = re.findall(r'^resource "(\w+)" "\w+" \{\n(.*?)^\}', "\n".join(texts.values()), re.MULTILINE | re.DOTALL)
    for section, (resource, argument) in NAMED.items():
        name = re.compile(rf'^  {argument} += "(.*)"$', re.MULTILINE)
        found[section] = {match[1] for kind, body in blocks if kind == resource and (match := name.search(body))}
    return found


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), int(sys.argv[2])))
