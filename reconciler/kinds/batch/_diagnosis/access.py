"""The IAM actions that a diagnosis may need; whatever is refused is named in its result."""

from __future__ import annotations

from typing import Final

OF_ENVIRONMENTS: Final = (
    "batch:DescribeComputeEnvironments",
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeScalingActivities",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSpotFleetRequestHistory",
    "ec2:DescribeSpotFleetRequests",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcEndpoints",
    "ecs:DescribeContainerInstances",
    "ecs:ListContainerInstances",
    "iam:GetInstanceProfile",
    "iam:ListAttachedRolePolicies",
    "iam:SimulatePrincipalPolicy",
)
OF_JOBS: Final = (
    *OF_ENVIRONMENTS,
    "batch:DescribeConsumableResource",
    "batch:DescribeJobQueues",
    "batch:DescribeJobs",
    "batch:DescribeServiceJob",
    "batch:GetJobQueueSnapshot",
    "batch:ListJobs",
    "batch:ListServiceJobs",
    "cloudtrail:LookupEvents",
    "ec2:DescribeInstanceTypes",
    "ecr:DescribeImages",
    "ec2:DescribeInstances",
    "ecs:DescribeTasks",
    "logs:GetLogEvents",
)
