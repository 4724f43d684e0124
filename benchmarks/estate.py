"""An estate of any size, in the YAML that users write.

``write(directory, n)`` writes an environment of ``n`` job definitions, n/10 queues, n/20 compute environments, n/20
roles with instance profiles, n/20 log groups, and a few resources of every other kind. It depends on ``n`` and the
name only, so two runs compare the same estate. As a command: ``python -m benchmarks.estate DIRECTORY N``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

PER_FILE = 50

_SETTINGS = """\
environment: {name}

tags: {{team: hpc, project: benchmark}}
variables: {{registry: 123456789012.dkr.ecr.eu-west-1.amazonaws.com}}

lookups:
  vpc:
    vpc: {{default: true}}
  subnets:
    subnets: {{vpcId: "${{lookups.vpc}}"}}
"""

_SHARED = """\
roles:
  {name}-execution:
    description: What ECS needs to start the jobs
    trust: [ecs-tasks.amazonaws.com]
    managedPolicies: [service-role/AmazonECSTaskExecutionRolePolicy, {name}-read-secrets]
  {name}-events:
    trust: [events.amazonaws.com]
    inlinePolicies:
      submit:
        Version: "2012-10-17"
        Statement:
          - {{Effect: Allow, Action: "batch:SubmitJob", Resource: "*"}}

policies:
  {name}-read-secrets:
    description: Read the secrets of the jobs
    policyDocument:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Action: ["secretsmanager:GetSecretValue"]
          Resource: ["${{secrets.{name}-db.arn}}"]

securityGroups:
  {name}-batch:
    description: Batch instances
    vpcId: "${{lookups.vpc}}"
    ingress:
      - {{protocol: tcp, port: 22, cidr: 10.0.0.0/8}}

launchTemplates:
  {name}-instances:
    launchTemplateData:
      blockDeviceMappings:
        - deviceName: /dev/xvda
          ebs: {{volumeSize: 100, volumeType: gp3, encrypted: true, deleteOnTermination: true}}
      metadataOptions: {{httpTokens: required}}

repositories:
  {name}/tools:
    imageTagMutability: IMMUTABLE
    imageScanningConfiguration: {{scanOnPush: true}}

secrets:
  {name}-db:
    description: Where the jobs keep their results; its value is not ours

topics:
  {name}-alerts:
    attributes: {{DisplayName: Alerts}}
    policy:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Principal: {{Service: events.amazonaws.com}}
          Action: "sns:Publish"
          Resource: "${{topics.{name}-alerts.arn}}"

schedulingPolicies:
  {name}-fair:
    fairsharePolicy:
      shareDecaySeconds: 3600
      computeReservation: 1
      shareDistribution:
        - {{shareIdentifier: research, weightFactor: 0.5}}
        - {{shareIdentifier: production, weightFactor: 1}}

consumableResources:
  {name}-licences:
    totalQuantity: 100
    resourceType: REPLENISHABLE

placementGroups:
  {name}-cluster:
    strategy: cluster

eventRules:
  {name}-failed:
    description: Tell of jobs that failed
    eventPattern:
      source: [aws.batch]
      detail-type: ["Batch Job State Change"]
      detail: {{status: [FAILED]}}
    targets:
      - {{id: alerts, arn: "${{topics.{name}-alerts.arn}}"}}
  {name}-nightly:
    scheduleExpression: rate(1 day)
    targets:
      - id: job
        arn: "${{jobQueues.{name}-queue-0000.arn}}"
        roleArn: {name}-events
        batchParameters: {{jobDefinition: {name}-job-00000, jobName: nightly}}
"""

_ROLE = """\
  {name}-role-{i:04d}:
    description: What the jobs of group {i} may do
    trust: [ec2.amazonaws.com, ecs-tasks.amazonaws.com]
    managedPolicies:
      - service-role/AmazonEC2ContainerServiceforEC2Role
    inlinePolicies:
      data:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Action: ["s3:GetObject", "s3:PutObject"]
            Resource: "arn:aws:s3:::{name}-data-{i:04d}/*"
"""

_PROFILE = """\
  {name}-role-{i:04d}:
    role: {name}-role-{i:04d}
"""

_LOG_GROUP = """\
  /aws/batch/{name}/{i:04d}:
    retentionInDays: {days}
"""

_COMPUTE = """\
  {name}-compute-{i:04d}:
    type: MANAGED
    state: ENABLED
    computeResources:
      type: SPOT
      allocationStrategy: SPOT_PRICE_CAPACITY_OPTIMIZED
      minvCpus: 0
      maxvCpus: {vcpus}
      instanceTypes: [m5, m5a, c5, r5]
      subnets: "${{lookups.subnets}}"
      securityGroupIds: [{name}-batch]
      instanceRole: {name}-role-{i:04d}
      launchTemplate: {{launchTemplateName: {name}-instances}}
      tags: {{Name: {name}-{i:04d}}}
    updatePolicy: {{terminateJobsOnUpdate: false, jobExecutionTimeoutMinutes: 60}}
"""

_QUEUE = """\
  {name}-queue-{i:04d}:
    state: ENABLED
    priority: {priority}
    computeEnvironmentOrder:
      - {{order: 1, computeEnvironment: {name}-compute-{first:04d}}}
{second}    jobStateTimeLimitActions:
      - reason: MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT
        state: RUNNABLE
        maxTimeSeconds: 3600
        action: CANCEL
"""

_SECOND = "      - {{order: 2, computeEnvironment: {name}-compute-{i:04d}}}\n"

_JOB = """\
  # step {i} of the pipeline
  {name}-job-{i:05d}:
    type: container
    parameters:
      input: s3://{name}-data-{group:04d}/in/{i:05d}
      output: s3://{name}-data-{group:04d}/out/{i:05d}
    containerProperties:
      image: "${{var.registry}}/{name}/step-{i:05d}:1.{i}"
      command: [process, --input, "Ref::input", --output, "Ref::output", --threads, "{vcpus}"]
      jobRoleArn: {name}-role-{group:04d}
      executionRoleArn: {name}-execution
      resourceRequirements:
        - {{type: VCPU, value: "{vcpus}"}}
        - {{type: MEMORY, value: "{memory}"}}
      environment:
        - {{name: STEP, value: "{i}"}}
        - {{name: STAGE, value: production}}
        - {{name: TMPDIR, value: /scratch}}
      secrets:
        - {{name: DATABASE_URL, valueFrom: "${{secrets.{name}-db.arn}}"}}
      logConfiguration:
        logDriver: awslogs
        options:
          awslogs-group: /aws/batch/{name}/{group:04d}
          awslogs-stream-prefix: step-{i:05d}
      volumes:
        - {{name: scratch, host: {{sourcePath: /mnt/scratch}}}}
      mountPoints:
        - {{sourceVolume: scratch, containerPath: /scratch, readOnly: false}}
      linuxParameters: {{initProcessEnabled: true}}
      privileged: false
    retryStrategy:
      attempts: {attempts}
      evaluateOnExit:
        - {{onStatusReason: "Host EC2*", action: RETRY}}
        - {{onExitCode: "137", action: RETRY}}
        - {{onReason: "*", action: EXIT}}
    timeout: {{attemptDurationSeconds: {timeout}}}
    propagateTags: true
    platformCapabilities: [EC2]
    tags: {{step: "{i}"}}
"""


def groups(n: int) -> int:
    """The number of compute environments, and of roles, profiles and log groups each."""
    return max(1, n // 20)


def queues(n: int) -> int:
    """The number of job queues."""
    return max(1, n // 10)


def files(n: int, name: str) -> Iterator[tuple[str, str]]:
    """The text of every file, by path."""
    many = range(groups(n))
    yield "environment.yaml", _SETTINGS.format(name=name)
    yield "shared.yaml", _SHARED.format(name=name)
    profiles = "".join(_PROFILE.format(name=name, i=i) for i in many)
    roles = "".join(_ROLE.format(name=name, i=i) for i in many)
    yield "iam.yaml", f"roles:\n{roles}\ninstanceProfiles:\n{profiles}"
    days = (30, 90, 365)
    yield (
        "logs.yaml",
        "logGroups:\n" + "".join(_LOG_GROUP.format(name=name, i=i, days=days[i % 3]) for i in many),
    )
    compute = "".join(_COMPUTE.format(name=name, i=i, vcpus=64 * (1 + i % 8)) for i in many)
    yield "compute.yaml", f"computeEnvironments:\n{compute}"
    yield "queues.yaml", "jobQueues:\n" + "".join(_queue(i, n, name) for i in range(queues(n)))
    for start in range(0, n, PER_FILE):
        jobs = "\n".join(_job(i, n, name) for i in range(start, min(n, start + PER_FILE)))
        yield f"jobs/{start:05d}.yaml", f"jobDefinitions:\n{jobs}"


def _queue(i: int, n: int, name: str) -> str:
    first, other = i % groups(n), (i + 1) % groups(n)
    second = _SECOND.format(name=name, i=other) if other != first else ""
    return _QUEUE.format(name=name, i=i, priority=1 + i % 10, first=first, second=second)


def _job(i: int, n: int, name: str) -> str:
    return _JOB.format(
        name=name,
        i=i,
        group=i % groups(n),
        vcpus=1 + i % 8,
        memory=2048 * (1 + i % 8),
        attempts=2 + i % 4,
        timeout=3600 * (1 + i % 12),
    )


def write(directory: Path, n: int, *, name: str = "estate", one_file: bool = False) -> Path:
    """Write the estate into ``directory`` and return the argument ENV for the command line.

    With ``one_file`` everything is in a single ``NAME.yaml`` (up to about 3,000 definitions: a file may have 4 MB).
    """
    if one_file:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{name}.yaml"
        path.write_text(_joined(dict(files(n, name))), "utf-8")
        return path
    for file, text in files(n, name):
        path = directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return directory


def _joined(texts: dict[str, str]) -> str:
    """The files as one: the resources of a section in several files are joined."""
    sections: dict[str, list[str]] = {}
    head = texts.pop("environment.yaml")
    for text in texts.values():
        section = ""
        for line in text.splitlines():
            if line and line[0].isalpha():
                section = line
            else:
                sections.setdefault(section, []).append(line)
    return head + "".join(f"\n{section}\n" + "\n".join(lines) + "\n" for section, lines in sections.items())


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), int(sys.argv[2]), one_file="--one-file" in sys.argv))
