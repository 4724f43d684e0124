"""Pieces of an environment that hints show: the only place above the kinds where sections are spelled.

They are examples for people; nothing is decided by them.
"""

from __future__ import annotations

from typing import Final

SECTION: Final = "jobQueues:"
RESOURCE: Final = "jobQueues: {NAME: {priority: 1}}"
ADDRESS: Final = "roles.AWSBatchServiceRole"
QUOTED_ADDRESS: Final = 'logGroups["/aws/x"]'
PATH: Final = "computeResources.maxvCpus"
DRAINED: Final = "a compute environment"
ADDRESSES: Final = '`jobQueues.queue-0`, `logGroups["/aws/batch/custom"]`'

ENVIRONMENT: Final = """\
environment: my-environment   # written into the ownership tag of everything declared here
# region: eu-west-1           # else AWS_REGION, or the profile's

tags: {managed-by: reconcile}

lookups:                      # read-only facts about the account, shown in every plan
  vpc: {vpc: {default: true}}
  subnets: {subnets: {vpcId: "${lookups.vpc}"}}
  default: {securityGroup: {groupName: default, vpcId: "${lookups.vpc}"}}

roles:
  my-environment-execution:
    trust: [ecs-tasks.amazonaws.com]
    managedPolicies: [service-role/AmazonECSTaskExecutionRolePolicy]

computeEnvironments:
  my-environment-fargate:
    type: MANAGED
    computeResources:
      type: FARGATE
      maxvCpus: 16
      subnets: "${lookups.subnets}"
      securityGroupIds: ["${lookups.default}"]

jobQueues:
  my-environment-queue:
    priority: 1
    computeEnvironmentOrder:
      - {order: 1, computeEnvironment: my-environment-fargate}

jobDefinitions:
  my-environment-hello:
    type: container
    platformCapabilities: [FARGATE]
    timeout: {attemptDurationSeconds: 600}
    containerProperties:
      image: public.ecr.aws/docker/library/busybox:latest
      command: [echo, hello]
      executionRoleArn: my-environment-execution
      networkConfiguration: {assignPublicIp: ENABLED}
      resourceRequirements:
        - {type: VCPU, value: "0.25"}
        - {type: MEMORY, value: "512"}
"""
